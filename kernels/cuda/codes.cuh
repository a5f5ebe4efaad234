// How keys and values lie in a page as codes, and how codes become the halves that attention multiplies.
//
// What a format means is tzcore/keyvalues.py's; here is where its bits are.  A code is a sign (1 = minus, the upper
// bit) and the number of a magnitude.  A page is 256 tokens, 8 tiles of 32, and a tile of one head is, one behind the
// other: DP / 32 pieces of keys (32 dimensions each), the 32 bytes of the keys' scales, the 32 of the values', and
// DP / 32 pieces of values (32 columns each).  A piece is in the order in which the lanes of a warp use it (lane =
// 4·g + c, see attend.cuh), so that each takes 16 or 8 neighbouring bytes, and a token owns whole bytes:
//
//   keys     unit s = 0…3 of a lane: dimensions 8·c … + 7 of key 8·(g / 2) + 2·s + g % 2
//     4 bits  16 bytes: word s; dimension d is nibble 4·(d % 2) + d / 2
//     6 bits  16 bytes: word s, the lower 4 bits so; then 8 bytes a lane: half-word s, dimension d the bits 7, 6 (the
//             sign and the fifth bit), 5, 4, … of byte d % 2, from d / 2 = 0 on
//     8 bits  2 · 16 bytes: word 2·(s % 2) + d / 4 of run s / 2
//   values   unit i = 0…3 of a lane: column 8·i + g of keys 8·c … + 7 = m
//     4 bits  16 bytes: word 2·(i / 2) + m / 2 % 2, byte 2·(m % 2) + m / 4, nibble i % 2
//     5 bits  the magnitude so; the signs of two pieces are 8 bytes a lane in front of them: word and byte so, bit
//             4·(piece % 2) + i
//     2 bits  8 bytes: word m / 4, byte m % 4, bits 2·i
//     8 bits  2 · 16 bytes: word 2·(i % 2) + m / 4, byte m % 4 of run i / 2
//
// A half is made as the whole number it stands for, times 2⁻²⁴: bits 0 to 6 are the magnitude and bit 15 the sign, a
// subnormal number, which the tensor cores multiply as exactly as any other.
#pragma once

namespace codes {

constexpr int PAGE = 256;           // tokens
constexpr int TILE = 32;            // tokens
constexpr int TILES = PAGE / TILE;  // of a page
constexpr int SINK = 16;            // tokens at the beginning of a text that are read in half precision
constexpr int BLOCK = 64;           // tokens: a token sees its own block and the one before in half precision
constexpr int UP = 24;              // halves are 2⁻²⁴ of what they stand for

constexpr int key_piece(int bits) { return bits == 8 ? 1024 : bits == 6 ? 768 : 512; }
constexpr int value_piece(int bits) { return bits == 8 ? 1024 : bits == 2 ? 256 : 512; }
/** Where piece `j` of the values begins, and, of 5 bits, the signs that belong to it. */
constexpr int value_at(int bits, int j) { return j * value_piece(bits) + (bits == 5 ? (j / 2 + 1) * 256 : 0); }
constexpr int signs_at(int j) { return j / 2 * 1280; }

constexpr int key_bytes(int DP, int bits) { return DP / 32 * key_piece(bits); }
constexpr int value_bytes(int DP, int bits) {
    return DP / 32 * value_piece(bits) + (bits == 5 ? (DP + 63) / 64 * 256 : 0);
}
constexpr int tile_bytes(int DP, int key_bits, int value_bits) {
    return key_bytes(DP, key_bits) + 2 * TILE + value_bytes(DP, value_bits);
}

/** Bytes of a tile of keys and values in half precision: keys [32][DP], then values [DP][32]. */
constexpr int exact_bytes(int DP) { return 4 * TILE * DP; }

__device__ __forceinline__ unsigned prmt(unsigned a, unsigned b, unsigned selector) {
    unsigned d;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
    return d;
}

constexpr unsigned SIGNS = 0x80008000u;

/** Halves k from byte k of two words of magnitudes, with signs that are bit 15 and 31 of `signs[k]`. */
__device__ __forceinline__ uint4 assembled(unsigned low, unsigned high, uint4 signs) {
    return {prmt(low, high, 0x8480) | signs.x & SIGNS, prmt(low, high, 0x9591) | signs.y & SIGNS,
            prmt(low, high, 0xa6a2) | signs.z & SIGNS, prmt(low, high, 0xb7b3) | signs.w & SIGNS};
}

/** Eight codes of 4 bits: half-pair k is nibbles k and k + 4. */
__device__ __forceinline__ uint4 of4(unsigned w) {
    constexpr unsigned LOW = 0x2c1f1206, HIGH = 0x7f604b3a;  // 6 18 31 44, 58 75 96 127
    const unsigned which = w & 0x77777777;
    return assembled(prmt(LOW, HIGH, which), prmt(LOW, HIGH, which >> 16), {w << 12, w << 8, w << 4, w});
}

/** Eight magnitudes of 5 bits, in the same order, with their signs as above. */
__device__ __forceinline__ uint4 of5(unsigned w, uint4 signs) {
    constexpr unsigned A = 0x120d0803, B = 0x29231d18;  // 3 8 13 18, 24 29 35 41
    constexpr unsigned C = 0x463d362f, D = 0x7f695a4f;  // 47 54 61 70, 79 90 105 127
    const unsigned other = w ^ 0x88888888;              // a selector of 8 or more gives the sign of a byte: 0
    return assembled(prmt(A, B, w) | prmt(C, D, other), prmt(A, B, w >> 16) | prmt(C, D, other >> 16), signs);
}

/** Eight codes of 6 bits, an even grid: `w` as above, `rest` the bytes of even and odd dimensions, each twice. */
__device__ __forceinline__ uint4 of6(unsigned w, unsigned rest) {
    auto pair = [](unsigned four, unsigned two) { return four & 0x003c003c | 0x00020002 | two & 0x80408040; };
    return {pair(w << 2, rest), pair(w >> 2, rest << 2), pair(w >> 6, rest << 4), pair(w >> 10, rest << 6)};
}

/** Eight codes of 8 bits, in order. */
__device__ __forceinline__ uint4 of8(unsigned first, unsigned second) {
    constexpr unsigned KEPT = 0x807f807f;
    return {prmt(first, 0, 0x1100) & KEPT, prmt(first, 0, 0x3322) & KEPT, prmt(second, 0, 0x1100) & KEPT,
            prmt(second, 0, 0x3322) & KEPT};
}

/** What one lane reads of a piece, as it lies there. */
struct Raw {
    uint4 first, second;
    uint2 rest;
};

template <int BITS>
struct Keys {
    static constexpr int PIECE = key_piece(BITS);

