// Flash-decode over keys and values that are stored as codes: 16 queries of one head against one split of the keys.
//
// A query's keys come in one order whatever else is asked: first those that it reads as codes, then the first SINK of
// the text, then the latest, both in half precision (see walk).  Where codes end and the latest keys begin depends on
// the query, so that a tile may be read both ways, for different queries.
//
// Of the codes, each warp has one or two chunks of a tile on their way while it uses another, in two places of shared
// memory; each lane copies for itself alone.  Its halves are made in registers, right before they are multiplied.
#pragma once

#include "attend_few.cuh"

namespace attend {

/** Starts a copy of 8 bytes to shared memory. */
__device__ __forceinline__ void copy8(char* to, const char* from) {
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 8;"
                 :: "r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(__cvta_generic_to_global(from))
                 : "memory");
}

/** Starts the copy of a lane's share of `size` bytes that 32 lanes take 16 or 8 of at a time. */
template <int WIDTH>
__device__ __forceinline__ void copy_run(char* to, const char* from, int lane) {
    if (WIDTH == 16) {
        copy16(reinterpret_cast<uint4*>(to) + lane, reinterpret_cast<const uint4*>(from) + lane);
    } else {
        copy8(to + 8 * lane, from + 8 * lane);
    }
}

/** The parts in which a tile of codes is read: some pieces of the keys, then some of the values. */
template <int DP, int KB, int VB>
struct Chunks {
    static constexpr int PARTS = DP > 128 ? 2 : 1;  // of the keys, and of the values
    static constexpr int PIECES = DP / 32 / PARTS;  // of a part
    static constexpr int VALUES = codes::key_bytes(DP, KB) + 2 * codes::TILE;  // where they begin
    static constexpr int KEY_PART = codes::key_bytes(DP, KB) / PARTS;
    static constexpr int VALUE_PART = codes::value_bytes(DP, VB) / PARTS;
    static constexpr int BYTES = KEY_PART > VALUE_PART ? KEY_PART : VALUE_PART;

    /** Starts the copies of chunk 0 … 2·PARTS − 1 of a tile. */
    static __device__ __forceinline__ void copy(char* to, const char* tile, int chunk, int lane) {
        if (chunk < PARTS) {
            const char* from = tile + chunk * KEY_PART;
#pragma unroll
            for (int j = 0; j < PIECES; ++j) {
                const int at = j * codes::key_piece(KB);
                copy_run<16>(to + at, from + at, lane);
                if (KB == 8) copy_run<16>(to + at + 512, from + at + 512, lane);
                if (KB == 6) copy_run<8>(to + at + 512, from + at + 512, lane);
            }
        } else {
            const char* from = tile + VALUES + (chunk - PARTS) * VALUE_PART;
#pragma unroll
            for (int j = 0; j < PIECES; ++j) {
                const int at = codes::value_at(VB, j);
                copy_run<VB == 2 ? 8 : 16>(to + at, from + at, lane);
                if (VB == 8) copy_run<16>(to + at + 512, from + at + 512, lane);
                if (VB == 5 && j % 2 == 0) {
                    const int signs = codes::signs_at(j);
                    copy_run<8>(to + signs, from + signs, lane);
                }
            }
        }
    }
};

/** A head's tiles of codes. */
template <int DP, int KB, int VB>
struct InCodes {
    static constexpr int SIZE = codes::tile_bytes(DP, KB, VB);
    const Arguments& a;
    const char* pool;
    int kv_head, stop;

    __device__ __forceinline__ int page(int tile) const { return a.page_table[min(tile, stop) * TILE / PAGE]; }
    __device__ __forceinline__ const char* of_page(int page) const {
        return pool + static_cast<size_t>(page * a.kv_heads + kv_head) * (codes::TILES * SIZE);
    }
    __device__ __forceinline__ const char* at(int page, int tile) const {
        return of_page(page) + tile % codes::TILES * SIZE;
    }
    /** The scales of a lane's keys, and of their values. */
    static __device__ __forceinline__ codes::Scales scales(const char* tile, int values, int c) {
        const char* from = tile + codes::key_bytes(DP, KB) + values * codes::TILE;
        return {reinterpret_cast<const uint2*>(from)[c]};
    }
};

/** The warp's tiles of codes from `tile` on; `mixed` is in units of 2²⁴ afterwards. */
template <int DP, int KB, int VB>
__device__ __forceinline__ void walk_codes(const InCodes<DP, KB, VB>& source, int tile, const Range (&range)[2],
                                           const Score& score, const Queries<DP, 1>& queries,
                                           char (&ring)[2][Chunks<DP, KB, VB>::BYTES], int lane, Softmax& softmax,
                                           float (&mixed)[DP / 8][4]) {
    using Parts = Chunks<DP, KB, VB>;
    constexpr int PARTS = Parts::PARTS, PIECES = Parts::PIECES;
    const int c = lane % 4, stop = source.stop;
    if (tile > stop) return;
    const char* here = source.at(source.page(tile), tile);
    int coming = source.page(tile + WARPS);
#pragma unroll
    for (int chunk = 0; chunk < 2; ++chunk) {
        Parts::copy(ring[chunk], here, chunk, lane);
        commit();
    }
    codes::Scales of_keys = source.scales(here, 0, c), of_values = source.scales(here, 1, c);
    for (; tile <= stop; tile += WARPS) {
        const bool more = tile + WARPS <= stop;
        const char* next = more ? source.at(coming, tile + WARPS) : here;
        float s[4][4] = {};
        Left weights;
#pragma unroll
        for (int chunk = 0; chunk < 2 * PARTS; ++chunk) {
            arrive<1>();
            const char* from = ring[chunk % 2];
#pragma unroll
            for (int i = 0; i < PIECES; ++i) {
                const int j = chunk % PARTS * PIECES + i;
                if (chunk < PARTS) {
                    const codes::Raw raw = codes::Keys<KB>::read(from + i * codes::key_piece(KB), lane);
                    const uint4(&left)[2][32] = queries[0][j];
#pragma unroll
                    for (int n = 0; n < LOADS; ++n)
                        multiply(s[n], {left[0][lane], left[1][lane]}, codes::Keys<KB>::unit(raw, n));
                } else {
                    const codes::Raw raw = codes::Values<VB>::read(from, i, lane);
#pragma unroll
                    for (int n = 0; n < LOADS; ++n)
                        multiply(mixed[j * LOADS + n], weights, codes::Values<VB>::unit(raw, i, n));
                }
            }
            if (PARTS > 1) __syncwarp();  // pieces of keys and values share places there, cut among the lanes differently
            if (chunk + 2 < 2 * PARTS) {
                Parts::copy(ring[chunk % 2], here, chunk + 2, lane);
            } else if (more) {
                Parts::copy(ring[chunk % 2], next, chunk + 2 - 2 * PARTS, lane);
            }
            commit();
            if (chunk == PARTS - 1) {
                weigh(s, of_keys, of_values, range, tile * TILE, c, score, softmax, mixed, weights);
                of_keys = source.scales(next, 0, c), of_values = source.scales(next, 1, c);
            }
        }
        here = next;
        coming = source.page(tile + 2 * WARPS);
    }
}

