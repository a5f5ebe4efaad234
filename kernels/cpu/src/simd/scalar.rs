//! Four lanes in plain Rust: what any machine can run, and the oracle of the others.

use super::Simd;
use crate::half;

#[derive(Clone, Copy)]
pub(crate) struct Scalar;

type I = [i32; 4];
type F = [f32; 4];

#[inline(always)]
fn zip(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn halves(v: I, f: impl Fn(u32) -> u32) -> I {
    v.map(|lane| {
        let lane = lane as u32;
        (f(lane & 0xFFFF) | (f(lane >> 16) << 16)) as i32
    })
}

impl Simd for Scalar {
    const LANES: usize = 4;
    const BLOCK: usize = 4;
    const HALF_BLOCK: usize = 2;
    const STREAMED: usize = 1;
    const SPREAD: usize = 1;
    const STRIPS: usize = 2;
    const SIGNED_ZERO: i32 = 0;
    type I = I;
    type F = F;

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    #[inline(always)]
    unsafe fn load_quads(from: *const u8) -> I {
        from.cast::<I>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store_quads(v: I, to: *mut u8) {
        to.cast::<I>().write_unaligned(v);
    }
    #[inline(always)]
    unsafe fn splat_i(value: i32) -> I {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn field(v: I, shift: i32, mask: i32) -> I {
        v.map(|lane| ((lane as u32) >> shift) as i32 & mask)
    }
    #[inline(always)]
    unsafe fn mul_high(v: I, factor: u16) -> I {
        halves(v, |word| (word * u32::from(factor)) >> 16)
    }
    #[inline(always)]
    unsafe fn mul_low(v: I, factor: u16) -> I {
        halves(v, |word| (word * u32::from(factor)) & 0xFFFF)
    }
    #[inline(always)]
    unsafe fn merge(low: I, high: I) -> I {
        [0, 1, 2, 3].map(|i| low[i] | (high[i] & 0xFF00_FF00_u32 as i32))
    }
    #[inline(always)]
    unsafe fn lookup(bytes: I, table: &[u8; 16]) -> I {
        bytes.map(|lane| i32::from_le_bytes(lane.to_le_bytes().map(|byte| table[usize::from(byte & 15)])))
    }
    #[inline(always)]
    unsafe fn dot(acc: I, codes: I, activations: I) -> I {
        [0, 1, 2, 3].map(|i| {
            let quad = activations[i].to_le_bytes();
            let codes = codes[i].to_le_bytes();
            let products = [0, 1, 2, 3].map(|j| i32::from(codes[j]) * i32::from(quad[j] as i8));
            acc[i] + products.iter().sum::<i32>()
        })
    }
    #[inline(always)]
    unsafe fn dot_signed(acc: I, codes: I, activations: I) -> I {
        [0, 1, 2, 3].map(|i| {
            let quad = activations[i].to_le_bytes();
            let codes = codes[i].to_le_bytes();
            let products = [0, 1, 2, 3].map(|j| i32::from(codes[j] as i8) * i32::from(quad[j] as i8));
            acc[i] + products.iter().sum::<i32>()
        })
    }
    #[inline(always)]
    unsafe fn dot_shifted(acc: I, codes: I, activations: I) -> I {
        Self::dot_signed(acc, codes, activations)
    }
    #[inline(always)]
    unsafe fn or(a: I, b: I) -> I {
        [0, 1, 2, 3].map(|i| a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn xor(a: I, b: I) -> I {
        [0, 1, 2, 3].map(|i| a[i] ^ b[i])
    }
    #[inline(always)]
    unsafe fn lookup_32(bytes: I, table: &[u8; 32]) -> I {
        bytes.map(|lane| i32::from_le_bytes(lane.to_le_bytes().map(|byte| table[usize::from(byte & 31)])))
    }
    #[inline(always)]
    unsafe fn scales(from: *const u8) -> F {
        from.cast::<[u8; 4]>().read_unaligned().map(crate::codes::scale_of)
    }
    #[inline(always)]
    unsafe fn add_i(a: I, b: I) -> I {
        [0, 1, 2, 3].map(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    unsafe fn shift_down(v: I, bits: u32) -> I {
        v.map(|lane| lane >> bits)
    }
    #[inline(always)]
    unsafe fn shift_up(v: I, bits: u32) -> I {
        v.map(|lane| lane << bits)
    }
    #[inline(always)]
    unsafe fn sum_i(v: I) -> i32 {
        v.iter().sum()
    }
    #[inline(always)]
    unsafe fn to_float(v: I) -> F {
        v.map(|lane| lane as f32)
    }
    #[inline(always)]
    unsafe fn to_int(v: F) -> I {
        v.map(|lane| lane.round_ties_even() as i32)
    }
    #[inline(always)]
    unsafe fn store_bytes(v: I, to: *mut i8) {
        to.cast::<[i8; 4]>().write_unaligned(v.map(|lane| lane as i8));
    }
    #[inline(always)]
    unsafe fn largest_bits(seen: I, v: F) -> I {
        [0, 1, 2, 3].map(|i| seen[i].max((v[i].to_bits() & 0x7FFF_FFFF) as i32))
    }
    #[inline(always)]
    unsafe fn max_i(v: I) -> i32 {
        v[0].max(v[1]).max(v[2].max(v[3]))
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> F {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> F {
        from.cast::<F>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store(v: F, to: *mut f32) {
        to.cast::<F>().write_unaligned(v);
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> F {
        from.cast::<[u16; 4]>().read_unaligned().map(half::to_f32)
    }
    #[inline(always)]
    unsafe fn add(a: F, b: F) -> F {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: F, b: F) -> F {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: F, b: F) -> F {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(a: F, b: F) -> F {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn fma(a: F, b: F, c: F) -> F {
        // Not mul_add: without the instruction that is a slow library call.
        [0, 1, 2, 3].map(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn fused(a: F, b: F, c: F) -> F {
        [0, 1, 2, 3].map(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: F, b: F) -> F {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(a: F, b: F) -> F {
        zip(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn round(v: F) -> F {
        v.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn power_of_two(n: F) -> F {
        n.map(|lane| f32::from_bits(((lane as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn sum(v: F) -> f32 {
        (v[0] + v[1]) + (v[2] + v[3])
    }
    #[inline(always)]
    unsafe fn largest(v: F) -> f32 {
        v[0].max(v[1]).max(v[2].max(v[3]))
    }
    #[inline(always)]
    unsafe fn hadamard(v: F) -> F {
        let pairs = [v[0] + v[1], v[0] - v[1], v[2] + v[3], v[2] - v[3]];
        [pairs[0] + pairs[2], pairs[1] + pairs[3], pairs[0] - pairs[2], pairs[1] - pairs[3]]
    }
}
