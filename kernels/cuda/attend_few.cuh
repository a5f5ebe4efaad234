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

/** What a block of `SETS` · 16 queries does: those of `base` on, of one head, against the keys of one split. */
template <int SETS>
struct Share {
    int kv_head, split, base, warp, lane, g, c;
    int position;  // of the lane's query
    Extent extent;

    __device__ __forceinline__ Share(const Arguments& a) : extent(Range{0, 0}) {
        // Blocks that read the same keys run side by side, so that memory is read once for all.
        const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        kv_head = block / gridDim.z % gridDim.x;
        split = block / gridDim.z / gridDim.x;
        base = block % gridDim.z * SETS * QUERIES;
        warp = __shfl_sync(0xffffffff, threadIdx.x / 32, 0);
        lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
        position = position_of(a, base + lane % (SETS * QUERIES));
        extent = Extent(seen(position, a.window));
    }

    /** Position of the lane's query in row g or g + 8 of a set. */
    __device__ __forceinline__ int of(int set, int row) const {
        return __shfl_sync(0xffffffff, position, set * QUERIES + g + 8 * row);
    }

    /** The warp's first tile from `start` on. */
    __device__ __forceinline__ int first(int start) const { return start + ((warp - start) & (WARPS - 1)); }
};

template <int DP, int SETS>
using Queries = uint4[SETS][DP / 32][2][32];  // as left operands

template <int DP, int SETS>
__device__ __forceinline__ void fetch(const Arguments& a, const Share<SETS>& share, Queries<DP, SETS>& queries) {
    constexpr int STEPS = DP / 32;
    for (int i = share.warp; i < SETS * STEPS; i += WARPS) {
        const int set = i / STEPS, j = i % STEPS, row = share.base + set * QUERIES + share.g;
        const Left left = Left::of(query<DP>(a, share.kv_head, row, 32 * j + 8 * share.c),
                                   query<DP>(a, share.kv_head, row + 8, 32 * j + 8 * share.c));
        queries[set][j][0][share.lane] = left.first;
        queries[set][j][1][share.lane] = left.second;
    }
    __syncthreads();
}

/** The tiles of the pages; the page after the one in use is known before it is needed. */
template <int DP>
struct InPages {
    const Arguments& a;
    int kv_head, stop, g, c;
    int page, coming;

    __device__ __forceinline__ void begin(int tile) {
        page = a.page_table[tile * TILE / PAGE];
        coming = a.page_table[min(tile + WARPS, stop) * TILE / PAGE];
    }
    __device__ __forceinline__ Place<DP, PAGE> here(int tile) const { return in_page<DP>(a, page, kv_head, tile, g, c); }
    __device__ __forceinline__ Place<DP, PAGE> next(int tile) const {
        return in_page<DP>(a, coming, kv_head, tile + WARPS, g, c);
    }
    __device__ __forceinline__ void step(int tile) {
        page = coming;
        coming = a.page_table[min(tile + 2 * WARPS, stop) * TILE / PAGE];
    }
};

/** Tiles that lie one behind the other in half precision: the latest, or the first alone. */
template <int DP>
struct InSlots {
    const uint4* tiles;
    int slots, g, c;

    __device__ __forceinline__ void begin(int) {}
    __device__ __forceinline__ Place<DP, TILE> here(int tile) const { return in_slot<DP>(tiles, tile % slots, g, c); }
    __device__ __forceinline__ Place<DP, TILE> next(int tile) const { return here(tile + WARPS); }
    __device__ __forceinline__ void step(int) {}
};

