// Flash-decode: one or two sets of 16 queries of one key/value head against one split of the keys.
//
// A block is four warps; the tile of keys number i is warp i % 4's, counted from position 0, so that a query's keys
// are summed in one order whatever else is asked.  Each lane copies for itself alone, so that warps go their own pace.
//
// RING - 1 pieces of 2 KiB are on their way for each warp at any time.  Registers and shared memory hold 2 to 4 blocks
// of 4 warps on a multiprocessor, which makes 8 · 6 KiB = 48 KiB or more (DP 96: 12 · 4 KiB).  Bandwidth times latency
// asks for 4.8 TB/s / 132 · 0.7 µs = 25 KiB (H200), 1.9 TB/s / 108 · 0.6 µs = 11 KiB (A100), 1.0 TB/s / 128 · 0.6 µs =
// 5 KiB (4090).
#pragma once

#include "attend.cuh"

namespace attend {

template <int DP, int RING, int SETS>
__device__ __forceinline__ void few(const Arguments& a, int split_keys) {
    constexpr int STEPS = DP / 32, PIECES = 2 * STEPS;
    static_assert(PIECES % RING == 0, "a piece has one place in the ring");
    constexpr int PITCH = 40;  // floats: 32 columns, and rows apart by 8 banks
    __shared__ uint4 ring[WARPS][RING][LOADS][32];
    __shared__ uint4 queries[SETS][STEPS][2][32];  // as left operands
    __shared__ float peaks[SETS][WARPS][QUERIES], sums[SETS][WARPS][QUERIES];
    using Partial = float[QUERIES][PITCH];
    static_assert(sizeof(Partial[WARPS]) <= sizeof(ring), "the merge takes the ring's place");

    // Blocks that read the same keys run side by side, so that memory is read once for all.
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int group = block % gridDim.z, kv_head = block / gridDim.z % gridDim.x, split = block / gridDim.z / gridDim.x;
    const int warp = __shfl_sync(0xffffffff, threadIdx.x / 32, 0), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    const int base = group * SETS * QUERIES;

    const int position = position_of(a, base + lane % (SETS * QUERIES));
    const Extent extent(seen(position, a.window));
    Range range[SETS][2];
#pragma unroll
    for (int set = 0; set < SETS; ++set) {
        range[set][0] = seen(__shfl_sync(0xffffffff, position, set * QUERIES + g), a.window);
        range[set][1] = seen(__shfl_sync(0xffffffff, position, set * QUERIES + g + 8), a.window);
    }
    const int start = max(split * split_keys, extent.first) / TILE;
    const int stop = min((split + 1) * split_keys - 1, extent.last) / TILE;
    if (extent.last < 0 || start > stop) return;

    for (int i = warp; i < SETS * STEPS; i += WARPS) {
        const int set = i / STEPS, j = i % STEPS, row = base + set * QUERIES + g;
        const Left left = Left::of(query<DP>(a, kv_head, row, 32 * j + 8 * c),
                                   query<DP>(a, kv_head, row + 8, 32 * j + 8 * c));
        queries[set][j][0][lane] = left.first;
        queries[set][j][1][lane] = left.second;
    }
    __syncthreads();

    const Score score(a.scale, a.softcap);
    Softmax softmax[SETS];
    float mixed[SETS][DP / 8][4] = {};

    int tile = start + ((warp - start) & (WARPS - 1));
    if (tile <= stop) {
        int page = a.page_table[tile * TILE / PAGE];
        int coming = a.page_table[min(tile + WARPS, stop) * TILE / PAGE];
        auto copy = [&](const Place<DP>& place, int piece) {
#pragma unroll
            for (int n = 0; n < LOADS; ++n) place.load(piece, n, &ring[warp][piece % RING][n][lane]);
        };
        const Place<DP> first(a, page, kv_head, tile, g, c);
#pragma unroll
        for (int piece = 0; piece < RING - 1; ++piece) {
            copy(first, piece);
            commit();
        }
        for (; tile <= stop; tile += WARPS) {
            const Place<DP> here(a, page, kv_head, tile, g, c);
            const Place<DP> next(a, coming, kv_head, tile + WARPS, g, c);
            float s[SETS][4][4] = {};
            Left weights[SETS];
#pragma unroll
            for (int piece = 0; piece < PIECES; ++piece) {
                arrive<RING - 2>();
                if (piece >= STEPS && tile * TILE + TILE - 1 > extent.last) {
#pragma unroll 1
                    for (int n = 0; n < LOADS; ++n)
                        clear(&ring[warp][piece % RING][n][lane], tile * TILE + 8 * c, extent.last);
                }
                const int later = piece + RING - 1;
                if (later < PIECES) {
                    copy(here, later);
                } else if (tile + WARPS <= stop) {
                    copy(next, later - PIECES);
                }
                commit();
#pragma unroll
                for (int n = 0; n < LOADS; ++n) {
                    const uint4 got = ring[warp][piece % RING][n][lane];
#pragma unroll
                    for (int set = 0; set < SETS; ++set) {
                        if (piece < STEPS) {
                            const uint4(&left)[2][32] = queries[set][piece % STEPS];
                            multiply(s[set][n], {left[0][lane], left[1][lane]}, got);
                        } else {
                            multiply(mixed[set][(piece - STEPS) * LOADS + n], weights[set], got);
                        }
                    }
                }
                if (piece == STEPS - 1) {
#pragma unroll
                    for (int set = 0; set < SETS; ++set) {
                        float factor[2];
                        score(s[set]);
                        mask(s[set], range[set], tile * TILE, c);
                        softmax[set].add(s[set], factor, weights[set]);
                        scale(mixed[set], factor);
                    }
                }
            }
            page = coming;
            coming = a.page_table[min(tile + 2 * WARPS, stop) * TILE / PAGE];
        }
    }

    // The four warps' results, added in order.
#pragma unroll
    for (int set = 0; set < SETS; ++set) {
        softmax[set].finish();
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            if (c == 0) peaks[set][warp][g + 8 * row] = softmax[set].maximum[row];
            if (c == 0) sums[set][warp][g + 8 * row] = softmax[set].sum[row];
        }
    }
    __syncthreads();
    Partial* partial = reinterpret_cast<Partial*>(ring);
    const int row = threadIdx.x / 8, column = threadIdx.x % 8 * 4;
#pragma unroll
    for (int set = 0; set < SETS; ++set) {
        auto peak_of = [&](int row) {
            float peak = -infinity();
#pragma unroll
            for (int w = 0; w < WARPS; ++w) peak = fmaxf(peak, peaks[set][w][row]);
            return peak == -infinity() ? 0.0f : peak;
        };
        const float share[2] = {exp2(softmax[set].maximum[0] - peak_of(g)),
                                exp2(softmax[set].maximum[1] - peak_of(g + 8))};
        const float peak = peak_of(row);
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) total += exp2(peaks[set][w][row] - peak) * sums[set][w][row];
        const bool counts = total != 0.0f;  // it sees a key of this split; NaN counts
        const int index = base + set * QUERIES + row;
        const size_t out = static_cast<size_t>(split) * a.T * a.heads + (counts ? row_of(a, kv_head, index) : 0);
        if (counts && column == 0) *reinterpret_cast<float2*>(a.stats + out * 2) = {peak * LN2, total};
#pragma unroll
        for (int part = 0; part < STEPS; ++part) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float(&sum)[4] = mixed[set][4 * part + i];
                float* place = &partial[warp][g][8 * i + 2 * c];
                *reinterpret_cast<float2*>(place) = {sum[0] * share[0], sum[1] * share[0]};
                *reinterpret_cast<float2*>(place + 8 * PITCH) = {sum[2] * share[1], sum[3] * share[1]};
            }
            __syncthreads();
            float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
            for (int w = 0; w < WARPS; ++w) {
                const float4 v = *reinterpret_cast<const float4*>(&partial[w][row][column]);
                sum = {sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w};
            }
            if (counts) *reinterpret_cast<float4*>(a.acc + out * DP + 32 * part + column) = sum;
        }
    }
}

}  // namespace attend

// Grid (kv_heads, splits, ceil(T·heads / kv_heads / (SETS·16))), block 128.
#define ATTEND_FEW(NAME, DP, RING, SETS, BLOCKS)                                                                  \
    extern "C" __global__ void __launch_bounds__(attend::THREADS, BLOCKS) NAME(                                   \
        const attend::half* q, const attend::half* k_pool, const attend::half* v_pool, const int* page_table,     \
        const int* positions, int T, int heads, int kv_heads, float scale, float softcap, int window,             \
        int split_keys, float* acc, float* stats) {                                                               \
        attend::few<DP, RING, SETS>({q, k_pool, v_pool, page_table, positions, T, heads, kv_heads, scale,         \
                                     softcap, window, acc, stats}, split_keys);                                   \
    }
