// What the preparation of an input leaves of each group of its columns, and how sums are scaled by it.
#pragma once

struct Factors {
    float scale;
    int sum;  // of the codes
};

// Integers up to 2²² in magnitude become floats by addition to this one's bits, at full rate, where the
// conversion instruction runs at a quarter of it.
constexpr int MAGIC_BITS = 0x4b400000;
constexpr float MAGIC = 12582912.0f;

// total + (sum + offset − MAGIC_BITS)·input_scale·row_scale
__device__ __forceinline__ float scaled(int sum, int offset, float input_scale, float row_scale, float total) {
    float value = __fadd_rn(__int_as_float(sum + offset), -MAGIC);
    return __fmaf_rn(__fmul_rn(value, input_scale), row_scale, total);
}
