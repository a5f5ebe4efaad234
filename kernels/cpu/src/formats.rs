//! The code formats of `tzcore/trits.py`: sizes, quads of a tile in order, and single rows.
//!
//! A tile is sixteen rows, a sequence of 64-byte vectors of sixteen 4-byte lanes.  A kernel
//! takes it quad by quad: four consecutive columns, one byte each, in every lane.

use crate::simd::Simd;

/// Rows in a tile.
pub(crate) const TILE: usize = 16;
/// Columns are padded to a multiple of this.
pub(crate) const COLUMN_PAD: usize = 64;
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
        let padded = padded(cols);
        let (whole, tail) = (padded / 128, padded % 128 / 64);
        match self {
            T1 | Q2 => padded / 64 * 4 * VECTOR,
            T2 | I4 => padded / 64 * 8 * VECTOR,
            I8 => padded / 64 * 16 * VECTOR,
            T1B3 => (whole * 7 + tail * 4) * VECTOR,
            T2B3 => (whole * 13 + tail * 7) * VECTOR,
            F16 => padded * TILE * 2,
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
    /// Quads in a full step, which begins at a vector.
    const STEP: usize;
    /// Vectors of a full step.
    const VECTORS: usize;
    /// Steps do not end with 64 columns but with units of 128 (and a tail of 64).
    const BASE3: bool = false;

    /// The first `N` quads of the step that begins at `step`; reads only the vectors they need.
    ///
    /// # Safety
    /// As for [`Simd`]; the vectors of these quads are readable at `step`, 64 bytes apart.
    unsafe fn quads<S: Simd, const N: usize>(step: *const u8) -> [S::I; N];

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

#[inline(always)]
unsafe fn slots<S: Simd, const N: usize>(step: *const u8, bits: i32, mask: i32) -> [S::I; N] {
    let v = S::load_quads(step);
    let mut quads = [v; N];
    for (i, quad) in quads.iter_mut().enumerate() {
        *quad = S::field(v, bits * i as i32, mask);
    }
    quads
}

macro_rules! slot_format {
    ($name:ident, $id:ident, $step:literal, $bits:literal, $mask:literal) => {
        pub(crate) struct $name;

        impl Format for $name {
            const ID: FormatId = FormatId::$id;
            const STEP: usize = $step;
            const VECTORS: usize = 1;

            #[inline(always)]
            unsafe fn quads<S: Simd, const N: usize>(step: *const u8) -> [S::I; N] {
                slots::<S, N>(step, $bits, $mask)
            }
        }
    };
}

slot_format!(TritSlots, T1, 4, 2, 0x0303_0303);
slot_format!(Crumbs, Q2, 4, 2, 0x0303_0303);
slot_format!(NineSlots, T2, 2, 4, 0x0F0F_0F0F);
slot_format!(Nibbles, I4, 2, 4, 0x0F0F_0F0F);

pub(crate) struct SignedBytes;

impl Format for SignedBytes {
    const ID: FormatId = I8;
    const STEP: usize = 1;
    const VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn quads<S: Simd, const N: usize>(step: *const u8) -> [S::I; N] {
        [S::load_quads(step); N]
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

/// Ten trits in 16 bits.  Multiplying a word by 9 carries the next two out of it.
pub(crate) struct TritWords;

impl Format for TritWords {
    const ID: FormatId = T1B3;
    const STEP: usize = 5;
    const VECTORS: usize = 1;
    const BASE3: bool = true;

    #[inline(always)]
    unsafe fn quads<S: Simd, const N: usize>(step: *const u8) -> [S::I; N] {
        let mut words = S::load_quads(step);
        let mut quads = [words; N];
        for (i, quad) in quads.iter_mut().enumerate() {
            if i > 0 {
                words = S::mul_low(words, 9);
            }
            *quad = S::trit_pair(words);
        }
        quads
    }
}

/// Five nine-level digits in 16 bits; two vectors make five quads.
pub(crate) struct NineWords;

impl Format for NineWords {
    const ID: FormatId = T2B3;
    const STEP: usize = 5;
    const VECTORS: usize = 2;
    const BASE3: bool = true;

    #[inline(always)]
    unsafe fn quads<S: Simd, const N: usize>(step: *const u8) -> [S::I; N] {
        let first = S::load_quads(step);
        let mut quads = [first; N];
        quads[0] = nine_pair::<S>(first);
        if N > 1 {
            quads[1] = nine_pair::<S>(S::mul_low(first, 81));
        }
        if N > 2 {
            let second = S::load_quads(step.add(VECTOR));
            quads[2] = nine_pair::<S>(second);
            quads[3] = nine_pair::<S>(S::mul_low(second, 81));
            let low = S::mul_high(S::mul_low(first, 6561), 9);
            quads[4] = S::merge(low, S::mul_high(S::mul_low(second, 6561), 9 << 8));
        }
        quads
    }
}

/// The first two base-9 digits of every 16-bit word, as its two bytes.
#[inline(always)]
unsafe fn nine_pair<S: Simd>(words: S::I) -> S::I {
    S::merge(S::mul_high(words, 9), S::mul_high(S::mul_low(words, 9), 9 << 8))
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
    for (q, values) in out.chunks_mut(4).enumerate() {
        let digits = quad_digits(format, tile.add(row * 4), q);
        for (value, digit) in values.iter_mut().zip(digits) {
            let digit = if format == I8 { i32::from(digit as i8) } else { i32::from(digit) };
            *value = (digit - format.zero()) as f32;
        }
    }
}

/// The four digits of quad `q` in the lane that begins at `lane`.
unsafe fn quad_digits(format: FormatId, lane: *const u8, q: usize) -> [u8; 4] {
    let bytes = |vector: usize| unsafe { lane.add(vector * VECTOR).cast::<[u8; 4]>().read_unaligned() };
    let word = |vector: usize, word: usize| {
        let b = bytes(vector);
        u16::from_le_bytes([b[2 * word], b[2 * word + 1]])
    };
    let digit = |word: u16, base: u32, index: u32| {
        (((u32::from(word).wrapping_mul(base.pow(index)) & 0xFFFF) * base) >> 16) as u8
    };
    let (unit, within) = (q / 32, q % 32);
    match format {
        T1 | Q2 => bytes(q / 4).map(|b| b >> (q % 4 * 2) & 3),
        T2 | I4 => bytes(q / 2).map(|b| b >> (q % 2 * 4) & 15),
        I8 | F16 => bytes(q),
        T1B3 => {
            let (vector, p) = (unit * 7 + within / 5, (within % 5 * 2) as u32);
            let words = [word(vector, 0), word(vector, 1)];
            [(0, p), (0, p + 1), (1, p), (1, p + 1)].map(|(w, i)| digit(words[w], 3, i))
        }
        T2B3 => {
            let (vector, place) = (unit * 13 + within / 5 * 2, within % 5);
            if place == 4 {
                return [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(v, w)| digit(word(vector + v, w), 9, 4));
            }
            let (vector, p) = (vector + place / 2, (place % 2 * 2) as u32);
            [(0, p), (0, p + 1), (1, p), (1, p + 1)].map(|(w, i)| digit(word(vector, w), 9, i))
        }
    }
}