/** The warp's tiles from `tile` to `stop`, of which no query sees a key after `last`. */
template <int DP, int RING, int SETS, class Source>
__device__ __forceinline__ void walk(Source source, int tile, int stop, int last, const Range (&range)[SETS][2],
                                     const Score& score, const Queries<DP, SETS>& queries,
                                     uint4 (&ring)[RING][LOADS][32], int lane, Softmax (&softmax)[SETS],
                                     float (&mixed)[SETS][DP / 8][4]) {
    constexpr int STEPS = DP / 32, PIECES = 2 * STEPS;
    static_assert(PIECES % RING == 0, "a piece has one place in the ring");
    if (tile > stop) return;
    const int c = lane % 4;
    auto copy = [&](const auto& place, int piece) {
#pragma unroll
        for (int n = 0; n < LOADS; ++n) place.load(piece, n, &ring[piece % RING][n][lane]);
    };
    source.begin(tile);
    const auto first = source.here(tile);
#pragma unroll
    for (int piece = 0; piece < RING - 1; ++piece) {
        copy(first, piece);
        commit();
    }
    for (; tile <= stop; tile += WARPS) {
        const auto here = source.here(tile), next = source.next(tile);
        float s[SETS][4][4] = {};
        Left weights[SETS];
#pragma unroll
        for (int piece = 0; piece < PIECES; ++piece) {
            arrive<RING - 2>();
            if (piece >= STEPS && tile * TILE + TILE - 1 > last) {
#pragma unroll 1
                for (int n = 0; n < LOADS; ++n) clear(&ring[piece % RING][n][lane], tile * TILE + 8 * c, last);
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
                const uint4 got = ring[piece % RING][n][lane];
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
        source.step(tile);
    }
}

constexpr int PITCH = 40;  // floats: 32 columns, and rows apart by 8 banks

/** What the four warps' results take in shared memory while they are added: the place of the ring. */
using Partial = float[QUERIES][PITCH];

/** The four warps' results, added in order, and written. */
template <int DP, int SETS>
__device__ __forceinline__ void merge(const Arguments& a, const Share<SETS>& share, Partial* partial,
                                      Softmax (&softmax)[SETS], const float (&mixed)[SETS][DP / 8][4]) {
    constexpr int STEPS = DP / 32;
    __shared__ float peaks[SETS][WARPS][QUERIES], sums[SETS][WARPS][QUERIES];
    const int warp = share.warp, g = share.g, c = share.c;
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
    const int row = threadIdx.x / 8, column = threadIdx.x % 8 * 4;
#pragma unroll
    for (int set = 0; set < SETS; ++set) {
        auto peak_of = [&](int row) {
            float peak = -infinity();
#pragma unroll
            for (int w = 0; w < WARPS; ++w) peak = fmaxf(peak, peaks[set][w][row]);
            return peak == -infinity() ? 0.0f : peak;
        };
        const float part_of[2] = {exp2(softmax[set].maximum[0] - peak_of(g)),
                                exp2(softmax[set].maximum[1] - peak_of(g + 8))};
        const float peak = peak_of(row);
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) total += exp2(peaks[set][w][row] - peak) * sums[set][w][row];
        const bool counts = total != 0.0f;  // it sees a key of this split; NaN counts
        const int index = share.base + set * QUERIES + row;
        const size_t out = static_cast<size_t>(share.split) * a.T * a.heads + (counts ? row_of(a, share.kv_head, index) : 0);
        if (counts && column == 0) *reinterpret_cast<float2*>(a.stats + out * 2) = {peak * LN2, total};
#pragma unroll
        for (int part = 0; part < STEPS; ++part) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float(&sum)[4] = mixed[set][4 * part + i];
                float* place = &partial[warp][g][8 * i + 2 * c];
                *reinterpret_cast<float2*>(place) = {sum[0] * part_of[0], sum[1] * part_of[0]};
                *reinterpret_cast<float2*>(place + 8 * PITCH) = {sum[2] * part_of[1], sum[3] * part_of[1]};
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

template <int DP, int RING, int SETS>
__device__ __forceinline__ void few(const Arguments& a, int split_keys) {
    __shared__ uint4 ring[WARPS][RING][LOADS][32];
    __shared__ Queries<DP, SETS> queries;
    static_assert(sizeof(Partial[WARPS]) <= sizeof(ring), "the merge takes the ring's place");

    const Share<SETS> share(a);
    Range range[SETS][2];
#pragma unroll
    for (int set = 0; set < SETS; ++set) {
        range[set][0] = seen(share.of(set, 0), a.window);
        range[set][1] = seen(share.of(set, 1), a.window);
    }
    const int start = max(share.split * split_keys, share.extent.first) / TILE;
    const int stop = min((share.split + 1) * split_keys - 1, share.extent.last) / TILE;
    if (share.extent.last < 0 || start > stop) return;
    fetch<DP>(a, share, queries);

    const Score score(a.scale, a.softcap);
    Softmax softmax[SETS];
    float mixed[SETS][DP / 8][4] = {};
    walk<DP>(InPages<DP>{a, share.kv_head, stop, share.g, share.c}, share.first(start), stop, share.extent.last, range,
             score, queries, ring[share.warp], share.lane, softmax, mixed);
    merge<DP>(a, share, reinterpret_cast<Partial*>(ring), softmax, mixed);
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
