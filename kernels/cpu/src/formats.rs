//! The code formats of `tzcore/trits`: sizes, quads of a tile in order, and single rows.
//!
//! A tile is sixteen rows, a sequence of 64-byte vectors of sixteen 4-byte lanes.  A kernel
//! takes it quad by quad: four consecutive columns, one byte each, in every lane.

use crate::base3::{self, Run, WHOLE};
use crate::product::{Job, State};
use crate::simd::Simd;

/// Rows in a tile.
pub(crate) const TILE: usize = 16;
/// Columns are padded to a multiple of this.
pub(crate) const COLUMN_PAD: usize = 64;
/// Quads of so many columns, a *block*.
pub(crate) const BLOCK_QUADS: usize = COLUMN_PAD / 4;
/// Bytes from a vector of a tile to the next.
pub(crate) const VECTOR: usize = 64;

/// The formats by their number in the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatId {
    T1 = 1,
    T1B3 = 2,
    Q2 = 3,
    T2 = 4,
    T2B3 = 5,
    I4 = 6,
    I8 = 7,
    F16 = 8,
}

use FormatId::*;

impl FormatId {
    pub const ALL: [Self; 8] = [T1, T1B3, Q2, T2, T2B3, I4, I8, F16];

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| *format as u32 == number)
    }

    /// Bytes of one tile of `cols` columns.
    pub fn tile_bytes(self, cols: usize) -> usize {
        let blocks = cols.div_ceil(COLUMN_PAD);
        match self {
            T1 | Q2 => blocks * 4 * VECTOR,
            T2 | I4 => blocks * 8 * VECTOR,
            I8 => blocks * 16 * VECTOR,
            T1B3 => base3::vectors(blocks, 1) * VECTOR,
            T2B3 => base3::vectors(blocks, 2) * VECTOR,
            F16 => padded(cols) * TILE * 2,
        }
    }

    /// Whether its digits are cheaper to unpack once than for every block of tokens.
    pub fn is_base3(self) -> bool {
        matches!(self, T1B3 | T2B3)
    }

    /// Codes of a byte, or of one that a word of base 3 is unpacked to.
    pub fn slots(self) -> usize {
        match self {
            T1 | Q2 => 4,
            T2 | I4 => 2,
            _ => 1,
        }
    }

    /// Of a word of base 3: how many values a digit has, and how many digits there are.
    pub fn word(self) -> (u32, usize) {
        if self == T1B3 { (3, 10) } else { (9, 5) }
    }

    /// The least and the largest code.
    pub fn range(self) -> (i32, i32) {
        match self {
            T1 | T1B3 => (-1, 1),
            Q2 => (-2, 1),
            T2 | T2B3 => (-4, 4),
            I4 => (-8, 7),
            I8 => (-127, 127),
            F16 => (0, 0),
        }
    }

    /// What is added to a value to make its digit.
    pub fn zero(self) -> i32 {
        match self {
            T1 | T1B3 => 1,
            Q2 => 2,
            T2 | T2B3 => 4,
            I4 => 8,
            I8 | F16 => 0,
        }
    }
}

/// `cols` rounded up to whole column pads.
pub(crate) fn padded(cols: usize) -> usize {
    cols.next_multiple_of(COLUMN_PAD)
}

/// A format as a kernel sees it.
pub(crate) trait Format {
    /// Bytes that codes are fetched ahead, or 0.  The processor's own prefetching follows the codes, but
    /// is late where a line holds many weights, with scales beside; elsewhere more of it does harm.
    const AHEAD: usize = 0;
    /// Whether the upper half of the chains holds four times what it stands for.
    const FOURS: bool = false;

    /// Takes whole rows into the state's totals.
    ///
    /// # Safety
    /// As for [`product::integers`](crate::product::integers).
    unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job);

    /// # Safety
    /// As for [`Simd`].
    #[inline(always)]
    unsafe fn dot<S: Simd>(acc: S::I, codes: S::I, activations: S::I) -> S::I {
        S::dot(acc, codes, activations)
    }

    /// What the stored digits, as [`Format::dot`] takes them, exceed the values by: 0 or a power of two.
    fn zero<S: Simd>(job: &Job) -> i32;
}

