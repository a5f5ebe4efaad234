//! Stored codes as plain numbers, `gain · scale · code`, row by row: for gradients.

use crate::formats::{TILE, padded};
use crate::half;
use crate::numbers::{Number, Numbers, with_number};

/// Columns that are unpacked together.
const RUN: usize = 16;

/// Tiles of slots, and the matrix `[rows, cols]` that is written.
pub(crate) struct Job {
    /// The codes of the tile in hand.
    pub codes: *const u8,
    /// Slots of a byte: 4, 2 or 1.
    pub slots: usize,
    /// Lanes that lie together: all 16, or those of a vector of the instruction set.
    pub lanes: usize,
    pub zero: i32,
    pub scales: *const u16,
    pub groups: usize,
    pub group: usize,
    pub gain: f32,
    pub rows: usize,
    pub cols: usize,
    pub to: Numbers,
}

/// Writes the rows of tile `tile`.
///
/// # Safety
/// The job's addresses are valid for its shape, and no one else writes these rows.
#[inline(always)]
pub(crate) unsafe fn unpack(job: &Job, tile: usize) {
    with_number!(job.to.kind, N, {
        match job.slots {
            4 => rows::<4, N>(job, tile),
            2 => rows::<2, N>(job, tile),
            _ => rows::<1, N>(job, tile),
        }
    })
}

#[inline(always)]
unsafe fn rows<const SLOTS: usize, N: Number>(job: &Job, tile: usize) {
    let words = padded(job.cols) / (4 * SLOTS);
    for lane in 0..TILE.min(job.rows - tile * TILE) {
        let strip = lane / job.lanes * job.lanes * words;
        let codes = job.codes.add(4 * (strip + lane % job.lanes)).cast::<u32>();
        let to = job.to.at::<N>((tile * TILE + lane) * job.cols);
        for g in 0..job.groups {
            let step = half::to_f32(*job.scales.add((tile * job.groups + g) * TILE + lane)) * job.gain;
            let (first, last) = (g * job.group, job.cols.min((g + 1) * job.group));
            let mut c = first;
            while c + RUN <= last {
                let values = run::<SLOTS>(job, codes.add(c / (4 * SLOTS) * job.lanes), step);
                for i in 0..RUN {
                    *to.add(c + i) = N::near(values[i]);
                }
                c += RUN;
            }
            if c < last {
                let values = run::<SLOTS>(job, codes.add(c / (4 * SLOTS) * job.lanes), step);
                for i in 0..last - c {
                    *to.add(c + i) = N::near(values[i]);
                }
            }
        }
    }
}

/// The numbers of sixteen columns.  Columns are padded to 64: there are always sixteen.
#[inline(always)]
unsafe fn run<const SLOTS: usize>(job: &Job, codes: *const u32, step: f32) -> [f32; RUN] {
    let mut words = [0u32; 4];
    for w in 0..4 / SLOTS {
        words[w] = u32::from_le(codes.add(w * job.lanes).read_unaligned());
    }
    let bits = 8 / SLOTS;
    let mut values = [0.0; RUN];
    for i in 0..RUN {
        let shift = 8 * (i % 4) + bits * (i / 4 % SLOTS);
        let digit = if SLOTS == 1 {
            (words[i / 4] << (24 - shift)) as i32 >> 24
        } else {
            (words[i / (4 * SLOTS)] >> shift & ((1 << bits) - 1)) as i32
        };
        values[i] = (digit - job.zero) as f32 * step;
    }
    values
}
