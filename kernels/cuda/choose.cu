// The next token of each row of logits: the largest, or one drawn as tzcore/engine/sampler.py draws (its penalties
// apart): temperature, top_k, top_p, min_p, draw.
//
// Grid (T), 1024 threads.  Ids from `allowed` on are never chosen.  temperature 0: the largest, the lowest id among
// equals. A row whose largest is no finite number gives token -1.
//
// Ids have an order, by logit and the lower id first among equals, of which top_k and top_p keep a first part.
// Weights e^((logit - largest)/temperature) are added as integers, in units of 2^-44: any order of adding gives the
// same sum, so that nothing depends on how the work is shared out.  The draw takes the id, in ascending order among
// the kept, into whose share uniform·(sum of the kept) falls.
//
// The largest of each of 1024 stripes of ids bound the want-th largest of all from below, which leaves few ids to
// look at (`near`); they are ranked by counting.  Where they do not suffice (a wide nucleus, a large top_k, ties
// without end) the last one kept is searched for over the whole row, in a fixed number of passes.
//
// By arithmetic at 1.7 GHz and V = 128256, one token, launch in a graph (1 µs) included: a pass over the row is 0.5
// MB through one multiprocessor, 4.7 µs at 64 bytes a cycle; beside that 4008 warps' instructions at 4 a cycle, 10
// for the largest (5.9 µs) and 38 where weights are added (22 µs).  Largest: 7 µs; top_k 40: 10; neither top_k nor
// top_p: 30; top_p alone: 25, or with more than some 130 ids (the search) 170.

#include "block.cuh"
#include "order.cuh"

typedef unsigned long long u64;

constexpr int THREADS = 1024;
constexpr int NEAR = THREADS; // ids that are ranked by counting, one a thread
constexpr int WANTED = 128;   // of the largest, where top_p alone decides how many

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

__device__ __forceinline__ u64 largest(u64 value, u64* scratch) {
    return joined(value, scratch, [](u64 a, u64 b) { return a > b ? a : b; });
}

// A fraction in [0, 1] of a whole, rounded down.
__device__ __forceinline__ u64 share(float fraction, u64 whole) {
    return __umul64hi(whole, __float2ull_rz(fraction * 18446744073709551616.0f)); // 1 becomes 2^64 - 1
}

// Where an id stands: higher is earlier.
__device__ __forceinline__ u64 standing(float logit, int id) {
    return static_cast<u64>(order(logit)) << 32 | ~static_cast<unsigned>(id);
}

__device__ __forceinline__ int id_at(u64 standing) { return ~static_cast<unsigned>(standing); }

__device__ __forceinline__ float logit_at(u64 standing) { return ordered(standing >> 32); }

// One row, and who of it is kept: up to the logit `last`, and with that logit up to `last_id`; of weights from
// `lightest` on.
struct Row {
    const float* logits;
    int allowed;
    float top, steepness; // log2(e)/temperature
    float last, lightest;
    int last_id;

    __device__ __forceinline__ float weight(float logit) const {
        float w;
        asm("ex2.approx.f32 %0, %1;" : "=f"(w) : "f"((logit - top) * steepness));
        return w;
    }

    // A weight in units of 2^-44, rounded down; 2^20 ids of the largest weight are less than 2^64.  By shifts, as
    // conversions to 64 bits are slow on some cards.
    __device__ __forceinline__ static u64 units(float weight) {
        unsigned bits = __float_as_uint(weight), digits = bits & 0x7fffffu | 0x800000u;
        int exponent = static_cast<int>(bits >> 23) - 106; // 127 + 23 - 44
        return exponent >= 0 ? static_cast<u64>(digits) << exponent : digits >> min(-exponent, 31);
    }

    __device__ __forceinline__ u64 mass(float logit) const { return units(weight(logit)); }

    __device__ __forceinline__ bool before_end(float logit, int id) const {
        return logit > last || (logit == last && id <= last_id);
    }

    __device__ __forceinline__ u64 kept_mass(float logit, int id) const {
        float w = weight(logit);
        return before_end(logit, id) && w >= lightest ? units(w) : 0;
    }
};

