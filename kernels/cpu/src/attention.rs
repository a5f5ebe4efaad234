//! Causal attention with grouped heads, sliding window and soft cap, by online softmax.
//!
//! A row is one query head of one token.  Rows that share a key/value head are taken together;
//! each goes through the keys in blocks of [`BLOCK`] positions counted from position 0, in the
//! same order of operations however many rows there are, so that a prompt gives the same bits
//! in one piece, in chunks and token by token.

use crate::elementwise::{exp, tanh};
use crate::simd::Simd;

/// Positions per block of the online softmax, and the unit of the cache's capacity.
pub(crate) const BLOCK: usize = 64;
/// Keys are stored transposed in runs of this many positions.
pub(crate) const KEY_RUN: usize = 16;
/// Rows that one pass over a block of keys serves.
const ROWS: usize = 4;
/// Vectors of values that are blended at once: with [`ROWS`] they fit into sixteen registers.
const VECTORS: usize = 2;

/// One key/value head against the queries of some consecutive tokens.
pub(crate) struct Job {
    /// float32: row of token `t` (of the job), head `h` (of the group) at `t·stride + h·head_dim`.
    pub queries: *const f32,
    pub output: *mut f32,
    pub stride: usize,
    pub tokens: usize,
    pub heads: usize,
    pub head_dim: usize,
    /// Position of the job's first token.
    pub position: usize,
    /// Positions a token sees, itself included.
    pub window: usize,
    /// fp16 `[capacity / 16, head_dim, 16]`
    pub keys: *const u16,
    /// fp16 `[capacity, value_stride]`, zeros beyond `head_dim`
    pub values: *const u16,
    pub value_stride: usize,
    /// 0 for none.
    pub softcap: f32,
    /// Room for `scratch_floats` numbers, this thread's alone.
    pub scratch: *mut f32,
}

/// `head_dim` rounded up to whole vectors of any instruction set.
pub(crate) fn value_stride(head_dim: usize) -> usize {
    head_dim.next_multiple_of(16)
}

/// Numbers of scratch that a job of `rows` rows needs.
pub(crate) fn scratch_floats(rows: usize, head_dim: usize) -> usize {
    rows * (value_stride(head_dim) + 2) + ROWS * BLOCK
}

/// Scores of `N` rows against the keys of a block: `scores[n·BLOCK + j]`.
#[inline(always)]
unsafe fn score<S: Simd, const N: usize>(job: &Job, queries: [*const f32; N], keys: *const u16, scores: *mut f32) {
    let lanes = S::LANES;
    for first in (0..BLOCK).step_by(2 * lanes) {
        let place = |j: usize| j / KEY_RUN * KEY_RUN * job.head_dim + j % KEY_RUN;
        let (left, right) = (keys.add(place(first)), keys.add(place(first + lanes)));
        let mut sums = [[S::splat(0.0); 2]; N];
        for d in 0..job.head_dim {
            let (a, b) = (S::load_half(left.add(d * KEY_RUN)), S::load_half(right.add(d * KEY_RUN)));
            for n in 0..N {
                let q = S::splat(*queries[n].add(d));
                sums[n] = [S::fma(q, a, sums[n][0]), S::fma(q, b, sums[n][1])];
            }
        }
        for (n, mut pair) in sums.into_iter().enumerate() {
            if job.softcap > 0.0 {
                for sum in &mut pair {
                    let t = tanh::<S>(S::div(*sum, S::splat(job.softcap)));
                    *sum = S::mul(t, S::splat(job.softcap));
                }
            }
            S::store(pair[0], scores.add(n * BLOCK + first));
            S::store(pair[1], scores.add(n * BLOCK + first + lanes));
        }
    }
}

/// Turns the scores of a row into weights; `from .. to` are the keys of the block it sees.
/// Returns what its earlier sums must be multiplied by.
#[inline(always)]
unsafe fn soften<S: Simd>(scores: *mut f32, from: usize, to: usize, highest: &mut f32, total: &mut f32) -> f32 {
    for j in (0..from).chain(to..BLOCK) {
        *scores.add(j) = f32::NEG_INFINITY;
    }
    let mut peak = S::splat(*highest);
    for j in (0..BLOCK).step_by(S::LANES) {
        peak = S::max(peak, S::load(scores.add(j)));
    }
    let peak = S::largest(peak);
    for j in (0..BLOCK).step_by(S::LANES) {
        let weight = exp::<S>(S::sub(S::load(scores.add(j)), S::splat(peak)));
        S::store(weight, scores.add(j));
    }
    for j in (0..from).chain(to..BLOCK) {
        *scores.add(j) = 0.0;
    }
    let mut sum = S::splat(0.0);
    for j in (0..BLOCK).step_by(S::LANES) {
        sum = S::add(sum, S::load(scores.add(j)));
    }
    let shrink = S::largest(exp::<S>(S::splat(*highest - peak)));
    *highest = peak;
    *total = *total * shrink + S::sum(sum);
    shrink
}

