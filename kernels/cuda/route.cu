// Which experts a token goes through, and their shares: the `active` largest of softmax(Σ parts), the first among
// equals, divided by their sum where `normalise` is not 0.
//
// Grid (T), 128 threads; at most 1024 experts.  An expert's rank is counted: how many have a larger share, or the
// same and a lower number.  With 128 experts: two sums over the block and 128 comparisons a thread, about 2.5 µs,
// launch in a graph included.

#include "order.cuh"
#include "prepare.cuh"

constexpr int THREADS = 128;
constexpr int MOST = 1024;

extern "C" __global__ void __launch_bounds__(THREADS)
route(const float* parts, int S, int T, int E, int active, int normalise, int* chosen, float* shares) {
    __shared__ float weights[MOST], largest[MOST], scratch[WARP];
    __shared__ unsigned keys[MOST], top_scratch[WARP];

    size_t token = blockIdx.x;
    chosen += token * active;
    shares += token * active;

    unsigned top = 0;
    for (int e = threadIdx.x; e < E; e += THREADS) {
        float logit = 0.0f;
        for (int s = 0; s < S; ++s) logit += parts[(s * static_cast<size_t>(T) + token) * E + e];
        weights[e] = logit;
        top = max(top, order(logit));
    }
    float peak = ordered(block_max(top, top_scratch)), sum = 0.0f;
    for (int e = threadIdx.x; e < E; e += THREADS) {
        weights[e] = expf(weights[e] - peak);
        sum += weights[e];
    }
    sum = block_sum(sum, scratch);
    for (int e = threadIdx.x; e < E; e += THREADS) {
        weights[e] = __fdiv_rn(weights[e], sum);
        keys[e] = order(weights[e]);
    }
    __syncthreads();
    for (int e = threadIdx.x; e < E; e += THREADS) {
        unsigned key = keys[e];
        int rank = 0;
#pragma unroll 4
        for (int other = 0; other < E; ++other) rank += keys[other] > key || (keys[other] == key && other < e);
        if (rank >= active) continue;
        chosen[rank] = e;
        largest[rank] = weights[e];
    }
    __syncthreads();
    float kept = 0.0f;
    for (int rank = 0; rank < active; ++rank) kept += largest[rank];
    for (int rank = threadIdx.x; rank < active; rank += THREADS)
        shares[rank] = normalise ? __fdiv_rn(largest[rank], kept) : largest[rank];
}
