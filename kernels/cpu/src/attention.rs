//! Causal attention with grouped heads, sliding window and soft cap, by online softmax.
//!
//! A row is one query head of one token.  Rows that share a key/value head are taken together; each
//! goes through the keys in blocks of [`BLOCK`] positions counted from position 0, in the same order
//! of operations however many rows there are, so that a prompt gives the same bits in one piece, in
//! chunks and token by token.  What a row makes of [`SEGMENT`] positions is complete in itself and
//! added to what came before: threads can share one token's segments without changing a bit.
//!
//! Quantised keys and values are read as they lie: `coded` multiplies their codes.  Which block a row
//! reads in half precision depends on its position alone (see `cache`).

use crate::coded::{self, CodedRows};
use crate::places::{Halves, Places, exact_bytes, value_place};
use crate::simd::Simd;
use crate::softmax::{State, padded_head, soften, state_floats};

/// Positions per block of the online softmax, and of a page of the cache.
pub(crate) const BLOCK: usize = 64;
/// Keys in half precision are stored transposed in runs of this many positions: as many as are read together, so
/// that memory is read in one stream.
pub(crate) const KEY_RUN: usize = 32;
/// Positions whose sums are complete in themselves: a multiple of the block.
pub(crate) const SEGMENT: usize = 2048;
/// Positions at the beginning of a text that stay in half precision.
pub(crate) const SINK: usize = 16;
/// Rows that one pass over a block of keys serves.
pub(crate) const ROWS: usize = 4;
/// Blocks that are fetched ahead: processors fetch no further than their small pages by themselves.
const AHEAD: usize = 2;
/// Vectors of values that are blended at once: with [`ROWS`] they fit into sixteen registers.
const VECTORS: usize = 2;

/// One key/value head against the queries of some consecutive tokens.
pub(crate) struct Job {
    /// float32: row of token `t` (of the job), head `h` (of the group) at `t·stride + h·head_dim`.
    pub queries: *const f32,
    pub stride: usize,
    pub tokens: usize,
    pub heads: usize,
    pub head_dim: usize,
    /// Position of the job's first token.
    pub position: usize,
    /// Positions a token sees, itself included.
    pub window: usize,
    pub places: Places,
    /// 0 for none.
    pub softcap: f32,
    /// Room for `scratch_floats` numbers, this thread's alone.
    pub scratch: *mut f32,
    pub result: Output,
}

/// Where a job's results go.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    /// Rows as the queries' are, float32.
    Rows(*mut f32),
    /// What one segment alone gives: for each row [`state_floats`] numbers, to be merged.
    Segment { number: usize, states: *mut f32 },
}

/// Numbers of scratch that a job of `rows` rows needs.
pub(crate) fn scratch_floats(rows: usize, head_dim: usize) -> usize {
    2 * rows * state_floats(head_dim) + ROWS * BLOCK + coded::scratch_floats(rows, padded_head(head_dim))
}

/// Scores of `N` rows against the keys of a block from `from` to `to`, rounded to whole vectors:
/// `scores[n·BLOCK + j]`.
#[inline(always)]
unsafe fn score<S: Simd, const N: usize>(
    job: &Job,
    queries: [*const f32; N],
    keys: *const u16,
    (from, to): (usize, usize),
    ahead: isize,
    scores: *mut f32,
) {
    let (lanes, width) = (S::LANES, padded_head(job.head_dim));
    for first in (from / (2 * lanes) * (2 * lanes)..to).step_by(2 * lanes) {
        let place = |j: usize| j / KEY_RUN * KEY_RUN * width + j % KEY_RUN;
        let (left, right) = (keys.add(place(first)), keys.add(place(first + lanes)));
        let mut sums = [[S::splat(0.0); 2]; N];
        for d in 0..job.head_dim {
            S::prefetch(left.add(d * KEY_RUN).cast::<u8>().wrapping_offset(ahead));
            S::prefetch(right.add(d * KEY_RUN).cast::<u8>().wrapping_offset(ahead));
            let (a, b) = (S::load_half(left.add(d * KEY_RUN)), S::load_half(right.add(d * KEY_RUN)));
            for n in 0..N {
                let q = S::splat(*queries[n].add(d));
                sums[n] = [S::fma(q, a, sums[n][0]), S::fma(q, b, sums[n][1])];
            }
        }
        for (n, pair) in sums.into_iter().enumerate() {
            S::store(pair[0], scores.add(n * BLOCK + first));
            S::store(pair[1], scores.add(n * BLOCK + first + lanes));
        }
    }
}