/// A format whose digits are unpacked once for many tokens.
pub(crate) trait Packed: Format {
    /// Writes the digits of a strip's row of `blocks` blocks as quads `[16 · blocks, LANES, 4]`, and
    /// perhaps some more quads.
    ///
    /// # Safety
    /// As for [`Simd`]; `codes` is readable as far as its format says, and `to` writable.
    unsafe fn unpack<S: Simd>(codes: *const u8, blocks: usize, to: *mut u8);
}

/// Runs `$body` for every block of a row, group by group; the last group may be short.
macro_rules! for_each_block {
    ($state:ident, $job:ident, $body:block) => {
        let mut left = $job.blocks();
        while left > 0 {
            let count = left.min($job.group / COLUMN_PAD);
            left -= count;
            $state.begin::<Self>($job);
            for _ in 0..count {
                $body
            }
            $state.flush::<Self>();
        }
    };
}

/// The slots of some strips' vectors: `(v >> shift) & mask`.
#[inline(always)]
unsafe fn fields<S: Simd, const T: usize>(mut vectors: [S::I; T], shift: i32, mask: i32) -> [S::I; T] {
    for s in 0..T {
        vectors[s] = S::field(vectors[s], shift, mask);
    }
    vectors
}

/// Two-bit slots.  For few tokens two slots share a shift: the upper one of them stays where it is, so
/// that its digits are four times as large, and has sums of its own.
macro_rules! quarter_slots {
    ($name:ident, $id:ident) => {
        pub(crate) struct $name;

        impl Format for $name {
            const FOURS: bool = true;
            const AHEAD: usize = 4 << 10;

            #[inline(always)]
            fn zero<S: Simd>(_: &Job) -> i32 {
                FormatId::$id.zero()
            }

            #[inline(always)]
            unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
                const LOW: i32 = 0x0303_0303;
                for_each_block!(state, job, {
                    for _ in 0..BLOCK_QUADS / 4 {
                        let vectors = state.load(0);
                        for (i, shift) in [(0, 0), (2, 4)] {
                            if M <= S::SPREAD {
                                state.take::<Self>(fields::<S, T>(vectors, shift, LOW), State::<S, T, M>::chain(i));
                                state.take::<Self>(
                                    fields::<S, T>(vectors, shift, LOW << 2),
                                    State::<S, T, M>::chain(i + 1),
                                );
                            } else {
                                state.take::<Self>(fields::<S, T>(vectors, shift, LOW), 0);
                                state.take::<Self>(fields::<S, T>(vectors, shift + 2, LOW), 0);
                            }
                        }
                        state.pass::<Self>(1, VECTOR);
                    }
                });
            }
        }
    };
}

macro_rules! half_slots {
    ($name:ident, $id:ident) => {
        pub(crate) struct $name;

        impl Format for $name {
            #[inline(always)]
            fn zero<S: Simd>(_: &Job) -> i32 {
                FormatId::$id.zero()
            }

            #[inline(always)]
            unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
                const LOW: i32 = 0x0F0F_0F0F;
                for_each_block!(state, job, {
                    for _ in 0..BLOCK_QUADS / 4 {
                        for i in [0, 2] {
                            let vectors = state.load(0);
                            state.take::<Self>(fields::<S, T>(vectors, 0, LOW), State::<S, T, M>::chain(i));
                            state.take::<Self>(fields::<S, T>(vectors, 4, LOW), State::<S, T, M>::chain(i + 1));
                            state.pass::<Self>(1, VECTOR);
                        }
                    }
                });
            }
        }
    };
}

quarter_slots!(TritSlots, T1);
quarter_slots!(Crumbs, Q2);
half_slots!(NineSlots, T2);
half_slots!(Nibbles, I4);

pub(crate) struct SignedBytes;

impl Format for SignedBytes {
    #[inline(always)]
    unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
        for_each_block!(state, job, {
            for _ in 0..BLOCK_QUADS / 4 {
                for i in 0..4 {
                    state.take::<Self>(state.load(0), State::<S, T, M>::chain(i));
                    state.pass::<Self>(1, VECTOR);
                }
            }
        });
    }

    #[inline(always)]
    unsafe fn dot<S: Simd>(acc: S::I, codes: S::I, activations: S::I) -> S::I {
        S::dot_signed(acc, codes, activations)
    }

    #[inline(always)]
    fn zero<S: Simd>(_: &Job) -> i32 {
        S::SIGNED_ZERO
    }
}

