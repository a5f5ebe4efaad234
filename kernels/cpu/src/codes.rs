//! Keys and values in few bits: grids, scales, and how codes are packed for products of bytes.
//!
//! `tzcore/keyvalues.py` has the formats and their reasons.  A *strip* is what sixteen lanes need of a
//! block: for keys sixteen positions and all dimensions, for values sixteen dimensions and all
//! positions.  It is a row of *quads*, 64 bytes each, four a lane: four dimensions of a position, or
//! four positions of a dimension.  Codes of fewer bits share bytes with those of neighbouring quads:
//!
//! * 4 bits: vector `i` of 64 bytes holds quads `2i` (low) and `2i + 1`;
//! * 2 bits: quads `4i … 4i + 3`, from the lowest bits up;
//! * 5 and 6 bits: the low four as above, then the high one or two, as many quads a vector as fit.
//!
//! Strips are read two at a time.  The vectors of two that are read together alternate, so that memory is
//! read in one stream; the last of an odd number lies by itself.

use crate::simd::Simd;

/// Bytes of a quad of sixteen lanes.
pub(crate) const QUAD: usize = 64;
/// The exponent of a number's bits that a scale's exponent 0 stands for: 2⁻²⁰.
pub(crate) const SCALE_EXPONENT: u32 = 127 - 20;

const fn mirrored<const HALF: usize, const ALL: usize>(upper: [i8; HALF]) -> [i8; ALL] {
    let mut levels = [0; ALL];
    let mut i = 0;
    while i < HALF {
        levels[HALF + i] = upper[i];
        levels[HALF - 1 - i] = -upper[i];
        i += 1;
    }
    levels
}

pub(crate) const LEVELS_2: [i8; 4] = mirrored([38, 127]);
pub(crate) const LEVELS_4: [i8; 16] = mirrored([6, 18, 31, 44, 58, 75, 96, 127]);
pub(crate) const LEVELS_5: [i8; 32] = mirrored([3, 8, 13, 18, 24, 29, 35, 41, 47, 54, 61, 70, 79, 90, 105, 127]);

/// What a code stands for, times the vector's scale.
pub(crate) fn level(bits: usize, code: u8) -> i32 {
    match bits {
        2 => LEVELS_2[usize::from(code)].into(),
        4 => LEVELS_4[usize::from(code)].into(),
        5 => LEVELS_5[usize::from(code)].into(),
        6 => 4 * i32::from(code) - 126,
        8 => i32::from(code) - 128,
        _ => unreachable!("there are no codes of {bits} bits"),
    }
}

/// The scale that a byte stands for.
pub(crate) fn scale_of(byte: u8) -> f32 {
    f32::from_bits((u32::from(byte) + (SCALE_EXPONENT << 3)) << 20)
}

/// The byte of the nearest scale, or of the next one `up`.
fn nearest_scale(scale: f32, up: bool) -> i32 {
    let bits = scale.max(scale_of(0)).to_bits();
    let rounded = bits.saturating_add(if up { (1 << 20) - 1 } else { 1 << 19 }) >> 20;
    rounded as i32 - (SCALE_EXPONENT << 3) as i32
}

/// Codes of `x` with the scale `byte`; the squared error.
#[inline(always)]
fn code_with(x: &[f32], bits: usize, byte: u8, codes: &mut [u8]) -> f32 {
    const RUN: usize = 16;
    let scale = scale_of(byte);
    let (inverse, mut error) = (1.0 / scale, 0.0);
    // In runs of a fixed length, so that the compiler makes vectors of them.
    for (x, codes) in x.chunks(RUN).zip(codes.chunks_mut(RUN)) {
        let (mut place, mut code, mut value) = ([0.0f32; RUN], [0i32; RUN], [0.0f32; RUN]);
        for (place, x) in place.iter_mut().zip(x) {
            *place = x * inverse;
        }
        match bits {
            8 => {
                for i in 0..RUN {
                    code[i] = (place[i].round_ties_even() + 128.0).clamp(1.0, 255.0) as i32;
                    value[i] = (code[i] - 128) as f32;
                }
            }
            6 => {
                for i in 0..RUN {
                    code[i] = ((place[i] + 128.0) * 0.25).floor().clamp(0.0, 63.0) as i32;
                    value[i] = (4 * code[i] - 126) as f32;
                }
            }
            _ => {
                value = [level(bits, 0) as f32; RUN];
                for upper in 1..1u8 << bits {
                    let (low, high) = (level(bits, upper - 1) as f32, level(bits, upper) as f32);
                    let (edge, step) = ((low + high) * 0.5, high - low);
                    for i in 0..RUN {
                        let over = place[i] > edge;
                        code[i] += i32::from(over);
                        value[i] += if over { step } else { 0.0 };
                    }
                }
            }
        }
        for (i, stored) in codes.iter_mut().enumerate() {
            *stored = code[i] as u8;
            let off = place[i] - value[i];
            error += off * off;
        }
    }
    error * scale * scale
}

