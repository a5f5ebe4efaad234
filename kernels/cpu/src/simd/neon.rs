//! Four lanes: NEON with the dot-product extension (Apple M1, Cortex-A76 and later).
//!
//! `sdot` and the half-precision conversions are written as assembly because their intrinsics are
//! not stable at this crate's minimum version.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Simd for Neon {
    const LANES: usize = 4;
    const BLOCK: usize = 8;
    const HALF_BLOCK: usize = 4;
    const STREAMED: usize = 4;
    const SPREAD: usize = 4;
    const STRIPS: usize = 4;
    const SIGNED_ZERO: i32 = 0;
    type I = int32x4_t;
    type F = float32x4_t;

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const u8) -> int32x4_t {
        vreinterpretq_s32_u8(vld1q_u8(from))
    }
    #[inline(always)]
    unsafe fn store_quads(v: int32x4_t, to: *mut u8) {
        vst1q_u8(to, vreinterpretq_u8_s32(v));
    }
    #[inline(always)]
    unsafe fn splat_i(value: i32) -> int32x4_t {
        vdupq_n_s32(value)
    }
    #[inline(always)]
    unsafe fn field(v: int32x4_t, shift: i32, mask: i32) -> int32x4_t {
        let shifted = vshlq_u32(vreinterpretq_u32_s32(v), vdupq_n_s32(-shift));
        vandq_s32(vreinterpretq_s32_u32(shifted), vdupq_n_s32(mask))
    }
    #[inline(always)]
    unsafe fn mul_high(v: int32x4_t, factor: u16) -> int32x4_t {
        let (words, factor) = (vreinterpretq_u16_s32(v), vdupq_n_u16(factor));
        let low = vmull_u16(vget_low_u16(words), vget_low_u16(factor));
        let high = vmull_high_u16(words, factor);
        vreinterpretq_s32_u16(vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high)))
    }
    #[inline(always)]
    unsafe fn mul_low(v: int32x4_t, factor: u16) -> int32x4_t {
        vreinterpretq_s32_u16(vmulq_u16(vreinterpretq_u16_s32(v), vdupq_n_u16(factor)))
    }
    #[inline(always)]
    unsafe fn merge(low: int32x4_t, high: int32x4_t) -> int32x4_t {
        vorrq_s32(low, vandq_s32(high, vdupq_n_s32(0xFF00_FF00_u32 as i32)))
    }
    #[inline(always)]
    unsafe fn lookup(bytes: int32x4_t, table: &[u8; 16]) -> int32x4_t {
        vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(table.as_ptr()), vreinterpretq_u8_s32(bytes)))
    }
    #[inline(always)]
    unsafe fn dot(acc: int32x4_t, codes: int32x4_t, activations: int32x4_t) -> int32x4_t {
        // Codes of at most 15 are the same signed and unsigned.
        Self::dot_signed(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: int32x4_t, codes: int32x4_t, activations: int32x4_t) -> int32x4_t {
        let mut acc = acc;
        asm!(
            "sdot {acc:v}.4s, {codes:v}.16b, {activations:v}.16b",
            acc = inout(vreg) acc,
            codes = in(vreg) codes,
            activations = in(vreg) activations,
            options(pure, nomem, nostack, preserves_flags),
        );
        acc
    }
    #[inline(always)]
    unsafe fn dot_shifted(acc: int32x4_t, codes: int32x4_t, activations: int32x4_t) -> int32x4_t {
        Self::dot_signed(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn or(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vorrq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn xor(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        veorq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn lookup_32(bytes: int32x4_t, table: &[u8; 32]) -> int32x4_t {
        let table = uint8x16x2_t(vld1q_u8(table.as_ptr()), vld1q_u8(table.as_ptr().add(16)));
        vreinterpretq_s32_u8(vqtbl2q_u8(table, vreinterpretq_u8_s32(bytes)))
    }
    #[inline(always)]
    unsafe fn scales(from: *const u8) -> float32x4_t {
        let bytes = vreinterpret_u8_u32(vdup_n_u32(from.cast::<u32>().read_unaligned()));
        let wide = vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
        let bits = vaddq_s32(vreinterpretq_s32_u32(wide), vdupq_n_s32(super::SCALE_ZERO));
        vreinterpretq_f32_s32(vshlq_n_s32::<20>(bits))
    }
    #[inline(always)]
    unsafe fn add_i(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vaddq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn shift_down(v: int32x4_t, bits: u32) -> int32x4_t {
        vshlq_s32(v, vdupq_n_s32(-(bits as i32)))
    }
    #[inline(always)]
    unsafe fn shift_up(v: int32x4_t, bits: u32) -> int32x4_t {
        vshlq_s32(v, vdupq_n_s32(bits as i32))
    }
    #[inline(always)]
    unsafe fn sum_i(v: int32x4_t) -> i32 {
        vaddvq_s32(v)
    }
    #[inline(always)]
    unsafe fn to_float(v: int32x4_t) -> float32x4_t {
        vcvtq_f32_s32(v)
    }
    #[inline(always)]
    unsafe fn to_int(v: float32x4_t) -> int32x4_t {
        vcvtnq_s32_f32(v)
    }
    #[inline(always)]
    unsafe fn store_bytes(v: int32x4_t, to: *mut i8) {
        let words = vqmovn_s32(v);
        let bytes = vqmovn_s16(vcombine_s16(words, words));
        to.cast::<i32>().write_unaligned(vget_lane_s32::<0>(vreinterpret_s32_s8(bytes)));
    }
    #[inline(always)]
    unsafe fn largest_bits(seen: int32x4_t, v: float32x4_t) -> int32x4_t {
        vmaxq_s32(seen, vandq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(0x7FFF_FFFF)))
    }
    #[inline(always)]
    unsafe fn max_i(v: int32x4_t) -> i32 {
        vmaxvq_s32(v)
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        vdupq_n_f32(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }
    #[inline(always)]
    unsafe fn store(v: float32x4_t, to: *mut f32) {
        vst1q_f32(to, v);
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> float32x4_t {
        let wide: float32x4_t;
        asm!(
            "fcvtl {wide:v}.4s, {half:v}.4h",
            half = in(vreg) vld1_u16(from),
            wide = lateout(vreg) wide,
            options(pure, nomem, nostack, preserves_flags),
        );
        wide
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmaxq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vminq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> float32x4_t {
        vrndnq_f32(v)
    }
    #[inline(always)]
    unsafe fn power_of_two(n: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127))))
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        vaddvq_f32(v)
    }
    #[inline(always)]
    unsafe fn largest(v: float32x4_t) -> f32 {
        vmaxvq_f32(v)
    }
    #[inline(always)]
    unsafe fn hadamard(v: float32x4_t) -> float32x4_t {
        const ODD: [f32; 4] = [1.0, -1.0, 1.0, -1.0];
        const UPPER: [f32; 4] = [1.0, 1.0, -1.0, -1.0];
        let v = vfmaq_f32(vrev64q_f32(v), v, vld1q_f32(ODD.as_ptr()));
        vfmaq_f32(vextq_f32::<2>(v, v), v, vld1q_f32(UPPER.as_ptr()))
    }
}