// The id up to which, in ascending order, the values make up more than `target`(their sum): ids are cut into 32 runs, a
// warp each, and the run that has it again.
template <class Value, class Target>
__device__ __forceinline__ int descend(const Row& row, Value value, Target target, u64* scratch) {
    int first = 0, count = row.allowed, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    u64 left = 0;
    for (bool begun = false; !begun || count > 1; begun = true) {
        int span = (count + WARP - 1) / WARP, end = first + count;
        int from = min(first + warp * span, end), to = min(from + span, end);
        u64 sum = 0;
#pragma unroll 4
        for (int id = from + lane; id < to; id += WARP) sum += value(row.logits[id], id);
#pragma unroll
        for (int step = WARP / 2; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
        __syncthreads();
        if (lane == 0) scratch[warp] = sum;
        __syncthreads();
        if (!begun) {
            u64 whole = 0;
            for (int run = 0; run < WARP; ++run) whole += scratch[run];
            left = target(whole);
        }
        int run = 0;
        for (; run < WARP - 1 && left >= scratch[run]; ++run) left -= scratch[run];
        first = min(first + run * span, end - 1);
        count = min(span, end - first);
    }
    return first;
}

// Lets the row end where the ids up to there make up `needed`, by value(logit): two bits of the last logit's order a
// pass, then the last id of that logit.
template <class Value>
__device__ __forceinline__ void end_where(Row& row, u64 needed, Value value, u64* scratch) {
    unsigned found = 0;
    u64 above = 0; // the values of larger logits
    for (int shift = 30; shift >= 0; shift -= 2) {
        float from[3];
        u64 sums[3] = {0, 0, 0};
#pragma unroll
        for (int d = 0; d < 3; ++d) from[d] = ordered(max(found + (d + 1u << shift), MINUS_INFINITE));
#pragma unroll 4
        for (int id = threadIdx.x; id < row.allowed; id += THREADS) {
            float logit = row.logits[id];
            if (!(logit >= from[0]) || !row.before_end(logit, id)) continue;
            u64 mine = value(logit);
            sums[0] += mine;
            sums[1] += logit >= from[1] ? mine : 0;
            sums[2] += logit >= from[2] ? mine : 0;
        }
        int digit = 3;
#pragma unroll
        for (int d = 2; d >= 0; --d) {
            u64 sum = total(sums[d], scratch);
            if (sum < needed) digit = d, above = sum;
        }
        found += static_cast<unsigned>(digit) << shift;
    }
    float last = ordered(found);
    int last_id = descend(
        row, [&](float logit, int id) { return logit == last && row.before_end(logit, id) ? value(logit) : 0; },
        [&](u64) { return needed - above - 1; }, scratch);
    row.last = last;
    row.last_id = last_id;
}

extern "C" __global__ void __launch_bounds__(THREADS)
choose(const float* logits, int V, int allowed, float temperature, int top_k, float top_p, float min_p,
       const float* uniform, int* token) {
    __shared__ u64 near[NEAR], masses[NEAR], scratch[WARP];
    __shared__ int near_count;

    logits += static_cast<size_t>(blockIdx.x) * V;
    token += blockIdx.x;
    if (threadIdx.x == 0) near_count = 0;

    constexpr unsigned INFINITE_BITS = 0x7f800000u;
    float best = -__uint_as_float(INFINITE_BITS); // of this thread's stripe
    int best_id = threadIdx.x;
    bool damaged = false;
#pragma unroll 8
    for (int id = threadIdx.x; id < allowed; id += THREADS) {
        float logit = logits[id];
        damaged |= logit != logit;
        if (logit > best) best = logit, best_id = id;
    }
    if (damaged) best = __uint_as_float(~0u);
    u64 mine = static_cast<int>(threadIdx.x) < allowed ? standing(best, best_id) : 0;
    u64 first = largest(mine, scratch);
    float top = logit_at(first); // a NaN where there are no ids at all
    if (!(fabsf(top) < __uint_as_float(INFINITE_BITS)) || temperature == 0.0f) {
        if (threadIdx.x == 0) *token = fabsf(top) < __uint_as_float(INFINITE_BITS) ? id_at(first) : -1;
        return;
    }

    bool limited = 0 < top_k && top_k < allowed, nucleus = top_p < 1.0f;
    Row row = {logits, allowed, top, __fdiv_rn(1.4426950408889634f, fmaxf(temperature, 1e-30f)),
               -__uint_as_float(INFINITE_BITS), min_p, allowed};
    int want = limited ? top_k : WANTED;
    bool few = (limited || nucleus) && want <= NEAR;
    if (few) {
        u64 bound = 0; // at most the want-th largest of the stripes' largest: 20 bits of it do
        for (int bit = 63; bit > 43; --bit) {
            u64 higher = bound | 1ull << bit;
            if (__syncthreads_count(mine >= higher) >= want) bound = higher;
        }
        // A warp looks through the stripes of its threads that reach the bound, one after the other.
        int lane = threadIdx.x % WARP;
        for (unsigned reaching = __ballot_sync(~0u, mine >= bound); reaching; reaching &= reaching - 1) {
            int stripe = threadIdx.x - lane + __ffs(reaching) - 1;
#pragma unroll 4
            for (int id = stripe + lane * THREADS; id < allowed; id += WARP * THREADS) {
                float logit = logits[id];
                u64 place = standing(logit, id);
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
        u64 place = i < count ? near[i] : 0, mass = i < count ? masses[i] : 0, above = 0;
        if (i < count) {
#pragma unroll 4
            for (int j = 0; j < count; ++j) {
                bool before = near[j] > place;
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
            u64 needed = max(1ull, share(top_p, whole));
            few = reached >= needed;
            kept = kept && above < needed;
        }
        if (few) {
            __syncthreads(); // masses are being read above
            if (i < count && !(kept && row.weight(logit_at(place)) >= min_p)) masses[i] = mass = 0;
            u64 target = share(uniform[blockIdx.x], total(mass, scratch)), before = 0;
            if (mass) {
#pragma unroll 4
                for (int j = 0; j < count; ++j) before += id_at(near[j]) < id_at(place) ? masses[j] : 0;
                if (before <= target && target - before < mass) *token = id_at(place);
            }
            return;
        }
    }
    if (limited) end_where(row, top_k, [](float) { return u64(1); }, scratch);
    if (nucleus) {
        u64 sum = 0;
#pragma unroll 4
        for (int id = threadIdx.x; id < allowed; id += THREADS)
            sum += row.before_end(logits[id], id) ? row.mass(logits[id]) : 0;
        u64 needed = max(1ull, share(top_p, total(sum, scratch)));
        end_where(row, needed, [&](float logit) { return row.mass(logit); }, scratch);
    }
    int drawn = descend(
        row, [&](float logit, int id) { return row.kept_mass(logit, id); },
        [&](u64 whole) { return share(uniform[blockIdx.x], whole); }, scratch);
    if (threadIdx.x == 0) *token = drawn;
}