/// Adds the weighted values of keys `from .. to` to `N` rows of sums, `V` vectors from element
/// `d` on at a time.  A row that does not see a key has the weight 0 for it.
#[inline(always)]
unsafe fn blend<S: Simd, const N: usize, const V: usize>(
    job: &Job,
    d: usize,
    weights: *const f32,
    values: *const u16,
    (from, to): (usize, usize),
    shrinks: &[f32; N],
    sums: &[*mut f32; N],
) {
    let mut acc = [[S::splat(0.0); V]; N];
    for n in 0..N {
        for v in 0..V {
            acc[n][v] = S::mul(S::load(sums[n].add(d + v * S::LANES)), S::splat(shrinks[n]));
        }
    }
    for j in from..to {
        let row = values.add(j * job.value_stride + d);
        let mut value = [S::splat(0.0); V];
        for v in 0..V {
            value[v] = S::load_half(row.add(v * S::LANES));
        }
        for n in 0..N {
            let weight = S::splat(*weights.add(n * BLOCK + j));
            for v in 0..V {
                acc[n][v] = S::fma(weight, value[v], acc[n][v]);
            }
        }
    }
    for n in 0..N {
        for v in 0..V {
            S::store(acc[n][v], sums[n].add(d + v * S::LANES));
        }
    }
}

/// Rows `row .. row + N` against the block of keys that begins at `start`.
#[inline(always)]
unsafe fn rows<S: Simd, const N: usize>(job: &Job, row: usize, start: usize, state: &State) {
    let (mut queries, mut sums, mut shrinks) = ([job.queries; N], [state.sums; N], [1.0; N]);
    for n in 0..N {
        let (token, head) = ((row + n) / job.heads, (row + n) % job.heads);
        queries[n] = job.queries.add(token * job.stride + head * job.head_dim);
        sums[n] = state.sums.add((row + n) * value_stride(job.head_dim));
    }
    // What the rows see of this block, and what any of them sees.
    let seen = |n: usize| {
        let position = job.position + (row + n) / job.heads;
        let from = (position + 1).saturating_sub(job.window).max(start) - start;
        (from, (position + 1).min(start + BLOCK).saturating_sub(start))
    };
    let (first, last) = (seen(0).0, seen(N - 1).1);
    if first >= last {
        return;
    }
    score::<S, N>(job, queries, job.keys.add(start * job.head_dim), state.scores);
    for n in 0..N {
        let (from, to) = seen(n);
        let scores = state.scores.add(n * BLOCK);
        if from < to {
            let (highest, total) = (&mut *state.highest.add(row + n), &mut *state.totals.add(row + n));
            shrinks[n] = soften::<S>(scores, from, to, highest, total);
        } else {
            std::slice::from_raw_parts_mut(scores, BLOCK).fill(0.0);
        }
    }
    let values = job.values.add(start * job.value_stride);
    let mut d = 0;
    while d + VECTORS * S::LANES <= job.value_stride {
        blend::<S, N, VECTORS>(job, d, state.scores, values, (first, last), &shrinks, &sums);
        d += VECTORS * S::LANES;
    }
    while d < job.value_stride {
        blend::<S, N, 1>(job, d, state.scores, values, (first, last), &shrinks, &sums);
        d += S::LANES;
    }
}

/// The running softmax of every row of a job.
struct State {
    highest: *mut f32,
    totals: *mut f32,
    sums: *mut f32,
    scores: *mut f32,
}

/// # Safety
/// As for [`Simd`]; pointers are valid for the job's shapes, the keys and values of all positions
/// up to the last token's block are allocated, and output rows are no one else's.
#[inline(always)]
pub(crate) unsafe fn attend<S: Simd>(job: &Job) {
    let count = job.tokens * job.heads;
    let width = value_stride(job.head_dim);
    let state = State {
        highest: job.scratch,
        totals: job.scratch.add(count),
        sums: job.scratch.add(2 * count),
        scores: job.scratch.add(count * (width + 2)),
    };
    for row in 0..count {
        *state.highest.add(row) = f32::NEG_INFINITY;
        *state.totals.add(row) = 0.0;
    }
    std::slice::from_raw_parts_mut(state.sums, count * width).fill(0.0);
    let first = (job.position + 1).saturating_sub(job.window) / BLOCK * BLOCK;
    for start in (first..job.position + job.tokens).step_by(BLOCK) {
        let mut row = 0;
        while row < count {
            match count - row {
                ROWS.. => {
                    rows::<S, ROWS>(job, row, start, &state);
                    row += ROWS;
                }
                3 => {
                    rows::<S, 3>(job, row, start, &state);
                    row += 3;
                }
                2 => {
                    rows::<S, 2>(job, row, start, &state);
                    row += 2;
                }
                _ => {
                    rows::<S, 1>(job, row, start, &state);
                    row += 1;
                }
            }
        }
    }
    for row in 0..count {
        let to = job.output.add(row / job.heads * job.stride + row % job.heads * job.head_dim);
        let total = *state.totals.add(row);
        for d in 0..job.head_dim {
            *to.add(d) = *state.sums.add(row * width + d) / total;
        }
    }
}
