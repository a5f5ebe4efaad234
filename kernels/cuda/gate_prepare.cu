// Between gate/up and down: act(gate)·up of the parts' sums, transformed and prepared.
//
// Grid (ceil(K/segment), T), 512 threads; segment = max(hadamard_block, 512), where hadamard_block is at most 4096 (1
// without a transform).  Modes 0 and 3.  K is a multiple of 4.
//
// By arithmetic at 1.7 GHz, K = 28672, block 4096, one token, S = 1, mode 0: seven blocks, each some 1100
// instructions for 16 warps at 4 a cycle 2.6 µs, first bytes 0.6, launch in a graph 1.0: 4.2 µs; every further part
// 32 KiB at 64 bytes a cycle, 0.3.  K = 1536, block 512: 2.4 µs.

#include "prepare.cuh"

constexpr int THREADS = 512;
constexpr int SEGMENT = 4096; // the longest
constexpr int STEPS = SEGMENT / 4 / THREADS;

enum Activation { SILU = 0, GELU_TANH = 1, RELU2 = 2 };

// Overflow of the exponential is the right limit: x/∞ = -0.
__device__ __forceinline__ float activated(float x, int activation) {
    if (activation == RELU2) {
        x = x < 0.0f ? 0.0f : x; // NaN stays
        return x * x;
    }
    // 0.5·(1 + tanh(u)) = 1/(1 + e^(-2u)), which loses nothing where the tanh is near -1.
    float inner = activation == SILU ? x : 1.5957691216057308f * (x + 0.044715f * x * x * x);
    return __fdiv_rn(x, 1.0f + expf(-inner));
}

extern "C" __global__ void __launch_bounds__(THREADS)
gate_prepare(const float* parts, int S, const float* gate_bias, const float* up_bias, int activation,
             const signed char* signs, int hadamard_block, int mode, int group, int T, int K, signed char* codes,
             Factors* factors, float* plain) {
    __shared__ float row[SEGMENT];

    int segment = max(hadamard_block, 512), start = blockIdx.x * segment, width = min(segment, K - start);
    size_t token = blockIdx.y;
    const float* gates = parts + token * 2 * K + start;
    const float* ups = gates + K;

    auto each = [&](auto what) {
#pragma unroll
        for (int q = 0; q < STEPS; ++q) {
            int column = (q * THREADS + threadIdx.x) * 4;
            if (column < width) what(q, column);
        }
    };
    float4 gate[STEPS], up[STEPS];
    each([&](int q, int column) { gate[q] = load4(gates + column), up[q] = load4(ups + column); });
#pragma unroll 2
    for (int s = 1; s < S; ++s) {
        size_t part = static_cast<size_t>(s) * T * 2 * K;
        each([&](int q, int column) {
            gate[q] = gate[q] + load4(gates + part + column), up[q] = up[q] + load4(ups + part + column);
        });
    }
    each([&](int q, int column) {
        if (gate_bias) gate[q] = gate[q] + load4(gate_bias + start + column);
        if (up_bias) up[q] = up[q] + load4(up_bias + start + column);
        float4 v = make_float4(activated(gate[q].x, activation), activated(gate[q].y, activation),
                               activated(gate[q].z, activation), activated(gate[q].w, activation)) * up[q];
        if (signs) v = signed4(v, *reinterpret_cast<const unsigned*>(signs + start + column));
        put(row, place(column), v);
    });
    __syncthreads();
    write_segment(row, start, width, signs ? hadamard_block : 1, mode, group, token, K, {codes, factors}, plain);
}
