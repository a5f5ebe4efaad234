//! Attention's two products with keys and values that are codes: sums of integers, exact on every
//! instruction set.
//!
//! A query is rounded to 8 bits with one scale, as the weights of a block's values are, each times the
//! scale of its value; levels have 8 bits themselves.  What that costs is far below what codes of 6
//! bits and fewer cost (`tests/bench/results/kv-quality-starter.txt`).

use crate::attention::{BLOCK, ROWS};
use crate::codes::{ALONE, Bits2, Bits4, Bits5, Bits6, Bits8, COUPLED, Codes, RUN, strip_place};
use crate::simd::Simd;

/// Largest magnitude of a rounded query or weight.
const LIMIT: f32 = 127.0;

/// Bytes of the keys or of the values of a block: codes, then a scale a position.
pub(crate) const fn part_bytes(bits: usize, width: usize) -> usize {
    BLOCK * width * bits / 8 + BLOCK
}

/// Numbers of scratch for `rows` rows.
pub(crate) fn scratch_floats(rows: usize, width: usize) -> usize {
    rows * (width / 4 + 2) + BLOCK + ROWS * BLOCK / 4
}

/// Rows of queries as integers, and places for what one block needs.
pub(crate) struct CodedRows {
    /// `[rows, width]`
    queries: *mut i8,
    /// `[rows]`: what a sum is multiplied by, and what is added to it before.
    scales: *mut f32,
    offsets: *mut i32,
    /// `[BLOCK]`: of the positions.
    position_scales: *mut f32,
    /// `[ROWS, BLOCK]`
    weights: *mut i8,
    width: usize,
}

impl CodedRows {
    pub unsafe fn new(scratch: *mut f32, rows: usize, width: usize) -> Self {
        let scales = scratch.add(rows * width / 4);
        let position_scales = scales.add(2 * rows);
        Self {
            queries: scratch.cast(),
            scales,
            offsets: scales.add(rows).cast(),
            position_scales,
            weights: position_scales.add(BLOCK).cast(),
            width,
        }
    }

    /// Rounds the query of a row, of `head_dim` numbers.
    #[inline(always)]
    pub unsafe fn set<S: Simd>(&self, row: usize, query: *const f32, head_dim: usize) {
        let codes = self.queries.add(row * self.width);
        let mut largest = 0.0f32;
        for d in 0..head_dim {
            let magnitude = (*query.add(d)).abs();
            largest = if magnitude > largest || magnitude.is_nan() { magnitude } else { largest };
        }
        let usable = largest > 0.0 && largest.is_finite();
        let inverse = if usable { LIMIT / largest } else { 0.0 };
        let mut sum = 0;
        for d in 0..self.width {
            // What is not finite gives 0 here and shows in the scale.
            let code = if d < head_dim && usable { (*query.add(d) * inverse).round_ties_even() as i8 } else { 0 };
            *codes.add(d) = code;
            sum += i32::from(code);
        }
        *self.scales.add(row) = if usable { largest / LIMIT } else { largest * 0.0 };
        *self.offsets.add(row) = -S::SIGNED_ZERO * sum;
    }
}

/// The scales of `count` positions as numbers.
#[inline(always)]
unsafe fn read_scales<S: Simd>(bytes: *const u8, to: *mut f32) {
    for j in (0..BLOCK).step_by(S::LANES) {
        S::store(S::scales(bytes.add(j)), to.add(j));
    }
}

/// Brings nearer what lies `ahead` of a pair of quads, as many lines as it has bytes for.
#[inline(always)]
unsafe fn fetch<S: Simd, C: Codes, const STEP: usize>(strip: *const u8, pair: usize, ahead: isize) {
    let vectors = if C::BITS == 8 { 2 } else { 1 };
    for i in 0..vectors {
        S::prefetch(strip.add(STEP * (vectors * pair + i)).wrapping_offset(ahead));
    }
}

