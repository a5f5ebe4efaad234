// Between two products: the sum of the parts is added to the residual stream, which is normed, transformed and
// brought into the form that the next product takes.
//
//   if parts:        a = Σ parts + bias;  if post_weight: a = norm(a, post_weight);  x += multiplier·a
//   h = weight ? norm(x, weight) : x;  if signs: h = H·(signs ⊙ h)/√block;  h is written as `mode` says
//
// with norm(x, w) = x/√(mean(x²) + eps)·(offset + w).  Mode -1 writes x alone.
//
// Grid (T), 512 threads, dynamic shared memory 4·K bytes with K up to a multiple of 32.  K is a multiple of 4.
//
// One token is one block, so that in decode its time is that of one multiprocessor.  By arithmetic at 1.7 GHz, K =
// 8192, S = 1, mode 0, block 4096: some 1250 instructions for each of 16 warps at 4 a cycle 2.9 µs (reading and
// adding 0.6, norm and signs 0.4, butterflies 1.0, rounding 0.7), first bytes 0.6, eight barriers 0.3, launch in a
// graph 1.0: 4.8 µs; every further part 32 KiB at 64 bytes a cycle, 0.3.  K = 576: 2.8 µs.  What does not wait for
// the sum (the norm's weights, the signs) is fetched before it.

#include "prepare.cuh"

constexpr int THREADS = 512;
constexpr int STEPS = 4; // float4 that a thread holds at once
constexpr int CHUNK = THREADS * 4 * STEPS;

// what(q, column) for the columns that this thread handles of a chunk.
template <class What>
__device__ __forceinline__ void each(int chunk, int K, What what) {
#pragma unroll
    for (int q = 0; q < STEPS; ++q) {
        int column = chunk + (q * THREADS + threadIdx.x) * 4;
        if (column < K) what(q, column);
    }
}

__device__ __forceinline__ float squared(float4 v, float sum) {
    return __fmaf_rn(v.w, v.w, __fmaf_rn(v.z, v.z, __fmaf_rn(v.y, v.y, __fmaf_rn(v.x, v.x, sum))));
}

// 1/√(mean of squares + eps) of the row.
__device__ __forceinline__ float inverse_root(float squares, float* scratch, int K, float eps) {
    return __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(block_sum(squares, scratch), K) + eps));
}

extern "C" __global__ void __launch_bounds__(THREADS)
norm_prepare(float* x, const float* parts, int S, const float* bias, const float* post_weight, float multiplier,
             const float* weight, float eps, float offset, const signed char* signs, int hadamard_block, int mode,
             int group, int T, int K, signed char* codes, Factors* factors, unsigned short* hi,
             unsigned short* lo, float* plain) {
    extern __shared__ float row[];
    __shared__ float post_scratch[WARP], scratch[WARP];
    __shared__ unsigned top_scratch[WARP];

    size_t token = blockIdx.x;
    x += token * K;
    int shift = place(threadIdx.x * 4) - threadIdx.x * 4; // from a column of this thread to its place

    float4 gain[STEPS];
    unsigned sign[STEPS];
    auto fetch = [&](int chunk) {
        if (weight) each(chunk, K, [&](int q, int column) { gain[q] = load4(weight + column); });
        if (signs)
            each(chunk, K, [&](int q, int column) { sign[q] = *reinterpret_cast<const unsigned*>(signs + column); });
    };
    fetch(0);

    float squares = 0.0f; // of a where it is normed, of x where that is
    for (int chunk = 0; chunk < K; chunk += CHUNK) {
        float4 v[STEPS], old[STEPS];
        if (!post_weight) each(chunk, K, [&](int q, int column) { old[q] = load4(x + column); });
        if (parts) {
            const float* part = parts + token * K;
            each(chunk, K, [&](int q, int column) { v[q] = load4(part + column); });
#pragma unroll 2
            for (int s = 1; s < S; ++s) {
                part += static_cast<size_t>(T) * K;
                each(chunk, K, [&](int q, int column) { v[q] = v[q] + load4(part + column); });
            }
            if (bias) each(chunk, K, [&](int q, int column) { v[q] = v[q] + load4(bias + column); });
        }
        each(chunk, K, [&](int q, int column) {
            float4 sum = v[q];
            if (!parts) {
                sum = old[q];
            } else if (!post_weight) {
                sum = old[q] + v[q] * multiplier;
                store4(x + column, sum);
            }
            squares = squared(sum, squares);
            put(row, column + shift, sum);
        });
    }
    if (parts && post_weight) {
        float root = inverse_root(squares, post_scratch, K, eps);
        squares = 0.0f;
        for (int chunk = 0; chunk < K; chunk += CHUNK) {
            float4 post[STEPS], old[STEPS];
            each(chunk, K, [&](int q, int column) { post[q] = load4(post_weight + column); });
            each(chunk, K, [&](int q, int column) { old[q] = load4(x + column); });
            each(chunk, K, [&](int q, int column) {
                float4 sum = old[q] + get(row, column + shift) * root * (all(offset) + post[q]) * multiplier;
                store4(x + column, sum);
                squares = squared(sum, squares);
                put(row, column + shift, sum);
            });
        }
    }
    if (mode == NOTHING) return;

    if (weight || signs) {
        float root = weight ? inverse_root(squares, scratch, K, eps) : 0.0f;
        for (int chunk = 0; chunk < K; chunk += CHUNK) {
            if (chunk) fetch(chunk);
            each(chunk, K, [&](int q, int column) {
                float4 v = get(row, column + shift);
                if (weight) v = v * root * (all(offset) + gain[q]);
                if (signs) v = signed4(v, sign[q]);
                put(row, column + shift, v);
            });
        }
    }
    __syncthreads();
    if (signs) hadamard(row, K, hadamard_block);

    if (mode == PLAIN) {
        write_plain(row, K, plain + token * K);
        return;
    }
    size_t padded = (K + 127) / 128 * 128, groups = padded >> (group == 128 ? 7 : 6);
    unsigned top = 0;
    if (mode != GROUPS) {
        for (int column = threadIdx.x * 4; column < K; column += THREADS * 4)
            top = max(top, magnitude(get(row, column + shift)));
        top = block_max(top, top_scratch);
    }
    if (mode == HALVES) {
        float unit = write_halves(row, K, top, hi + token * padded, lo + token * padded);
        if (threadIdx.x == 0) reinterpret_cast<float*>(factors)[token] = unit;
        return;
    }
    Prepared out = {codes + token * padded, factors + token * groups};
    if (mode == TOKENS) {
        write_codes<true>(row, K, group, token_factor(top), out);
    } else {
        write_codes<false>(row, K, group, 0.0f, out);
    }
}
