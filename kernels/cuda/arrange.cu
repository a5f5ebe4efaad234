// From the tiles of a model folder (tzcore/trits.py) to those of the card (fragments.cuh), when a model is loaded.
//
// One thread makes one uint4.  Where a column's code lies in a lane of a disk tile is read from ``places``
// (vector << 8 | byte << 4 | digit), which the host makes once a width, so that this file knows nothing of runs.
#include "fragments.cuh"

struct Disk {
    const u8* tile;
    const u32* places;
    int cols;

    // The code, its format's zero included, of a row of the tile; 0 beyond the last column, where inputs are 0 too.
    template <Kind KIND>
    __device__ __forceinline__ u32 code(int row, int column) const {
        if (column >= cols) return 0;
        u32 place = places[column], digit = place & 15;
        const u8* at = tile + (place >> 8) * 64 + row * 4 + (place >> 4 & 15);
        if (KIND == SLOTS2) return *at >> 2 * digit & 3;
        if (KIND == SLOTS4) return *at >> 4 * digit & 15;
        if (KIND == SLOTS8) return *at;
        constexpr u32 base = KIND == BASE3 ? 3 : 9;
        u32 word = *reinterpret_cast<const u16*>(at);
        for (u32 i = 0; i < digit; i++) word = word * base & 0xffff;
        return word * base >> 16;
    }

    __device__ __forceinline__ u32 half(int row, int column) const {
        return column < cols ? reinterpret_cast<const u16*>(tile)[column * 16 + row] : 0;
    }
};

// Word ``j`` of lane ``lane`` of part ``part`` of the step that begins at column ``first``: FROM on disk, TO on the card.
template <Kind FROM, Kind TO>
__device__ __forceinline__ u32 word(const Disk& disk, int first, int part, int lane, int j) {
    int row = lane / 4 + j % 2 * 8, w = j / 2, start = first + lane % 4 * 16;
    auto column = [&](int s) { return start + s / 2 * 64 + s % 2 * 8 + w * 4; };
    u32 value = 0;
    if constexpr (TO == HALF) {
        int at = start + part % 4 / 2 * 64 + part % 2 * 8 + part / 4 * 4 + j / 2 * 2;
        return disk.half(row, at) | disk.half(row, at + 1) << 16;
    } else if constexpr (TO == BASE3 || TO == BASE9) {
#pragma unroll 1
        for (int b = 0; b < 4; b++) {
            u32 number = 0;
            for (int i = 0; i < 5; i++) {
                u32 digit = disk.code<FROM>(row, column(part % 4) + b + i * KBLOCK);
                number = number * 3 + (TO == BASE3 ? digit : part < 4 ? digit / 3 : digit % 3);
            }
            value |= (number * 256 + 242) / 243 << 8 * b;
        }
    } else {
        constexpr int bits = TO == SLOTS2 ? 2 : TO == SLOTS4 ? 4 : 8, step = TO == SLOTS2 ? 1 : 2;
#pragma unroll 1
        for (int slot = 0; slot < 8 / bits; slot++)
            for (int b = 0; b < 4; b++)
                value |= disk.code<FROM>(row, column(part + slot * step) + b) << (8 * b + bits * slot);
    }
    return value;
}

template <Kind KIND>
__device__ __forceinline__ void arrange(const u8* tiles, const u32* places, uint4* out, int tile_bytes, int cols,
                                        int count, int steps, int tail) {
    constexpr Kind TAIL = tail_kind(KIND);
    int main_size = steps * parts(KIND) * 32, size = main_size + tail * parts(TAIL) * 32;
    long long number = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= (long long)count * size) return;
    int tile = int(number / size), at = int(number % size), lane = at % 32;
    Disk disk = {tiles + (long long)tile * tile_bytes, places, cols};
    u32 value[4];
    if (at < main_size) {
        int step = at / 32 / parts(KIND), part = at / 32 % parts(KIND);
#pragma unroll
        for (int j = 0; j < 4; j++) value[j] = word<KIND, KIND>(disk, step * kblocks(KIND) * KBLOCK, part, lane, j);
    } else {
        int left = (at - main_size) / 32, step = left / parts(TAIL), part = left % parts(TAIL);
        int first = (steps * kblocks(KIND) + step) * KBLOCK;
#pragma unroll
        for (int j = 0; j < 4; j++) value[j] = word<KIND, TAIL>(disk, first, part, lane, j);
    }
    out[number] = make_uint4(value[0], value[1], value[2], value[3]);
}

// grid (uint4s / 256 rounded up), 256 threads; ``count`` tiles.
#define ARRANGE(NAME, KIND)                                                                                     \
    extern "C" __global__ void __launch_bounds__(256)                                                           \
        arrange_##NAME(const u8* __restrict__ tiles, const u32* __restrict__ places, uint4* __restrict__ out,   \
                       int tile_bytes, int cols, int count, int steps, int tail) {                              \
        arrange<KIND>(tiles, places, out, tile_bytes, cols, count, steps, tail);                                \
    }

ARRANGE(slots2, SLOTS2)
ARRANGE(slots4, SLOTS4)
ARRANGE(slots8, SLOTS8)
ARRANGE(base3, BASE3)
ARRANGE(base9, BASE9)
ARRANGE(half, HALF)

// Scales [tile][groups][16] of the disk to pairs (rows g, g+8) [tile][wanted][8]; groups beyond the last are 0.
extern "C" __global__ void __launch_bounds__(256)
    arrange_scales(const u16* __restrict__ scales, u32* __restrict__ out, int count, int groups, int wanted) {
    int number = blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= count * wanted * 8) return;
    int g = number % 8, group = number / 8 % wanted, tile = number / 8 / wanted;
    const u16* at = scales + ((long long)tile * groups + group) * 16 + g;
    out[number] = group < groups ? at[0] | u32(at[8]) << 16 : 0;
}
