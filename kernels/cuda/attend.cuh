// What the attention kernels share: 16 queries of one key/value head against tiles of 32 keys.
//
// Both products are mma.m16n8k16 (halves in, float out); lane = 4·g + c, g = 0..7, c = 0..3.  The order of the
// indices that a product sums over is free as long as both operands agree, and is chosen so that every lane takes
// 16 contiguous bytes at a time and no value ever changes lanes:
//   scores   lane (g, c) holds dimensions 32·j + 8·c .. + 7 of a query and of a key: two products for each j.  Column n
//            of the s-th of four products is key 8·(n / 2) + 2·s + n % 2, so that the scores a lane gets, columns
//            2·c and 2·c + 1 of each, are those of its eight keys 8·c .. 8·c + 7;
//   mixing   those eight are the lane's left operand as they are, and its right one is eight neighbours of the
//            transposed values: column 8·i + g of the value, keys 8·c .. 8·c + 7.
// Four lanes read 64 contiguous bytes: two whole sectors.  A tile is DP / 16 pieces of 2 KiB, first those of the keys
// (32 dimensions each), then those of the values (32 columns each).  They wait in shared memory in the order in which
// lanes read them, so that no bank is asked twice and many can be on their way without holding a register.
//
// Softmax is online, in powers of two and float32.  A query that sees nothing of a tile is left as it was, to the
// bit, so its result does not depend on the queries it shares a tile with.
#pragma once

#include "codes.cuh"

namespace attend {

using half = unsigned short;

constexpr int PAGE = 256;     // tokens
constexpr int TILE = 32;      // keys
constexpr int THREADS = 128;  // a block
constexpr int WARPS = 4;
constexpr int QUERIES = 16;   // a warp
constexpr int LOADS = 4;      // of 16 bytes a lane in a piece
constexpr float LOG2E = 1.44269504f;
constexpr float LN2 = 0.693147181f;

struct Arguments {
    const half* q;          // [T][heads][DP]
    const half* k_pool;     // [page][kv_heads][PAGE][DP]
    const half* v_pool;     // [page][kv_heads][DP][PAGE]
    const int* page_table;  // page of tokens 256·i ..
    const int* positions;   // [T]
    int T, heads, kv_heads;
    float scale, softcap;   // softcap 0 = none
    int window;             // 0 = none
    float* acc;             // [splits][T][heads][DP]: Σ e^(score − max)·value
    float* stats;           // [splits][T][heads][2]: max, Σ e^(score − max)
};

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ float exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float reciprocal(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/** Two floats as halves, `low` in the lower. */
__device__ __forceinline__ unsigned halves(float low, float high) {
    unsigned both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

/** The left operands of two products: 16 bytes of row g and of row g + 8. */
struct Left {
    uint4 first, second;

    static __device__ __forceinline__ Left of(const uint4& upper, const uint4& lower) {
        return {{upper.x, lower.x, upper.y, lower.y}, {upper.z, lower.z, upper.w, lower.w}};
    }
};

__device__ __forceinline__ void multiply(float (&sum)[4], const uint4& a, unsigned low, unsigned high) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(low), "r"(high));
}

/** sum += a·b, where b is 16 bytes of each column. */
__device__ __forceinline__ void multiply(float (&sum)[4], const Left& a, const uint4& b) {
    multiply(sum, a.first, b.x, b.y);
    multiply(sum, a.second, b.z, b.w);
}

/** Starts a copy of 16 bytes to shared memory. */
__device__ __forceinline__ void copy16(uint4* to, const uint4* from) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;"
                 :: "r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(__cvta_generic_to_global(from))
                 : "memory");
}

/** Closes a group of copies. */
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/** Waits for all of this thread's groups but the latest `PENDING`. */
template <int PENDING>
__device__ __forceinline__ void arrive() {
    asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
}

/** A lane's place in a tile of keys and values in half precision; a column of values is `PITCH` tokens long. */
template <int DP, int PITCH>
struct Place {
    const uint4 *keys, *values;

