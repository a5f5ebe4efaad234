// The next token of each row of logits: the largest, or one drawn as tzcore/engine/sampler.py draws (its penalties
// apart): temperature, top_k, top_p, min_p, draw.
//
// Grid (T), 1024 threads.  Ids from `allowed` on are never chosen.  temperature 0: the largest, the lowest id among equals.
// A row whose largest is no finite number gives token -1.
//
// Ids are ordered by logit, the lower id first among equals, as one 64-bit *place*; top_k and top_p keep a first part of
// that order.  Weights e^((logit - largest)/temperature) are added as integers, in units of 2^-44: any order of adding
// gives the same sum, so that nothing depends on how the work is shared out.  The draw takes the id, in ascending
// order among the kept, into whose share uniform·(sum of the kept) falls.
//
// The largest of each of 1024 stripes of ids bound the want-th largest of all from below, which leaves few ids to look
// at (`near`); they are ranked by counting.  Where they do not suffice (a wide nucleus, a large top_k, ties without end)
// the last place kept is searched for two bits at a time over the whole row, in a fixed number of passes.
//
// By arithmetic at 1.7 GHz and V = 128256, one token: a pass over the row is 0.5 MB through one multiprocessor at
// 64 bytes a cycle, 4.7 µs.  Largest: 6.5 µs with the launch in a graph; top_k 40: one pass, the bound 0.9, near ids
// 2, ranks 0.7: 10 µs; top_p alone: 15; neither: two passes, 12; the search: 26 passes a filter, 140.

#include "block.cuh"
#include "order.cuh"

typedef unsigned long long u64;

constexpr int THREADS = 1024;
constexpr int NEAR = THREADS;   // ids that are ranked by counting, one a thread
constexpr int WANTED = 128;     // of the largest, where top_p alone decides how many
constexpr float UNITS = 17592186044416.0f; // 2^44: 2^20 ids of the largest weight are less than 2^64

__device__ __forceinline__ u64 larger(u64 a, u64 b) { return a > b ? a : b; }

