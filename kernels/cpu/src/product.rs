//! Quantised matrix products: tiles of weights against a block of tokens held in registers.
//!
//! Per row, token and group: the dot product of codes and int8 activations in int32 (exact),
//! minus zero·Σa (exact in float32: under 2²⁴), times scale[row]·scale[token], added in float32
//! in order of the groups.  That order is the same for every block size, so a token's result
//! does not depend on the tokens beside it, nor on how rows are split between threads.

use crate::formats::{COLUMN_PAD, Format, TILE, VECTOR};
use crate::simd::Simd;

/// A range of tiles of one matrix against one block of tokens.
pub(crate) struct Job {
    pub codes: *const u8,
    pub tile_bytes: usize,
    /// fp16 `[tiles, groups, 16]`
    pub scales: *const u16,
    pub groups: usize,
    /// Columns of a group, 64 or 128.
    pub group: usize,
    pub padded: usize,
    pub rows: usize,
    /// Multiplies the product, before the bias joins it.
    pub gain: f32,
    /// float32, padded to whole tiles; null for none.
    pub bias: *const f32,
    /// int8 `[padded / 4, block, 4]`, or float32 `[block, padded]` for f16 weights.
    pub input: *const u8,
    /// float32 `[groups, block]`: the scale, and the sum of the int8 values, of every group.
    pub input_scales: *const f32,
    pub input_sums: *const f32,
    /// float32; token `t`, row `r` goes to `t·stride + r`.
    pub output: *mut f32,
    pub stride: usize,
    pub first: usize,
    pub last: usize,
}

/// The running state of `LANES` rows against `M` tokens, of a block whose layout has `P`.
struct State<S: Simd, const M: usize, const P: usize> {
    codes: *const u8,
    input: *const u8,
    scales: *const u16,
    input_scales: *const f32,
    input_sums: *const f32,
    dots: [S::I; M],
    totals: [S::F; M],
}

impl<S: Simd, const M: usize, const P: usize> State<S, M, P> {
    /// Takes quads `FROM .. TO` of the step at `codes`, without moving on.
    #[inline(always)]
    unsafe fn take<F: Format, const TO: usize>(&mut self, quads: &[S::I; TO], from: usize) {
        for quad in &quads[from..] {
            for t in 0..M {
                let activations = self.input.add(4 * t).cast::<i32>().read_unaligned();
                self.dots[t] = F::dot::<S>(self.dots[t], *quad, activations);
            }
            self.input = self.input.add(4 * P);
        }
    }

    #[inline(always)]
    unsafe fn step<F: Format, const N: usize>(&mut self, vectors: usize) {
        let quads = F::quads::<S, N>(self.codes);
        self.take::<F, N>(&quads, 0);
        self.codes = self.codes.add(vectors * VECTOR);
    }

    /// Ends a group: its dot products join the totals.
    #[inline(always)]
    unsafe fn flush<F: Format>(&mut self) {
        let scales = S::load_half(self.scales);
        let zero = S::splat(-F::zero::<S>());
        for t in 0..M {
            let dot = S::fma(zero, S::splat(*self.input_sums.add(t)), S::to_float(self.dots[t]));
            let scale = S::mul(scales, S::splat(*self.input_scales.add(t)));
            self.totals[t] = S::fma(dot, scale, self.totals[t]);
            self.dots[t] = S::splat_i(0);
        }
        self.scales = self.scales.add(TILE);
        self.input_scales = self.input_scales.add(P);
        self.input_sums = self.input_sums.add(P);
    }

    /// 128 columns of base-3 words: 32 quads in steps of five; a group of 64 ends in the middle
    /// of the fourth step.
    #[inline(always)]
    unsafe fn base3_unit<F: Format, const HALVES: bool>(&mut self) {
        for _ in 0..3 {
            self.step::<F, 5>(F::VECTORS);
        }
        let quads = F::quads::<S, 5>(self.codes);
        self.take::<F, 1>(&[quads[0]], 0);
        if HALVES {
            self.flush::<F>();
        }
        self.take::<F, 5>(&quads, 1);
        self.codes = self.codes.add(F::VECTORS * VECTOR);
        for _ in 0..2 {
            self.step::<F, 5>(F::VECTORS);
        }
        self.step::<F, 2>(1);
        self.flush::<F>();
    }

