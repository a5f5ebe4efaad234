// What a token's experts made, added by their shares in the order in which they were chosen.
//
// Grid (ceil(H/256), T), 256 threads.  parts [S][T][active][H].  With H = 2048, 8 experts, S = 1, one token: 64 KiB
// over eight blocks, about 2 µs, launch in a graph included.

constexpr int THREADS = 256;

extern "C" __global__ void __launch_bounds__(THREADS)
mix(const float* parts, int S, int T, int active, int H, const float* shares, float* out) {
    int column = blockIdx.x * THREADS + threadIdx.x;
    if (column >= H) return;
    size_t token = blockIdx.y, step = static_cast<size_t>(T) * active * H;
    float mixed = 0.0f;
#pragma unroll 4
    for (int rank = 0; rank < active; ++rank) {
        const float* part = parts + (token * active + rank) * H + column;
        float sum = part[0];
        for (int s = 1; s < S; ++s) sum += part[s * step];
        mixed += sum * shares[token * active + rank];
    }
    out[token * H + column] = mixed;
}
