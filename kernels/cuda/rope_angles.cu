// Cosines and sines of the rotary embedding, in double so that far positions keep their precision.
//
// angle = k·π/2 + r with |r| <= π/4: the first constant is π/2 in double, the second the rest of it, and with fused
// multiply-adds r is off by no more than 1e-16 for angles up to 2^20.  Beyond them the series end at r^14 and r^15:
// errors below 1e-12.

constexpr double HALF_PI = 1.5707963267948966, HALF_PI_REST = 6.123233995736766e-17;
constexpr double TWO_OVER_PI = 0.63661977236758134;

/** `sum`·x + next */
__device__ __forceinline__ double horner(double sum, double x, double next) { return __fma_rn(sum, x, next); }

// Grid (T), block half rounded up to 32; out [T][half][2] = cos·scale, sin·scale.
extern "C" __global__ void rope_angles(const float* inverse_frequencies, int half, float scale, const int* positions,
                                       float* out) {
    const int i = threadIdx.x;
    if (i >= half) return;
    const double angle = static_cast<double>(positions[blockIdx.x]) * static_cast<double>(inverse_frequencies[i]);
    const int quarter = __double2int_rn(angle * TWO_OVER_PI);
    const double turns = -static_cast<double>(quarter);
    const double r = __fma_rn(turns, HALF_PI_REST, __fma_rn(turns, HALF_PI, angle));
    const double x = r * r;

    double sine = horner(1.0 / 6227020800, x, -1.0 / 39916800);
    sine = horner(sine, x, 1.0 / 362880);
    sine = horner(sine, x, -1.0 / 5040);
    sine = horner(sine, x, 1.0 / 120);
    sine = horner(sine, x, -1.0 / 6);
    sine = __fma_rn(sine * x, r, r);
    double cosine = horner(1.0 / 479001600, x, -1.0 / 3628800);
    cosine = horner(cosine, x, 1.0 / 40320);
    cosine = horner(cosine, x, -1.0 / 720);
    cosine = horner(cosine, x, 1.0 / 24);
    cosine = horner(cosine, x, -0.5);
    cosine = __fma_rn(cosine, x, 1.0);

    const bool swapped = quarter & 1;
    double c = swapped ? sine : cosine, s = swapped ? cosine : sine;
    if ((quarter + 1) & 2) c = -c;
    if (quarter & 2) s = -s;
    float* pair = out + (static_cast<size_t>(blockIdx.x) * half + i) * 2;
    pair[0] = static_cast<float>(c * scale);
    pair[1] = static_cast<float>(s * scale);
}
