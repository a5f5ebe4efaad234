// Queries, keys and values turned by a Walsh–Hadamard transform; keys and values both as codes and in half precision.
//
// The transform and the codes are those of tzcore/keyvalues.py, in its order of operations but for the sums over a
// head; where codes lie is codes.cuh's.  Halves go where the latest tokens are, and the first tokens of a text into
// its own page for them.
#pragma once

#include "codes.cuh"
#include "qkv.cuh"

/** The block's sum and its largest number; `scratch` is for this call alone until the next barrier. */
template <class Function>
__device__ __forceinline__ float over_block(float value, float* scratch, Function both) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) value = both(value, __shfl_xor_sync(0xffffffff, value, step));
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    value = scratch[0];
#pragma unroll
    for (int w = 1; w < WARPS; ++w) value = both(value, scratch[w]);
    return value;
}

/** H·x/√block on each run of `block` numbers, a power of two. */
__device__ __forceinline__ void turn(float (&x)[2], int block, float* scratch) {
    const int stages = 31 - __clz(block);
    for (int half = 1; half < block; half *= 2) {
        float other[2] = {x[1], x[0]};
        if (half < 32) {
#pragma unroll
            for (int n = 0; n < 2; ++n) other[n] = __shfl_xor_sync(0xffffffff, x[n], half);
        } else if (half < THREADS) {
            __syncthreads();
#pragma unroll
            for (int n = 0; n < 2; ++n) scratch[threadIdx.x + n * THREADS] = x[n];
            __syncthreads();
#pragma unroll
            for (int n = 0; n < 2; ++n) other[n] = scratch[(threadIdx.x ^ half) + n * THREADS];
        }
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const bool upper = (threadIdx.x + n * THREADS) & half;
            x[n] = upper ? other[n] - x[n] : x[n] + other[n];
        }
    }
    const float root = __int_as_float((127 - stages / 2) << 23) * (stages & 1 ? 0.70710678f : 1.0f);  // block^−0.5
#pragma unroll
    for (int n = 0; n < 2; ++n) x[n] *= root;
}

/** A code, and the level it stands for. */
struct Code {
    unsigned code;
    float level;
};

/** The nearest level of a table of magnitudes: the lower of two that are equally near. */
template <int COUNT>
__device__ __forceinline__ Code nearest_of(float place, const float (&levels)[COUNT]) {
    const bool minus = !(place > 0.0f);
    const float size = fabsf(place);
    unsigned number = 0;
    float level = levels[0];
#pragma unroll
    for (int i = 1; i < COUNT; ++i) {
        const float middle = (levels[i - 1] + levels[i]) * 0.5f;
        const bool beyond = minus ? size >= middle : size > middle;
        number += beyond;
        level = beyond ? levels[i] : level;
    }
    return {minus ? number + COUNT : number, minus ? -level : level};
}

template <int BITS>
__device__ __forceinline__ Code nearest(float place) {
    if (BITS == 2) {
        constexpr float LEVELS[] = {38, 127};
        return nearest_of(place, LEVELS);
    }
    if (BITS == 4) {
        constexpr float LEVELS[] = {6, 18, 31, 44, 58, 75, 96, 127};
        return nearest_of(place, LEVELS);
    }
    if (BITS == 5) {
        constexpr float LEVELS[] = {3, 8, 13, 18, 24, 29, 35, 41, 47, 54, 61, 70, 79, 90, 105, 127};
        return nearest_of(place, LEVELS);
    }
    const bool minus = !(place > 0.0f);
    const float size = fabsf(place);
    if (BITS == 6) {
        const float number = fminf(fmaxf(minus ? floorf(size * 0.25f) : ceilf(size * 0.25f) - 1.0f, 0.0f), 31.0f);
        const float level = 4.0f * number + 2.0f;
        return {static_cast<unsigned>(number) + (minus ? 32 : 0), minus ? -level : level};
    }
    const float level = fminf(minus ? floorf(size + 0.5f) : ceilf(size - 0.5f), 127.0f);
    return {static_cast<unsigned>(level) + (minus && level > 0.0f ? 128 : 0), minus ? -level : level};
}

constexpr int BIAS = 107 << 3;  // between a scale's byte and the upper bits of the float

