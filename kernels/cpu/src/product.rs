//! Quantised matrix products: tiles of weights against a block of tokens held in registers.
//!
//! Per row, token and group: the dot product of codes and int8 activations minus zero·Σa, in int32,
//! which is exact in float32 too (under 2²⁴), times scale[row]·scale[token], added in float32 with
//! one rounding, in order of the groups.  That is the same for every block size and instruction set,
//! so a token's result does not depend on the tokens beside it, nor on how rows are split between
//! threads, nor on the processor.

use crate::formats::{COLUMN_PAD, Format, Packed, TILE, VECTOR, padded};
use crate::matrix::Matrix;
use crate::simd::Simd;

/// A range of tiles of one matrix against one block of tokens.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub codes: *const u8,
    pub tile_bytes: usize,
    /// Whether the codes are digits, strip after strip, as [`unpack`] writes them.
    pub unpacked: bool,
    /// What unpacked digits exceed the values by: 0 or a power of two.
    pub zero: i32,
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
    /// `[groups, block]`: the scale, and the negative sum of the int8 values, of every group.
    pub input_scales: *const f32,
    pub input_sums: *const i32,
    /// float32; token `t`, row `r` goes to `t·stride + r`.
    pub output: *mut f32,
    pub stride: usize,
    pub first: usize,
    pub last: usize,
}

impl Job {
    /// The tiles `from .. to` of a matrix, still without tokens.
    pub fn of(matrix: &Matrix, from: usize, to: usize) -> Self {
        Self {
            codes: matrix.codes,
            tile_bytes: matrix.tile_bytes,
            scales: matrix.scales,
            groups: matrix.groups,
            group: matrix.group,
            padded: padded(matrix.cols),
            zero: matrix.format.zero(),
            rows: matrix.rows,
            gain: matrix.gain,
            bias: matrix.bias.as_ref().map_or(std::ptr::null(), |bias| bias.as_ptr()),
            stride: matrix.rows,
            first: from,
            last: to,
            unpacked: false,
            input: std::ptr::null(),
            input_scales: std::ptr::null(),
            input_sums: std::ptr::null(),
            output: std::ptr::null_mut(),
        }
    }

    pub fn blocks(&self) -> usize {
        self.padded / COLUMN_PAD
    }

    /// Bytes from the codes of a tile's first row to those of its row `row`, where a strip begins.
    fn part(&self, row: usize) -> usize {
        if self.unpacked { row * self.padded } else { row * 4 }
    }
}

/// A loop without a loop: the compiler does not unroll one of 8 long rounds, and then keeps in
/// memory what should be in registers.
macro_rules! for_each_token {
    ($t:ident < $count:ident, $body:block) => {
        for_each_token!(@ $t $count $body 0 1 2 3 4 5 6 7)
    };
    (@ $t:ident $count:ident $body:block $($index:literal)*) => {
        $(if $index < $count {
            let $t = $index;
            $body
        })*
    };
}

/// Sums that the dot products of one row and token are spread over, so that none waits for the one
/// before it; integers, so that their order does not matter.
pub(crate) const CHAINS: usize = 4;

/// Columns from which on one token's input, and the codes that pass, push each other out of the
/// first-level cache: several strips go through such rows together.  Through shorter rows they go one
/// by one, so that memory is read strictly in order.
const LONG: usize = 12 << 10;

/// The running state of `T` strips, of `LANES` rows each, against `M` tokens.
pub(crate) struct State<S: Simd, const T: usize, const M: usize> {
    codes: [*const u8; T],
    input: *const u8,
    scales: [*const u16; T],
    input_scales: *const f32,
    input_sums: *const i32,
    dots: [[[S::I; CHAINS]; T]; M],
    totals: *mut [[S::F; T]; M],
}

impl<S: Simd, const T: usize, const M: usize> State<S, T, M> {
    /// At the beginning of the rows of strips `first ..`; `totals` are those of the tokens.
    #[inline(always)]
    unsafe fn new(job: &Job, first: usize, totals: *mut [[S::F; T]; M]) -> Self {
        let (mut codes, mut scales) = ([job.codes; T], [job.scales; T]);
        for s in 0..T {
            let (tile, part) = ((first + s) / (TILE / S::LANES), (first + s) % (TILE / S::LANES));
            // Unpacked tiles are there from `job.first` on only.
            codes[s] = job.codes.wrapping_add(tile * job.tile_bytes + job.part(part * S::LANES));
            scales[s] = job.scales.add(tile * job.groups * TILE + part * S::LANES);
        }
        Self {
            codes,
            input: job.input,
            scales,
            input_scales: job.input_scales,
            input_sums: job.input_sums,
            dots: [[[S::splat_i(0); CHAINS]; T]; M],
            totals,
        }
    }

    /// The strips' vectors of codes, `ahead` vectors on from here.
    #[inline(always)]
    pub unsafe fn load(&self, ahead: usize) -> [S::I; T] {
        let mut vectors = [S::splat_i(0); T];
        for s in 0..T {
            vectors[s] = S::load_quads(self.codes[s].add(ahead * VECTOR));
        }
        vectors
    }

    /// Where the codes of strip `s` go on.
    #[inline(always)]
    pub fn place(&self, s: usize) -> *const u8 {
        self.codes[s]
    }

    /// Leaves `vectors` vectors of codes behind, which are `stride` bytes from one to the next.
    #[inline(always)]
    pub unsafe fn pass<F: Format>(&mut self, vectors: usize, stride: usize) {
        for s in 0..T {
            self.codes[s] = self.codes[s].add(vectors * stride);
        }
        if M == 1 && F::AHEAD > 0 && T * S::LANES == TILE {
            for v in 0..vectors {
                S::prefetch(self.codes[0].wrapping_add(F::AHEAD + v * stride));
            }
        }
    }

