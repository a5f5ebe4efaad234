// Products of a quantised matrix with up to eight prepared inputs, at the speed of memory.
//
// One warp makes one tile of 16 rows and one split of the columns, alone: no shared memory, no barriers.
// The eight columns of the mma are eight tokens; with fewer, the others are zero.  Integer sums are exact,
// and a group's is scaled and added in the same order for any number of tokens, so that one token gives
// the bits that it gives among eight.
//
// Codes come through a ring in shared memory: 4 KB a warp are under way, 48 KB a processor with 12
// resident warps, where the fastest memory (4.8 TB/s on 132 processors, 0.7 µs) needs 25 KB.  The input
// comes through the first-level cache, which the blocks of a processor share.
#pragma once
#include "factors.cuh"
#include "fragments.cuh"

// Where a lane reads: everything that belongs to one kblock, moved along with it.  Lanes of tokens that do
// not exist read the last one's input; what they make of it is not written.
template <int GROUP, bool ONE>
struct Place {
    const s8* codes;                  // of token g, at the lane's 16 bytes
    const Factors *factors, *more;    // of tokens 2c, 2c+1
    const u32* row_scales;            // half pairs (rows g, g+8), one every 8

    __device__ __forceinline__ void advance(int blocks) {
        codes += blocks * KBLOCK;
        factors += blocks * (KBLOCK / GROUP);
        if (!ONE) more += blocks * (KBLOCK / GROUP);
        row_scales += blocks * (KBLOCK / GROUP) * 8;
    }

    __device__ __forceinline__ uint4 quads(int kblock, int half) const {
        return __ldg(reinterpret_cast<const uint4*>(codes + kblock * KBLOCK + half * 64));
    }
};

template <int GROUP, bool ONE>
struct Sums {
    float total[4] = {0, 0, 0, 0};  // rows g, g, g+8, g+8 of tokens 2c, 2c+1, 2c, 2c+1

    // Add a group's integer sums, less what the zero of the codes put in.
    __device__ __forceinline__ void add(const int (&acc)[4], int zero, const Place<GROUP, ONE>& at, int group) {
        u32 pair = __ldg(at.row_scales + group * 8);
        float upper = widen(u16(pair)), lower = widen(u16(pair >> 16));
        one(acc[0], acc[2], total[0], total[2], zero, at.factors + group, upper, lower);
        if (!ONE) one(acc[1], acc[3], total[1], total[3], zero, at.more + group, upper, lower);
    }

    static __device__ __forceinline__ void one(int a, int b, float& first, float& second, int zero,
                                               const Factors* factors, float upper, float lower) {
        float2 pair = __ldg(reinterpret_cast<const float2*>(factors));
        int sum = __float_as_int(pair.y);
        first = __fmaf_rn(__fmul_rn(__int2float_rn(a - zero * sum), pair.x), upper, first);
        second = __fmaf_rn(__fmul_rn(__int2float_rn(b - zero * sum), pair.x), lower, second);
    }
};

// Integer sums of one step: acc[kblock·(128/GROUP) + group in it].
template <Kind KIND, int GROUP, bool ONE>
struct Step {
    static constexpr int PER = KBLOCK / GROUP;
    static constexpr int GROUPS = kblocks(KIND) * PER;
    int acc[GROUPS][4] = {};

    __device__ __forceinline__ void multiply(const uint4 (&w)[parts(KIND)], const Place<GROUP, ONE>& in, int kblock) {
        if constexpr (KIND == BASE3 || KIND == BASE9) {
            base3(w, in, kblock);
        } else {
            uint4 b[2] = {in.quads(kblock, 0), in.quads(kblock, 1)};
            if constexpr (KIND == SLOTS2) slots2(w[0], b);
            if constexpr (KIND == SLOTS4) slots4(w, b);
            if constexpr (KIND == SLOTS8) {
#pragma unroll
                for (int s = 0; s < 4; s++) multiply_signed(acc[group(s)], w[s], low(b, s), high(b, s));
            }
        }
    }

    static __device__ __forceinline__ constexpr int group(int s) { return PER == 2 ? s / 2 : 0; }
    static __device__ __forceinline__ u32 low(const uint4 (&b)[2], int s) { return s % 2 ? b[s / 2].z : b[s / 2].x; }
    static __device__ __forceinline__ u32 high(const uint4 (&b)[2], int s) { return s % 2 ? b[s / 2].w : b[s / 2].y; }

