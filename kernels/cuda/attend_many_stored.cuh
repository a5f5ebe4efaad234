// Prefill attention over keys and values that are stored as codes: 64 queries of one head, 16 a warp.
//
// A query's keys come in the order of attend_few_stored.cuh.  Halves are made of codes once for the four warps: warp w
// makes piece w of a stage, from what it has read into registers a stage before (heads of 256 leave none for that), and
// puts them where attend_many.cuh's copies would.
#pragma once

#include "attend_many.cuh"

namespace attend {

/** A head's tiles of codes. */
template <int DP, int KB, int VB>
struct CodedTiles {
    static constexpr int SIZE = codes::tile_bytes(DP, KB, VB);
    static constexpr int VALUES = codes::key_bytes(DP, KB) + 2 * codes::TILE;
    const Arguments& a;
    const char* pool;
    int kv_head;

    __device__ __forceinline__ const char* of_page(int page) const {
        return pool + static_cast<size_t>(page * a.kv_heads + kv_head) * (codes::TILES * SIZE);
    }
    __device__ __forceinline__ const char* of(int tile) const {
        return of_page(a.page_table[tile * TILE / PAGE]) + tile % codes::TILES * SIZE;
    }
    static __device__ __forceinline__ codes::Scales scales(const char* tile, int values, int c) {
        const char* from = tile + codes::key_bytes(DP, KB) + values * codes::TILE;
        return {reinterpret_cast<const uint2*>(from)[c]};
    }
};

/** The tiles of codes; `mixed` is in units of 2²⁴ afterwards. */
template <int DP, int KB, int VB>
__device__ __forceinline__ void walk_codes(const CodedTiles<DP, KB, VB>& source, const Stretch& stretch,
                                           const Range (&range)[2], const Score& score, const Held<DP>& held,
                                           typename Stages<DP>::Ring& ring, const Crowd& crowd, Softmax& softmax,
                                           float (&mixed)[DP / 8][4]) {
    using S = Stages<DP>;
    constexpr int STEPS = S::STEPS, PART = S::PART, STAGES = S::COUNT;
    const int stop = stretch.stop, warp = crowd.warp, lane = crowd.lane, c = crowd.c;
    constexpr bool EARLY = !Held<DP>::WIDE;
    codes::Raw raw;
    auto read = [&](const char* tile, int stage) {
        if (warp >= PART) return;
        if (stage * PART < STEPS) {
            raw = codes::Keys<KB>::read(tile + (stage * PART + warp) * codes::key_piece(KB), lane);
        } else {
            raw = codes::Values<VB>::read(tile + source.VALUES, stage * PART - STEPS + warp, lane);
        }
    };
    auto make = [&](int stage) {
        if (warp >= PART) return;
#pragma unroll
        for (int n = 0; n < LOADS; ++n) {
            uint4& to = ring[stage & 1][warp][n][lane];
            if (stage * PART < STEPS) {
                to = codes::Keys<KB>::unit(raw, n);
            } else {
                to = codes::Values<VB>::unit(raw, stage * PART - STEPS + warp, n);
            }
        }
    };
    const char *here = source.of(stretch.start), *next = here;
    read(here, 0);
    make(0);
    if (EARLY) read(here, 1);
    auto arrived = [&](int tile, int stage) {
        __syncthreads();  // the stage is made, and the one before it done with
        if (tile == stop && stage == STAGES - 1) return;
        if (!EARLY) read(stage + 1 < STAGES ? here : next, (stage + 1) % STAGES);
        make((stage + 1) % STAGES);
        if (!EARLY) return;
        if (stage + 2 < STAGES) {
            read(here, stage + 2);
        } else if (tile < stop) {
            read(next, stage + 2 - STAGES);
        }
    };
    for (int tile = stretch.start; tile <= stop; ++tile) {
        here = next;
        if (tile < stop) next = source.of(tile + 1);
        codes::Scales of_keys, of_values;
        if (EARLY) of_keys = source.scales(here, 0, c), of_values = source.scales(here, 1, c);
        float s[4][4] = {};
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            if (j % PART == 0) arrived(tile, j / PART);
            const Left left = held[j];
#pragma unroll
            for (int n = 0; n < LOADS; ++n) multiply(s[n], left, ring[j / PART & 1][j % PART][n][lane]);
        }
        if (!EARLY) of_keys = source.scales(here, 0, c), of_values = source.scales(here, 1, c);
        Left weights;
        weigh(s, of_keys, of_values, range, tile * TILE, c, score, softmax, mixed, weights);
#pragma unroll
        for (int j = 0; j < STEPS; ++j) {
            if (j % PART == 0) arrived(tile, (STEPS + j) / PART);
#pragma unroll
            for (int n = 0; n < LOADS; ++n)
                multiply(mixed[j * LOADS + n], weights, ring[(STEPS + j) / PART & 1][j % PART][n][lane]);
        }
    }
    __syncthreads();
}

