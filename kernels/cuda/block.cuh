// Sums and maxima over the threads of a block, which is of whole warps.  Sums are made in one fixed order, whatever
// else is being computed.

#pragma once

constexpr int WARP = 32;

// The sum of every thread's value; a barrier.  `scratch` [32] in shared memory is for this call alone.
__device__ __forceinline__ float block_sum(float value, float* scratch) {
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value += __shfl_xor_sync(~0u, value, step);
    if (lane == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    value = lane < blockDim.x / WARP ? scratch[lane] : 0.0f;
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value += __shfl_xor_sync(~0u, value, step);
    return value;
}

// The largest of every thread's value; a barrier.
__device__ __forceinline__ unsigned block_max(unsigned value, unsigned* scratch) {
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value = max(value, __shfl_xor_sync(~0u, value, step));
    if (lane == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    value = lane < blockDim.x / WARP ? scratch[lane] : 0u;
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) value = max(value, __shfl_xor_sync(~0u, value, step));
    return value;
}
