// What the kernels that prepare a product's input share: the Hadamard transform of a row in shared
// memory, and the forms in which a product takes its input.
//
// A row lies in shared memory as `row[place(column)]`; `place` is a permutation under which no
// access below has a bank conflict.  Widths are multiples of 4, so that rows are read as float4.

#pragma once

#include "block.cuh"
#include "factors.cuh"
#include "float4.cuh"

enum Mode { NOTHING = -1, GROUPS = 0, TOKENS = 1, HALVES = 2, PLAIN = 3 };

// Where codes go.
struct Prepared {
    signed char* codes;
    Factors* factors;
};

// |x| as bits, which order as numbers do and put NaN last: a damaged input is not lost in a maximum.
__device__ __forceinline__ unsigned magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }

__device__ __forceinline__ unsigned magnitude(float4 v) {
    return max(max(magnitude(v.x), magnitude(v.y)), max(magnitude(v.z), magnitude(v.w)));
}

// --- a row in shared memory -----------------------------------------------------------------------

// Bank = the low five bits, and column bits 5 to 8 each flip bits of it: bit b flips bits b-5 and 4.
// Then the lanes' columns always fall into 32 banks: consecutive ones, every 2nd, 4th, 8th or 16th
// (the passes over small strides), and 16 consecutive ones of two runs 32, 64, 128 or 256 apart.
// It is linear: place(a ^ b) = place(a) ^ place(b).
__device__ __forceinline__ int place(int column) {
    int high = column >> 5 & 15;
    return column ^ high ^ (__popc(high) & 1) << 4;
}

// Four neighbouring columns, of which the first one's place is `at`: bits 0 and 1 of a column stay as they are.
// Adding a multiple of 512 to a column adds it to the place.
__device__ __forceinline__ void put(float* row, int at, float4 v) {
    row[at] = v.x;
    row[at ^ 1] = v.y;
    row[at ^ 2] = v.z;
    row[at ^ 3] = v.w;
}

__device__ __forceinline__ float4 get(const float* row, int at) {
    return make_float4(row[at], row[at ^ 1], row[at ^ 2], row[at ^ 3]);
}

// --- Hadamard -------------------------------------------------------------------------------------

// STAGES stages of butterflies, from pairs 2^first apart on, in registers; then times `factor`.
template <int STAGES>
__device__ __forceinline__ void butterflies(float* row, int width, int first, float factor) {
    constexpr int COUNT = 1 << STAGES;
    int steps[STAGES];
#pragma unroll
    for (int b = 0; b < STAGES; ++b) steps[b] = place(1 << (first + b));
    for (int item = threadIdx.x; item < width >> STAGES; item += blockDim.x) {
        int low = item & ((1 << first) - 1);
        int start = place((item - low) << STAGES | low);
        int at[COUNT];
        float v[COUNT];
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            at[i] = start;
#pragma unroll
            for (int b = 0; b < STAGES; ++b) at[i] ^= i >> b & 1 ? steps[b] : 0;
            v[i] = row[at[i]];
        }
#pragma unroll
        for (int b = 0; b < STAGES; ++b) {
#pragma unroll
            for (int i = 0; i < COUNT; ++i) {
                if (i >> b & 1) continue;
                float sum = v[i] + v[i | 1 << b];
                v[i | 1 << b] = v[i] - v[i | 1 << b];
                v[i] = sum;
            }
        }
        if (factor != 1.0f) {
#pragma unroll
            for (int i = 0; i < COUNT; ++i) v[i] *= factor;
        }
#pragma unroll
        for (int i = 0; i < COUNT; ++i) row[at[i]] = v[i];
    }
}

// H·row/√block on each run of `block` columns, a power of two that divides `width`.  The row is in
// place for all threads before, and after.  Four stages are one pass and one barrier: 4096 is three.
// To the bit what tzcore/hadamard.py computes.
__device__ __forceinline__ void hadamard(float* row, int width, int block) {
    int stages = 31 - __clz(block);
    float root = __int_as_float((127 - stages / 2) << 23) * (stages & 1 ? 0.70710678f : 1.0f); // block^-0.5
    for (int first = 0; first < stages; first += 4) {
        float factor = first + 4 < stages ? 1.0f : root;
        switch (min(stages - first, 4)) {
            case 1: butterflies<1>(row, width, first, factor); break;
            case 2: butterflies<2>(row, width, first, factor); break;
            case 3: butterflies<3>(row, width, first, factor); break;
            default: butterflies<4>(row, width, first, factor);
        }
        __syncthreads();
    }
}

// --- forms ----------------------------------------------------------------------------------------

// x/s of finite numbers in the middle of the range, with y near 1/s: the steps of IEEE division, so its result.
__device__ __forceinline__ float divided(float x, float s, float y) {
    float q = x * y;
    q = __fmaf_rn(y, __fmaf_rn(-s, q, x), q);
    return __fmaf_rn(y, __fmaf_rn(-s, q, x), q);
}

__device__ __forceinline__ float4 divided(float4 v, float s, float y) {
    return make_float4(divided(v.x, s, y), divided(v.y, s, y), divided(v.z, s, y), divided(v.w, s, y));
}

// x/s within ±127, and 0 for s = 0.
__device__ __forceinline__ float clipped(float x, float s) {
    return fminf(fmaxf(s == 0.0f ? 0.0f : __fdiv_rn(x, s), -127.0f), 127.0f);
}

