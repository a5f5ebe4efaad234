//! Eight lanes: AVX2 with FMA and F16C, the dot product by `maddubs` or by AVX-VNNI.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::Simd;

/// How bytes are multiplied and summed.
pub(crate) trait Dot: Copy + 'static {
    const SIGNED_ZERO: i32;
    unsafe fn dot(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i;
    unsafe fn dot_signed(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i;
}

/// `maddubs` adds pairs of products in 16 bits: exact for codes up to 15, and for magnitudes
/// up to 128 against ±127 (2·128·127 < 32768).
#[derive(Clone, Copy)]
pub(crate) struct Maddubs;

impl Dot for Maddubs {
    const SIGNED_ZERO: i32 = 0;
    #[inline(always)]
    unsafe fn dot(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(codes, quad);
        _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i {
        Self::dot(acc, _mm256_abs_epi8(codes), _mm256_sign_epi8(quad, codes))
    }
}

/// The VEX-encoded `vpdpbusd` of processors without AVX-512 (Alder Lake onwards).
#[derive(Clone, Copy)]
pub(crate) struct Vnni;

impl Dot for Vnni {
    const SIGNED_ZERO: i32 = 128;
    #[inline(always)]
    unsafe fn dot(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(acc, codes, quad)
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: __m256i, codes: __m256i, quad: __m256i) -> __m256i {
        Self::dot(acc, _mm256_xor_si256(codes, _mm256_set1_epi8(-128)), quad)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Ymm<D: Dot>(PhantomData<D>);

pub(crate) type Avx2 = Ymm<Maddubs>;
pub(crate) type AvxVnni = Ymm<Vnni>;

/// `swapped + v` with `v` negated where `signs` has the sign bit.
#[inline(always)]
unsafe fn butterfly(v: __m256, swapped: __m256, signs: __m256) -> __m256 {
    _mm256_add_ps(swapped, _mm256_xor_ps(v, signs))
}

impl<D: Dot> Simd for Ymm<D> {
    const LANES: usize = 8;
    const BLOCK: usize = 8;
    const HALF_BLOCK: usize = 2;
    const STREAMED: usize = 2;
    const SPREAD: usize = 2;
    const STRIPS: usize = 2;
    const SIGNED_ZERO: i32 = D::SIGNED_ZERO;
    type I = __m256i;
    type F = __m256;

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const u8) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }
    #[inline(always)]
    unsafe fn store_quads(v: __m256i, to: *mut u8) {
        _mm256_storeu_si256(to.cast(), v);
    }
    #[inline(always)]
    unsafe fn splat_i(value: i32) -> __m256i {
        _mm256_set1_epi32(value)
    }
    #[inline(always)]
    unsafe fn field(v: __m256i, shift: i32, mask: i32) -> __m256i {
        _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(shift)), _mm256_set1_epi32(mask))
    }
    #[inline(always)]
    unsafe fn mul_high(v: __m256i, factor: u16) -> __m256i {
        _mm256_mulhi_epu16(v, _mm256_set1_epi16(factor as i16))
    }
    #[inline(always)]
    unsafe fn mul_low(v: __m256i, factor: u16) -> __m256i {
        _mm256_mullo_epi16(v, _mm256_set1_epi16(factor as i16))
    }
    #[inline(always)]
    unsafe fn merge(low: __m256i, high: __m256i) -> __m256i {
        _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi16(0xFF00_u16 as i16)))
    }
    #[inline(always)]
    unsafe fn lookup(bytes: __m256i, table: &[u8; 16]) -> __m256i {
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), bytes)
    }
    #[inline(always)]
    unsafe fn dot(acc: __m256i, codes: __m256i, activations: __m256i) -> __m256i {
        D::dot(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: __m256i, codes: __m256i, activations: __m256i) -> __m256i {
        D::dot_signed(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn dot_shifted(acc: __m256i, codes: __m256i, activations: __m256i) -> __m256i {
        if D::SIGNED_ZERO == 0 { D::dot_signed(acc, codes, activations) } else { D::dot(acc, codes, activations) }
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        _mm256_or_si256(a, b)
    }
    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }
    #[inline(always)]
    unsafe fn lookup_32(bytes: __m256i, table: &[u8; 32]) -> __m256i {
        let half = |at: usize| _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().add(at).cast()));
        let (lower, upper) = (_mm256_shuffle_epi8(half(0), bytes), _mm256_shuffle_epi8(half(16), bytes));
        // The bit of 16 is brought to the top of each byte, where a blend looks.
        _mm256_blendv_epi8(lower, upper, _mm256_slli_epi32::<3>(bytes))
    }
    #[inline(always)]
    unsafe fn scales(from: *const u8) -> __m256 {
        let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<20>(_mm256_add_epi32(bytes, _mm256_set1_epi32(super::SCALE_ZERO))))
    }
    #[inline(always)]
    unsafe fn add_i(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn shift_down(v: __m256i, bits: u32) -> __m256i {
        _mm256_sra_epi32(v, _mm_cvtsi32_si128(bits as i32))
    }
    #[inline(always)]
    unsafe fn shift_up(v: __m256i, bits: u32) -> __m256i {
        _mm256_sll_epi32(v, _mm_cvtsi32_si128(bits as i32))
    }
    #[inline(always)]
    unsafe fn sum_i(v: __m256i) -> i32 {
        let v = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        let v = _mm_add_epi32(v, _mm_shuffle_epi32::<0x4E>(v));
        _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32::<0xB1>(v)))
    }
    #[inline(always)]
    unsafe fn to_float(v: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(v)
    }
    #[inline(always)]
    unsafe fn to_int(v: __m256) -> __m256i {
        _mm256_cvtps_epi32(v)
    }
    #[inline(always)]
    unsafe fn store_bytes(v: __m256i, to: *mut i8) {
        let words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
    }
    #[inline(always)]
    unsafe fn largest_bits(seen: __m256i, v: __m256) -> __m256i {
        _mm256_max_epi32(seen, _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFF_FFFF)))
    }
    #[inline(always)]
    unsafe fn max_i(v: __m256i) -> i32 {
        let v = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        let v = _mm_max_epi32(v, _mm_shuffle_epi32::<0x4E>(v));
        _mm_cvtsi128_si32(_mm_max_epi32(v, _mm_shuffle_epi32::<0xB1>(v)))
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        _mm256_set1_ps(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        _mm256_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn store(v: __m256, to: *mut f32) {
        _mm256_storeu_ps(to, v);
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> __m256 {
        _mm256_cvtph_ps(_mm_loadu_si128(from.cast()))
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        _mm256_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        _mm256_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn round(v: __m256) -> __m256 {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v)
    }
    #[inline(always)]
    unsafe fn power_of_two(n: __m256) -> __m256 {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
    }
    #[inline(always)]
    unsafe fn largest(v: __m256) -> f32 {
        let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps::<1>(v, v)))
    }
    #[inline(always)]
    unsafe fn hadamard(v: __m256) -> __m256 {
        let n = -0.0;
        let v = butterfly(v, _mm256_permute_ps::<0xB1>(v), _mm256_setr_ps(0.0, n, 0.0, n, 0.0, n, 0.0, n));
        let v = butterfly(v, _mm256_permute_ps::<0x4E>(v), _mm256_setr_ps(0.0, 0.0, n, n, 0.0, 0.0, n, n));
        butterfly(v, _mm256_permute2f128_ps::<1>(v, v), _mm256_setr_ps(0.0, 0.0, 0.0, 0.0, n, n, n, n))
    }
}