    // The odd products are left where they are, four times as large, and divided after they are summed.
    __device__ __forceinline__ void slots2(uint4 w, const uint4 (&b)[2]) {
        uint4 upper = shifted(w, 4);
        multiply_unsigned(acc[group(1)], masked(w, 0x0c0c0c0cu), low(b, 1), high(b, 1));
        multiply_unsigned(acc[group(3)], masked(upper, 0x0c0c0c0cu), low(b, 3), high(b, 3));
#pragma unroll
        for (int i = 0; i < PER; i++)
#pragma unroll
            for (int j = 0; j < 4; j += ONE ? 2 : 1) acc[i][j] >>= 2;
        multiply_unsigned(acc[group(0)], masked(w, 0x03030303u), low(b, 0), high(b, 0));
        multiply_unsigned(acc[group(2)], masked(upper, 0x03030303u), low(b, 2), high(b, 2));
    }

    __device__ __forceinline__ void slots4(const uint4 (&w)[2], const uint4 (&b)[2]) {
        int* top = acc[group(2)];
#pragma unroll
        for (int h = 0; h < 2; h++)
            multiply_unsigned(acc[group(2)], masked(w[h], 0xf0f0f0f0u), low(b, h + 2), high(b, h + 2));
#pragma unroll
        for (int j = 0; j < 4; j += ONE ? 2 : 1) top[j] >>= 4;
#pragma unroll
        for (int h = 0; h < 2; h++) multiply_unsigned(acc[group(h)], masked(w[h], 0x0f0f0f0fu), low(b, h), high(b, h));
    }

    // Σ tᵢ·a = Σ Vᵢ·a − 3·Σ Vᵢ₋₁·a: the tensor cores, which have time, subtract in place of the multipliers.
    __device__ __forceinline__ void base3(const uint4 (&w)[parts(KIND)], const Place<GROUP, ONE>& in, int kblock) {
        int before[GROUPS][4] = {};
#pragma unroll
        for (int plane = 0; plane < parts(KIND) / 4; plane++) {
            if (plane == 1) {
#pragma unroll
                for (int i = 0; i < GROUPS; i++)
#pragma unroll
                    for (int j = 0; j < 4; j += ONE ? 2 : 1) acc[i][j] *= 3, before[i][j] *= 3;
            }
#pragma unroll
            for (int half = 0; half < 2; half++) {
                Trits t[2][4];
                uint4 last[2];
#pragma unroll
                for (int odd = 0; odd < 2; odd++) {
                    uint4 bytes = w[4 * plane + 2 * half + odd];
                    t[odd][0].begin(bytes.x), t[odd][1].begin(bytes.y), t[odd][2].begin(bytes.z), t[odd][3].begin(bytes.w);
                }
#pragma unroll
                for (int i = 0; i < 5; i++) {
                    uint4 b = in.quads(kblock + i, half);
                    int group = i * PER + (PER == 2 ? half : 0);
#pragma unroll
                    for (int odd = 0; odd < 2; odd++) {
                        uint4 a = make_uint4(t[odd][0].next(), t[odd][1].next(), t[odd][2].next(), t[odd][3].next());
                        multiply_unsigned(acc[group], a, odd ? b.z : b.x, odd ? b.w : b.y);
                        if (i) multiply_unsigned(before[group], last[odd], odd ? b.z : b.x, odd ? b.w : b.y);
                        last[odd] = a;
                    }
                }
            }
        }
#pragma unroll
        for (int i = PER; i < GROUPS; i++)
#pragma unroll
            for (int j = 0; j < 4; j += ONE ? 2 : 1) acc[i][j] -= 3 * before[i][j];
    }
};

template <Kind KIND, int STEPS, int GROUP, bool ONE>
__device__ __forceinline__ void multiply(Sums<GROUP, ONE>& sums, const uint4 (&w)[STEPS][parts(KIND)],
                                         Place<GROUP, ONE>& at, int zero) {
#pragma unroll
    for (int u = 0; u < STEPS; u++) {
        Step<KIND, GROUP, ONE> step;
        step.multiply(w[u], at, u * kblocks(KIND));
#pragma unroll
        for (int i = 0; i < step.GROUPS; i++) sums.add(step.acc[i], zero, at, u * step.GROUPS + i);
    }
    at.advance(STEPS * kblocks(KIND));
}

