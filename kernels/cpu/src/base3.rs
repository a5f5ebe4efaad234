//! The base-3 formats: runs of five blocks in words of ten trits, see `tzcore/trits`.
//!
//! A *set* of words (one vector of `t1b3`, two of `t2b3`) holds five quads, one of each of five
//! *streams*: the quads of a run in order, cut into five.  In a whole run every stream is one
//! block of 64 columns, so that each is summed for itself and no two sums wait for each other.

use std::mem::MaybeUninit;

use crate::formats::{BLOCK_QUADS, COLUMN_PAD, Format, FormatId, Packed, VECTOR};
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

    /// Most tokens for which registers hold the five sums of each and what decoding needs.
    fn streamed<S: Simd>() -> usize;

    /// The five quads of a set of one or two vectors, the digits of quad `p` times `2^shifts()[p]`.
    ///
    /// # Safety
    /// As for [`Simd`].
    unsafe fn quads<S: Simd>(first: S::I, second: S::I) -> [S::I; 5];

    #[inline(always)]
    fn shifts<S: Simd>() -> [u32; 5] {
        [0; 5]
    }
}

macro_rules! word_format {
    ($name:ident, $id:ident, $ahead:expr) => {
        pub(crate) struct $name;

        impl Format for $name {
            const AHEAD: usize = $ahead;

            #[inline(always)]
            fn zero<S: Simd>(_: &Job) -> i32 {
                FormatId::$id.zero()
            }

            #[inline(always)]
            unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
                row::<Self, S, T, M>(state, job);
            }
        }

        impl Packed for $name {
            #[inline(always)]
            unsafe fn unpack<S: Simd>(codes: *const u8, blocks: usize, to: *mut u8) {
                unpack_row::<Self, S>(codes, blocks, to);
            }
        }
    };
}

word_format!(TritWords, T1B3, 1 << 10); // it takes longer over a line than slots do
word_format!(NineWords, T2B3, 0);

impl Words for TritWords {
    const SET: usize = 1;

    #[inline(always)]
    fn streamed<S: Simd>() -> usize {
        S::STREAMED
    }

    #[inline(always)]
    unsafe fn quads<S: Simd>(words: S::I, _: S::I) -> [S::I; 5] {
        S::trit_quads(words)
    }

    #[inline(always)]
    fn shifts<S: Simd>() -> [u32; 5] {
        S::TRIT_SHIFTS
    }
}

impl Words for NineWords {
    const SET: usize = 2;

    #[inline(always)]
    fn streamed<S: Simd>() -> usize {
        S::STREAMED / 2
    }

    #[inline(always)]
    unsafe fn quads<S: Simd>(first: S::I, second: S::I) -> [S::I; 5] {
        let digit = S::merge(S::mul_high(first, 9), S::mul_high(second, 9 << 8));
        let ([a, b], [c, d]) = (S::nine_quads(first), S::nine_quads(second));
        [digit, a, b, c, d]
    }
}

/// The quads of the strips' next set; `second` is the place of its second vector, where it has one.
#[inline(always)]
unsafe fn set<F: Words, S: Simd, const T: usize, const M: usize>(
    state: &State<S, T, M>,
    second: usize,
) -> [[S::I; T]; 5] {
    let (first, second) = (state.load(0), state.load(second));
    let mut quads = [first; 5];
    for s in 0..T {
        let found = F::quads::<S>(first[s], second[s]);
        for p in 0..5 {
            quads[p][s] = found[p];
        }
    }
    quads
}

/// Where the blocks of a row, which runs are made of, end its groups.
struct Groups {
    /// Blocks to come of the present group, and of the row after it.
    left: usize,
    after: usize,
}

impl Groups {
    #[inline(always)]
    unsafe fn end_block<F: Format, S: Simd, const T: usize, const M: usize>(
        &mut self,
        state: &mut State<S, T, M>,
        job: &Job,
    ) {
        self.left -= 1;
        if self.left == 0 {
            state.flush::<F>();
            self.left = self.after.min(job.group / COLUMN_PAD);
            self.after -= self.left;
            if self.left > 0 {
                state.begin::<F>(job);
            }
        }
    }
}

