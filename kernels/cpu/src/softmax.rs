//! The softmax of one row over keys that come block by block: what it has so far, and its end.

use crate::attention::BLOCK;
use crate::elementwise::{exp, hadamard, tanh};
use crate::simd::Simd;

/// `head_dim` rounded up to whole vectors of any instruction set.
pub(crate) fn padded_head(head_dim: usize) -> usize {
    head_dim.next_multiple_of(16)
}

/// Numbers of a row's running softmax: largest score, sum of weights, sums of values.
pub(crate) fn state_floats(head_dim: usize) -> usize {
    padded_head(head_dim) + 2
}

/// The running softmax of one row.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// Largest score, then the sum of weights, then [`padded_head`] sums of weighted values.
    pub at: *mut f32,
}

impl State {
    pub unsafe fn clear(self, width: usize) {
        std::slice::from_raw_parts_mut(self.at, width + 2).fill(0.0);
        *self.at = f32::NEG_INFINITY;
    }

    pub unsafe fn sums(self) -> *mut f32 {
        self.at.add(2)
    }

    /// Adds what later positions gave.
    #[inline(always)]
    pub unsafe fn merge<S: Simd>(self, later: State, width: usize) {
        if *later.at == f32::NEG_INFINITY {
            return;
        }
        if *self.at == f32::NEG_INFINITY {
            std::ptr::copy_nonoverlapping(later.at, self.at, width + 2);
            return;
        }
        let peak = if *later.at > *self.at { *later.at } else { *self.at };
        let ours = S::largest(exp::<S>(S::splat(*self.at - peak)));
        let theirs = S::largest(exp::<S>(S::splat(*later.at - peak)));
        *self.at = peak;
        *self.at.add(1) = *self.at.add(1) * ours + *later.at.add(1) * theirs;
        for d in (0..width).step_by(S::LANES) {
            let (a, b) = (S::load(self.sums().add(d)), S::load(later.sums().add(d)));
            let sum = S::add(S::mul(a, S::splat(ours)), S::mul(b, S::splat(theirs)));
            S::store(sum, self.sums().add(d));
        }
    }

    /// The row's result; turned back where keys and values are turned.
    #[inline(always)]
    pub unsafe fn finish<S: Simd>(self, to: *mut f32, head_dim: usize, turned: bool) {
        let mut total = *self.at.add(1);
        if turned {
            let block = turned_block(head_dim);
            hadamard::<S>(self.sums(), head_dim, block);
            total *= (block as f32).sqrt();
        }
        for d in 0..head_dim {
            *to.add(d) = *self.sums().add(d) / total;
        }
    }
}

/// Numbers of a head that are transformed together.
pub(crate) fn turned_block(head_dim: usize) -> usize {
    1 << head_dim.trailing_zeros()
}

/// Turns the scores of a row into weights; `from .. to` are the keys of the block it sees.
/// Returns what its earlier sums must be multiplied by.
#[inline(always)]
pub(crate) unsafe fn soften<S: Simd>(scores: *mut f32, from: usize, to: usize, softcap: f32, state: State) -> f32 {
    for j in (0..from).chain(to..BLOCK) {
        *scores.add(j) = f32::NEG_INFINITY;
    }
    let (highest, mut peak) = (*state.at, S::splat(*state.at));
    for j in (0..BLOCK).step_by(S::LANES) {
        let mut score = S::load(scores.add(j));
        if softcap > 0.0 {
            score = S::mul(tanh::<S>(S::div(score, S::splat(softcap))), S::splat(softcap));
            S::store(score, scores.add(j));
        }
        peak = S::max(peak, score);
    }
    if softcap > 0.0 {
        for j in (0..from).chain(to..BLOCK) {
            *scores.add(j) = f32::NEG_INFINITY;
        }
    }
    let peak = S::largest(peak);
    let mut sum = S::splat(0.0);
    for j in (0..BLOCK).step_by(S::LANES) {
        let weight = exp::<S>(S::sub(S::load(scores.add(j)), S::splat(peak)));
        S::store(weight, scores.add(j));
        // What a masked key gives is too little to change a total that has the 1 of the largest in it.
        sum = S::add(sum, weight);
    }
    for j in (0..from).chain(to..BLOCK) {
        *scores.add(j) = 0.0;
    }
    // Mostly the largest score was seen before.
    let shrink = if peak == highest { 1.0 } else { S::largest(exp::<S>(S::splat(highest - peak))) };
    *state.at = peak;
    *state.at.add(1) = *state.at.add(1) * shrink + S::sum(sum);
    shrink
}

/// One row from what its segments gave, `states[segment · apart]` each; the first is overwritten.
///
/// # Safety
/// As for [`Simd`]; the states are valid and `to` has room for `head_dim` numbers.
#[inline(always)]
pub(crate) unsafe fn merge<S: Simd>(
    states: *mut f32,
    (segments, apart): (usize, usize),
    to: *mut f32,
    head_dim: usize,
    turned: bool,
) {
    let (first, width) = (State { at: states }, padded_head(head_dim));
    for segment in 1..segments {
        first.merge::<S>(State { at: states.add(segment * apart) }, width);
    }
    first.finish::<S>(to, head_dim, turned);
}