    /// The chain of the quad number `index` of a cycle of four, which a format that is [`Format::FOURS`]
    /// has for digits four times as large where `index` is odd.
    #[inline(always)]
    pub fn chain(index: usize) -> usize {
        if M > S::SPREAD {
            0
        } else if T == 1 {
            index % 2 * 2 + index / 2
        } else {
            index % 2 * 2
        }
    }

    /// Adds the products of quads of codes and the input's quad `index` from here on.
    #[inline(always)]
    pub unsafe fn dot<F: Format>(&self, sums: &mut [[S::I; T]; M], codes: [S::I; T], index: usize) {
        for_each_token!(t < M, {
            let activations = S::splat_i(self.input.add((index * M + t) * 4).cast::<i32>().read_unaligned());
            for s in 0..T {
                sums[t][s] = F::dot::<S>(sums[t][s], codes[s], activations);
            }
        });
    }

    /// Takes the input's next quad into the sums of `chain`.
    #[inline(always)]
    pub unsafe fn take<F: Format>(&mut self, codes: [S::I; T], chain: usize) {
        for_each_token!(t < M, {
            let activations = S::splat_i(self.input.add(4 * t).cast::<i32>().read_unaligned());
            for s in 0..T {
                self.dots[t][s][chain] = F::dot::<S>(self.dots[t][s][chain], codes[s], activations);
            }
        });
        self.input = self.input.add(4 * M);
    }

    /// Leaves `quads` quads of the input behind.
    #[inline(always)]
    pub unsafe fn pass_input(&mut self, quads: usize) {
        self.input = self.input.add(quads * 4 * M);
    }

    /// Adds dot products, `2^bits` times as large as they stand for, to those of the present group.
    #[inline(always)]
    pub unsafe fn add(&mut self, sums: [[S::I; T]; M], bits: u32) {
        for_each_token!(t < M, {
            for s in 0..T {
                let sum = if bits > 0 { S::shift_down(sums[t][s], bits) } else { sums[t][s] };
                self.dots[t][s][0] = S::add_i(self.dots[t][s][0], sum);
            }
        });
    }

    /// Begins a group with what its digits will exceed the values by.
    #[inline(always)]
    pub unsafe fn begin<F: Format>(&mut self, job: &Job) {
        let zero = F::zero::<S>(job);
        for_each_token!(t < M, {
            let mut excess = S::splat_i(0);
            if zero > 0 {
                excess = S::shift_up(S::splat_i(*self.input_sums.add(t)), zero.trailing_zeros());
            }
            for s in 0..T {
                self.dots[t][s] = [S::splat_i(0); CHAINS];
                self.dots[t][s][0] = excess;
            }
        });
    }

    /// Ends a group: its dot products join the totals.
    #[inline(always)]
    pub unsafe fn flush<F: Format>(&mut self) {
        let mut scales = [S::splat(0.0); T];
        for s in 0..T {
            scales[s] = S::load_half(self.scales[s]);
            self.scales[s] = self.scales[s].add(TILE);
        }
        for_each_token!(t < M, {
            let scale = S::splat(*self.input_scales.add(t));
            for s in 0..T {
                let [a, b, c, d] = self.dots[t][s];
                let (low, high) = (S::add_i(a, b), S::add_i(c, d));
                let high = if F::FOURS { S::shift_down(high, 2) } else { high };
                let dot = S::to_float(S::add_i(low, high));
                let total = &mut (*self.totals)[t][s];
                *total = S::fused(dot, S::mul(scales[s], scale), *total);
            }
        });
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

/// Integer weights against `M` tokens, `T` strips at a time, or `LT` where rows are long.
///
/// # Safety
/// As for [`Simd`]; the pointers of `job` are valid for its shapes, and the output rows of
/// `first .. last` are no one else's.
#[inline(always)]
pub(crate) unsafe fn integers<S: Simd, F: Format, const T: usize, const LT: usize, const M: usize>(job: &Job) {
    let of = |rows: usize| rows.min(job.rows).div_ceil(S::LANES);
    let (mut strip, end) = (of(job.first * TILE), of(job.last * TILE));
    while LT > T && job.padded >= LONG && strip + LT <= end {
        strips::<S, F, LT, M>(job, strip);
        strip += LT;
    }
    while strip + T <= end {
        strips::<S, F, T, M>(job, strip);
        strip += T;
    }
    while T > 1 && strip < end {
        strips::<S, F, 1, M>(job, strip);
        strip += 1;
    }
}

/// Bytes that [`unpack`] may write beyond a tile: the last set of a base-3 row may be partly filled.
pub(crate) const UNPACKED_BEYOND: usize = 4 * VECTOR;

/// Writes the digits of tile `tile`, strip by strip, to `to`, `16 · padded` bytes.
///
/// # Safety
/// As for [`integers`].
#[inline(always)]
pub(crate) unsafe fn unpack<S: Simd, F: Packed>(job: &Job, tile: usize, to: *mut u8) {
    for part in 0..TILE / S::LANES {
        let codes = job.codes.add(tile * job.tile_bytes + job.part(part * S::LANES));
        F::unpack::<S>(codes, job.blocks(), to.add(part * S::LANES * job.padded));
    }
}

/// The rows of strips `first .. first + T`.
#[inline(always)]
unsafe fn strips<S: Simd, F: Format, const T: usize, const M: usize>(job: &Job, first: usize) {
    let mut totals = [[S::splat(0.0); T]; M];
    F::row(&mut State::<S, T, M>::new(job, first, &mut totals), job);
    for_each_token!(t < M, {
        for s in 0..T {
            store::<S>(job, (first + s) * S::LANES, t, totals[t][s]);
        }
    });
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