// Over the block; two barriers, after which `scratch` [32] is free again.
template <class Join>
__device__ __forceinline__ u64 joined(u64 value, u64* scratch, Join join) {
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value = join(value, __shfl_xor_sync(~0u, value, step));
    __syncthreads();
    if (lane == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    value = scratch[lane];
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value = join(value, __shfl_xor_sync(~0u, value, step));
    return value;
}

__device__ __forceinline__ u64 total(u64 value, u64* scratch) {
    return joined(value, scratch, [](u64 a, u64 b) { return a + b; });
}

// A fraction in [0, 1] of a whole, rounded down.
__device__ __forceinline__ u64 share(float fraction, u64 whole) {
    return __umul64hi(whole, __float2ull_rz(fraction * 18446744073709551616.0f)); // 1 becomes 2^64 - 1
}

__device__ __forceinline__ u64 place_of(float logit, int id) { return static_cast<u64>(order(logit)) << 32 | ~static_cast<unsigned>(id); }

__device__ __forceinline__ int id_at(u64 place) { return ~static_cast<unsigned>(place); }

// One row, and who of it is kept: places from `last` on, weights from `lightest` on.
struct Row {
    const float* logits;
    int allowed;
    float top, temperature;
    u64 last;
    float lightest;

    __device__ __forceinline__ float weight(float logit) const { return expf(__fdiv_rn(logit - top, temperature)); }

    __device__ __forceinline__ u64 mass(float logit) const { return __float2ull_rn(weight(logit) * UNITS); }

    __device__ __forceinline__ u64 mass_if_kept(int id) const {
        float logit = logits[id], weighs = weight(logit);
        return place_of(logit, id) >= last && weighs >= lightest ? __float2ull_rn(weighs * UNITS) : 0;
    }
};

// The last place such that those from it on are `needed` in number, or weigh so much (`by_mass`).
__device__ u64 search(const Row& row, u64 needed, bool by_mass, u64* scratch) {
    int id_bits = (33 - __clz(row.allowed)) / 2 * 2;
    u64 found = 0;
    for (int shift = 62; shift >= 0; shift -= 2) {
        if (shift == 30) { // the same logit: now the ids, whose upper bits are all 0
            found |= 0xffffffffu >> id_bits << id_bits;
            shift = id_bits - 2;
        }
        u64 step = 1ull << shift, sums[3] = {0, 0, 0};
        for (int id = threadIdx.x; id < row.allowed; id += THREADS) {
            float logit = row.logits[id];
            u64 place = place_of(logit, id);
            if (place < found + step) continue;
            u64 value = by_mass ? row.mass(logit) : 1;
            sums[0] += value;
            if (place >= found + 2 * step) sums[1] += value;
            if (place >= found + 3 * step) sums[2] += value;
        }
        int digit = 0;
#pragma unroll
        for (int d = 0; d < 3; ++d) digit += total(sums[d], scratch) >= needed;
        found += digit * step;
    }
    return found;
}

// The id drawn among the kept: ids are cut into 32 runs, a warp each, and the run that has it again.
__device__ int draw(const Row& row, float uniform, u64* scratch) {
    int first = 0, count = row.allowed, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    u64 target = 0;
    for (bool begun = false; !begun || count > 1; begun = true) {
        int span = (count + WARP - 1) / WARP, end = first + count;
        int from = min(first + warp * span, end), to = min(from + span, end);
        u64 sum = 0;
#pragma unroll 4
        for (int id = from + lane; id < to; id += WARP) sum += row.mass_if_kept(id);
#pragma unroll
        for (int step = WARP / 2; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
        __syncthreads();
        if (lane == 0) scratch[warp] = sum;
        __syncthreads();
        if (!begun) {
            u64 whole = 0;
            for (int run = 0; run < WARP; ++run) whole += scratch[run];
            target = share(uniform, whole);
        }
        int run = 0;
        for (; run < WARP - 1 && target >= scratch[run]; ++run) target -= scratch[run];
        first = min(first + run * span, end - 1);
        count = min(span, end - first);
    }
    return first;
}

extern "C" __global__ void __launch_bounds__(THREADS)
choose(const float* logits, int V, int allowed, float temperature, int top_k, float top_p, float min_p, const float* uniform,
       int* token) {
    __shared__ u64 near[NEAR], masses[NEAR], scratch[WARP];
    __shared__ int near_count;

    logits += static_cast<size_t>(blockIdx.x) * V;
    token += blockIdx.x;
    if (threadIdx.x == 0) near_count = 0;

    u64 best = 0; // of this thread's stripe
#pragma unroll 8
    for (int id = threadIdx.x; id < allowed; id += THREADS) best = larger(best, place_of(logits[id], id));
    u64 first = joined(best, scratch, larger);
    float top = ordered(first >> 32);
    if (!(fabsf(top) < __int_as_float(0x7f800000)) || temperature == 0.0f) { // order 0, of no id at all, is a NaN too
        if (threadIdx.x == 0) *token = fabsf(top) < __int_as_float(0x7f800000) ? id_at(first) : -1;
        return;
    }

    bool limited = 0 < top_k && top_k < allowed, nucleus = top_p < 1.0f;
    Row row = {logits, allowed, top, fmaxf(temperature, 1e-30f), 0, min_p};
    int want = limited ? top_k : WANTED;
    bool few = (limited || nucleus) && want <= NEAR;
    if (few) {
        u64 bound = 0; // the want-th largest of the stripes' largest: 32 bits of logit suffice
        for (int bit = 31; bit >= 0; --bit) {
            u64 higher = bound | 1ull << (bit + 32);
            if (__syncthreads_count(best >= higher) >= want) bound = higher;
        }
        // A warp looks through the stripes of its threads that reach the bound, one after the other.
        int lane = threadIdx.x % WARP;
        for (unsigned reaching = __ballot_sync(~0u, best >= bound); reaching; reaching &= reaching - 1) {
            int stripe = threadIdx.x - lane + __ffs(reaching) - 1;
            for (int id = stripe + lane * THREADS; id < allowed; id += WARP * THREADS) {
                float logit = logits[id];
                u64 place = place_of(logit, id);
                if (place < bound) continue;
                int at = atomicAdd(&near_count, 1);
                if (at < NEAR) near[at] = place, masses[at] = row.mass(logit);
            }
        }
        __syncthreads();
        few = near_count <= NEAR;
    }
    if (few) {
        int count = near_count, i = threadIdx.x, rank = 0;
        u64 mine = i < count ? near[i] : 0, mass = i < count ? masses[i] : 0, above = 0;
        if (i < count) {
            for (int j = 0; j < count; ++j) {
                bool before = near[j] > mine;
                rank += before;
                above += before ? masses[j] : 0;
            }
        }
        bool kept = i < count && !(limited && rank >= top_k);
        if (nucleus) {
            u64 reached = total(kept ? mass : 0, scratch), whole = reached;
            if (!limited) {
                u64 sum = 0;
#pragma unroll 4
                for (int id = threadIdx.x; id < allowed; id += THREADS) sum += row.mass(logits[id]);
                whole = total(sum, scratch);
            }
            u64 needed = larger(1, share(top_p, whole));
            few = reached >= needed;
            kept = kept && above < needed;
        }
        if (few) {
            __syncthreads(); // masses are being read above
            if (i < count && !(kept && row.weight(ordered(mine >> 32)) >= min_p)) masses[i] = mass = 0;
            u64 target = share(uniform[blockIdx.x], total(mass, scratch)), before = 0;
            if (mass) {
                for (int j = 0; j < count; ++j) before += id_at(near[j]) < id_at(mine) ? masses[j] : 0;
                if (before <= target && target - before < mass) *token = id_at(mine);
            }
            return;
        }
    }
    if (limited) row.last = search(row, top_k, false, scratch);
    if (nucleus) {
        u64 sum = 0;
        for (int id = threadIdx.x; id < allowed; id += THREADS)
            if (place_of(logits[id], id) >= row.last) sum += row.mass(logits[id]);
        row.last = larger(row.last, search(row, larger(1, share(top_p, total(sum, scratch))), true, scratch));
    }
    int drawn = draw(row, uniform[blockIdx.x], scratch);
    if (threadIdx.x == 0) *token = drawn;
}
