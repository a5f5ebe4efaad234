// From the sums of the q, k and v products to queries and the cache: bias, norm of each head, rotary embedding.
//
// A block is one head of one token; the heads are q's, then k's, then v's.  Values are kept transposed, as the
// attention kernels read them.  Numbers beyond the range of halves become the largest one, so that no infinity gets
// into the cache, where 0 times it would spoil queries that do not see it; NaN stays.

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

// Grid (heads + 2·kv_heads, T), block 128.  parts [S][T][rows]; angles [T][half_dim][2] turn element i with element
// i + half_dim; q [T][heads][Dp]; pools of one layer: K [page][kv_heads][256][Dp], V [page][kv_heads][Dp][256].
extern "C" __global__ void __launch_bounds__(THREADS) qkv(
    const float* parts, int S, int rows, const float* q_bias, const float* k_bias, const float* v_bias,
    const float* q_norm, const float* k_norm, float eps, float offset, const float* angles, int half_dim, int T,
    int heads, int kv_heads, int head_dim, int Dp, half* q, half* k_pool, half* v_pool, const int* page_table,
    const int* positions) {
    __shared__ float turned[2 * THREADS];
    __shared__ float of_warps[WARPS];
    const int token = blockIdx.y, row = blockIdx.x;
    const bool is_q = row < heads, is_v = row >= heads + kv_heads;
    const int head = is_q ? row : is_v ? row - heads - kv_heads : row - heads;
    const float* bias = is_q ? q_bias : is_v ? v_bias : k_bias;
    const float* norm = is_q ? q_norm : is_v ? nullptr : k_norm;

    float x[2] = {0.0f, 0.0f};
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const int e = threadIdx.x + n * THREADS;
        if (e >= head_dim) continue;
        const float* part = parts + static_cast<size_t>(token) * rows + row * head_dim + e;
        x[n] = *part;
        for (int s = 1; s < S; ++s) x[n] += part[static_cast<size_t>(s) * T * rows];
        if (bias) x[n] += bias[head * head_dim + e];
    }
    if (norm) {
        const float scale = 1.0f / sqrtf(sum_of_squares(x, of_warps) / head_dim + eps);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const int e = threadIdx.x + n * THREADS;
            if (e < head_dim) x[n] = x[n] * scale * (offset + norm[e]);
        }
    }
    if (angles && !is_v) {
#pragma unroll
        for (int n = 0; n < 2; ++n) turned[threadIdx.x + n * THREADS] = x[n];
        __syncthreads();
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const int e = threadIdx.x + n * THREADS;
            if (e >= 2 * half_dim) continue;
            const bool lower = e < half_dim;
            const int i = lower ? e : e - half_dim;
            const float* pair = angles + (static_cast<size_t>(token) * half_dim + i) * 2;
            const float other = turned[lower ? e + half_dim : i] * pair[1];
            x[n] = x[n] * pair[0] + (lower ? -other : other);
        }
    }

    const int position = positions[token], slot = position % PAGE;
    const size_t page = is_q ? 0 : static_cast<size_t>(page_table[position / PAGE]) * kv_heads + head;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const int e = threadIdx.x + n * THREADS;
        if (e >= Dp) continue;
        const half bits = to_half(x[n]);
        if (is_q) {
            q[(static_cast<size_t>(token) * heads + head) * Dp + e] = bits;
        } else if (is_v) {
            v_pool[(page * Dp + e) * PAGE + slot] = bits;
        } else {
            k_pool[(page * PAGE + slot) * Dp + e] = bits;
        }
    }
}
