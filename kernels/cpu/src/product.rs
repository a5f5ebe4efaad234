//! Quantised matrix products: tiles of weights against a block of tokens held in registers.
//!
//! Per row, token and group: the dot product of codes and int8 activations in int32 (exact),
//! minus zero·Σa (exact in float32: under 2²⁴), times scale[row]·scale[token], added in float32
//! in order of the groups.  That order is the same for every block size, so a token's result
//! does not depend on the tokens beside it, nor on how rows are split between threads.

use crate::formats::{COLUMN_PAD, Format, TILE};
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

impl Job {
    pub fn blocks(&self) -> usize {
        self.padded / COLUMN_PAD
    }
}

/// A loop without a loop: the compiler does not unroll one of 16 long rounds, and then keeps in
/// memory what should be in registers.
macro_rules! for_each_token {
    ($t:ident < $count:ident, $body:block) => {
        for_each_token!(@ $t $count $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $t:ident $count:ident $body:block $($index:literal)*) => {
        $(if $index < $count {
            let $t = $index;
            $body
        })*
    };
}

/// The running state of `LANES` rows against `M` tokens.
pub(crate) struct State<S: Simd, const M: usize> {
    pub codes: *const u8,
    pub input: *const u8,
    scales: *const u16,
    input_scales: *const f32,
    input_sums: *const f32,
    /// Blocks to come of the present group, and of the row after it.
    left: usize,
    after: usize,
    dots: [S::I; M],
    totals: [S::F; M],
}

impl<S: Simd, const M: usize> State<S, M> {
    /// Adds the products of a quad of codes and the input's quad `index` from here on.
    #[inline(always)]
    pub unsafe fn dot<F: Format>(&self, sums: &mut [S::I; M], codes: S::I, index: usize) {
        for_each_token!(t < M, {
            let activations = self.input.add((index * M + t) * 4).cast::<i32>().read_unaligned();
            sums[t] = F::dot::<S>(sums[t], codes, activations);
        });
    }

    /// Takes the input's next quad.
    #[inline(always)]
    pub unsafe fn take<F: Format>(&mut self, codes: S::I) {
        for_each_token!(t < M, {
            let activations = self.input.add(4 * t).cast::<i32>().read_unaligned();
            self.dots[t] = F::dot::<S>(self.dots[t], codes, activations);
        });
        self.input = self.input.add(4 * M);
    }

    /// Adds dot products to those of the present group.
    #[inline(always)]
    pub unsafe fn add(&mut self, sums: [S::I; M]) {
        for_each_token!(t < M, {
            self.dots[t] = S::add_i(self.dots[t], sums[t]);
        });
    }

    /// Ends a block, and with its last block the group, which may be short at the end of the row.
    #[inline(always)]
    pub unsafe fn end_block<F: Format>(&mut self, job: &Job) {
        self.left -= 1;
        if self.left == 0 {
            self.flush::<F>();
            self.left = self.after.min(job.group / COLUMN_PAD);
            self.after -= self.left;
        }
    }

    /// Ends a group: its dot products join the totals.
    #[inline(always)]
    unsafe fn flush<F: Format>(&mut self) {
        let scales = S::load_half(self.scales);
        let zero = S::splat(-F::zero::<S>());
        for_each_token!(t < M, {
            let dot = S::fma(zero, S::splat(*self.input_sums.add(t)), S::to_float(self.dots[t]));
            let scale = S::mul(scales, S::splat(*self.input_scales.add(t)));
            self.totals[t] = S::fma(dot, scale, self.totals[t]);
            self.dots[t] = S::splat_i(0);
        });
        self.scales = self.scales.add(TILE);
        self.input_scales = self.input_scales.add(M);
        self.input_sums = self.input_sums.add(M);
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

/// Integer weights against `M` tokens.
///
/// # Safety
/// As for [`Simd`]; the pointers of `job` are valid for its shapes, and the output rows of
/// `first .. last` are no one else's.
#[inline(always)]
pub(crate) unsafe fn integers<S: Simd, F: Format, const M: usize>(job: &Job) {
    let group = job.blocks().min(job.group / COLUMN_PAD);
    for tile in job.first..job.last {
        for part in 0..TILE / S::LANES {
            let row = tile * TILE + part * S::LANES;
            if row >= job.rows {
                break;
            }
            let mut state = State::<S, M> {
                codes: job.codes.add(tile * job.tile_bytes + part * S::LANES * 4),
                input: job.input,
                scales: job.scales.add(tile * job.groups * TILE + part * S::LANES),
                input_scales: job.input_scales,
                input_sums: job.input_sums,
                left: group,
                after: job.blocks() - group,
                dots: [S::splat_i(0); M],
                totals: [S::splat(0.0); M],
            };
            F::row(&mut state, job);
            for_each_token!(t < M, {
                store::<S>(job, row, t, state.totals[t]);
            });
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