/// Calls a function that is generic over [`Codes`] with those of `bits` bits.
macro_rules! with_codes {
    ($bits:expr, $call:ident :: <$($generic:tt),*> ($($argument:expr),*)) => {
        match $bits {
            2 => $call::<$($generic),*, Bits2>($($argument),*),
            4 => $call::<$($generic),*, Bits4>($($argument),*),
            5 => $call::<$($generic),*, Bits5>($($argument),*),
            6 => $call::<$($generic),*, Bits6>($($argument),*),
            8 => $call::<$($generic),*, Bits8>($($argument),*),
            bits => unreachable!("no kernel reads codes of {bits} bits"),
        }
    };
}

/// Scores of rows `row .. row + N` against positions `from .. to` of a page, rounded to whole vectors.  What lies
/// so many bytes ahead is brought nearer, here and below.
#[inline(always)]
pub(crate) unsafe fn score<S: Simd, const N: usize>(
    bits: usize,
    rows: &CodedRows,
    row: usize,
    page: (*const u8, isize),
    range: (usize, usize),
    scores: *mut f32,
) {
    with_codes!(bits, score_codes::<S, N>(rows, row, page, range, scores));
}

#[inline(always)]
unsafe fn score_codes<S: Simd, const N: usize, C: Codes>(
    rows: &CodedRows,
    row: usize,
    (page, ahead): (*const u8, isize),
    (from, to): (usize, usize),
    scores: *mut f32,
) {
    let quads = rows.width / 4;
    read_scales::<S>(page.add(BLOCK * rows.width * C::BITS / 8), rows.position_scales);
    for first in (from / (2 * S::LANES) * (2 * S::LANES)..to).step_by(2 * S::LANES) {
        let place = |j: usize| page.add(strip_place(C::BITS, quads, j / RUN, BLOCK / RUN).0 + 4 * (j % RUN));
        let sides = [place(first), place(first + S::LANES)];
        let mut sums = [[S::splat_i(0); 2]; N];
        for n in 0..N {
            sums[n] = [S::splat_i(*rows.offsets.add(row + n)); 2];
        }
        for pair in 0..quads / 2 {
            fetch::<S, C, COUPLED>(sides[0], pair, ahead);
            fetch::<S, C, COUPLED>(sides[1], pair, ahead);
            let keys = [C::unpack::<S, COUPLED>(sides[0], quads, pair), C::unpack::<S, COUPLED>(sides[1], quads, pair)];
            for n in 0..N {
                let at = rows.queries.add((row + n) * rows.width + 8 * pair).cast::<i32>();
                let query = [S::splat_i(at.read_unaligned()), S::splat_i(at.add(1).read_unaligned())];
                for side in 0..2 {
                    sums[n][side] = S::dot_shifted(sums[n][side], keys[side][0], query[0]);
                    sums[n][side] = S::dot_shifted(sums[n][side], keys[side][1], query[1]);
                }
            }
        }
        for n in 0..N {
            let scale = S::splat(*rows.scales.add(row + n));
            for side in 0..2 {
                let at = first + side * S::LANES;
                let scales = S::mul(S::load(rows.position_scales.add(at)), scale);
                S::store(S::mul(S::to_float(sums[n][side]), scales), scores.add(n * BLOCK + at));
            }
        }
    }
}

/// Adds the weighted values of positions `from .. to` to `N` rows of sums.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn blend<S: Simd, const N: usize>(
    bits: usize,
    rows: &CodedRows,
    values: (*const u8, isize),
    weights: *const f32,
    range: (usize, usize),
    shrinks: &[f32; N],
    sums: &[*mut f32; N],
) {
    with_codes!(bits, blend_codes::<S, N>(rows, values, weights, range, shrinks, sums));
}

