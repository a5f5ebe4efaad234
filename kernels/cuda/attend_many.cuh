#pragma once
// Prefill attention: 64 queries of one key/value head, 16 a warp, against all the keys they see or one split of them.
//
// The four warps of a block share a ring of stages in shared memory, each a few pieces of a tile.  While one stage is
// used the AHEAD after it are on their way, and one barrier a stage says both that it has come and that the one before
// it is done with.
#include "attend.cuh"

namespace attend {

/** Whether a query sees less than the whole tile at `key`; one that is not there has no say. */
__device__ __forceinline__ bool partly(Range range, int key) {
    return range.count > 0 && (key < range.low || key + TILE > range.low + range.count);
}

template <int DP>
__device__ __forceinline__ void many(const Arguments& a, int split_keys) {
    constexpr int STEPS = DP / 32, PIECES = 2 * STEPS;
    constexpr int PART = STEPS > 4 ? 4 : STEPS;  // pieces of a stage
    constexpr int STAGES = PIECES / PART, RING = STAGES > 2 ? 2 : 4, AHEAD = RING / 2;
    constexpr bool WIDE = DP > 128;  // beside this many sums the queries find no room in registers
    __shared__ uint4 ring[RING][PART][LOADS][32];
    __shared__ uint4 queries[WIDE ? STEPS : 1][2][WARPS][32];

    // The last queries see most keys: they start first.
    const int block = gridDim.x - 1 - blockIdx.x, kv_head = blockIdx.y;
    const int warp = __shfl_sync(0xffffffff, threadIdx.x / 32, 0), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    const int set = (block * WARPS + warp) * QUERIES;

    const int position = position_of(a, set + lane % QUERIES);
    const int upper = __shfl_sync(0xffffffff, position, g), lower = __shfl_sync(0xffffffff, position, g + 8);
    const Extent early(seen(position_of(a, block * WARPS * QUERIES + lane), a.window));
    const Extent late(seen(position_of(a, block * WARPS * QUERIES + 32 + lane), a.window));
    const int last = max(early.last, late.last);
    int start = min(early.first, late.first) / TILE, stop = last / TILE;
    const int split = blockIdx.z;
    if (gridDim.z > 1) {
        start = max(start, split * split_keys / TILE);
        stop = min(stop, ((split + 1) * split_keys - 1) / TILE);
    }
    if (last < 0 || start > stop) return;

    Left kept[STEPS];
#pragma unroll
    for (int j = 0; j < STEPS; ++j) {
        kept[j] = Left::of(query<DP>(a, kv_head, set + g, 32 * j + 8 * c),
                           query<DP>(a, kv_head, set + g + 8, 32 * j + 8 * c));
        if (WIDE) {
            queries[j][0][warp][lane] = kept[j].first;
            queries[j][1][warp][lane] = kept[j].second;
        }
    }

    // Warp w copies load w of each piece.
    auto place_of = [&](int tile) {
        Place<DP> place(a, a.page_table[tile * TILE / PAGE], kv_head, tile, g, c);
        place.shift(warp);
        return place;
    };
    auto slot = [](int tile, int stage) { return ((tile & 1) * STAGES + stage) & (RING - 1); };
    auto copy = [&](const Place<DP>& place, int tile, int stage) {
        if (tile <= stop) {
#pragma unroll
            for (int i = 0; i < PART; ++i)
                place.load(stage * PART + i, 0, &ring[slot(tile, stage)][i][warp][lane]);
        }
        commit();
    };
    Place<DP> here = place_of(start), next = here;
#pragma unroll
    for (int stage = 0; stage < AHEAD; ++stage) copy(here, start, stage);
    auto arrived = [&](int tile, int stage) {
        arrive<AHEAD - 1>();
        if (stage * PART >= STEPS && tile * TILE + TILE - 1 > last) {
#pragma unroll 1
            for (int i = 0; i < PART; ++i) clear(&ring[slot(tile, stage)][i][warp][lane], tile * TILE + 8 * c, last);
        }
        __syncthreads();
        if (stage + AHEAD < STAGES) {
            copy(here, tile, stage + AHEAD);
        } else {
            copy(next, tile + 1, stage + AHEAD - STAGES);
        }
    };

    const Score score(a.scale, a.softcap);
    Softmax softmax;
    float mixed[DP / 8][4] = {};
    for (int tile = start; tile <= stop; ++tile) {
        const int first = tile * TILE;
        here = next;
        if ((first + TILE) % PAGE != 0) {
            next.step();
        } else if (tile < stop) {
            next = place_of(tile + 1);
        }
        float s[4][4] = {};
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            if (j % PART == 0) arrived(tile, j / PART);
            const Left left = WIDE ? Left{queries[j][0][warp][lane], queries[j][1][warp][lane]} : kept[j];
#pragma unroll
            for (int n = 0; n < LOADS; ++n) {
                const uint4 got = ring[slot(tile, j / PART)][j % PART][n][lane];
                multiply(s[n], left, got);
            }
        }
        score(s);
        const Range range[2] = {seen(upper, a.window), seen(lower, a.window)};
        if (__any_sync(0xffffffff, partly(range[0], first) || partly(range[1], first))) mask(s, range, first, c);
        float factor[2];
        Left weights;
        softmax.add(s, factor, weights);
        if (__any_sync(0xffffffff, factor[0] != 1.0f || factor[1] != 1.0f)) scale(mixed, factor);
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            if (j % PART == 0) arrived(tile, (STEPS + j) / PART);
#pragma unroll
            for (int n = 0; n < LOADS; ++n) {
                const uint4 got = ring[slot(tile, (STEPS + j) / PART)][j % PART][n][lane];
                multiply(mixed[j * LOADS + n], weights, got);
            }
        }
    }

    softmax.finish();
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        // A query that is not there had no mask; the sum of one that sees no key of this split is 0.
        if ((row ? lower : upper) < 0 || softmax.sum[row] == 0.0f) continue;
        const size_t out = static_cast<size_t>(split) * a.T * a.heads + row_of(a, kv_head, set + g + 8 * row);
        if (c == 0) *reinterpret_cast<float2*>(a.stats + out * 2) = {softmax.maximum[row] * LN2, softmax.sum[row]};
#pragma unroll
        for (int i = 0; i < DP / 8; ++i)
            *reinterpret_cast<float2*>(a.acc + out * DP + 8 * i + 2 * c) = {mixed[i][2 * row], mixed[i][2 * row + 1]};
    }
}

}  // namespace attend

// Grid (ceil(T·heads / kv_heads / 64), kv_heads, splits), block 128.  One split is all the keys, whatever split_keys
// says; more of them keep a card busy when a short prompt follows a long past.
#define ATTEND_MANY(NAME, DP, BLOCKS)                                                                           \
    extern "C" __global__ void __launch_bounds__(attend::THREADS, BLOCKS) NAME(                                 \
        const attend::half* q, const attend::half* k_pool, const attend::half* v_pool, const int* page_table,   \
        const int* positions, int T, int heads, int kv_heads, float scale, float softcap, int window,           \
        int split_keys, float* acc, float* stats) {                                                             \
        attend::many<DP>({q, k_pool, v_pool, page_table, positions, T, heads, kv_heads, scale, softcap, window, \
                          acc, stats}, split_keys);                                                             \
    }
