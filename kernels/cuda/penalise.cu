// Penalties on tokens that were written already, before one is chosen: a logit above 0 is divided by the token's
// factor, another multiplied by it, and `minus` is taken off.  Each token is there once.
// Grid (ceil(count / 256)), 256 threads.

struct Penalty {
    int token;
    float factor, minus;
};

extern "C" __global__ void __launch_bounds__(256) penalise(float* logits, const Penalty* penalties, int count) {
    int number = blockIdx.x * 256 + threadIdx.x;
    if (number >= count) return;
    Penalty p = penalties[number];
    float value = logits[p.token];
    value = value > 0.0f ? __fdiv_rn(value, p.factor) : __fmul_rn(value, p.factor);
    logits[p.token] = __fsub_rn(value, p.minus);
}