template <int DP, int KB, int VB>
__device__ __forceinline__ void few_stored(const Arguments& a, const Stored& stored, int split_keys) {
    constexpr int RING = DP == 96 ? 3 : 4;
    using Codes = char[WARPS][2][Chunks<DP, KB, VB>::BYTES];
    using Halves = uint4[WARPS][RING][LOADS][32];
    constexpr size_t SIZE = sizeof(Codes) > sizeof(Halves) ? sizeof(Codes) : sizeof(Halves);
    __shared__ uint4 room[SIZE / sizeof(uint4)];
    __shared__ Queries<DP, 1> queries;

    const Share<1> share(a);
    if (share.extent.last < 0) return;
    const int from = a.page_table[-2];
    const int least_key = share.split * split_keys, last_key = least_key + split_keys - 1;
    const Extent coded(of_codes(share.position, a.window, from));
    const int coded_start = max(least_key, coded.first) / TILE, coded_stop = tile_of(min(last_key, coded.last));
    // Asked for again when the codes are done with: registers are short until then.
    auto exact = [&](bool first) {
        return Extent(first ? of_sink(share.position, a.window) : of_latest(share.position, a.window, from));
    };
    {
        const Extent sink = exact(true), latest = exact(false);
        const bool none = max(least_key, latest.first) / TILE > tile_of(min(last_key, latest.last));
        if (coded_start > coded_stop && none && (least_key || sink.last < 0)) return;
    }
    fetch<DP>(a, share, queries);

    const Score score(a.scale, a.softcap);
    Softmax softmax[1];
    float mixed[1][DP / 8][4] = {};
    const InCodes<DP, KB, VB> source{a, stored.pool, share.kv_head, coded_stop};
    {
        const Range range[2] = {of_codes(share.of(0, 0), a.window, from), of_codes(share.of(0, 1), a.window, from)};
        walk_codes(source, share.first(coded_start), range, score, queries,
                   reinterpret_cast<Codes*>(room)[0][share.warp], share.lane, softmax[0], mixed[0]);
        whole(mixed[0]);
    }
    auto& ring = reinterpret_cast<Halves*>(room)[0][share.warp];
    arrive<0>();
    __syncthreads();  // a warp's places are not where they were
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
        const bool first = pass == 0;
        const int upper = share.of(0, 0), lower = share.of(0, 1);
        const Range range[1][2] = {{first ? of_sink(upper, a.window) : of_latest(upper, a.window, from),
                                    first ? of_sink(lower, a.window) : of_latest(lower, a.window, from)}};
        const char* tiles = first ? source.of_page(a.page_table[-1])
                                  : reinterpret_cast<const char*>(stored.recent)
                                        + static_cast<size_t>(share.kv_head) * stored.slots * codes::exact_bytes(DP);
        const InSlots<DP> slots{reinterpret_cast<const uint4*>(tiles), first ? 1 : stored.slots, share.g, share.c};
        const Extent extent = exact(first);
        const int start = max(share.split * split_keys, extent.first) / TILE;
        const int stop = tile_of(min((share.split + 1) * split_keys - 1, extent.last));
        walk<DP>(slots, share.first(start), stop, extent.last, range, score, queries, ring, share.lane, softmax, mixed);
    }
    merge<DP>(a, Share<1>(a), reinterpret_cast<Partial*>(room), softmax, mixed);
}

}  // namespace attend

// Grid (kv_heads, splits, ceil(T·heads / kv_heads / 16)), block 128.  Before page_table are the page of the text's
// first SINK tokens (at −1) and the first key from which on `recent` holds this text's (at −2).
#define ATTEND_FEW_STORED(NAME, DP, KB, VB, BLOCKS)                                                               \
    extern "C" __global__ void __launch_bounds__(attend::THREADS, BLOCKS) NAME(                                   \
        const attend::half* q, const char* pool, const attend::half* recent, int slots, const int* page_table,    \
        const int* positions, int T, int heads, int kv_heads, float scale, float softcap, int window,             \
        int split_keys, float* acc, float* stats) {                                                               \
        attend::few_stored<DP, KB, VB>({q, nullptr, nullptr, page_table, positions, T, heads, kv_heads, scale,    \
                                        softcap, window, acc, stats}, {pool, recent, slots}, split_keys);         \
    }