#[inline(always)]
unsafe fn blend_codes<S: Simd, const N: usize, C: Codes>(
    rows: &CodedRows,
    (values, ahead): (*const u8, isize),
    weights: *const f32,
    (from, to): (usize, usize),
    shrinks: &[f32; N],
    sums: &[*mut f32; N],
) {
    const QUADS: usize = BLOCK / 4;
    read_scales::<S>(values.add(BLOCK * rows.width * C::BITS / 8), rows.position_scales);
    let (mut factors, mut offsets) = ([0.0; N], [0; N]);
    for n in 0..N {
        (factors[n], offsets[n]) = round_weights::<S>(rows, weights.add(n * BLOCK), rows.weights.add(n * BLOCK));
    }
    let pairs = (from / 8, to.div_ceil(8));
    let place = |d: usize| values.add(strip_place(C::BITS, QUADS, d / RUN, rows.width / RUN).0);
    let mut d = 0;
    // Two strips at once where there are two: more sums of their own keep the processor busy.
    while d + 32 <= rows.width {
        let at = [place(d), place(d + RUN)];
        for lane in (0..RUN).step_by(S::LANES) {
            let strips = [at[0].add(4 * lane), at[1].add(4 * lane)];
            let made = mix::<S, N, 2, COUPLED, C>(rows, (strips, ahead), pairs, &offsets);
            put::<S, N, 2>(made, &factors, shrinks, sums, [d + lane, d + 16 + lane]);
        }
        d += 32;
    }
    if d < rows.width {
        let at = place(d);
        for lane in (0..RUN).step_by(S::LANES) {
            let made = mix::<S, N, 1, ALONE, C>(rows, ([at.add(4 * lane)], ahead), pairs, &offsets);
            put::<S, N, 1>(made, &factors, shrinks, sums, [d + lane]);
        }
    }
}

/// Rounds a row's weights times the scales of their positions; what a sum of them is to be multiplied
/// by, and what is to be added to it before.
#[inline(always)]
unsafe fn round_weights<S: Simd>(rows: &CodedRows, weights: *const f32, to: *mut i8) -> (f32, i32) {
    let mut largest = S::splat(0.0);
    for j in (0..BLOCK).step_by(S::LANES) {
        largest = S::max(largest, S::mul(S::load(weights.add(j)), S::load(rows.position_scales.add(j))));
    }
    let largest = S::largest(largest);
    let inverse = S::splat(if largest > 0.0 { LIMIT / largest } else { 0.0 });
    let mut sum = S::splat_i(0);
    for j in (0..BLOCK).step_by(S::LANES) {
        let weight = S::mul(S::load(weights.add(j)), S::load(rows.position_scales.add(j)));
        let code = S::to_int(S::mul(weight, inverse));
        sum = S::add_i(sum, code);
        S::store_bytes(code, to.add(j));
    }
    (largest / LIMIT, -S::SIGNED_ZERO * S::sum_i(sum))
}

#[inline(always)]
unsafe fn mix<S: Simd, const N: usize, const T: usize, const STEP: usize, C: Codes>(
    rows: &CodedRows,
    (strips, ahead): ([*const u8; T], isize),
    (first, last): (usize, usize),
    offsets: &[i32; N],
) -> [[S::I; T]; N] {
    let mut sums = [[S::splat_i(0); T]; N];
    for n in 0..N {
        sums[n] = [S::splat_i(offsets[n]); T];
    }
    for pair in first..last {
        let mut values = [[S::splat_i(0); 2]; T];
        for t in 0..T {
            fetch::<S, C, STEP>(strips[t], pair, ahead);
            values[t] = C::unpack::<S, STEP>(strips[t], BLOCK / 4, pair);
        }
        for n in 0..N {
            let at = rows.weights.add(n * BLOCK + 8 * pair).cast::<i32>();
            let weights = [S::splat_i(at.read_unaligned()), S::splat_i(at.add(1).read_unaligned())];
            for t in 0..T {
                sums[n][t] = S::dot_shifted(sums[n][t], values[t][0], weights[0]);
                sums[n][t] = S::dot_shifted(sums[n][t], values[t][1], weights[1]);
            }
        }
    }
    sums
}

#[inline(always)]
unsafe fn put<S: Simd, const N: usize, const T: usize>(
    made: [[S::I; T]; N],
    factors: &[f32; N],
    shrinks: &[f32; N],
    sums: &[*mut f32; N],
    places: [usize; T],
) {
    for n in 0..N {
        for t in 0..T {
            let to = sums[n].add(places[t]);
            let before = S::mul(S::load(to), S::splat(shrinks[n]));
            S::store(S::fused(S::to_float(made[n][t]), S::splat(factors[n]), before), to);
        }
    }
}