/** The byte of the nearest scale, or (`up`) of the least that is not less. */
__device__ __forceinline__ int byte_near(float scale, bool up) {
    const int bits = __float_as_int(fmaxf(scale, 9.5367431640625e-07f));
    return ((bits + (up ? (1 << 20) - 1 : 1 << 19)) >> 20) - BIAS;
}

/** Codes of a head's numbers into `found`, and the byte of their scale: of a few the one with the least error. */
template <int BITS>
__device__ __forceinline__ int encode(const float (&x)[2], int head_dim, unsigned char* found, float* scratch) {
    constexpr bool EVEN = BITS == 6 || BITS == 8;
    constexpr float SPREAD = BITS == 2 ? 1.5104 / 127 : BITS == 4 ? 2.7326 / 127 : 3.2607 / 127;
    constexpr float LARGEST = BITS == 6 ? 1.0 / 126 : 1.0 / 127;
    auto sum = [scratch](float value) {
        return over_block(value, scratch, [](float a, float b) { return a + b; });
    };
    int middle;
    if (EVEN) {
        const float largest = over_block(fmaxf(fabsf(x[0]), fabsf(x[1])), scratch,
                                         [](float a, float b) { return fmaxf(a, b); });
        middle = byte_near(largest * LARGEST, true);
    } else {
        middle = byte_near(sqrtf(sum(x[0] * x[0] + x[1] * x[1]) / head_dim) * SPREAD, false);
    }
    int best = 0;
    float least = 0.0f;
    unsigned chosen[2] = {0, 0};
    constexpr int TRIED = BITS == 8 ? 1 : 3;
#pragma unroll 1
    for (int i = 0; i < TRIED; ++i) {
        const int step = EVEN ? -i : i == 0 ? 0 : 2 * i - 3;  // 0 −1 −2, or 0 −1 +1
        const int byte = min(max(middle + step, 0), 255);
        const float scale = __int_as_float((byte + BIAS) << 20), inverse = __fdiv_rn(1.0f, scale);
        float error = 0.0f;
        unsigned code[2] = {0, 0};
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            if (threadIdx.x + n * THREADS >= head_dim) continue;
            const float place = x[n] * inverse;
            const Code near = nearest<BITS>(place);
            code[n] = near.code;
            error += (place - near.level) * (place - near.level);
        }
        if (TRIED > 1) error = sum(error) * (scale * scale);
        if (i > 0 && !(error < least)) continue;
        least = error, best = byte;
        chosen[0] = code[0], chosen[1] = code[1];
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) found[threadIdx.x + n * THREADS] = chosen[n];
    __syncthreads();
    return best;
}

/** Eight codes' lower four bits, in the order of `codes::of4`. */
__device__ __forceinline__ unsigned nibbles(const unsigned char* code) {
    unsigned word = 0;
#pragma unroll
    for (int d = 0; d < 8; ++d) word |= (code[d] & 15u) << 4 * (d % 2 * 4 + d / 2);
    return word;
}

template <int BITS>
__device__ __forceinline__ void put_keys(char* tile, int Dp, int key, const unsigned char* code) {
    const int unit = threadIdx.x, lane = 4 * (key / 8 * 2 + key % 2) + unit % 4, s = key % 8 / 2;
    if (unit >= Dp / 8) return;
    code += 8 * unit;
    char* piece = tile + unit / 4 * codes::key_piece(BITS);
    if (BITS == 8) {
        auto four = [code](int d) { return code[d] | code[d + 1] << 8 | code[d + 2] << 16 | code[d + 3] << 24; };
        *reinterpret_cast<int2*>(piece + s / 2 * 512 + 16 * lane + s % 2 * 8) = {four(0), four(4)};
        return;
    }
    *reinterpret_cast<unsigned*>(piece + 16 * lane + 4 * s) = nibbles(code);
    if (BITS == 6) {
        unsigned rest = 0;
#pragma unroll
        for (int d = 0; d < 8; ++d) rest |= static_cast<unsigned>(code[d] >> 4) << (d % 2 * 8 + 6 - d / 2 * 2);
        *reinterpret_cast<unsigned short*>(piece + 512 + 8 * lane + 2 * s) = rest;
    }
}

