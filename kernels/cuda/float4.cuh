// Four neighbouring columns at a time.

#pragma once

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}

__device__ __forceinline__ float4 operator*(float4 a, float b) {
    return make_float4(a.x * b, a.y * b, a.z * b, a.w * b);
}

// a·b + c, each rounded once.
__device__ __forceinline__ float4 fma4(float a, float4 b, float4 c) {
    return make_float4(__fmaf_rn(a, b.x, c.x), __fmaf_rn(a, b.y, c.y), __fmaf_rn(a, b.z, c.z), __fmaf_rn(a, b.w, c.w));
}

__device__ __forceinline__ float4 all(float x) { return make_float4(x, x, x, x); }

__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

__device__ __forceinline__ void store4(float* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }

// v with the signs of four bytes, each 1 or -1, multiplied into it: their highest bits flip its own.
__device__ __forceinline__ float4 signed4(float4 v, unsigned signs) {
    auto flip = [](float x, unsigned sign) { return __uint_as_float(__float_as_uint(x) ^ (sign & 0x80000000u)); };
    return make_float4(flip(v.x, signs << 24), flip(v.y, signs << 16), flip(v.z, signs << 8), flip(v.w, signs));
}
