// Rows of the embedding, out of host memory that is pinned and read over the bus: the stored layout of tzcore/trits,
// decoded, with its Hadamard transform undone (tzcore/hadamard.py: unrotate), times `factor`.
//
// Grid (ceil(K/4096), T), 256 threads.  kind: 0, 1, 2 slots of 2, 4, 8 bits, 3 ten trits and 4 five nine-level digits
// in 16 bits, 5 halves.  places[column] = vector << 8 | byte << 4 | digit (trits.places) says where in the 64-byte
// vectors of a tile a column lies; its value is digit - zero.  A token below 0 (see choose) becomes NaN; others are
// not checked.
//
// Each word crosses the bus once, as 32 bytes of which the row needs 4 (a half: 2).  By arithmetic at 20 GB/s, K =
// 8192: 2 µs for the first bytes, then i8 3.3, i4 1.7, base 3 0.7, f16 13 µs.

#include "prepare.cuh"

constexpr int THREADS = 256;
constexpr int SEGMENT = 4096;    // columns of a block
constexpr int MOST_WORDS = 1024; // vectors in which they lie: one a quad; of base 3 fewer, whole runs at both ends

enum Kind { SLOTS2 = 0, SLOTS4 = 1, SLOTS8 = 2, TRITS = 3, NINES = 4, HALF = 5 };

// what(i, n) for every n below `count`, at most MOST, that is this thread's.
template <int MOST, class What>
__device__ __forceinline__ void each(int count, What what) {
#pragma unroll
    for (int i = 0; i < MOST / THREADS; ++i) {
        int n = i * THREADS + threadIdx.x;
        if (n < count) what(i, n);
    }
}

__device__ __forceinline__ int digit_at(unsigned word, int place, int kind) {
    int digit = place & 15;
    if (kind <= SLOTS8) {
        int bits = 2 << kind, code = word >> (place >> 4 & 15) * 8 >> digit * bits & (1 << bits) - 1;
        return kind == SLOTS8 ? static_cast<signed char>(code) : code;
    }
    // The word is a fraction; times the base, its whole part is the next digit.
    unsigned rest = word >> (place >> 4 & 15) * 8 & 0xffff, base = kind == TRITS ? 3 : 9;
    for (; digit; --digit) rest = rest * base & 0xffff;
    return rest * base >> 16;
}

extern "C" __global__ void __launch_bounds__(THREADS)
embed(const unsigned char* codes, const unsigned short* scales, const unsigned* places, const signed char* signs,
      int hadamard_block, int kind, int zero, int K, int tile_bytes, int groups, int group, float factor,
      const int* tokens, float* x) {
    __shared__ float row[SEGMENT];
    __shared__ float steps[SEGMENT / 64]; // the groups' scales
    __shared__ unsigned words[MOST_WORDS], low_scratch[WARP], high_scratch[WARP];

    int start = blockIdx.x * SEGMENT, width = min(SEGMENT, K - start);
    int token = tokens[blockIdx.y];
    x += static_cast<size_t>(blockIdx.y) * K + start;
    if (token < 0) {
        for (int column = threadIdx.x; column < width; column += THREADS) x[column] = __int_as_float(0x7fffffff);
        return;
    }
    size_t tile = token / 16;
    int lane = token % 16;
    codes += tile * tile_bytes;
    scales += (tile * groups + start / max(group, 1)) * 16 + lane;

    if (kind == HALF) {
        const unsigned short* halves = reinterpret_cast<const unsigned short*>(codes) + lane;
        unsigned short held[SEGMENT / THREADS]; // all on their way at once
        each<SEGMENT>(width, [&](int i, int column) { held[i] = halves[static_cast<size_t>(start + column) * 16]; });
        each<SEGMENT>(width, [&](int i, int column) { row[place(column)] = from_half(held[i]); });
    } else {
        unsigned short scale = 0;
        bool has_scale = static_cast<int>(threadIdx.x) * group < width;
        if (has_scale) scale = scales[threadIdx.x * 16];
        unsigned low = 0, high = 0; // the first vector, as its complement, and the last one
        for (int column = threadIdx.x; column < width; column += THREADS) {
            unsigned vector = places[start + column] >> 8;
            low = max(low, ~vector);
            high = max(high, vector);
        }
        low = ~block_max(low, low_scratch);
        high = block_max(high, high_scratch);
        unsigned held[MOST_WORDS / THREADS];
        const unsigned* lanes = reinterpret_cast<const unsigned*>(codes + static_cast<size_t>(low) * 64) + lane;
        each<MOST_WORDS>(high - low + 1, [&](int i, int vector) { held[i] = lanes[vector * 16]; });
        each<MOST_WORDS>(high - low + 1, [&](int i, int vector) { words[vector] = held[i]; });
        if (has_scale) steps[threadIdx.x] = from_half(scale);
        __syncthreads();
        for (int column = threadIdx.x; column < width; column += THREADS) {
            unsigned at = places[start + column];
            row[place(column)] = (digit_at(words[(at >> 8) - low], at & 255, kind) - zero) * steps[column / group];
        }
    }
    __syncthreads();
    if (signs) hadamard(row, width, hadamard_block);
    for (int column = threadIdx.x; column < width; column += THREADS) {
        float v = row[place(column)];
        if (signs) v *= signs[start + column];
        x[column] = v * factor;
    }
}
