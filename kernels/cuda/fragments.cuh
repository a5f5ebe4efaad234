// How weights lie on the card, and how they become operands of the tensor cores.
//
// A tile is 16 rows.  Lane 4g+c of a warp (g = 0…7, c = 0…3) owns rows g and g+8 of it and, of every
// 128 columns (a *kblock*), the eight quads Q[w][s] (w = 0, 1; s = 0…3), a quad being the four columns
//
//     64·(s/2) + 16·c + 8·(s%2) + 4·w + 0…3
//
// so that the quads s = 0, 1 lie in the first group of 64 and s = 2, 3 in the second, and the input that
// belongs to a lane's quads is two runs of 16 bytes, each the pairs of registers that two products take.  Product s is mma.m16n8k32 with a₀, a₁ = Q[0][s] of
// rows g, g+8 and a₂, a₃ = Q[1][s] of the same: exactly one uint4, in that order.
//
// In memory a tile is a row of *steps*, a step some *parts* of 32 uint4, one a lane:
//
//   SLOTS2  1 kblock,  1 part:  bits 2s of every byte are the codes of product s
//   SLOTS4  1 kblock,  2 parts: part h holds product h in the low nibbles, h+2 in the high ones
//   SLOTS8  1 kblock,  4 parts: part s is product s, signed
//   BASE3   5 kblocks, 4 parts: a byte of part s is five trits, the first of which is kblock 0's
//   BASE9   5 kblocks, 8 parts: parts 0…3 the high trits (times 3), 4…7 the low ones, each as in BASE3
//   HALF    1 kblock,  8 parts: part 4w+s is Q[w][s] as two pairs of halves (rows g, g+8; rows g, g+8)
//
// Codes other than SLOTS8 are stored with the format's zero added.  A byte of five trits with the value
// v is ceil(256·v / 243): times 3ⁱ, its upper half is Vᵢ, the number made of the first i trits, and
// the i-th trit is Vᵢ − 3·Vᵢ₋₁ (exact for all 243; tests/ptx says so).
#pragma once

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int KBLOCK = 128;

enum Kind { SLOTS2, SLOTS4, SLOTS8, BASE3, BASE9, HALF };

constexpr int kblocks(Kind kind) { return kind == BASE3 || kind == BASE9 ? 5 : 1; }

constexpr int parts(Kind kind) {
    return kind == SLOTS2 ? 1 : kind == SLOTS4 ? 2 : kind == SLOTS8 || kind == BASE3 ? 4 : 8;
}

// The last kblocks of a row that do not fill a step of five are stored so.
constexpr Kind tail_kind(Kind kind) { return kind == BASE3 ? SLOTS2 : kind == BASE9 ? SLOTS4 : kind; }

// acc += a·b.  A sum that begins with constants of zero costs no instruction to clear.
#define MULTIPLY(NAME, SHAPE, LETTER, TYPE)                                                                     \
    __device__ __forceinline__ void NAME(TYPE (&acc)[4], uint4 a, u32 b0, u32 b1) {                            \
        TYPE d0, d1, d2, d3;                                                                                   \
        asm("mma.sync.aligned." SHAPE " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"             \
            : "=" LETTER(d0), "=" LETTER(d1), "=" LETTER(d2), "=" LETTER(d3)                                   \
            : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1), LETTER(acc[0]), LETTER(acc[1]),        \
              LETTER(acc[2]), LETTER(acc[3]));                                                                 \
        acc[0] = d0, acc[1] = d1, acc[2] = d2, acc[3] = d3;                                                    \
    }

MULTIPLY(multiply_unsigned, "m16n8k32.row.col.s32.u8.s8.s32", "r", int)
MULTIPLY(multiply_signed, "m16n8k32.row.col.s32.s8.s8.s32", "r", int)
MULTIPLY(multiply_half, "m16n8k16.row.col.f32.f16.f16.f32", "f", float)

__device__ __forceinline__ uint4 masked(uint4 w, u32 mask) {
    return make_uint4(w.x & mask, w.y & mask, w.z & mask, w.w & mask);
}

__device__ __forceinline__ uint4 shifted(uint4 w, int bits) {
    return make_uint4(w.x >> bits, w.y >> bits, w.z >> bits, w.w >> bits);
}

__device__ __forceinline__ u32 shared_address(const void* at) { return u32(__cvta_generic_to_shared(at)); }

// A copy to shared memory that goes on by itself, past the first-level cache: weights are read once.
__device__ __forceinline__ void copy_async(u32 to, const uint4* from) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

__device__ __forceinline__ uint4 load_shared(u32 from) {
    uint4 value;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(from)
                 : "memory");
    return value;
}

// Everything copied so far and not yet sealed makes one more batch.
__device__ __forceinline__ void seal_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until at most N batches are under way.
template <int N>
__device__ __forceinline__ void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ float widen(u16 half) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(half));
    return wide;
}

// Five trits of each of four bytes, one after the other.
struct Trits {
    u32 even, odd;

    __device__ __forceinline__ void begin(u32 bytes) {
        even = bytes & 0x00ff00ffu;
        odd = __byte_perm(bytes, 0, 0x4341);
    }

    // Vᵢ of every byte for the next i, from 1 on.
    __device__ __forceinline__ u32 next() {
        even *= 3;
        odd *= 3;
        return __byte_perm(even, odd, 0x7351);
    }
};