// A lane's own ring of batches in shared memory: it reads what it copied itself, so that nothing but the end of
// the copy is waited for.
template <Kind KIND, bool ONE>
struct Ring {
    static constexpr int P = parts(KIND);
    static constexpr int STEPS = kblocks(KIND) > 1 ? 1 : (ONE ? 8 : 4) / P > 0 ? (ONE ? 8 : 4) / P : 1;
    static constexpr int WORDS = STEPS * P, BATCHES = WORDS > 4 ? 2 : 3;
    static constexpr int SIZE = BATCHES * WORDS * 32;  // uint4 a warp
    u32 begin, full, free;  // the lane's first batch, the next to read, the next to fill

    __device__ __forceinline__ explicit Ring(u32 at) : begin(at), full(at), free(at) {}

    __device__ __forceinline__ void step(u32& batch) const {
        batch = batch == begin + (BATCHES - 1) * WORDS * 512 ? begin : batch + WORDS * 512;
    }

    // Begin to copy the next ``count`` steps, at most a batch.
    __device__ __forceinline__ void fetch(const uint4* from, int count) {
        if (count >= STEPS) {
#pragma unroll
            for (int i = 0; i < WORDS; i++) copy_async(free + i * 512, from + i * 32);
        } else {
#pragma unroll 1
            for (int i = 0; i < count * P; i++) copy_async(free + i * 512, from + i * 32);
        }
        seal_copies();
        step(free);
    }

    __device__ __forceinline__ void read(uint4 (&to)[P], int number) const {
#pragma unroll
        for (int p = 0; p < P; p++) to[p] = load_shared(full + (number * P + p) * 512);
    }
};

template <Kind KIND, int GROUP, bool ONE>
__device__ __forceinline__ void multiply(Sums<GROUP, ONE>& sums, const Ring<KIND, ONE>& ring,
                                         const Place<GROUP, ONE>& at, int zero, int number) {
    uint4 w[parts(KIND)];
    ring.read(w, number);
    Step<KIND, GROUP, ONE> step;
    step.multiply(w, at, number * kblocks(KIND));
#pragma unroll
    for (int i = 0; i < step.GROUPS; i++) sums.add(step.acc[i], zero, at, number * step.GROUPS + i);
}

// ``steps`` steps of a tile from ``codes`` (the lane's part of the first of them) and ``at`` on.
template <Kind KIND, int GROUP, bool ONE>
__device__ __forceinline__ void walk(Sums<GROUP, ONE>& sums, const uint4* codes, Place<GROUP, ONE>& at, int zero,
                                     int steps, u32 shared) {
    Ring<KIND, ONE> ring(shared);
    int ahead = steps;  // steps not asked for yet
#pragma unroll
    for (int batch = 0; batch < ring.BATCHES - 1; batch++, ahead -= ring.STEPS, codes += ring.WORDS * 32)
        ring.fetch(codes, ahead);
    for (; steps >= ring.STEPS; steps -= ring.STEPS, ahead -= ring.STEPS, codes += ring.WORDS * 32) {
        await_copies<ring.BATCHES - 2>();
        ring.fetch(codes, ahead);
#pragma unroll
        for (int number = 0; number < ring.STEPS; number++) multiply<KIND>(sums, ring, at, zero, number);
        at.advance(ring.STEPS * kblocks(KIND));
        ring.step(ring.full);
    }
    if constexpr (ring.STEPS > 1) {
        await_copies<0>();
#pragma unroll 1
        for (; steps > 0; steps--) {
            multiply<KIND>(sums, ring, at, zero, 0);
            at.advance(kblocks(KIND));
            ring.full += ring.P * 512;
        }
    }
}

// One matrix on the card, by its place.
struct Matrix {
    const uint4* codes;
    const u32* scales;   // half pairs (rows g, g+8): [tile][group][8]
    const float* gains;  // one a tile
};

