// Logits from the parts of the head's product: multiplied and, where softcap is not 0, softcap·tanh(·/softcap).
//
// Grid (ceil(V/256), T), 256 threads.  Its time is that of reading 4·S·V bytes out of the L2 cache and writing 4·V:
// with V = 128256, S = 1, one token, about 2 µs, launch in a graph included.

constexpr int THREADS = 256;

extern "C" __global__ void __launch_bounds__(THREADS)
finish_logits(const float* parts, int S, int T, int V, float multiplier, float softcap, float* logits) {
    int id = blockIdx.x * THREADS + threadIdx.x;
    if (id >= V) return;
    size_t at = static_cast<size_t>(blockIdx.y) * V + id, step = static_cast<size_t>(T) * V;
    float sum = parts[at];
    for (int s = 1; s < S; ++s) sum += parts[at + s * step];
    sum *= multiplier;
    logits[at] = softcap == 0.0f ? sum : softcap * tanhf(__fdiv_rn(sum, softcap));
}