/// What [`Packed::unpack`] wrote, of whichever format.
pub(crate) struct Digits;

impl Format for Digits {
    #[inline(always)]
    unsafe fn row<S: Simd, const T: usize, const M: usize>(state: &mut State<S, T, M>, job: &Job) {
        for_each_block!(state, job, {
            for _ in 0..BLOCK_QUADS {
                state.take::<Self>(state.load(0), 0);
                state.pass::<Self>(1, 4 * S::LANES);
            }
        });
    }

    #[inline(always)]
    fn zero<S: Simd>(job: &Job) -> i32 {
        job.zero
    }
}

/// The values of one row of a tile, before scaling: `out[c]` for the columns of `out`.
///
/// # Safety
/// `tile` is readable for `format.tile_bytes(out.len())` bytes; `row` is under 16.
pub(crate) unsafe fn row_values(format: FormatId, tile: *const u8, row: usize, out: &mut [f32]) {
    if format == F16 {
        for (c, value) in out.iter_mut().enumerate() {
            *value = crate::half::to_f32(tile.add((c * TILE + row) * 2).cast::<u16>().read_unaligned());
        }
        return;
    }
    let blocks = out.len().div_ceil(COLUMN_PAD);
    for (q, values) in out.chunks_mut(4).enumerate() {
        let digits = quad_digits(format, tile.add(row * 4), q, blocks);
        for (value, digit) in values.iter_mut().zip(digits) {
            let digit = if format == I8 { i32::from(digit as i8) } else { i32::from(digit) };
            *value = (digit - format.zero()) as f32;
        }
    }
}

/// The four digits of quad `q` in the lane that begins at `lane`, in a row of so many blocks.
unsafe fn quad_digits(format: FormatId, lane: *const u8, q: usize, blocks: usize) -> [u8; 4] {
    let bytes = |vector: usize| unsafe { lane.add(vector * VECTOR).cast::<[u8; 4]>().read_unaligned() };
    match format {
        T1 | Q2 => return bytes(q / 4).map(|b| b >> (q % 4 * 2) & 3),
        T2 | I4 => return bytes(q / 2).map(|b| b >> (q % 2 * 4) & 15),
        I8 | F16 => return bytes(q),
        T1B3 | T2B3 => {}
    }
    let (base, _) = format.word();
    quad_places(format, q, blocks).map(|(vector, word, index)| {
        let b = bytes(vector);
        let word = u32::from(u16::from_le_bytes([b[2 * word], b[2 * word + 1]]));
        (((word.wrapping_mul(base.pow(index as u32)) & 0xFFFF) * base) >> 16) as u8
    })
}

/// Where the digits of quad `q` are in a base-3 row of so many blocks: vector, word of the lane, digit of the word.
pub(crate) fn quad_places(format: FormatId, q: usize, blocks: usize) -> [(usize, usize, usize); 4] {
    let set = if format == T1B3 { 1 } else { 2 };
    let (unit, within) = (q / (WHOLE * BLOCK_QUADS), q % (WHOLE * BLOCK_QUADS));
    let (stream, at) = Run::new((blocks - unit * WHOLE).min(WHOLE), set).find(within);
    let first = unit * WHOLE * BLOCK_QUADS / 5 * set + at * set;
    match (format, stream) {
        (T1B3, 0) => [(first, 0, 0), (first, 0, 1), (first, 1, 0), (first, 1, 1)],
        (T1B3, p) => [(first, 0, p + 1), (first, 0, p + 5), (first, 1, p + 1), (first, 1, p + 5)],
        (_, 0) => [(first, 0, 0), (first + 1, 0, 0), (first, 1, 0), (first + 1, 1, 0)],
        (_, p) => {
            let (vector, i) = (first + (p - 1) / 2, (p - 1) % 2 + 1);
            [(vector, 0, i), (vector, 0, i + 2), (vector, 1, i), (vector, 1, i + 2)]
        }
    }
}