/// Codes of the vector `x`, and its scale's byte.  A number that is none makes all of them the largest.
#[inline(always)]
pub(crate) fn encode(x: &[f32], bits: usize, codes: &mut [u8], trial: &mut [u8]) -> u8 {
    let largest = x.iter().fold(0.0f32, |seen, x| if x.is_nan() { f32::INFINITY } else { seen.max(x.abs()) });
    let (first, others): (i32, &[i32]) = match bits {
        8 => (nearest_scale(largest / 127.0, true), &[]),
        6 => (nearest_scale(largest / 126.0, true), &[-1, -2]),
        _ => {
            let deviation = (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
            let spread = [1.5104, 0.0, 2.7326, 3.2607][bits - 2];
            (nearest_scale(deviation * (spread / 127.0), false), &[-1, 1])
        }
    };
    let byte = |scale: i32| scale.clamp(0, 255) as u8;
    let mut best = byte(first);
    let mut error = code_with(x, bits, best, codes);
    for other in others {
        let other_byte = byte(first + other);
        let found = code_with(x, bits, other_byte, trial);
        if found < error {
            (best, error) = (other_byte, found);
            codes.copy_from_slice(trial);
        }
    }
    best
}

/// Numbers, or positions, of a strip.
pub(crate) const RUN: usize = 16;
/// How far apart the vectors of a strip are that is read with another, and of one that is read alone.
pub(crate) const COUPLED: usize = 2 * QUAD;
pub(crate) const ALONE: usize = QUAD;

/// Where strip `number` of `count` begins behind the first, and how far its vectors are apart.
pub(crate) const fn strip_place(bits: usize, quads: usize, number: usize, count: usize) -> (usize, usize) {
    let first = (number & !1) * strip_bytes(bits, quads);
    if number | 1 < count { (first + number % 2 * QUAD, COUPLED) } else { (first, ALONE) }
}

/// Bytes of a strip of `quads` quads.
pub(crate) const fn strip_bytes(bits: usize, quads: usize) -> usize {
    QUAD * quads * bits / 8
}

/// Puts a code into a strip whose vectors are `step` apart: byte `at` of quad `quad`.
///
/// # Safety
/// The strip has `quads` quads, and nobody else writes the bytes that these share.
pub(crate) unsafe fn put((strip, step): (*mut u8, usize), bits: usize, quads: usize, quad: usize, at: usize, code: u8) {
    let field = |vector: usize, shift: usize, mask: u8, code: u8| {
        let byte = strip.add(step * vector + at);
        *byte = *byte & !(mask << shift) | code << shift;
    };
    match bits {
        8 => *strip.add(step * quad + at) = code,
        2 => field(quad / 4, 2 * (quad % 4), 3, code),
        _ => field(quad / 2, 4 * (quad % 2), 15, code & 15),
    }
    match bits {
        5 => field(quads / 2 + quad / 8, quad % 8, 1, code >> 4),
        6 => field(quads / 2 + quad / 4, 2 * (quad % 4), 3, code >> 4),
        _ => {}
    }
}

/// How the kernels read codes of some bits.
pub(crate) trait Codes {
    const BITS: usize;
    /// Quads `2·pair` and `2·pair + 1` of a strip of `quads`, as levels to which
    /// [`Simd::SIGNED_ZERO`] has been added; `strip` points to the first lane, its vectors are `STEP` apart.  Written without closures:
    /// what is not inlined is compiled without the instruction set.
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, quads: usize, pair: usize) -> [S::I; 2];
}