    /** Of the tile whose keys and values begin so. */
    __device__ __forceinline__ Place(const uint4* keys, const uint4* values, int g, int c)
        : keys(keys + ((8 * (g / 2) + g % 2) * (DP / 8) + c)), values(values + (g * (PITCH / 8) + c)) {}

    /** Goes on to the next tile of the page. */
    __device__ __forceinline__ void step() {
        keys += TILE * DP / 8;
        values += TILE / 8;
    }

    /** Makes load `number` the first of each piece. */
    __device__ __forceinline__ void shift(int number) {
        keys += number * (2 * DP / 8);
        values += number * PITCH;
    }

    /** Starts load 0..3 of piece 0..DP / 16 − 1. */
    __device__ __forceinline__ void load(int piece, int number, uint4* to) const {
        copy16(to, piece < DP / 32 ? keys + (number * (2 * DP / 8) + piece * 4)
                                   : values + ((piece - DP / 32) * LOADS + number) * PITCH);
    }
};

/** A lane's place in a tile of the pages. */
template <int DP>
__device__ __forceinline__ Place<DP, PAGE> in_page(const Arguments& a, int page, int kv_head, int tile, int g, int c) {
    const unsigned head = static_cast<unsigned>(page * a.kv_heads + kv_head) * (PAGE * DP / 8);
    const unsigned slot = tile % (PAGE / TILE) * TILE;
    return {reinterpret_cast<const uint4*>(a.k_pool) + (head + slot * (DP / 8)),
            reinterpret_cast<const uint4*>(a.v_pool) + (head + slot / 8), g, c};
}

/** A lane's place in slot `slot` of tiles that lie one behind the other: keys [32][DP], values [DP][32]. */
template <int DP>
__device__ __forceinline__ Place<DP, TILE> in_slot(const uint4* tiles, int slot, int g, int c) {
    const uint4* keys = tiles + slot * (codes::exact_bytes(DP) / 16);
    return {keys, keys + TILE * DP / 8, g, c};
}

/** Zeros in place of the values of keys after `last`, of eight from `key` on: what was never written might be NaN. */
__device__ __forceinline__ void clear(uint4* values, int key, int last) {
    auto kept = [last](int key) { return key < last ? 0xffffffffu : key == last ? 0xffffu : 0u; };
    const uint4 v = *values;
    *values = {v.x & kept(key), v.y & kept(key + 2), v.z & kept(key + 4), v.w & kept(key + 6)};
}

/** The keys a query sees: low .. low + count − 1. */
struct Range {
    int low, count;
};

/** Of a query at `position`; one that is not there stands at −1 and sees nothing. */
__device__ __forceinline__ Range seen(int position, int window) {
    const int low = window > 0 && position >= window ? position - window + 1 : 0;
    return {low, position + 1 - low};
}

/** Keys and values as codes, and the latest and the first of them in half precision. */
struct Stored {
    const char* pool;   // [page][kv_heads][tile]; page_table[−1] is the page whose tiles hold the first SINK tokens
    const half* recent; // [kv_heads][slots][keys [32][DP], values [DP][32]]: tile i of the text is in slot i % slots
    int slots;
};

/** Position of query `index` = token·G + head of the group, −1 beyond the last. */
__device__ __forceinline__ int position_of(const Arguments& a, int index) {
    const int group = a.heads / a.kv_heads;
    return index < a.T * group ? a.positions[index / group] : -1;
}

/** Row of query `index` in q, acc and stats: token·heads + head. */
__device__ __forceinline__ int row_of(const Arguments& a, int kv_head, int index) {
    const int group = a.heads / a.kv_heads;
    return index / group * a.heads + kv_head * group + index % group;
}

/** 16 bytes of a query as left operand; zeros beyond the last query. */
template <int DP>
__device__ __forceinline__ uint4 query(const Arguments& a, int kv_head, int index, int column) {
    if (index >= a.T * (a.heads / a.kv_heads)) return {0, 0, 0, 0};
    return *reinterpret_cast<const uint4*>(a.q + static_cast<size_t>(row_of(a, kv_head, index)) * DP + column);
}

