//! Sixteen lanes: AVX-512 with VNNI (Ice Lake and Zen 4 onwards).

use std::arch::x86_64::*;

use super::Simd;

/// `VBMI`: whether bytes can be looked up in tables of 128 (Cannon Lake and Zen 4 onwards).
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const VBMI: bool>;

/// A digit of numbers under 81: `value / divisor % base`.
const fn digits(divisor: u8, base: u8) -> [u8; 128] {
    let mut table = [0; 128];
    let mut value = 0;
    while value < 81 {
        table[value] = value as u8 / divisor % base;
        value += 1;
    }
    table
}

/// The four base-3 digits of numbers under 81 in slots of two bits, the first in the lowest.
const fn slots() -> [u8; 128] {
    let tables = [digits(27, 3), digits(9, 3), digits(3, 3), digits(1, 3)];
    let mut table = [0; 128];
    let mut value = 0;
    while value < 128 {
        table[value] = tables[0][value] | tables[1][value] << 2 | tables[2][value] << 4 | tables[3][value] << 6;
        value += 1;
    }
    table
}

/// The table's entry for every byte, all of which are under 128.
#[inline(always)]
unsafe fn lookup_128(bytes: __m512i, table: &[u8; 128]) -> __m512i {
    let (low, high) = (_mm512_loadu_si512(table.as_ptr().cast()), _mm512_loadu_si512(table[64..].as_ptr().cast()));
    _mm512_permutex2var_epi8(low, bytes, high)
}

/// `f32` bits with the sign flipped in the lanes whose index has the bit `1 << stage`.
#[inline(always)]
unsafe fn butterfly(v: __m512, swapped: __m512, negated: u16) -> __m512 {
    _mm512_mask_sub_ps(_mm512_add_ps(v, swapped), negated, swapped, v)
}

/// The base-3 digits 2 … 5 and 6 … 9 of every 16-bit word, each four as one number in its two bytes.
#[inline(always)]
unsafe fn fours(words: __m512i) -> __m512i {
    type S = Avx512<true>;
    S::merge(S::mul_high(S::mul_low(words, 9), 81), S::mul_high(S::mul_low(words, 729), 81 << 8))
}

