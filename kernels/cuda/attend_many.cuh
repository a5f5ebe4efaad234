#pragma once
// Prefill attention: 64 queries of one key/value head, 16 a warp, against all the keys they see or one split of them.
//
// The four warps of a block share a ring of stages in shared memory, each a few pieces of a tile.  While one stage is
// used the AHEAD after it are on their way, and one barrier a stage says both that it has come and that the one before
// it is done with.
#include "attend.cuh"

namespace attend {

/** Whether a query sees less than the whole tile at `key`. */
__device__ __forceinline__ bool partly(Range range, int key) {
    return key < range.low || key + TILE > range.low + range.count;
}

/** What a block of 64 queries does, 16 a warp. */
struct Crowd {
    int kv_head, split, set, warp, lane, g, c;

    __device__ __forceinline__ Crowd(const Arguments& a) {
        // The last queries see most keys: they start first.
        const int block = gridDim.x - 1 - blockIdx.x;
        kv_head = blockIdx.y, split = blockIdx.z;
        warp = __shfl_sync(0xffffffff, threadIdx.x / 32, 0);
        lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
        set = (block * WARPS + warp) * QUERIES;
    }

    /** The position of row g or g + 8: read again where it is needed, as registers are short. */
    __device__ __forceinline__ int position(const Arguments& a, int row) const {
        return position_of(a, set + g + 8 * row);
    }

    /** First and last key of those that `range` gives for the block's queries. */
    template <class Function>
    __device__ __forceinline__ Extent extent(const Arguments& a, Function range) const {
        const int first = set - warp * QUERIES + lane;
        Extent early(range(position_of(a, first)));
        const Extent late(range(position_of(a, first + 32)));
        early.first = min(early.first, late.first), early.last = max(early.last, late.last);
        return early;
    }
};

/** Tiles `start` to `stop` of a block, of which no query sees a key after `last`. */
struct Stretch {
    int start, stop, last;

    __device__ __forceinline__ Stretch(Extent extent, int split, int split_keys)
        : start(extent.first / TILE), stop(tile_of(extent.last)), last(extent.last) {
        if (gridDim.z > 1) {
            start = max(start, split * split_keys / TILE);
            stop = min(stop, ((split + 1) * split_keys - 1) / TILE);
        }
    }

    __device__ __forceinline__ bool empty() const { return start > stop; }
};

/** The queries of a warp as left operands: in registers, or where these are short in shared memory. */
template <int DP>
struct Held {
    static constexpr int STEPS = DP / 32;
    static constexpr bool WIDE = DP > 128;  // beside this many sums the queries find no room in registers
    using Shared = uint4[WIDE ? STEPS : 1][2][WARPS][32];

    Left kept[WIDE ? 1 : STEPS];
    Shared& queries;
    int warp, lane;

    __device__ __forceinline__ Held(const Arguments& a, const Crowd& crowd, Shared& queries)
        : queries(queries), warp(crowd.warp), lane(crowd.lane) {
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            const Left left = Left::of(query<DP>(a, crowd.kv_head, crowd.set + crowd.g, 32 * j + 8 * crowd.c),
                                       query<DP>(a, crowd.kv_head, crowd.set + crowd.g + 8, 32 * j + 8 * crowd.c));
            if (WIDE) {
                queries[j][0][warp][lane] = left.first;
                queries[j][1][warp][lane] = left.second;
            } else {
                kept[j] = left;
            }
        }
    }

    __device__ __forceinline__ Left operator[](int j) const {
        return WIDE ? Left{queries[j][0][warp][lane], queries[j][1][warp][lane]} : kept[WIDE ? 0 : j];
    }
};

/** How the pieces of a tile share the stages of a ring. */
template <int DP>
struct Stages {
    static constexpr int STEPS = DP / 32;
    static constexpr int PART = STEPS > 4 ? 4 : STEPS;  // pieces of a stage
    static constexpr int COUNT = 2 * STEPS / PART, RING = COUNT > 2 ? 2 : 4, AHEAD = RING / 2;
    using Ring = uint4[RING][PART][LOADS][32];
};

/** The tiles of the pages. */
template <int DP>
struct PagedTiles {
    static constexpr bool ALL_SEE = true;  // every query sees a key of every stretch, or is not there
    static constexpr bool KEPT = true;     // places are kept from tile to tile, as finding one takes a load
    const Arguments& a;
    int kv_head, g, c;

    __device__ __forceinline__ auto of(int tile) const {
        return in_page<DP>(a, a.page_table[tile * TILE / PAGE], kv_head, tile, g, c);
    }
};

/** Tiles one behind the other in half precision: the latest, or the first alone. */
template <int DP>
struct SlotTiles {
    static constexpr bool ALL_SEE = false, KEPT = false;
    const uint4* tiles;
    int slots, g, c;

    __device__ __forceinline__ auto of(int tile) const { return in_slot<DP>(tiles, tile % slots, g, c); }
};