/// Adds the weighted values of keys `from .. to` to `N` rows of sums, `V` vectors from element
/// `d` on at a time.  A row that does not see a key has the weight 0 for it.
#[inline(always)]
unsafe fn blend<S: Simd, const N: usize, const V: usize>(
    (halves, width, ahead): (Halves, usize, isize),
    d: usize,
    weights: *const f32,
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
    let (first, apart) = value_place(width, halves.rows, d);
    for j in from..to {
        let row = halves.values.add(first + j * apart);
        S::prefetch(row.cast::<u8>().wrapping_offset(ahead));
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

/// A thread's place for a job.
struct Scratch {
    /// What the rows have of the segments before, and of this one.
    states: *mut f32,
    segment: *mut f32,
    scores: *mut f32,
    coded: CodedRows,
    width: usize,
}

impl Scratch {
    unsafe fn state(&self, row: usize) -> State {
        State { at: self.states.add(row * (self.width + 2)) }
    }

    unsafe fn of_segment(&self, row: usize) -> State {
        State { at: self.segment.add(row * (self.width + 2)) }
    }
}

/// Where a pass over a block reads.
#[derive(Clone, Copy)]
enum From {
    Halves(Halves),
    Page(*const u8),
}

/// Rows `row .. row + N` against what each of them sees (`ranges`) of one block.
#[inline(always)]
unsafe fn pass<S: Simd, const N: usize>(
    job: &Job,
    row: usize,
    from: From,
    ranges: [(usize, usize); N],
    ahead: isize,
    scratch: &Scratch,
) {
    let first = ranges.iter().filter(|(from, to)| from < to).map(|range| range.0).min().unwrap_or(BLOCK);
    let last = ranges.iter().filter(|(from, to)| from < to).map(|range| range.1).max().unwrap_or(0);
    if first >= last {
        return;
    }
    match from {
        From::Halves(halves) => {
            let mut queries = [job.queries; N];
            for n in 0..N {
                let (token, head) = ((row + n) / job.heads, (row + n) % job.heads);
                queries[n] = job.queries.add(token * job.stride + head * job.head_dim);
            }
            score::<S, N>(job, queries, halves.keys, (first, last), ahead, scratch.scores);
        }
        From::Page(page) => {
            coded::score::<S, N>(
                job.places.key_bits,
                &scratch.coded,
                row,
                (page, ahead),
                (first, last),
                scratch.scores,
            );
        }
    }
    let (mut sums, mut shrinks) = ([scratch.scores; N], [1.0; N]);
    for n in 0..N {
        let ((from, to), state) = (ranges[n], scratch.of_segment(row + n));
        let scores = scratch.scores.add(n * BLOCK);
        sums[n] = state.sums();
        if from < to {
            shrinks[n] = soften::<S>(scores, from, to, job.softcap, state);
        } else {
            std::slice::from_raw_parts_mut(scores, BLOCK).fill(0.0);
        }
    }
    match from {
        From::Halves(halves) => {
            let mut d = 0;
            while d + VECTORS * S::LANES <= scratch.width {
                let values = (halves, scratch.width, ahead);
                blend::<S, N, VECTORS>(values, d, scratch.scores, (first, last), &shrinks, &sums);
                d += VECTORS * S::LANES;
            }
            while d < scratch.width {
                let values = (halves, scratch.width, ahead);
                blend::<S, N, 1>(values, d, scratch.scores, (first, last), &shrinks, &sums);
                d += S::LANES;
            }
        }
        From::Page(page) => {
            let values = page.add(coded::part_bytes(job.places.key_bits, scratch.width));
            let weights = scratch.scores;
            coded::blend::<S, N>(
                job.places.value_bits,
                &scratch.coded,
                (values, ahead),
                weights,
                (first, last),
                &shrinks,
                &sums,
            );
        }
    }
}

/// Rows `row .. row + N` against a block of keys.
#[inline(always)]
unsafe fn rows<S: Simd, const N: usize>(job: &Job, row: usize, block: usize, ahead: isize, scratch: &Scratch) {
    let (start, places) = (block * BLOCK, &job.places);
    // What each row sees of this block, and whether it reads it in half precision.
    let mut seen = [(0, 0); N];
    let mut exact = [!places.quantised(); N];
    for n in 0..N {
        let position = job.position + (row + n) / job.heads;
        let from = (position + 1).saturating_sub(job.window).max(start) - start;
        seen[n] = (from, (position + 1).min(start + BLOCK).saturating_sub(start));
        exact[n] = exact[n] || places.exact(block, position / BLOCK);
    }
    let only = |wanted: bool, low: usize, high: usize| {
        let mut ranges = [(0, 0); N];
        for n in 0..N {
            if exact[n] == wanted {
                ranges[n] = (seen[n].0.max(low), seen[n].1.min(high));
            }
        }
        ranges
    };
    if exact.contains(&true) {
        let at = match places.quantised() {
            true => places.ring.add(block % 4 * exact_bytes(scratch.width)),
            false => places.page(block),
        };
        pass::<S, N>(job, row, From::Halves(Places::halves(at, scratch.width)), only(true, 0, BLOCK), ahead, scratch);
    }
    if exact.contains(&false) {
        let sink = if block == 0 { SINK } else { 0 };
        if sink > 0 {
            pass::<S, N>(job, row, From::Halves(places.sink(scratch.width)), only(false, 0, sink), 0, scratch);
        }
        pass::<S, N>(job, row, From::Page(places.page(block)), only(false, sink, BLOCK), ahead, scratch);
    }
}

/// Positions that any row of tokens from `position` on sees begin in this block.
pub(crate) fn first_block(position: usize, window: usize) -> usize {
    (position + 1).saturating_sub(window) / BLOCK
}

/// # Safety
/// As for [`Simd`]; pointers are valid for the job's shapes, the pages of all blocks that the job sees
/// are allocated, and output rows are no one else's.
#[inline(always)]
pub(crate) unsafe fn attend<S: Simd>(job: &Job) {
    let (count, width) = (job.tokens * job.heads, padded_head(job.head_dim));
    let states = count * (width + 2);
    let scratch = Scratch {
        states: job.scratch,
        segment: job.scratch.add(states),
        scores: job.scratch.add(2 * states),
        coded: CodedRows::new(job.scratch.add(2 * states + ROWS * BLOCK), count, width),
        width,
    };
    if job.places.quantised() {
        for row in 0..count {
            let query = job.queries.add(row / job.heads * job.stride + row % job.heads * job.head_dim);
            scratch.coded.set::<S>(row, query, job.head_dim);
        }
    }
    for row in 0..count {
        scratch.state(row).clear(width);
        scratch.of_segment(row).clear(width);
    }
    let (mut first, mut end) = (first_block(job.position, job.window), (job.position + job.tokens).div_ceil(BLOCK));
    const BLOCKS: usize = SEGMENT / BLOCK;
    if let Output::Segment { number, .. } = job.result {
        (first, end) = (first.max(number * BLOCKS), end.min((number + 1) * BLOCKS));
    }
    for block in first..end {
        // How far the page lies that comes next but one: one line of it is fetched for each that is read.
        let coming = (block + AHEAD).min(end - 1);
        let ahead = job.places.page(coming).offset_from(job.places.page(block));
        let mut row = 0;
        while row < count {
            match count - row {
                ROWS.. => {
                    rows::<S, ROWS>(job, row, block, ahead, &scratch);
                    row += ROWS;
                }
                3 => {
                    rows::<S, 3>(job, row, block, ahead, &scratch);
                    row += 3;
                }
                2 => {
                    rows::<S, 2>(job, row, block, ahead, &scratch);
                    row += 2;
                }
                _ => {
                    rows::<S, 1>(job, row, block, ahead, &scratch);
                    row += 1;
                }
            }
        }
        if (block + 1) % BLOCKS == 0 || block + 1 == end {
            for row in 0..count {
                scratch.state(row).merge::<S>(scratch.of_segment(row), width);
                scratch.of_segment(row).clear(width);
            }
        }
    }
    for row in 0..count {
        let state = scratch.state(row);
        match job.result {
            Output::Rows(to) => {
                let to = to.add(row / job.heads * job.stride + row % job.heads * job.head_dim);
                state.finish::<S>(to, job.head_dim, job.places.quantised());
            }
            Output::Segment { states, .. } => {
                std::ptr::copy_nonoverlapping(state.at, states.add(row * (width + 2)), width + 2);
            }
        }
    }
}