pub(crate) struct Bits2;
pub(crate) struct Bits4;
pub(crate) struct Bits5;
pub(crate) struct Bits6;
pub(crate) struct Bits8;

/// Levels as bytes with `zero` added, as many as a lookup takes.
const fn shifted<const N: usize, const M: usize>(levels: [i8; N], zero: i32) -> [u8; M] {
    let mut table = [0; M];
    let mut i = 0;
    while i < N {
        table[i] = (levels[i] as i32 + zero) as u8;
        i += 1;
    }
    table
}

/// Tables for one instruction set.
struct Tables<S>(std::marker::PhantomData<S>);

impl<S: Simd> Tables<S> {
    const TWO: [u8; 16] = shifted(LEVELS_2, S::SIGNED_ZERO);
    const FOUR: [u8; 16] = shifted(LEVELS_4, S::SIGNED_ZERO);
    const FIVE: [u8; 32] = shifted(LEVELS_5, S::SIGNED_ZERO);
}

/// Bytes that have 128 added as they are, or signed.
#[inline(always)]
unsafe fn from_biased<S: Simd>(v: S::I) -> S::I {
    if S::SIGNED_ZERO == 128 { v } else { S::xor(v, S::splat_i(0x8080_8080_u32 as i32)) }
}

impl Codes for Bits2 {
    const BITS: usize = 2;
    #[inline(always)]
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, _quads: usize, pair: usize) -> [S::I; 2] {
        let v = S::load_quads(strip.add(STEP * (pair / 2)));
        let shift = 4 * (pair % 2) as i32;
        let (a, b) = (S::field(v, shift, 0x0303_0303), S::field(v, shift + 2, 0x0303_0303));
        [S::lookup(a, &Tables::<S>::TWO), S::lookup(b, &Tables::<S>::TWO)]
    }
}

impl Codes for Bits4 {
    const BITS: usize = 4;
    #[inline(always)]
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, _quads: usize, pair: usize) -> [S::I; 2] {
        let v = S::load_quads(strip.add(STEP * pair));
        let (a, b) = (S::field(v, 0, 0x0F0F_0F0F), S::field(v, 4, 0x0F0F_0F0F));
        [S::lookup(a, &Tables::<S>::FOUR), S::lookup(b, &Tables::<S>::FOUR)]
    }
}

impl Codes for Bits5 {
    const BITS: usize = 5;
    #[inline(always)]
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, quads: usize, pair: usize) -> [S::I; 2] {
        let low = S::load_quads(strip.add(STEP * pair));
        let high = S::load_quads(strip.add(STEP * (quads / 2 + pair / 4)));
        let first = 2 * (pair % 4) as i32;
        let a = S::shift_up(S::field(high, first, 0x0101_0101), 4);
        let b = S::shift_up(S::field(high, first + 1, 0x0101_0101), 4);
        let (a, b) = (S::or(S::field(low, 0, 0x0F0F_0F0F), a), S::or(S::field(low, 4, 0x0F0F_0F0F), b));
        [S::lookup_32(a, &Tables::<S>::FIVE), S::lookup_32(b, &Tables::<S>::FIVE)]
    }
}

impl Codes for Bits6 {
    const BITS: usize = 6;
    #[inline(always)]
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, quads: usize, pair: usize) -> [S::I; 2] {
        let low = S::load_quads(strip.add(STEP * pair));
        let high = S::load_quads(strip.add(STEP * (quads / 2 + pair / 2)));
        let first = 4 * (pair % 2) as i32;
        // 4·code + 2, of which 128 is the middle.
        let a = S::shift_up(S::field(high, first, 0x0303_0303), 6);
        let b = S::shift_up(S::field(high, first + 2, 0x0303_0303), 6);
        let a = S::or(S::or(S::field(S::shift_up(low, 2), 0, 0x3C3C_3C3C), a), S::splat_i(0x0202_0202));
        let b = S::or(S::or(S::field(low, 2, 0x3C3C_3C3C), b), S::splat_i(0x0202_0202));
        [from_biased::<S>(a), from_biased::<S>(b)]
    }
}