/** The least of a warp's values. */
__device__ __forceinline__ int least(int value) {
#pragma unroll
    for (int step = 1; step < 32; step *= 2) value = min(value, __shfl_xor_sync(0xffffffff, value, step));
    return value;
}

__device__ __forceinline__ int greatest(int value) { return -least(-value); }

/** First and last key that any query sees, from the ranges of the lanes' queries. */
struct Extent {
    int first, last;

    __device__ __forceinline__ Extent(Range range)
        : first(least(range.count > 0 ? range.low : 0x7fffffff)), last(greatest(range.low + range.count - 1)) {}
};

/** From products to scores in powers of two: scaled, or capped by tanh(x) = 1 − 2 / (1 + e^2x). */
struct Score {
    float inner, outer;  // outer 0: not capped

    __device__ __forceinline__ Score(float scale, float softcap)
        : inner(softcap > 0 ? scale * reciprocal(softcap) * (2 * LOG2E) : scale * LOG2E),
          outer(softcap > 0 ? softcap * LOG2E : 0.0f) {}

    __device__ __forceinline__ void operator()(float (&s)[4][4]) const {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                s[n][e] *= inner;
                if (outer > 0) s[n][e] = outer * __fmaf_rn(-2.0f, reciprocal(1.0f + exp2(s[n][e])), 1.0f);
            }
        }
    }
};

/** Running softmax of two queries, rows g and g + 8; `sum` is over the lane's own keys until `finish`. */
struct Softmax {
    static __device__ __forceinline__ Left packed(const float (&s)[4][4]) {
        return {{halves(s[0][0], s[0][1]), halves(s[0][2], s[0][3]), halves(s[1][0], s[1][1]),
                 halves(s[1][2], s[1][3])},
                {halves(s[2][0], s[2][1]), halves(s[2][2], s[2][3]), halves(s[3][0], s[3][1]),
                 halves(s[3][2], s[3][3])}};
    }

    float maximum[2] = {-infinity(), -infinity()};
    float sum[2] = {0.0f, 0.0f};

    /** Turns the scores of a tile into weights in halves, and says by what earlier sums are to be multiplied. */
    __device__ __forceinline__ void add(float (&s)[4][4], float (&factor)[2], Left& weights) {
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            float peak = maximum[row];
#pragma unroll
            for (int n = 0; n < 4; ++n) peak = fmaxf(peak, fmaxf(s[n][2 * row], s[n][2 * row + 1]));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffff, peak, 1));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffff, peak, 2));
            const float base = peak == -infinity() ? 0.0f : peak;  // −∞ − −∞ is no number
            factor[row] = exp2(maximum[row] - base);
            float total = 0.0f;
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                s[n][2 * row] = exp2(s[n][2 * row] - base);
                s[n][2 * row + 1] = exp2(s[n][2 * row + 1] - base);
                total += s[n][2 * row] + s[n][2 * row + 1];
            }
            sum[row] = __fmaf_rn(sum[row], factor[row], total);
            maximum[row] = peak;
        }
        weights = packed(s);
    }

    /** The same for values that have scales: the products of weights and scales are what becomes halves, at most
        about 1 each, so that neither is lost; `maximum` is that of the products then. */
    __device__ __forceinline__ void add(float (&s)[4][4], const codes::Scales& scales, float (&factor)[2],
                                        Left& weights) {
        float logs[8];
#pragma unroll
        for (int m = 0; m < 8; ++m) logs[m] = scales.log(m);
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            float peak = maximum[row];
#pragma unroll
            for (int n = 0; n < 4; ++n)
                peak = fmaxf(peak, fmaxf(s[n][2 * row] + logs[2 * n], s[n][2 * row + 1] + logs[2 * n + 1]));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffff, peak, 1));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffff, peak, 2));
            const float base = peak == -infinity() ? 0.0f : peak;  // −∞ − −∞ is no number
            factor[row] = exp2(maximum[row] - base);
            float total = 0.0f;