template <int BITS>
__device__ __forceinline__ void put_values(char* values, int Dp, int key, const unsigned char* code) {
    const int c = key / 8, m = key % 8, g = threadIdx.x % 8, run = threadIdx.x / 8, lane = 4 * g + c;
    const int spread = m / 2 % 2 * 4 + m % 2 * 2 + m / 4;
    if (BITS == 8) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const int e = threadIdx.x + n * THREADS, i = e % 32 / 8;
            if (e < Dp) values[e / 32 * 1024 + i / 2 * 512 + 16 * lane + i % 2 * 8 + m] = code[e];
        }
    } else if (BITS == 2) {
        if (run >= Dp / 32) return;
        code += 32 * run + g;
        values[run * 256 + 8 * lane + m] = code[0] | code[8] << 2 | code[16] << 4 | code[24] << 6;
    } else if (run < Dp / 16) {
        const unsigned char* two = code + 16 * run + g;
        values[codes::value_at(BITS, run / 2) + 16 * lane + run % 2 * 8 + spread] = two[0] & 15 | (two[8] & 15) << 4;
        if (BITS == 5 && run < (Dp + 63) / 64) {
            unsigned signs = 0;
#pragma unroll
            for (int i = 0; i < 8; ++i) signs |= (code[64 * run + 8 * i + g] >> 4) << i;
            values[codes::signs_at(2 * run) + 8 * lane + spread] = signs;
        }
    }
}

template <int KB, int VB>
__device__ __forceinline__ void qkv_stored(const Inputs& in, int Dp, half* q, char* pool, half* recent, int slots,
                                           const int* page_table, const int* positions) {
    __shared__ float scratch[2 * THREADS];
    __shared__ unsigned char code[2 * THREADS];
    Head of(in, scratch);
    turn(of.x, in.head_dim & -in.head_dim, scratch);

    const int position = positions[of.token], tile = position / codes::TILE, key = position % codes::TILE;
    const int size = codes::tile_bytes(Dp, KB, VB);
    auto page = [&](int number) {
        return pool + static_cast<size_t>(number * in.kv_heads + of.head) * (codes::TILES * size);
    };
    half* latest = recent + static_cast<size_t>(of.head * slots + tile % slots) * (codes::exact_bytes(Dp) / 2);
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const int e = threadIdx.x + n * THREADS;
        if (e >= Dp) continue;
        const half bits = to_half(of.x[n]);
        if (of.is_q) {
            q[(static_cast<size_t>(of.token) * in.heads + of.head) * Dp + e] = bits;
            continue;
        }
        const int place = of.is_v ? (Dp + e) * codes::TILE + key : key * Dp + e;
        latest[place] = bits;
        if (position < codes::SINK) reinterpret_cast<half*>(page(page_table[-1]))[place] = bits;
    }
    if (of.is_q) return;

    char* to = page(page_table[position / codes::PAGE]) + tile % codes::TILES * size;
    char* scales = to + codes::key_bytes(Dp, KB);
    if (of.is_v) {
        const int byte = encode<VB>(of.x, in.head_dim, code, scratch);
        put_values<VB>(scales + 2 * codes::TILE, Dp, key, code);
        if (threadIdx.x == 0) scales[codes::TILE + key] = byte;
    } else {
        const int byte = encode<KB>(of.x, in.head_dim, code, scratch);
        put_keys<KB>(to, Dp, key, code);
        if (threadIdx.x == 0) scales[key] = byte;
    }
}

// Grid (heads + 2·kv_heads, T), block 128; the inputs are qkv.cu's.  q [T][heads][Dp], turned; of one layer, pool
// [page][kv_heads][8 tiles] (codes.cuh) and recent [kv_heads][slots][keys [32][Dp], values [Dp][32]], in which tile i of
// the text is in slot i % slots.  page_table[−1] is the page for the text's first SINK tokens: one such tile a head.
#define QKV_STORED(NAME, KB, VB)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) NAME(                                                   \
        const float* parts, int S, int rows, const float* q_bias, const float* k_bias, const float* v_bias,       \
        const float* q_norm, const float* k_norm, float eps, float offset, const float* angles, int half_dim,     \
        int T, int heads, int kv_heads, int head_dim, int Dp, half* q, char* pool, half* recent, int slots,       \
        const int* page_table, const int* positions) {                                                            \
        qkv_stored<KB, VB>({parts, S, rows, q_bias, k_bias, v_bias, q_norm, k_norm, eps, offset, angles,          \
                            half_dim, T, heads, kv_heads, head_dim}, Dp, q, pool, recent, slots, page_table,      \
                           positions);                                                                            \
    }
