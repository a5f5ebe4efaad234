// Numbers as integers that order as they do.

#pragma once

constexpr unsigned NOT_A_NUMBER = ~0u;
constexpr unsigned MINUS_INFINITE = 0x007fffffu;

// -0 is 0, and NaN is above all, so that a maximum finds it.
__device__ __forceinline__ unsigned order(float x) {
    if (x != x) return NOT_A_NUMBER;
    unsigned bits = __float_as_uint(x + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// The number of that order; a NaN for NOT_A_NUMBER.
__device__ __forceinline__ float ordered(unsigned key) { return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key); }