template <int DP, class Source>
__device__ __forceinline__ void walk(const Source& source, const Stretch& stretch, const Range (&range)[2],
                                     const Score& score, const Held<DP>& held, typename Stages<DP>::Ring& ring,
                                     const Crowd& crowd, Softmax& softmax, float (&mixed)[DP / 8][4]) {
    using S = Stages<DP>;
    constexpr int STEPS = S::STEPS, PART = S::PART, STAGES = S::COUNT, RING = S::RING, AHEAD = S::AHEAD;
    const int start = stretch.start, stop = stretch.stop, last = stretch.last;
    const int warp = crowd.warp, lane = crowd.lane, c = crowd.c;

    // Warp w copies load w of each piece.
    auto place_of = [&](int tile) {
        auto place = source.of(tile);
        place.shift(warp);
        return place;
    };
    auto slot = [](int tile, int stage) { return ((tile & 1) * STAGES + stage) & (RING - 1); };
    auto copy = [&](const auto& place, int tile, int stage) {
        if (tile <= stop) {
#pragma unroll
            for (int i = 0; i < PART; ++i)
                place.load(stage * PART + i, 0, &ring[slot(tile, stage)][i][warp][lane]);
        }
        commit();
    };
    auto here = place_of(start), next = here;
#pragma unroll
    for (int stage = 0; stage < AHEAD; ++stage) copy(here, start, stage);
    auto arrived = [&](int tile, int stage) {
        arrive<AHEAD - 1>();
        if (stage * PART >= STEPS && tile * TILE + TILE - 1 > last) {
#pragma unroll 1
            for (int i = 0; i < PART; ++i) clear(&ring[slot(tile, stage)][i][warp][lane], tile * TILE + 8 * c, last);
        }
        __syncthreads();
        const bool same = stage + AHEAD < STAGES;
        const int ahead = (stage + AHEAD) % STAGES;
        if (Source::KEPT) {
            copy(same ? here : next, same ? tile : tile + 1, ahead);
        } else {
            copy(place_of(same ? tile : tile + 1), same ? tile : tile + 1, ahead);
        }
    };

    for (int tile = start; tile <= stop; ++tile) {
        const int first = tile * TILE;
        if (Source::KEPT) {
            here = next;
            if ((first + TILE) % PAGE != 0) {
                next.step();
            } else if (tile < stop) {
                next = place_of(tile + 1);
            }
        }
        float s[4][4] = {};
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            if (j % PART == 0) arrived(tile, j / PART);
            const Left left = held[j];
#pragma unroll
            for (int n = 0; n < LOADS; ++n) {
                const uint4 got = ring[slot(tile, j / PART)][j % PART][n][lane];
                multiply(s[n], left, got);
            }
        }
        score(s);
        // A query that is not there has no say.
        auto says = [&](Range range) { return (!Source::ALL_SEE || range.count > 0) && partly(range, first); };
        if (__any_sync(0xffffffff, says(range[0]) || says(range[1]))) mask(s, range, first, c);
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
}

template <int DP>
__device__ __forceinline__ void write(const Arguments& a, const Crowd& crowd, Softmax& softmax,
                                      const float (&mixed)[DP / 8][4]) {
    softmax.finish();
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        // A query that is not there had no mask; the sum of one that sees no key of this split is 0.
        if (crowd.position(a, row) < 0 || softmax.sum[row] == 0.0f) continue;
        const size_t out = static_cast<size_t>(crowd.split) * a.T * a.heads
                           + row_of(a, crowd.kv_head, crowd.set + crowd.g + 8 * row);
        if (crowd.c == 0)
            *reinterpret_cast<float2*>(a.stats + out * 2) = {softmax.maximum[row] * LN2, softmax.sum[row]};
#pragma unroll
        for (int i = 0; i < DP / 8; ++i)
            *reinterpret_cast<float2*>(a.acc + out * DP + 8 * i + 2 * crowd.c) = {mixed[i][2 * row],
                                                                                 mixed[i][2 * row + 1]};
    }
}

template <int DP>
__device__ __forceinline__ void many(const Arguments& a, int split_keys) {
    __shared__ typename Stages<DP>::Ring ring;
    __shared__ typename Held<DP>::Shared queries;
    const Crowd crowd(a);
    const Stretch stretch(crowd.extent(a, [&](int position) { return seen(position, a.window); }), crowd.split,
                          split_keys);
    if (stretch.empty()) return;
    const Held<DP> held(a, crowd, queries);
    const Score score(a.scale, a.softcap);
    Softmax softmax;
    float mixed[DP / 8][4] = {};
    const Range range[2] = {seen(crowd.position(a, 0), a.window), seen(crowd.position(a, 1), a.window)};
    walk<DP>(PagedTiles<DP>{a, crowd.kv_head, crowd.g, crowd.c}, stretch, range, score, held, ring, crowd, softmax,
             mixed);
    write<DP>(a, crowd, softmax, mixed);
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
