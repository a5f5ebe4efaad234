// Products of a quantised matrix with many prepared inputs (prefill), bound by the tensor cores.
//
// A block of eight warps makes 128 rows of TOKENS tokens.  For every kblock each warp unpacks one of the
// eight tiles, once, into operands of the mma in shared memory; the inputs come there by asynchronous
// copies; then each warp multiplies ROWS tiles by COLUMNS·8 tokens.  While one kblock is multiplied the next
// is brought in.  A kblock costs a warp (128 tokens, groups of 128) 64 mma and some 256 operations to scale
// their sums, which is below the tensor cores' own time on every card but Hopper's.
#pragma once
#include "factors.cuh"
#include "fragments.cuh"

template <int ROWS_, int COLUMNS_, int ACROSS_>
struct Shape {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_;  // of a warp: tiles, eights of tokens
    static constexpr int ACROSS = ACROSS_;                  // warps side by side over the rows
    static constexpr int TOKENS = COLUMNS * 8 * (8 / ACROSS);
};

typedef Shape<2, 8, 4> Wide;    // 128 tokens
typedef Shape<1, 4, 8> Narrow;  // 32 tokens

template <class SHAPE, int GROUP>
struct Buffer {
    uint4 weights[8][4][32];  // tile, product, lane
    uint4 inputs[SHAPE::TOKENS][8];  // 16 bytes c of half h at (4h + c) ^ 4·(token % 2): no bank conflicts
    float2 factors[SHAPE::TOKENS][KBLOCK / GROUP];
};

// The trit of each of four bytes that comes after ``power`` = 3ⁿ: number n.
__device__ __forceinline__ u32 trit(u32 bytes, u32 power) {
    u32 even = (bytes & 0x00ff00ffu) * power, odd = __byte_perm(bytes, 0, 0x4341) * power;
    u32 before = __byte_perm(even, odd, 0x7351);
    return __byte_perm(even * 3, odd * 3, 0x7351) - 3 * before;
}

__device__ __forceinline__ uint4 trits(uint4 w, u32 power) {
    return make_uint4(trit(w.x, power), trit(w.y, power), trit(w.z, power), trit(w.w, power));
}

// The operands of the four products of one kblock; ``at`` is the lane's first part of its step.
template <Kind KIND>
__device__ __forceinline__ void unpack(uint4 (&a)[4], const uint4* at, int digit) {
    if constexpr (KIND == SLOTS2) {
        uint4 w = __ldg(at);
#pragma unroll
        for (int s = 0; s < 4; s++) a[s] = masked(shifted(w, 2 * s), 0x03030303u);
    } else if constexpr (KIND == SLOTS4) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint4 w = __ldg(at + h * 32);
            a[h] = masked(w, 0x0f0f0f0fu), a[h + 2] = masked(shifted(w, 4), 0x0f0f0f0fu);
        }
    } else {
        u32 power = digit == 0 ? 1 : digit == 1 ? 3 : digit == 2 ? 9 : digit == 3 ? 27 : 81;
#pragma unroll
        for (int s = 0; s < 4; s++) {
            a[s] = __ldg(at + s * 32);
            if constexpr (KIND == BASE3 || KIND == BASE9) a[s] = trits(a[s], power);
            if constexpr (KIND == BASE9) {
                uint4 low = trits(__ldg(at + (4 + s) * 32), power);
                a[s] = make_uint4(3 * a[s].x + low.x, 3 * a[s].y + low.y, 3 * a[s].z + low.z, 3 * a[s].w + low.w);
            }
        }
    }
}

// Where the operands of a tile's kblock lie.
template <Kind KIND>
struct Tile {
    const uint4* codes;  // the lane's part of the first step
    int steps;

    __device__ __forceinline__ void kblock(uint4 (&a)[4], int number) const {
        constexpr Kind TAIL = tail_kind(KIND);
        int step = number / kblocks(KIND);
        if (TAIL == KIND || step < steps)
            unpack<KIND>(a, codes + step * parts(KIND) * 32, number % kblocks(KIND));
        else
            unpack<TAIL>(a, codes + (steps * parts(KIND) + (number - steps * kblocks(KIND)) * parts(TAIL)) * 32, 0);
    }
};

