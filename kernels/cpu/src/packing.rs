//! Rounding real numbers to codes and packing them as `tzcore/trits` lays them out, tile by tile.

use crate::formats::{BLOCK_QUADS, COLUMN_PAD, FormatId, TILE, VECTOR, padded, quad_places};

/// Adding and subtracting 1.5·2²³ rounds a float of magnitude below 2²² to nearest, ties to even.
const ROUNDER: f32 = 12_582_912.0;

/// The code nearest to `x`; a NaN counts as the lowest.
#[inline(always)]
pub(crate) fn nearest(x: f32, (low, high): (f32, f32)) -> f32 {
    let x = if x > low { x } else { low };
    let x = if x < high { x } else { high };
    (x + ROUNDER) - ROUNDER
}

/// Where the digits of a base-3 format's columns go: the word of a lane, and what its digit is multiplied by there.
pub(crate) struct Places {
    columns: Vec<(usize, u32)>,
    words: usize,
}

impl Places {
    /// Of rows of `cols` columns; nothing for other formats.
    pub fn new(format: FormatId, cols: usize) -> Self {
        if !format.is_base3() {
            return Self { columns: Vec::new(), words: 0 };
        }
        let (blocks, (base, digits)) = (padded(cols) / COLUMN_PAD, format.word());
        let quads = (0..padded(cols) / 4).flat_map(|quad| quad_places(format, quad, blocks));
        let columns = quads.map(|(vector, word, digit)| (2 * vector + word, base.pow((digits - 1 - digit) as u32)));
        Self { columns: columns.collect(), words: format.tile_bytes(cols) / (2 * TILE) }
    }
}

/// Latents `[rows, cols]` and the tiles that they are packed into.
pub(crate) struct Job<'a> {
    pub format: FormatId,
    pub latents: *const f32,
    pub rows: usize,
    pub cols: usize,
    pub codes: *mut u8,
    pub tile_bytes: usize,
    pub places: &'a Places,
}

// SAFETY: threads share it to write disjoint tiles.
unsafe impl Sync for Job<'_> {}

/// Packs tile `tile`; rows and columns beyond the matrix get the code 0.
///
/// # Safety
/// The job's addresses are valid for its shape, and no one else writes the tile.
#[inline(always)]
pub(crate) unsafe fn pack(job: &Job, tile: usize) {
    match job.format.slots() {
        4 => slots::<4>(job, tile),
        2 => slots::<2>(job, tile),
        _ if job.format.is_base3() => words(job, tile),
        _ => slots::<1>(job, tile),
    }
}

/// The digits of a block of columns of a row: a byte each.
#[inline(always)]
unsafe fn digits(job: &Job, row: usize, block: usize) -> [u8; COLUMN_PAD] {
    let (low, high) = job.format.range();
    let (range, zero) = ((low as f32, high as f32), job.format.zero() as f32);
    let first = block * COLUMN_PAD;
    let inside = if row < job.rows { COLUMN_PAD.min(job.cols - first) } else { 0 };
    let mut latents = [0.0; COLUMN_PAD];
    let x = if inside == COLUMN_PAD {
        &*job.latents.add(row * job.cols + first).cast()
    } else {
        for i in 0..inside {
            latents[i] = *job.latents.add(row * job.cols + first + i);
        }
        &latents
    };
    let mut out = [0; COLUMN_PAD];
    for i in 0..COLUMN_PAD {
        // The lowest bits of what is rounded by adding are those of the whole number.
        out[i] = (nearest(x[i], range) + zero + ROUNDER).to_bits() as u8;
    }
    out
}

#[inline(always)]
unsafe fn slots<const SLOTS: usize>(job: &Job, tile: usize) {
    let vectors = BLOCK_QUADS / SLOTS;
    for lane in 0..TILE {
        let codes = job.codes.add(tile * job.tile_bytes + 4 * lane);
        for block in 0..job.cols.div_ceil(COLUMN_PAD) {
            let digits = digits(job, tile * TILE + lane, block);
            let quad = |q: usize| u32::from_le_bytes(digits[4 * q..4 * q + 4].try_into().expect("four bytes"));
            for v in 0..vectors {
                let mut word = 0;
                for slot in 0..SLOTS {
                    word |= quad(v * SLOTS + slot) << (8 / SLOTS * slot);
                }
                let to = codes.add((block * vectors + v) * VECTOR);
                to.cast::<[u8; 4]>().write(word.to_le_bytes());
            }
        }
    }
}

#[inline(always)]
unsafe fn words(job: &Job, tile: usize) {
    const SPAN: u64 = 59049; // 3¹⁰ and 9⁵
    let mut sums = vec![0u32; job.places.words];
    for lane in 0..TILE {
        sums.fill(0);
        for block in 0..job.cols.div_ceil(COLUMN_PAD) {
            let places = &job.places.columns[block * COLUMN_PAD..];
            for (digit, (word, weight)) in digits(job, tile * TILE + lane, block).into_iter().zip(places) {
                sums[*word] += weight * u32::from(digit);
            }
        }
        let codes = job.codes.add(tile * job.tile_bytes + 4 * lane);
        for (w, sum) in sums.iter().enumerate() {
            let word = (u64::from(*sum) << 16).div_ceil(SPAN) as u16;
            codes.add(w / 2 * VECTOR + w % 2 * 2).cast::<[u8; 2]>().write(word.to_le_bytes());
        }
    }
}