    #[inline(always)]
    unsafe fn base3<F: Format>(&mut self, job: &Job) {
        for _ in 0..job.padded / 128 {
            if job.group == 64 {
                self.base3_unit::<F, true>();
            } else {
                self.base3_unit::<F, false>();
            }
        }
        if !job.padded.is_multiple_of(128) {
            for _ in 0..3 {
                self.step::<F, 5>(F::VECTORS);
            }
            self.step::<F, 1>(1);
            self.flush::<F>();
        }
    }

    #[inline(always)]
    unsafe fn slots<F: Format>(&mut self, job: &Job) {
        let units = job.group / COLUMN_PAD;
        let mut left = job.padded / COLUMN_PAD;
        while left > 0 {
            let taken = units.min(left);
            for _ in 0..taken {
                for _ in 0..COLUMN_PAD / 4 / F::STEP {
                    // N cannot be F::STEP itself: associated constants are not const arguments yet.
                    match F::STEP {
                        4 => self.step::<F, 4>(1),
                        2 => self.step::<F, 2>(1),
                        _ => self.step::<F, 1>(1),
                    }
                }
            }
            self.flush::<F>();
            left -= taken;
        }
    }
}

/// Writes `LANES` rows, or as many as the matrix still has.
#[inline(always)]
unsafe fn store<S: Simd>(job: &Job, row: usize, token: usize, mut total: S::F) {
    total = S::mul(total, S::splat(job.gain));
    if !job.bias.is_null() {
        total = S::add(total, S::load(job.bias.add(row)));
    }
    let to = job.output.add(token * job.stride + row);
    let left = job.rows - row;
    if left >= S::LANES {
        S::store(total, to);
    } else {
        let mut lanes = [0.0; TILE];
        S::store(total, lanes.as_mut_ptr());
        store_some(&lanes, to, left);
    }
}

/// Apart from the hot code, which has no room for it.
#[cold]
#[inline(never)]
unsafe fn store_some(lanes: &[f32; TILE], to: *mut f32, count: usize) {
    std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
}

/// Integer weights against `M` tokens, those from `first_token` on of a block of `P`.
///
/// # Safety
/// As for [`Simd`]; the pointers of `job` are valid for its shapes, and the output rows of
/// `first .. last` are no one else's.
#[inline(always)]
pub(crate) unsafe fn integers<S: Simd, F: Format, const M: usize, const P: usize>(job: &Job, first_token: usize) {
    for tile in job.first..job.last {
        for part in 0..TILE / S::LANES {
            let row = tile * TILE + part * S::LANES;
            if row >= job.rows {
                break;
            }
            let mut state = State::<S, M, P> {
                codes: job.codes.add(tile * job.tile_bytes + part * S::LANES * 4),
                input: job.input.add(4 * first_token),
                scales: job.scales.add(tile * job.groups * TILE + part * S::LANES),
                input_scales: job.input_scales.add(first_token),
                input_sums: job.input_sums.add(first_token),
                dots: [S::splat_i(0); M],
                totals: [S::splat(0.0); M],
            };
            if F::BASE3 {
                state.base3::<F>(job);
            } else {
                state.slots::<F>(job);
            }
            for t in 0..M {
                store::<S>(job, row, first_token + t, state.totals[t]);
            }
        }
    }
}

/// Half-precision weights against `M` tokens in float32: four partial sums by column mod 4.
///
/// # Safety
/// As for [`integers`].
#[inline(always)]
pub(crate) unsafe fn halves<S: Simd, const M: usize>(job: &Job) {
    let input = job.input.cast::<f32>();
    for tile in job.first..job.last {
        for part in 0..TILE / S::LANES {
            let row = tile * TILE + part * S::LANES;
            if row >= job.rows {
                break;
            }
            let weights = job.codes.add(tile * job.tile_bytes).cast::<u16>().add(part * S::LANES);
            let mut sums = [[S::splat(0.0); 4]; M];
            for column in (0..job.padded).step_by(4) {
                for i in 0..4 {
                    let weight = S::load_half(weights.add((column + i) * TILE));
                    for t in 0..M {
                        let x = S::splat(*input.add(t * job.padded + column + i));
                        sums[t][i] = S::fma(weight, x, sums[t][i]);
                    }
                }
            }
            for (t, [a, b, c, d]) in sums.into_iter().enumerate() {
                store::<S>(job, row, t, S::add(S::add(a, b), S::add(c, d)));
            }
        }
    }
}
