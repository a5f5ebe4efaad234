// From the sums of the q, k and v products to the numbers of a head: bias, norm of each head, rotary embedding.
//
// A block is one head of one token; the heads are q's, then k's, then v's.
#pragma once

using half = unsigned short;

constexpr int PAGE = 256;     // tokens
constexpr int THREADS = 128;  // two elements each: head_dim <= 256
constexpr int WARPS = 4;

__device__ __forceinline__ half to_half(float x) {
    constexpr float LARGEST = 65504.0f;
    x = x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
    half bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

/** Σ x² of the block, in one order. */
__device__ __forceinline__ float sum_of_squares(const float (&x)[2], float* of_warps) {
    float sum = x[0] * x[0] + x[1] * x[1];
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = of_warps[0];
#pragma unroll
    for (int w = 1; w < WARPS; ++w) sum += of_warps[w];
    return sum;
}

struct Inputs {
    const float* parts;   // [S][T][rows]
    int S, rows;
    const float *q_bias, *k_bias, *v_bias, *q_norm, *k_norm;
    float eps, offset;
    const float* angles;  // [T][half_dim][2]: they turn element i with element i + half_dim
    int half_dim, T, heads, kv_heads, head_dim;
};

/** The block's head, and two of its numbers for each thread: elements threadIdx.x and + THREADS. */
struct Head {
    bool is_q, is_v;
    int token, head;
    float x[2];

    /** `scratch` is 2·THREADS numbers in shared memory. */
    __device__ __forceinline__ Head(const Inputs& in, float* scratch);
};

__device__ __forceinline__ Head::Head(const Inputs& in, float* scratch) : x{0.0f, 0.0f} {
    __shared__ float of_warps[WARPS];
    const int row = blockIdx.x;
    token = blockIdx.y;
    is_q = row < in.heads, is_v = row >= in.heads + in.kv_heads;
    head = is_q ? row : is_v ? row - in.heads - in.kv_heads : row - in.heads;
    const float* bias = is_q ? in.q_bias : is_v ? in.v_bias : in.k_bias;
    const float* norm = is_q ? in.q_norm : is_v ? nullptr : in.k_norm;

#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const int e = threadIdx.x + n * THREADS;
        if (e >= in.head_dim) continue;
        const float* part = in.parts + static_cast<size_t>(token) * in.rows + row * in.head_dim + e;
        x[n] = *part;
        for (int s = 1; s < in.S; ++s) x[n] += part[static_cast<size_t>(s) * in.T * in.rows];
        if (bias) x[n] += bias[head * in.head_dim + e];
    }
    if (norm) {
        const float scale = 1.0f / sqrtf(sum_of_squares(x, of_warps) / in.head_dim + in.eps);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const int e = threadIdx.x + n * THREADS;
            if (e < in.head_dim) x[n] = x[n] * scale * (in.offset + norm[e]);
        }
    }
    if (in.angles && !is_v) {
#pragma unroll
        for (int n = 0; n < 2; ++n) scratch[threadIdx.x + n * THREADS] = x[n];
        __syncthreads();
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const int e = threadIdx.x + n * THREADS;
            if (e >= 2 * in.half_dim) continue;
            const bool lower = e < in.half_dim;
            const int i = lower ? e : e - in.half_dim;
            const float* pair = in.angles + (static_cast<size_t>(token) * in.half_dim + i) * 2;
            const float other = scratch[lower ? e + in.half_dim : i] * pair[1];
            x[n] = x[n] * pair[0] + (lower ? -other : other);
        }
    }
}