#[inline(always)]
unsafe fn row<F: Words, S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
    let blocks = job.blocks();
    let left = blocks.min(job.group / COLUMN_PAD);
    let mut groups = Groups { left, after: blocks - left };
    state.begin::<F>(job);
    for first in (0..blocks).step_by(WHOLE) {
        let count = WHOLE.min(blocks - first);
        if M <= F::streamed::<S>() && count == WHOLE {
            whole::<F, S, T, M>(state, job, &mut groups);
        } else {
            buffered::<F, S, T, M>(state, job, &mut groups, count);
        }
    }
}

/// A whole run: five streams that are five blocks.
#[inline(always)]
unsafe fn whole<F: Words, S: Simd, const T: usize, const M: usize>(
    state: &mut State<S, T, M>,
    job: &Job,
    groups: &mut Groups,
) {
    let mut streams = [[[S::splat_i(0); T]; M]; 5];
    for i in 0..BLOCK_QUADS {
        let quads = set::<F, S, T, M>(state, F::SET - 1);
        for p in 0..5 {
            state.dot::<F>(&mut streams[p], quads[p], p * BLOCK_QUADS + i);
        }
        state.pass::<F>(F::SET, VECTOR);
    }
    state.pass_input(WHOLE * BLOCK_QUADS);
    for p in 0..5 {
        state.add(streams[p], F::shifts::<S>()[p]);
        groups.end_block::<F, S, T, M>(state, job);
    }
}

/// Any run, for more tokens than registers hold five sums each: unpacked, and then taken in order.
#[inline(always)]
unsafe fn buffered<F: Words, S: Simd, const T: usize, const M: usize>(
    state: &mut State<S, T, M>,
    job: &Job,
    groups: &mut Groups,
    blocks: usize,
) {
    let mut buffers = [[const { MaybeUninit::<S::I>::uninit() }; WHOLE * BLOCK_QUADS]; T];
    for s in 0..T {
        unpack_run::<F, S>(state.place(s), blocks, buffers[s].as_mut_ptr().cast());
    }
    state.pass::<F>(Run::new(blocks, F::SET).vectors, VECTOR);
    for block in 0..blocks {
        for i in 0..BLOCK_QUADS {
            let mut quads = [S::splat_i(0); T];
            for s in 0..T {
                quads[s] = buffers[s].get_unchecked(block * BLOCK_QUADS + i).assume_init_read();
            }
            state.take::<F>(quads, 0);
        }
        groups.end_block::<F, S, T, M>(state, job);
    }
}

/// Writes the quads of a strip's run, in order.
#[inline(always)]
unsafe fn unpack_run<F: Words, S: Simd>(codes: *const u8, blocks: usize, to: *mut u8) {
    let run = Run::new(blocks, F::SET);
    let write = |quad: S::I, p: usize, at: usize| {
        let bits = F::shifts::<S>()[p];
        let quad = if bits > 0 { S::field(quad, bits as i32, 0x0303_0303) } else { quad };
        S::store_quads(quad, to.add((run.starts[p] + at) * 4 * S::LANES));
    };
    for i in 0..run.vectors / F::SET {
        let first = codes.add(i * F::SET * VECTOR);
        let quads = F::quads::<S>(S::load_quads(first), S::load_quads(first.add((F::SET - 1) * VECTOR)));
        for p in 0..5 {
            write(quads[p], p, i);
        }
    }
    if !run.vectors.is_multiple_of(F::SET) {
        // The set that is only begun, read as its own second vector.
        let begun = S::load_quads(codes.add((run.vectors - 1) * VECTOR));
        let quads = F::quads::<S>(begun, begun);
        for p in 1..=2 {
            write(quads[p], p, run.vectors / F::SET);
        }
    }
}

/// All runs of a row of `blocks` blocks.
#[inline(always)]
unsafe fn unpack_row<F: Words, S: Simd>(mut codes: *const u8, blocks: usize, to: *mut u8) {
    for first in (0..blocks).step_by(WHOLE) {
        let count = WHOLE.min(blocks - first);
        unpack_run::<F, S>(codes, count, to.add(first * COLUMN_PAD * S::LANES));
        codes = codes.add(Run::new(count, F::SET).vectors * VECTOR);
    }
}