#pragma unroll
            for (int n = 0; n < 4; ++n) {
#pragma unroll
                for (int e = 0; e < 2; ++e) {
                    const float weight = exp2(s[n][2 * row + e] - base);
                    total += weight;
                    s[n][2 * row + e] = weight * scales(2 * n + e);
                }
            }
            sum[row] = __fmaf_rn(sum[row], factor[row], total);
            maximum[row] = peak;
        }
        weights = packed(s);
    }

    /** Adds up the sums of the four lanes of a query. */
    __device__ __forceinline__ void finish() {
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            sum[row] += __shfl_xor_sync(0xffffffff, sum[row], 1);
            sum[row] += __shfl_xor_sync(0xffffffff, sum[row], 2);
        }
    }
};

/** Scores of the tile at `key`, −∞ where a query does not see the key. */
__device__ __forceinline__ void mask(float (&s)[4][4], const Range (&range)[2], int key, int c) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const Range r = range[e / 2];
            const unsigned place = static_cast<unsigned>(key + 8 * c + 2 * n + e % 2 - r.low);
            if (place >= static_cast<unsigned>(r.count)) s[n][e] = -infinity();
        }
    }
}

/** Multiplies earlier sums by the factors of their rows. */
template <int N>
__device__ __forceinline__ void scale(float (&sums)[N][4], const float (&factor)[2]) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[i][e] *= factor[e / 2];
    }
}

// --- codes ----------------------------------------------------------------------------------------

/** The first key from which on a query at `position` reads half precision; `from`: none before is there. */
__device__ __forceinline__ int exact_from(int position, int from) {
    return max(max(position / codes::BLOCK * codes::BLOCK - codes::BLOCK, from), codes::SINK);
}

/** Of the keys that a query sees, those from `low` on and before `end`. */
__device__ __forceinline__ Range within(Range range, int low, int end) {
    const int first = max(range.low, low), count = min(range.low + range.count, end) - first;
    return count > 0 ? Range{first, count} : Range{0, 0};
}

/** Of the keys that a query sees: those that it reads as codes, those of the sink, and the latest. */
__device__ __forceinline__ Range of_codes(int position, int window, int from) {
    return within(seen(position, window), codes::SINK, exact_from(position, from));
}

__device__ __forceinline__ Range of_sink(int position, int window) {
    return within(seen(position, window), 0, codes::SINK);
}

__device__ __forceinline__ Range of_latest(int position, int window, int from) {
    return within(seen(position, window), exact_from(position, from), position + 1);
}

/** The tile of a key; −1 for none. */
__device__ __forceinline__ int tile_of(int key) { return key < 0 ? -1 : key / TILE; }

/** From products with codes to weights of the tile at `key`, whose keys and values have scales. */
template <int N>
__device__ __forceinline__ void weigh(float (&s)[4][4], const codes::Scales& of_keys, const codes::Scales& of_values,
                                      const Range (&range)[2], int key, int c, const Score& score, Softmax& softmax,
                                      float (&mixed)[N][4], Left& weights) {
#pragma unroll
    for (int m = 0; m < 8; ++m) {
        const float scale = of_keys(m, codes::UP);
        s[m / 2][m % 2] *= scale;
        s[m / 2][2 + m % 2] *= scale;
    }
    score(s);
    mask(s, range, key, c);
    float factor[2];
    softmax.add(s, of_values, factor, weights);
    if (__any_sync(0xffffffff, factor[0] != 1.0f || factor[1] != 1.0f)) scale(mixed, factor);
}

/** Sums over codes become sums over what they stand for. */
template <int N>
__device__ __forceinline__ void whole(float (&mixed)[N][4]) {
    constexpr float UNIT = 1 << codes::UP;
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
        for (int e = 0; e < 4; ++e) mixed[i][e] *= UNIT;
    }
}

}  // namespace attend