impl Codes for Bits8 {
    const BITS: usize = 8;
    #[inline(always)]
    unsafe fn unpack<S: Simd, const STEP: usize>(strip: *const u8, _quads: usize, pair: usize) -> [S::I; 2] {
        let at = strip.add(2 * STEP * pair);
        [from_biased::<S>(S::load_quads(at)), from_biased::<S>(S::load_quads(at.add(STEP)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::scalar::Scalar;

    #[test]
    fn what_is_put_is_unpacked() {
        fn case<C: Codes>(quads: usize) {
            let last = ((1u32 << C::BITS) - 1) as u8;
            let code = |quad: usize, at: usize| ((quad * 37 + at * 11 + quad * at) % (usize::from(last) + 1)) as u8;
            let mut strip = vec![0xA5u8; strip_bytes(C::BITS, quads)];
            for quad in (0..quads).rev() {
                for at in 0..QUAD {
                    unsafe { put((strip.as_mut_ptr(), ALONE), C::BITS, quads, quad, at, code(quad, at)) };
                }
            }
            for pair in 0..quads / 2 {
                for lane in (0..16).step_by(Scalar::LANES) {
                    let found = unsafe { C::unpack::<Scalar, ALONE>(strip.as_ptr().add(4 * lane), quads, pair) };
                    for (i, operand) in found.iter().enumerate() {
                        let bytes: Vec<u8> = operand.iter().flat_map(|v| v.to_le_bytes()).collect();
                        for (n, byte) in bytes.into_iter().enumerate() {
                            let expected = level(C::BITS, code(2 * pair + i, 4 * lane + n));
                            assert_eq!(i32::from(byte as i8), expected, "{} bits", C::BITS);
                        }
                    }
                }
            }
        }
        for quads in [4, 16, 24] {
            case::<Bits2>(quads);
            case::<Bits4>(quads);
            case::<Bits6>(quads);
            case::<Bits8>(quads);
        }
        case::<Bits5>(16);
    }

    #[test]
    fn scales_are_within_a_sixteenth() {
        for scale in [1e-5f32, 0.03, 1.0, 1.06, 700.0] {
            let (near, up) = (nearest_scale(scale, false) as u8, nearest_scale(scale, true) as u8);
            assert!((scale_of(near) / scale - 1.0).abs() < 0.0626, "{scale}");
            assert!(scale_of(up) >= scale && scale_of(up) <= scale * 1.126, "{scale}");
        }
    }

    #[test]
    fn coding_leaves_the_error_that_its_bits_allow() {
        let mut state = 1u32;
        let mut normal = || {
            // The sum of twelve uniform numbers is near enough to normal.
            (0..12)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / (1 << 24) as f32
                })
                .sum::<f32>()
                - 6.0
        };
        for (bits, most) in [(2, 0.13), (4, 0.0098), (5, 0.0026), (6, 0.00085), (8, 0.00006)] {
            let (mut error, mut power) = (0.0, 0.0);
            for _ in 0..200 {
                let x: Vec<f32> = (0..128).map(|_| normal() * 3.0).collect();
                let (mut codes, mut trial) = (vec![0; 128], vec![0; 128]);
                let scale = scale_of(encode(&x, bits, &mut codes, &mut trial));
                for (x, code) in x.iter().zip(&codes) {
                    error += (x - scale * level(bits, *code) as f32).powi(2);
                    power += x * x;
                }
            }
            assert!(error / power < most, "{bits} bits: {}", error / power);
        }
        let (mut codes, mut trial) = ([0; 4], [0; 4]);
        let scale = scale_of(encode(&[0.0; 4], 4, &mut codes, &mut trial));
        assert!(codes.iter().all(|code| (scale * level(4, *code) as f32).abs() < 1e-5));
    }
}
