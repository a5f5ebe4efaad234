// Products of a matrix in half precision: routers, and models that were not quantised.
//
// An input x is hi + lo/2048 in units of its scale, hi and lo halves, so that nothing is lost that float32 sums
// would keep.  One warp makes one tile and one split of the columns for EIGHTS·8 tokens, in one fixed order.
// grid (tiles / 4, splits, tokens / (8·EIGHTS), all rounded up), 128 threads.
#include "fragments.cuh"

template <int EIGHTS>
__device__ __forceinline__ void product_half(const uint4* codes, const u16* hi, const u16* lo, const float* scales,
                                             float* out, int rows, int blocks, int tokens, int stride, int column) {
    int tile = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    if (tile * 16 >= rows) return;
    int begin = blocks * int(blockIdx.y) / int(gridDim.y), end = blocks * int(blockIdx.y + 1) / int(gridDim.y);
    int first = blockIdx.z * EIGHTS * 8;
    const uint4* mine = codes + ((long long)tile * blocks + begin) * 8 * 32 + lane;
    long long at[EIGHTS];
#pragma unroll
    for (int n = 0; n < EIGHTS; n++)
        at[n] = ((long long)min(first + 8 * n + g, tokens - 1) * blocks + begin) * KBLOCK + 16 * c;
    float large[EIGHTS][4] = {}, small[EIGHTS][4] = {};
    for (int kblock = begin; kblock < end; kblock++) {
        uint4 w[8];
#pragma unroll
        for (int p = 0; p < 8; p++) w[p] = __ldg(mine + p * 32);
        mine += 8 * 32;
#pragma unroll
        for (int n = 0; n < EIGHTS; n++) {
#pragma unroll
            for (int s = 0; s < 4; s++) {
                int offset = s / 2 * 64 + s % 2 * 8;
                uint4 b = __ldg(reinterpret_cast<const uint4*>(hi + at[n] + offset));
                multiply_half(large[n], w[s], b.x, b.y);
                multiply_half(large[n], w[4 + s], b.z, b.w);
                b = __ldg(reinterpret_cast<const uint4*>(lo + at[n] + offset));
                multiply_half(small[n], w[s], b.x, b.y);
                multiply_half(small[n], w[4 + s], b.z, b.w);
            }
            at[n] += KBLOCK;
        }
    }
#pragma unroll
    for (int n = 0; n < EIGHTS; n++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int token = first + 8 * n + 2 * c + j % 2, row = tile * 16 + g + 8 * (j / 2);
            if (token < tokens && row < rows)
                out[((long long)blockIdx.y * tokens + token) * stride + column + row] =
                    __fmul_rn(__fmaf_rn(small[n][j], 1.0f / 2048, large[n][j]), __ldg(scales + token));
        }
}

#define HALF_PRODUCT(NAME, EIGHTS)                                                                                \
    extern "C" __global__ void __launch_bounds__(128) NAME(                                                       \
        const uint4* __restrict__ codes, const u16* __restrict__ hi, const u16* __restrict__ lo,                  \
        const float* __restrict__ scales, float* __restrict__ out, int rows, int blocks, int tokens, int stride,  \
        int column) {                                                                                             \
        product_half<EIGHTS>(codes, hi, lo, scales, out, rows, blocks, tokens, stride, column);                   \
    }

HALF_PRODUCT(product_few_half, 1)
HALF_PRODUCT(product_many_half, 4)