// out [split][split_size / stride][stride], of which this matrix writes columns ``column`` … ``column + rows − 1``
// of the first ``tokens`` rows.
template <Kind KIND, int GROUP, bool ONE>
__device__ __forceinline__ void product_few(const Matrix& matrix, const s8* codes, const Factors* factors, float* out, int tile, int rows, int steps,
                                            int tail, int zero, int tokens, long long split_size,
                                            int stride, int column) {
    constexpr Kind TAIL = tail_kind(KIND);
    constexpr int MAIN_SIZE = Ring<KIND, ONE>::SIZE, TAIL_SIZE = Ring<TAIL, ONE>::SIZE;
    __shared__ uint4 rings[4][MAIN_SIZE > TAIL_SIZE ? MAIN_SIZE : TAIL_SIZE];
    u32 ring = shared_address(rings[threadIdx.x / 32] + threadIdx.x % 32);
    int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    int split = blockIdx.y, splits = gridDim.y;
    int blocks = steps * kblocks(KIND) + tail, groups = blocks * (KBLOCK / GROUP);
    int token = min(g, tokens - 1), first = min(2 * c, tokens - 1), second = min(2 * c + 1, tokens - 1);
    int begin = int((long long)steps * split / splits), end = int((long long)steps * (split + 1) / splits);
    Place<GROUP, ONE> at = {codes + (long long)token * blocks * KBLOCK + 16 * c,
                            factors + first * groups, factors + second * groups,
                            matrix.scales + (long long)tile * groups * 8 + g};
    at.advance(begin * kblocks(KIND));
    const uint4* mine = matrix.codes + (long long)tile * (steps * parts(KIND) + tail * parts(TAIL)) * 32 + lane;
    Sums<GROUP, ONE> total;
    walk<KIND>(total, mine + begin * parts(KIND) * 32, at, zero, end - begin, ring);
    if constexpr (TAIL != KIND)
        if (tail && split == splits - 1)
            walk<TAIL>(total, mine + steps * parts(KIND) * 32, at, zero, tail, ring);

    float gain = __ldg(matrix.gains + tile);
    int row = tile * 16 + g;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (ONE && j % 2) continue;
        int t = 2 * c + j % 2, r = row + 8 * (j / 2);
        if (t < tokens && r < rows)
            out[split * split_size + (long long)t * stride + column + r] = __fmul_rn(total.total[j], gain);
    }
}

// Resident blocks that the compiler makes room for: it spills where it is left to guess.
constexpr int resident(Kind kind, int group) { return kind == BASE9 || (kind == BASE3 && group == 64) ? 2 : 3; }

// The kernel product_few_NAME_gGROUP_mM: grid (tiles / 4 rounded up, splits), 128 threads.
#define FEW(NAME, KIND, GROUP, M)                                                                                   \
    extern "C" __global__ void __launch_bounds__(128, resident(KIND, GROUP)) product_few_##NAME##_g##GROUP##_m##M(  \
        const uint4* __restrict__ codes, const u32* __restrict__ scales, const float* __restrict__ gains,           \
        const s8* __restrict__ in_codes, const Factors* __restrict__ in_factors, float* __restrict__ out, int rows, \
        int steps, int tail, int zero, int tokens, int stride, int column) {                                        \
        int tile = blockIdx.x * 4 + threadIdx.x / 32;                                                               \
        if (tile * 16 >= rows) return;                                                                              \
        product_few<KIND, GROUP, M == 1>({codes, scales, gains}, in_codes, in_factors, out, tile, rows, steps,      \
                                         tail, zero, tokens, (long long)tokens * stride, stride, column);           \
    }

#define FEW_ALL(NAME, KIND) \
    FEW(NAME, KIND, 64, 1)  \
    FEW(NAME, KIND, 64, 8)  \
    FEW(NAME, KIND, 128, 1) \
    FEW(NAME, KIND, 128, 8)

// The kernel product_routed_NAME_gGROUP, for layers of experts: grid (tiles / 4, splits, slots), a slot being one of
// the ``active`` experts of a token.  ``experts`` holds the Matrix of each; one without codes is another kernel's.
// The input of slot z is row z where ``own``, else row z / active.
#define ROUTED(NAME, KIND, GROUP)                                                                                   \
    extern "C" __global__ void __launch_bounds__(128, resident(KIND, GROUP)) product_routed_##NAME##_g##GROUP(      \
        const Matrix* __restrict__ experts, const int* __restrict__ chosen, const s8* __restrict__ in_codes,        \
        const Factors* __restrict__ in_factors, float* __restrict__ out, int rows, int steps, int tail, int zero,   \
        int active, int own, int stride, int column) {                                                              \
        int tile = blockIdx.x * 4 + threadIdx.x / 32, slot = blockIdx.z;                                            \
        Matrix matrix = experts[chosen[slot]];                                                                      \
        if (tile * 16 >= rows || !matrix.codes) return;                                                             \
        long long row = own ? slot : slot / active, blocks = steps * kblocks(KIND) + tail;                          \
        product_few<KIND, GROUP, true>(matrix, in_codes + row * blocks * KBLOCK,                                    \
                                       in_factors + row * blocks * (KBLOCK / GROUP),                                \
                                       out + (long long)slot * stride, tile, rows, steps, tail, zero, 1,            \
                                       (long long)gridDim.z * stride, stride, column);                              \
    }
