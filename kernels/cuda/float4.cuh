// Four neighbouring columns at a time.

#pragma once

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}

__device__ __forceinline__ float4 operator*(float4 a, float b) { return make_float4(a.x * b, a.y * b, a.z * b, a.w * b); }

// a·b + c, each rounded once.
__device__ __forceinline__ float4 fma4(float a, float4 b, float4 c) {
    return make_float4(__fmaf_rn(a, b.x, c.x), __fmaf_rn(a, b.y, c.y), __fmaf_rn(a, b.z, c.z), __fmaf_rn(a, b.w, c.w));
}

__device__ __forceinline__ float4 all(float x) { return make_float4(x, x, x, x); }

__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

__device__ __forceinline__ void store4(float* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }

// Four signs, 1 or -1 as bytes.
__device__ __forceinline__ float4 signs4(unsigned bytes) {
    return make_float4(static_cast<signed char>(bytes), static_cast<signed char>(bytes >> 8),
                       static_cast<signed char>(bytes >> 16), static_cast<signed char>(bytes >> 24));
}
