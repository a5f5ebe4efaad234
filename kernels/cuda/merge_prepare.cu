// Between attention and its output product: the splits of the keys merged, transformed and prepared.
//
// A split of the keys gives, for each query, its largest score m, the sum Σ e^(score-m) and acc = Σ
// e^(score-m)·value. Together: Σ e^(m_s - m)·acc_s / Σ e^(m_s - m)·sum_s, m the largest m_s, added in the order of
// the splits.  The token at position p has splits first to p/split_keys, where first is that of the oldest key in the
// window; `single`: split 0.
//
// Values that were turned, `turned` numbers at a time (1: they were not), are turned back: the transform is its own
// inverse.
//
// Grid (ceil(K/segment), T), 512 threads, K = heads·head_dim; segment as in gate_prepare.  head_dim is a multiple of
// 4.
//
// By arithmetic at 1.7 GHz, K = 8192, block 4096, one token, mode 0: two blocks, each some 950 instructions for 16
// warps at 4 a cycle 2.2 µs, statistics 0.4, first bytes 0.6, launch in a graph 1.0: 4.2 µs with one split; 60
// instructions and 16 KiB more a split: 16 splits 6.5 µs.

#include "prepare.cuh"

constexpr int THREADS = 512;
constexpr int SEGMENT = 4096; // the longest

extern "C" __global__ void __launch_bounds__(THREADS)
merge_prepare(const float* acc, const float* stats, int splits, int single, const int* positions, int split_keys,
              int window, int heads, int head_dim, int Dp, int turned, const signed char* signs, int hadamard_block, int mode,
              int group, int T, signed char* codes, Factors* factors, float* plain) {
    __shared__ float row[SEGMENT];

    int K = heads * head_dim;
    int segment = max(hadamard_block, 512), start = blockIdx.x * segment, width = min(segment, K - start);
    size_t token = blockIdx.y;
    int position = positions[token];
    int last = single ? 0 : min(position / split_keys, splits - 1);
    int first = single || !window ? 0 : max(0, position - window + 1) / split_keys;

    for (int column = threadIdx.x * 4; column < width; column += THREADS * 4) {
        int head = (start + column) / head_dim, element = (start + column) % head_dim;
        size_t step = static_cast<size_t>(T) * heads, query = token * heads + head + first * step;
        const float2* stat = reinterpret_cast<const float2*>(stats) + query;
        const float* from = acc + query * Dp + element;

        float top = stat->x;
#pragma unroll 4
        for (int s = 1; s <= last - first; ++s) top = fmaxf(top, stat[s * step].x);
        float4 sum = all(0.0f);
        float weights = 0.0f;
#pragma unroll 4
        for (int s = 0; s <= last - first; ++s) {
            float2 here = stat[s * step];
            float weight = expf(here.x - top);
            weights = __fmaf_rn(weight, here.y, weights);
            sum = fma4(weight, load4(from + s * step * Dp), sum);
        }
        float4 v = make_float4(__fdiv_rn(sum.x, weights), __fdiv_rn(sum.y, weights), __fdiv_rn(sum.z, weights),
                               __fdiv_rn(sum.w, weights));
        if (signs && turned == 1) v = signed4(v, *reinterpret_cast<const unsigned*>(signs + start + column));
        put(row, place(column), v);
    }
    __syncthreads();
    if (turned > 1) {
        hadamard(row, width, turned);
        for (int column = threadIdx.x * 4; signs && column < width; column += THREADS * 4) {
            int at = place(column);
            put(row, at, signed4(get(row, at), *reinterpret_cast<const unsigned*>(signs + start + column)));
        }
        __syncthreads();
    }
    write_segment(row, start, width, signs ? hadamard_block : 1, mode, group, token, K, {codes, factors}, plain);
}
