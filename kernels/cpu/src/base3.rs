//! The base-3 formats: runs of five blocks in words of ten trits, see `tzcore/trits`.
//!
//! A *set* of words (one vector of `t1b3`, two of `t2b3`) holds five quads, one of each of five
//! *streams*: the quads of a run in order, cut into five.  In a whole run every stream is one
//! block of 64 columns, so that each is summed for itself and no two sums wait for each other.

use std::mem::MaybeUninit;

use crate::formats::{BLOCK_QUADS, Format, FormatId, VECTOR};
use crate::product::{Job, State};
use crate::simd::Simd;

/// Blocks in a whole run; the last run of a row may have fewer.
pub(crate) const WHOLE: usize = 5;

/// Vectors of a row of so many blocks, with `set` vectors for five quads.
pub(crate) fn vectors(blocks: usize, set: usize) -> usize {
    blocks / WHOLE * BLOCK_QUADS * set + Run::new(blocks % WHOLE, set).vectors
}

/// Where the quads of a run are.
pub(crate) struct Run {
    pub vectors: usize,
    /// The first quad of each stream, and the end of the last.
    starts: [usize; 6],
}

impl Run {
    /// A run of `blocks` blocks in sets of `set` vectors: as few vectors as hold it.  Of a set
    /// that is only begun, one vector of two, quads 1 and 2 are there.
    #[inline(always)]
    pub fn new(blocks: usize, set: usize) -> Self {
        let vectors = (blocks * BLOCK_QUADS * set).div_ceil(5);
        let mut starts = [0; 6];
        for p in 0..5 {
            let begun = (p == 1 || p == 2) && !vectors.is_multiple_of(set);
            starts[p + 1] = starts[p] + vectors / set + usize::from(begun);
        }
        Self { vectors, starts }
    }

    /// The stream of a quad and its place there, which is that of its set.
    pub fn find(&self, quad: usize) -> (usize, usize) {
        let stream = (0..5).rfind(|&p| self.starts[p] <= quad).expect("the first starts at 0");
        (stream, quad - self.starts[stream])
    }
}

/// A base-3 format.
pub(crate) trait Words: Format {
    /// Vectors of a set.
    const SET: usize;

    /// The five quads of the set at `first`; its second vector, where it has one, is at `second`.
    ///
    /// # Safety
    /// As for [`Simd`].
    unsafe fn quads<S: Simd>(first: *const u8, second: *const u8) -> [S::I; 5];
}

macro_rules! word_format {
    ($name:ident, $id:ident) => {
        pub(crate) struct $name;

        impl Format for $name {
            const ID: FormatId = FormatId::$id;

            #[inline(always)]
            unsafe fn row<S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job) {
                row::<Self, S, M>(state, job);
            }
        }
    };
}

word_format!(TritWords, T1B3);
word_format!(NineWords, T2B3);

impl Words for TritWords {
    const SET: usize = 1;

    #[inline(always)]
    unsafe fn quads<S: Simd>(first: *const u8, _: *const u8) -> [S::I; 5] {
        S::trit_quads(S::load_quads(first))
    }
}

impl Words for NineWords {
    const SET: usize = 2;

    #[inline(always)]
    unsafe fn quads<S: Simd>(first: *const u8, second: *const u8) -> [S::I; 5] {
        let (first, second) = (S::load_quads(first), S::load_quads(second));
        let digit = S::merge(S::mul_high(first, 9), S::mul_high(second, 9 << 8));
        let ([a, b], [c, d]) = (S::nine_quads(first), S::nine_quads(second));
        [digit, a, b, c, d]
    }
}

#[inline(always)]
unsafe fn row<F: Words, S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job) {
    let blocks = job.blocks();
    for first in (0..blocks).step_by(WHOLE) {
        let count = WHOLE.min(blocks - first);
        if M <= S::STREAMED && count == WHOLE {
            whole::<F, S, M>(state, job);
        } else {
            buffered::<F, S, M>(state, job, count);
        }
    }
}

/// A whole run: five streams that are five blocks.
#[inline(always)]
unsafe fn whole<F: Words, S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job) {
    let mut streams = [[S::splat_i(0); M]; 5];
    for i in 0..BLOCK_QUADS {
        let quads = F::quads::<S>(state.codes, state.codes.add((F::SET - 1) * VECTOR));
        for p in 0..5 {
            state.dot::<F>(&mut streams[p], quads[p], p * BLOCK_QUADS + i);
        }
        state.codes = state.codes.add(F::SET * VECTOR);
    }
    state.input = state.input.add(WHOLE * BLOCK_QUADS * 4 * M);
    for p in 0..5 {
        state.add(streams[p]);
        state.end_block::<F>(job);
    }
}

/// Any run, for more tokens than registers hold five sums each: decoded into memory, and then taken
/// in order.
#[inline(always)]
unsafe fn buffered<F: Words, S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job, blocks: usize) {
    let run = Run::new(blocks, F::SET);
    let mut buffer = [const { MaybeUninit::<S::I>::uninit() }; WHOLE * BLOCK_QUADS];
    for i in 0..run.vectors / F::SET {
        let quads = F::quads::<S>(state.codes, state.codes.add((F::SET - 1) * VECTOR));
        for p in 0..5 {
            buffer.get_unchecked_mut(run.starts[p] + i).write(quads[p]);
        }
        state.codes = state.codes.add(F::SET * VECTOR);
    }
    if !run.vectors.is_multiple_of(F::SET) {
        // The set that is only begun, read as its own second vector.
        let quads = F::quads::<S>(state.codes, state.codes);
        for p in 1..=2 {
            buffer.get_unchecked_mut(run.starts[p + 1] - 1).write(quads[p]);
        }
    }
    for block in 0..blocks {
        for i in 0..BLOCK_QUADS {
            state.take::<F>(buffer.get_unchecked(block * BLOCK_QUADS + i).assume_init_read());
        }
        state.end_block::<F>(job);
    }
}