template <int DP, int KB, int VB>
__device__ __forceinline__ void many_stored(const Arguments& a, const Stored& stored, int split_keys) {
    __shared__ typename Stages<DP>::Ring ring;
    __shared__ typename Held<DP>::Shared queries;
    const Crowd crowd(a);
    const int from = a.page_table[-2];
    auto coded = [&](int position) { return of_codes(position, a.window, from); };
    auto latest = [&](int position) { return of_latest(position, a.window, from); };
    auto sunk = [&](int position) { return of_sink(position, a.window); };
    const Held<DP> held(a, crowd, queries);
    const Score score(a.scale, a.softcap);
    Softmax softmax;
    float mixed[DP / 8][4] = {};
    const CodedTiles<DP, KB, VB> source{a, stored.pool, crowd.kv_head};
    const Stretch codes_here(crowd.extent(a, coded), crowd.split, split_keys);
    if (!codes_here.empty()) {
        const Range range[2] = {coded(crowd.position(a, 0)), coded(crowd.position(a, 1))};
        walk_codes(source, codes_here, range, score, held, ring, crowd, softmax, mixed);
        whole(mixed);
    }
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
        const bool first = pass == 0;
        const Stretch stretch(first ? crowd.extent(a, sunk) : crowd.extent(a, latest), crowd.split, split_keys);
        if (stretch.empty()) continue;
        const int upper = crowd.position(a, 0), lower = crowd.position(a, 1);
        const Range range[2] = {first ? sunk(upper) : latest(upper), first ? sunk(lower) : latest(lower)};
        const char* tiles = first ? source.of_page(a.page_table[-1])
                                  : reinterpret_cast<const char*>(stored.recent)
                                        + static_cast<size_t>(crowd.kv_head) * stored.slots * codes::exact_bytes(DP);
        walk<DP>(SlotTiles<DP>{reinterpret_cast<const uint4*>(tiles), first ? 1 : stored.slots, crowd.g, crowd.c},
                 stretch, range, score, held, ring, crowd, softmax, mixed);
        __syncthreads();
    }
    write<DP>(a, crowd, softmax, mixed);
}

}  // namespace attend

// Grid (ceil(T·heads / kv_heads / 64), kv_heads, splits), block 128; page_table as in attend_few_stored.cuh.
#define ATTEND_MANY_STORED(NAME, DP, KB, VB, BLOCKS)                                                              \
    extern "C" __global__ void __launch_bounds__(attend::THREADS, BLOCKS) NAME(                                   \
        const attend::half* q, const char* pool, const attend::half* recent, int slots, const int* page_table,    \
        const int* positions, int T, int heads, int kv_heads, float scale, float softcap, int window,             \
        int split_keys, float* acc, float* stats) {                                                               \
        attend::many_stored<DP, KB, VB>({q, nullptr, nullptr, page_table, positions, T, heads, kv_heads, scale,   \
                                         softcap, window, acc, stats}, {pool, recent, slots}, split_keys);        \
    }
