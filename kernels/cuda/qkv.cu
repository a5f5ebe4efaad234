// Queries, and keys and values in half precision, where attention reads them.
//
// Values are kept transposed, as the attention kernels read them.  Numbers beyond the range of halves become the
// largest one, so that no infinity gets into the cache, where 0 times it would spoil queries that do not see it; NaN
// stays.
#include "qkv.cuh"

// Grid (heads + 2·kv_heads, T), block 128.  parts [S][T][rows]; angles [T][half_dim][2]; q [T][heads][Dp]; pools of one
// layer: K [page][kv_heads][256][Dp], V [page][kv_heads][Dp][256].
extern "C" __global__ void __launch_bounds__(THREADS) qkv(
    const float* parts, int S, int rows, const float* q_bias, const float* k_bias, const float* v_bias,
    const float* q_norm, const float* k_norm, float eps, float offset, const float* angles, int half_dim, int T,
    int heads, int kv_heads, int head_dim, int Dp, half* q, half* k_pool, half* v_pool, const int* page_table,
    const int* positions) {
    __shared__ float scratch[2 * THREADS];
    const Head of({parts, S, rows, q_bias, k_bias, v_bias, q_norm, k_norm, eps, offset, angles, half_dim, T, heads,
                   kv_heads, head_dim}, scratch);
    const int position = positions[of.token], slot = position % PAGE;
    const size_t page = of.is_q ? 0 : static_cast<size_t>(page_table[position / PAGE]) * kv_heads + of.head;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const int e = threadIdx.x + n * THREADS;
        if (e >= Dp) continue;
        const half bits = to_half(of.x[n]);
        if (of.is_q) {
            q[(static_cast<size_t>(of.token) * heads + of.head) * Dp + e] = bits;
        } else if (of.is_v) {
            v_pool[(page * Dp + e) * PAGE + slot] = bits;
        } else {
            k_pool[(page * PAGE + slot) * Dp + e] = bits;
        }
    }
}