    static __device__ __forceinline__ Raw read(const char* piece, int lane) {
        Raw raw;
        raw.first = reinterpret_cast<const uint4*>(piece)[lane];
        if (BITS == 8) raw.second = reinterpret_cast<const uint4*>(piece)[32 + lane];
        if (BITS == 6) raw.rest = reinterpret_cast<const uint2*>(piece + 512)[lane];
        return raw;
    }

    static __device__ __forceinline__ uint4 unit(const Raw& raw, int s) {
        const unsigned w[4] = {raw.first.x, raw.first.y, raw.first.z, raw.first.w};
        if (BITS == 4) return of4(w[s]);
        if (BITS == 6) return of6(w[s], prmt(s / 2 ? raw.rest.y : raw.rest.x, 0, s % 2 ? 0x3322 : 0x1100));
        const uint4& run = s / 2 ? raw.second : raw.first;
        return s % 2 ? of8(run.z, run.w) : of8(run.x, run.y);
    }
};

template <int BITS>
struct Values {
    /** `values` is where the tile's values begin, `j` the piece. */
    static __device__ __forceinline__ Raw read(const char* values, int j, int lane) {
        Raw raw;
        const char* piece = values + value_at(BITS, j);
        if (BITS == 2) {
            raw.rest = reinterpret_cast<const uint2*>(piece)[lane];
            return raw;
        }
        raw.first = reinterpret_cast<const uint4*>(piece)[lane];
        if (BITS == 8) raw.second = reinterpret_cast<const uint4*>(piece)[32 + lane];
        if (BITS == 5) raw.rest = reinterpret_cast<const uint2*>(values + signs_at(j))[lane];
        return raw;
    }

    /** Unit `i` of piece `j`. */
    static __device__ __forceinline__ uint4 unit(const Raw& raw, int j, int i) {
        if (BITS == 2) return of2(raw.rest, i);
        if (BITS == 8) {
            const uint4& run = i / 2 ? raw.second : raw.first;
            return i % 2 ? of8(run.z, run.w) : of8(run.x, run.y);
        }
        constexpr unsigned EVEN = 0x0f0f0f0f;
        const unsigned a = i / 2 ? raw.first.z : raw.first.x, b = i / 2 ? raw.first.w : raw.first.y;
        const unsigned w = i % 2 ? a >> 4 & EVEN | b & ~EVEN : a & EVEN | b << 4 & ~EVEN;
        if (BITS == 4) return of4(w);
        const int bit = j % 2 * 4 + i;
        const unsigned x = raw.rest.x, y = raw.rest.y;
        return of5(w, {x << 15 - bit, y << 15 - bit, x << 7 - bit, y << 7 - bit});
    }

private:
    static __device__ __forceinline__ uint4 of2(uint2 w, int i) {
        constexpr unsigned LOW = 0x7f267f26, HIGH = 0x80800000;  // 38 127 −38 −127: lower and upper bytes
        auto selectors = [i](unsigned w) { return (w >> 2 * i & 0x03030303) * 0x11 + 0x40404040; };
        const unsigned a = selectors(w.x), b = selectors(w.y);
        return {prmt(LOW, HIGH, a), prmt(LOW, HIGH, a >> 16), prmt(LOW, HIGH, b), prmt(LOW, HIGH, b >> 16)};
    }
};

/** The scales of a lane's eight keys, or of their values: a byte each, five bits of exponent, three of mantissa. */
struct Scales {
    uint2 bytes;

    /** Byte `m` between zeros. */
    __device__ __forceinline__ unsigned byte(int m) const {
        return prmt(m < 4 ? bytes.x : bytes.y, 0, 0x4440 + m % 4);
    }

    /** The scale of key `m` times 2^`up`. */
    __device__ __forceinline__ float operator()(int m, int up = 0) const {
        return __int_as_float((byte(m) << 20) + (107 + up << 23));
    }

    /** Its logarithm to the base 2, within 0.09. */
    __device__ __forceinline__ float log(int m) const {
        // 2²³ + b is a float whose last bits are b.
        return __fmaf_rn(__uint_as_float(byte(m) | 0x4b000000), 0.125f, -20.0f - 1048576.0f);
    }
};

}  // namespace codes
