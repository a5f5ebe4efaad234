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

    /// What is added to a value to make its digit.
    fn zero(self) -> i32 {
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
    const ID: FormatId;

    /// Takes a whole row of the tile at `state.codes` into the state's totals.
    ///
    /// # Safety
    /// As for [`product::integers`](crate::product::integers).
    unsafe fn row<S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job);

    /// # Safety
    /// As for [`Simd`].
    #[inline(always)]
    unsafe fn dot<S: Simd>(acc: S::I, codes: S::I, quad: i32) -> S::I {
        S::dot(acc, codes, quad)
    }

    /// What the stored digits, as [`Format::dot`] takes them, exceed the values by.
    #[inline(always)]
    fn zero<S: Simd>() -> f32 {
        Self::ID.zero() as f32
    }
}

macro_rules! slot_format {
    ($name:ident, $id:ident, $quads:literal, $mask:literal) => {
        pub(crate) struct $name;

        impl Format for $name {
            const ID: FormatId = FormatId::$id;

            #[inline(always)]
            unsafe fn row<S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job) {
                for _ in 0..job.blocks() {
                    for _ in 0..BLOCK_QUADS / $quads {
                        let vector = S::load_quads(state.codes);
                        for i in 0..$quads {
                            state.take::<Self>(S::field(vector, i * (8 / $quads), $mask));
                        }
                        state.codes = state.codes.add(VECTOR);
                    }
                    state.end_block::<Self>(job);
                }
            }
        }
    };
}

slot_format!(TritSlots, T1, 4, 0x0303_0303);
slot_format!(Crumbs, Q2, 4, 0x0303_0303);
slot_format!(NineSlots, T2, 2, 0x0F0F_0F0F);
slot_format!(Nibbles, I4, 2, 0x0F0F_0F0F);

pub(crate) struct SignedBytes;

impl Format for SignedBytes {
    const ID: FormatId = I8;

    #[inline(always)]
    unsafe fn row<S: Simd, const M: usize>(state: &mut State<S, M>, job: &Job) {
        for _ in 0..job.blocks() {
            for _ in 0..BLOCK_QUADS {
                state.take::<Self>(S::load_quads(state.codes));
                state.codes = state.codes.add(VECTOR);
            }
            state.end_block::<Self>(job);
        }
    }

    #[inline(always)]
    unsafe fn dot<S: Simd>(acc: S::I, codes: S::I, quad: i32) -> S::I {
        S::dot_signed(acc, codes, quad)
    }

    #[inline(always)]
    fn zero<S: Simd>() -> f32 {
        S::SIGNED_ZERO
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
    let set = match format {
        T1 | Q2 => return bytes(q / 4).map(|b| b >> (q % 4 * 2) & 3),
        T2 | I4 => return bytes(q / 2).map(|b| b >> (q % 2 * 4) & 15),
        I8 | F16 => return bytes(q),
        T1B3 => 1,
        T2B3 => 2,
    };
    let digit = |vector: usize, word: usize, base: u32, index: usize| {
        let b = bytes(vector);
        let word = u32::from(u16::from_le_bytes([b[2 * word], b[2 * word + 1]]));
        (((word.wrapping_mul(base.pow(index as u32)) & 0xFFFF) * base) >> 16) as u8
    };
    let (unit, within) = (q / (WHOLE * BLOCK_QUADS), q % (WHOLE * BLOCK_QUADS));
    let (stream, at) = Run::new((blocks - unit * WHOLE).min(WHOLE), set).find(within);
    let first = unit * WHOLE * BLOCK_QUADS / 5 * set + at * set;
    match (format, stream) {
        (T1B3, 0) => [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(w, i)| digit(first, w, 3, i)),
        (T1B3, p) => [(0, p + 1), (0, p + 5), (1, p + 1), (1, p + 5)].map(|(w, i)| digit(first, w, 3, i)),
        (_, 0) => [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(v, w)| digit(first + v, w, 9, 0)),
        (_, p) => {
            let (vector, i) = (first + (p - 1) / 2, (p - 1) % 2 + 1);
            [(0, i), (0, i + 2), (1, i), (1, i + 2)].map(|(w, i)| digit(vector, w, 9, i))
        }
    }
}