// The scale of a group, its largest |x| through 127; a and b become multiples of it.
__device__ __forceinline__ float scaled(float4& a, float4& b, float top) {
    float scale;
    if (top > 1e-28f && top < 1e28f) {
        scale = divided(top, 127.0f, 1.0f / 127.0f);
        float y;
        asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(scale));
        y = __fmaf_rn(y, __fmaf_rn(-scale, y, 1.0f), y);
        a = divided(a, scale, y);
        b = divided(b, scale, y);
    } else {
        scale = __fdiv_rn(top, 127.0f);
        float* each[] = {&a.x, &a.y, &a.z, &a.w, &b.x, &b.y, &b.z, &b.w};
#pragma unroll
        for (float* x : each) *x = clipped(*x, scale);
    }
    return scale;
}

// Four numbers between ±127 as bytes, rounded to the nearest, ties to even: at 1.5·2^23 a float's last bit is 1.
__device__ __forceinline__ unsigned rounded(float4 v) {
    constexpr float ONES = 12582912.0f;
    unsigned x = __float_as_uint(v.x + ONES), y = __float_as_uint(v.y + ONES);
    unsigned z = __float_as_uint(v.z + ONES), w = __float_as_uint(v.w + ONES);
    return __byte_perm(__byte_perm(x, y, 0x0040), __byte_perm(z, w, 0x0040), 0x5410);
}

// A row as int8 codes, a warp for 256 columns, eight neighbouring ones a lane.  BY_TOKEN: all codes are x·factor, and
// the scales 1/factor; else each `group` (64 or 128) of columns has the scale max|x|/127.
// Columns from `width` up to the next multiple of 128 are zeros.
template <bool BY_TOKEN>
__device__ __forceinline__ void write_codes(const float* row, int width, int group, float factor, Prepared out) {
    int padded = (width + 127) / 128 * 128, shift = group == 128 ? 7 : 6;
    float scale = BY_TOKEN ? __fdiv_rn(1.0f, factor) : 0.0f;
    for (int first = threadIdx.x / WARP * 256; first < padded; first += blockDim.x * 8) {
        int column = first + threadIdx.x % WARP * 8, at = place(column);
        float4 low = all(0.0f), high = low;
        if (column < width) low = get(row, at);
        if (column + 4 < width) high = get(row, at ^ 4);
        if (BY_TOKEN) {
            low = low * factor;
            high = high * factor;
        } else {
            unsigned top = max(magnitude(low), magnitude(high));
#pragma unroll
            for (int step = 4; step; step /= 2) top = max(top, __shfl_xor_sync(~0u, top, step));
            if (group == 128) top = max(top, __shfl_xor_sync(~0u, top, 8));
            scale = scaled(low, high, __uint_as_float(top));
        }
        uint2 codes = make_uint2(rounded(low), rounded(high));
        int sum;
        asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(codes.x), "r"(0x01010101), "r"(0));
        asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(codes.y), "r"(0x01010101), "r"(sum));
#pragma unroll
        for (int step = 4; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
        if (group == 128) sum += __shfl_xor_sync(~0u, sum, 8);
        if (column >= padded) continue;
        *reinterpret_cast<uint2*>(out.codes + column) = codes;
        if ((column & group - 1) == 0) {
            out.factors[column >> shift] = {scale, sum};
        }
    }
}

// The factor of a row whose largest |x| has the bits `top`.
__device__ __forceinline__ float token_factor(unsigned top) {
    return 127.0f * __fdiv_rn(1.0f, __uint_as_float(max(top, __float_as_uint(1e-5f))));
}

__device__ __forceinline__ unsigned short to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

__device__ __forceinline__ float from_half(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

// A row as hi + lo/2048, halves, in units of a power of two (returned) near its largest |x|, whose bits are
// `top`.  Zeros as above.
__device__ __forceinline__ float write_halves(const float* row, int width, unsigned top, unsigned short* hi,
                                              unsigned short* lo) {
    int exponent = max(-126, min(126, static_cast<int>(top >> 23) - 127)); // so that the inverse is exact too
    float inverse = __int_as_float((127 - exponent) << 23);
    for (int column = threadIdx.x * 4; column < (width + 127) / 128 * 128; column += blockDim.x * 4) {
        float4 v = column < width ? get(row, place(column)) : all(0.0f);
        float x[4] = {v.x * inverse, v.y * inverse, v.z * inverse, v.w * inverse};
        unsigned short high[4], low[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            high[i] = to_half(x[i]);
            low[i] = to_half((x[i] - from_half(high[i])) * 2048.0f);
        }
        *reinterpret_cast<ushort4*>(hi + column) = make_ushort4(high[0], high[1], high[2], high[3]);
        *reinterpret_cast<ushort4*>(lo + column) = make_ushort4(low[0], low[1], low[2], low[3]);
    }
    return __int_as_float((127 + exponent) << 23);
}

// A row as it is.
__device__ __forceinline__ void write_plain(const float* row, int width, float* out) {
    for (int column = threadIdx.x * 4; column < width; column += blockDim.x * 4)
        store4(out + column, get(row, place(column)));
}

// Columns start to start + width of a token's row of K, which begin a group and whole Hadamard blocks:
// transformed, and written by group or as they are.
__device__ __forceinline__ void write_segment(float* row, int start, int width, int hadamard_block, int mode, int group,
                                              size_t token, int K, Prepared out, float* plain) {
    hadamard(row, width, hadamard_block);
    if (mode == PLAIN) {
        write_plain(row, width, plain + token * K + start);
        return;
    }
    size_t at = token * ((K + 127) / 128 * 128) + start;
    size_t groups = at >> (group == 128 ? 7 : 6);
    write_codes<false>(row, width, group, 0.0f, {out.codes + at, out.factors + groups});
}