template <Kind KIND, int GROUP, class SHAPE>
__device__ __forceinline__ void product_many(const uint4* codes, const u32* scales, const float* gains,
                                             const s8* in_codes, const Factors* in_factors, float* out, int rows,
                                             int steps, int tail, int zero, int tokens, int stride, int column) {
    constexpr int PER = KBLOCK / GROUP, R = SHAPE::ROWS, C = SHAPE::COLUMNS, TOKENS = SHAPE::TOKENS;
    extern __shared__ uint4 memory[];
    Buffer<SHAPE, GROUP>* buffers = reinterpret_cast<Buffer<SHAPE, GROUP>*>(memory);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    int blocks = steps * kblocks(KIND) + tail, groups = blocks * PER, tiles = (rows + 15) / 16;
    int first_token = blockIdx.x * TOKENS, first_tile = blockIdx.y * 8;
    long long tile_size = steps * parts(KIND) + tail * parts(tail_kind(KIND));

    Tile<KIND> mine = {codes + min(first_tile + warp, tiles - 1) * tile_size * 32 + lane, steps};
    auto copy_inputs = [&](Buffer<SHAPE, GROUP>& to, int kblock) {
#pragma unroll
        for (int i = 0; i < TOKENS * 8 / 256; i++) {
            int number = threadIdx.x + i * 256, token = number / 8, chunk = number % 8;
            const s8* from = in_codes + ((long long)min(first_token + token, tokens - 1) * blocks + kblock) * KBLOCK;
            copy_async(shared_address(&to.inputs[token][chunk ^ (token % 2 * 4)]),
                       reinterpret_cast<const uint4*>(from) + chunk);
        }
        seal_copies();
        if (threadIdx.x < TOKENS) {
            const float2* from = reinterpret_cast<const float2*>(in_factors) +
                                 (long long)min(first_token + int(threadIdx.x), tokens - 1) * groups + kblock * PER;
#pragma unroll
            for (int i = 0; i < PER; i++) to.factors[threadIdx.x][i] = __ldg(from + i);
        }
    };
    auto put_weights = [&](Buffer<SHAPE, GROUP>& to, const uint4(&a)[4]) {
#pragma unroll
        for (int s = 0; s < 4; s++) to.weights[warp][s][lane] = a[s];
    };

    uint4 a[4];
    mine.kblock(a, 0);
    copy_inputs(buffers[0], 0);
    put_weights(buffers[0], a);
    await_copies<0>();
    __syncthreads();

    int my_tiles = warp % SHAPE::ACROSS * R, my_tokens = warp / SHAPE::ACROSS * C * 8;
    const u32* row_scales[R];
#pragma unroll
    for (int r = 0; r < R; r++)
        row_scales[r] = scales + (long long)min(first_tile + my_tiles + r, tiles - 1) * groups * 8 + g;
    float total[R][C][4] = {};
    for (int kblock = 0; kblock < blocks; kblock++) {
        Buffer<SHAPE, GROUP>&now = buffers[kblock % 2], &next = buffers[kblock % 2 ^ 1];
        bool more = kblock + 1 < blocks;
        if (more) {
            copy_inputs(next, kblock + 1);
            mine.kblock(a, kblock + 1);
        }
        int acc[R][C][4] = {};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            uint4 w[R][2];
#pragma unroll
            for (int r = 0; r < R; r++)
#pragma unroll
                for (int odd = 0; odd < 2; odd++) w[r][odd] = now.weights[my_tiles + r][2 * half + odd][lane];
#pragma unroll
            for (int n = 0; n < C; n++) {
                uint4 b = now.inputs[my_tokens + 8 * n + g][(4 * half + c) ^ (g % 2 * 4)];
#pragma unroll
                for (int r = 0; r < R; r++) {
                    if constexpr (KIND == SLOTS8) {
                        multiply_signed(acc[r][n], w[r][0], b.x, b.y);
                        multiply_signed(acc[r][n], w[r][1], b.z, b.w);
                    } else {
                        multiply_unsigned(acc[r][n], w[r][0], b.x, b.y);
                        multiply_unsigned(acc[r][n], w[r][1], b.z, b.w);
                    }
                }
            }
            if (PER == 1 && half == 0) continue;
            int group = PER == 2 ? half : 0;
#pragma unroll
            for (int r = 0; r < R; r++) {
                u32 pair = __ldg(row_scales[r] + (kblock * PER + group) * 8);
                float upper = widen(u16(pair)), lower = widen(u16(pair >> 16));
#pragma unroll
                for (int n = 0; n < C; n++)
#pragma unroll
                    for (int odd = 0; odd < 2; odd++) {
                        float2 factor = now.factors[my_tokens + 8 * n + 2 * c + odd][group];
                        int offset = MAGIC_BITS - zero * __float_as_int(factor.y);
                        float(&sum)[4] = total[r][n];
                        sum[odd] = scaled(acc[r][n][odd], offset, factor.x, upper, sum[odd]);
                        sum[odd + 2] = scaled(acc[r][n][odd + 2], offset, factor.x, lower, sum[odd + 2]);
                        acc[r][n][odd] = acc[r][n][odd + 2] = 0;
                    }
            }
        }
        if (more) put_weights(next, a);
        await_copies<0>();
        __syncthreads();
    }

#pragma unroll
    for (int r = 0; r < R; r++) {
        int tile = first_tile + my_tiles + r;
        if (tile >= tiles) continue;
        float gain = __ldg(gains + tile);
#pragma unroll
        for (int n = 0; n < C; n++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int token = first_token + my_tokens + 8 * n + 2 * c + j % 2, row = tile * 16 + g + 8 * (j / 2);
                if (token < tokens && row < rows)
                    out[(long long)token * stride + column + row] = __fmul_rn(total[r][n][j], gain);
            }
    }
}

// The kernel product_many_NAME_gGROUP_nTOKENS: grid (tokens / TOKENS, rows / 128, both rounded up), 256 threads,
// dynamic shared memory 2·sizeof(Buffer).
#define MANY(NAME, KIND, GROUP, SHAPE, TOKENS)                                                                      \
    extern "C" __global__ void __launch_bounds__(256, 1) product_many_##NAME##_g##GROUP##_n##TOKENS(                \
        const uint4* __restrict__ codes, const u32* __restrict__ scales, const float* __restrict__ gains,           \
        const s8* __restrict__ in_codes, const Factors* __restrict__ in_factors, float* __restrict__ out, int rows, \
        int steps, int tail, int zero, int tokens, int stride, int column) {                                        \
        product_many<KIND, GROUP, SHAPE>(codes, scales, gains, in_codes, in_factors, out, rows, steps, tail, zero,  \
                                         tokens, stride, column);                                                   \
    }

#define MANY_ALL(NAME, KIND)         \
    MANY(NAME, KIND, 64, Wide, 128)  \
    MANY(NAME, KIND, 64, Narrow, 32) \
    MANY(NAME, KIND, 128, Wide, 128) \
    MANY(NAME, KIND, 128, Narrow, 32)