impl<const VBMI: bool> Simd for Avx512<VBMI> {
    const LANES: usize = 16;
    const BLOCK: usize = 8;
    const HALF_BLOCK: usize = 4;
    const STREAMED: usize = 4;
    const SPREAD: usize = 4;
    const STRIPS: usize = 4;
    /// See [`Self::trit_quads`].
    const TRIT_SHIFTS: [u32; 5] = if VBMI { [0, 0, 2, 0, 2] } else { [0; 5] };
    const SIGNED_ZERO: i32 = 128;
    type I = __m512i;
    type F = __m512;

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const u8) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }
    #[inline(always)]
    unsafe fn store_quads(v: __m512i, to: *mut u8) {
        _mm512_storeu_si512(to.cast(), v);
    }
    #[inline(always)]
    unsafe fn splat_i(value: i32) -> __m512i {
        _mm512_set1_epi32(value)
    }
    #[inline(always)]
    unsafe fn field(v: __m512i, shift: i32, mask: i32) -> __m512i {
        _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask))
    }
    #[inline(always)]
    unsafe fn mul_high(v: __m512i, factor: u16) -> __m512i {
        _mm512_mulhi_epu16(v, _mm512_set1_epi16(factor as i16))
    }
    #[inline(always)]
    unsafe fn mul_low(v: __m512i, factor: u16) -> __m512i {
        _mm512_mullo_epi16(v, _mm512_set1_epi16(factor as i16))
    }
    #[inline(always)]
    unsafe fn merge(low: __m512i, high: __m512i) -> __m512i {
        // low | (high & mask), with the truth table of (A=low, B=high, C=mask).
        _mm512_ternarylogic_epi32::<0xF8>(low, high, _mm512_set1_epi16(0xFF00_u16 as i16))
    }
    #[inline(always)]
    unsafe fn lookup(bytes: __m512i, table: &[u8; 16]) -> __m512i {
        _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())), bytes)
    }
    #[inline(always)]
    unsafe fn nine_quads(words: __m512i) -> [__m512i; 2] {
        if VBMI {
            const FIRST: [u8; 128] = digits(9, 9);
            const SECOND: [u8; 128] = digits(1, 9);
            let fours = fours(words);
            return [lookup_128(fours, &FIRST), lookup_128(fours, &SECOND)];
        }
        super::nine_quads::<Self>(words)
    }
    #[inline(always)]
    unsafe fn trit_quads(words: __m512i) -> [__m512i; 5] {
        if VBMI {
            // One lookup for all four digits; two of them stay where they lie in the entry, which saves shifts.
            const DIGITS: [u8; 128] = slots();
            let slots = lookup_128(fours(words), &DIGITS);
            let slot = |shift, mask| Self::field(slots, shift, mask);
            let [a, b] = [slot(0, 0x0303_0303), slot(0, 0x0C0C_0C0C)];
            let [c, d] = [slot(4, 0x0303_0303), slot(4, 0x0C0C_0C0C)];
            return [Self::trit_pair(words), a, b, c, d];
        }
        super::trit_quads::<Self>(words)
    }
    #[inline(always)]
    unsafe fn trit_pair(words: __m512i) -> __m512i {
        // 3·d₀ + d₁ in 0 … 8 picks the word d₀ | d₁ << 8: a permutation is cheaper than products.
        const fn pair(value: i16) -> i16 {
            (value / 3) | ((value % 3) << 8)
        }
        let table = _mm512_set_epi16(
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            pair(8),
            pair(7),
            pair(6),
            pair(5),
            pair(4),
            pair(3),
            pair(2),
            pair(1),
            pair(0),
        );
        _mm512_permutexvar_epi16(Self::mul_high(words, 9), table)
    }
    #[inline(always)]
    unsafe fn dot(acc: __m512i, codes: __m512i, activations: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: __m512i, codes: __m512i, activations: __m512i) -> __m512i {
        // Flipping the top bit adds 128, which makes the bytes unsigned.
        Self::dot(acc, _mm512_xor_si512(codes, _mm512_set1_epi8(-128)), activations)
    }
    #[inline(always)]
    unsafe fn dot_shifted(acc: __m512i, codes: __m512i, activations: __m512i) -> __m512i {
        Self::dot(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }
    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }
    #[inline(always)]
    unsafe fn lookup_32(bytes: __m512i, table: &[u8; 32]) -> __m512i {
        if VBMI {
            let table = _mm512_broadcast_i64x4(_mm256_loadu_si256(table.as_ptr().cast()));
            return _mm512_permutexvar_epi8(bytes, table);
        }
        let half = |at: usize| _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().add(at).cast()));
        let upper = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(16));
        _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(half(0), bytes), upper, half(16), bytes)
    }
    #[inline(always)]
    unsafe fn scales(from: *const u8) -> __m512 {
        let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<20>(_mm512_add_epi32(bytes, _mm512_set1_epi32(super::SCALE_ZERO))))
    }
    #[inline(always)]
    unsafe fn add_i(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn shift_down(v: __m512i, bits: u32) -> __m512i {
        _mm512_sra_epi32(v, _mm_cvtsi32_si128(bits as i32))
    }
    #[inline(always)]
    unsafe fn shift_up(v: __m512i, bits: u32) -> __m512i {
        _mm512_sll_epi32(v, _mm_cvtsi32_si128(bits as i32))
    }
    #[inline(always)]
    unsafe fn sum_i(v: __m512i) -> i32 {
        _mm512_reduce_add_epi32(v)
    }
    #[inline(always)]
    unsafe fn to_float(v: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(v)
    }
    #[inline(always)]
    unsafe fn to_int(v: __m512) -> __m512i {
        _mm512_cvtps_epi32(v)
    }
    #[inline(always)]
    unsafe fn store_bytes(v: __m512i, to: *mut i8) {
        _mm_storeu_si128(to.cast(), _mm512_cvtsepi32_epi8(v));
    }
    #[inline(always)]
    unsafe fn largest_bits(seen: __m512i, v: __m512) -> __m512i {
        _mm512_max_epi32(seen, _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7FFF_FFFF)))
    }
    #[inline(always)]
    unsafe fn max_i(v: __m512i) -> i32 {
        _mm512_reduce_max_epi32(v)
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn store(v: __m512, to: *mut f32) {
        _mm512_storeu_ps(to, v);
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> __m512 {
        _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn round(v: __m512) -> __m512 {
        _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(v)
    }
    #[inline(always)]
    unsafe fn power_of_two(n: __m512) -> __m512 {
        let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
    }
    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        _mm512_reduce_add_ps(v)
    }
    #[inline(always)]
    unsafe fn largest(v: __m512) -> f32 {
        _mm512_reduce_max_ps(v)
    }
    #[inline(always)]
    unsafe fn hadamard(v: __m512) -> __m512 {
        let v = butterfly(v, _mm512_permute_ps::<0xB1>(v), 0xAAAA);
        let v = butterfly(v, _mm512_permute_ps::<0x4E>(v), 0xCCCC);
        let v = butterfly(v, _mm512_shuffle_f32x4::<0xB1>(v, v), 0xF0F0);
        butterfly(v, _mm512_shuffle_f32x4::<0x4E>(v, v), 0xFF00)
    }
}
