//! The kernels compiled for each instruction set, and the choice between them at run time.

use crate::elementwise::{Activation, Quantised};
use crate::error::{Result, ensure};
use crate::formats::FormatId;
use crate::numbers::Numbers;
use crate::{attention, dense, packing, product, straight};

/// The functions of one instruction set.
///
/// All are unsafe to call: the processor must have it (which [`select`] checks) and pointers
/// must be valid as the generic functions of the same name ask.
pub(crate) struct Kernels {
    pub name: &'static str,
    available: fn() -> bool,
    /// Most tokens of an integer product in one call, and of one with f16 weights.
    pub block: usize,
    pub half_block: usize,
    pub product: unsafe fn(FormatId, usize, &product::Job),
    /// Unpacks a tile of a base-3 format, once for many tokens, for `digits` to multiply.
    pub unpack: unsafe fn(FormatId, &product::Job, usize, *mut u8),
    pub digits: unsafe fn(usize, &product::Job),
    pub attend: unsafe fn(&attention::Job),
    pub merge: unsafe fn(*mut f32, (usize, usize), *mut f32, usize, bool),
    /// Codes a vector of so many numbers in so many bits; its scale's byte.
    pub encode: unsafe fn(*const f32, usize, usize, *mut u8) -> u8,
    pub multiply: unsafe fn(*const f32, *const f32, *mut f32, usize),
    pub accumulate: unsafe fn(*mut f32, *const f32, usize),
    pub norm: unsafe fn(*const f32, *const f32, *mut f32, usize, f32),
    pub hadamard: unsafe fn(*mut f32, usize, usize),
    pub quantise: unsafe fn(*const f32, usize, usize, Quantised),
    pub activate: unsafe fn(*const f32, *const f32, *mut f32, usize, Activation),
    pub softcap: unsafe fn(*mut f32, usize, f32),
    /// Lanes of a vector, in whose order `unpack` writes.
    pub lanes: usize,
    pub pack: unsafe fn(&packing::Job, usize),
    pub dense: unsafe fn(&dense::Job, usize),
    pub split: unsafe fn(&straight::Split, usize),
    pub widen: unsafe fn(Numbers, usize, *mut f32, usize),
    pub narrow: unsafe fn(*const f32, Numbers, usize, usize),
    pub values: unsafe fn(&straight::Room, usize, Numbers, usize, usize),
}

impl Kernels {
    /// Splits `tokens` into the blocks that a product takes, none above `limit`: `(first, count)`.
    pub fn blocks(&self, tokens: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
        let largest = self.block.min(limit);
        let mut next = 0;
        std::iter::from_fn(move || {
            let count = [8, 4, 2, 1].into_iter().find(|&n| n <= largest && n <= tokens - next)?;
            next += count;
            Some((next - count, count))
        })
    }

    /// The block of [`Kernels::blocks`] (without a limit) that holds `token`.
    pub fn block_of(&self, token: usize, tokens: usize) -> (usize, usize) {
        let whole = tokens / self.block * self.block;
        if token < whole {
            return (token / self.block * self.block, self.block);
        }
        let mut found = self.blocks(tokens - whole, usize::MAX).map(|(first, count)| (whole + first, count));
        found.find(|(first, count)| token < first + count).expect("the token is one of them")
    }
}

macro_rules! compile_for {
    ($module:ident, $simd:ty, $name:literal, $features:literal, $available:expr) => {
        pub(crate) mod $module {
            use crate::base3::{NineWords, TritWords};
            use crate::elementwise::{self, Activation, Quantised};
            use crate::formats::*;
            use crate::kernels::Kernels;
            use crate::numbers::Numbers;
            use crate::pages::WIDEST;
            use crate::simd::Simd;
            use crate::{attention, codes, dense, packing, product, softmax, straight};

            type S = $simd;

            #[target_feature(enable = $features)]
            unsafe fn integers<F: Format, const T: usize, const LT: usize, const M: usize>(job: &product::Job) {
                product::integers::<S, F, T, LT, M>(job)
            }
            #[target_feature(enable = $features)]
            unsafe fn halves<const M: usize>(job: &product::Job) {
                product::halves::<S, M>(job)
            }
            /// One token goes through `T` strips together, and through `LT` where rows are long.
            unsafe fn block<F: Format, const T: usize, const LT: usize>(tokens: usize, job: &product::Job) {
                match tokens {
                    8 if <S as Simd>::BLOCK == 8 => integers::<F, 1, 1, 8>(job),
                    4 => integers::<F, 1, 1, 4>(job),
                    2 => integers::<F, 1, 1, 2>(job),
                    1 => integers::<F, T, LT, 1>(job),
                    _ => unreachable!("no product takes {tokens} tokens at once"),
                }
            }
            unsafe fn slots<F: Format>(tokens: usize, job: &product::Job) {
                block::<F, { TILE / <S as Simd>::LANES }, { <S as Simd>::STRIPS }>(tokens, job)
            }
            /// Base 3 needs five sums a strip.
            unsafe fn words<F: Format>(tokens: usize, job: &product::Job) {
                block::<F, 1, { <S as Simd>::STRIPS / 2 }>(tokens, job)
            }
            unsafe fn product(format: FormatId, tokens: usize, job: &product::Job) {
                match format {
                    FormatId::T1 => slots::<TritSlots>(tokens, job),
                    FormatId::T1B3 => words::<TritWords>(tokens, job),
                    FormatId::Q2 => slots::<Crumbs>(tokens, job),
                    FormatId::T2 => slots::<NineSlots>(tokens, job),
                    FormatId::T2B3 => words::<NineWords>(tokens, job),
                    FormatId::I4 => slots::<Nibbles>(tokens, job),
                    FormatId::I8 => slots::<SignedBytes>(tokens, job),
                    FormatId::F16 => match tokens {
                        4 => halves::<4>(job),
                        2 => halves::<2>(job),
                        1 => halves::<1>(job),
                        _ => unreachable!("no f16 product takes {tokens} tokens at once"),
                    },
                }
            }
            #[target_feature(enable = $features)]
            unsafe fn unpack_as<F: Packed>(job: &product::Job, tile: usize, to: *mut u8) {
                product::unpack::<S, F>(job, tile, to)
            }
            unsafe fn unpack(format: FormatId, job: &product::Job, tile: usize, to: *mut u8) {
                match format {
                    FormatId::T1B3 => unpack_as::<TritWords>(job, tile, to),
                    FormatId::T2B3 => unpack_as::<NineWords>(job, tile, to),
                    _ => unreachable!("{format:?} is not unpacked"),
                }
            }
            unsafe fn digits(tokens: usize, job: &product::Job) {
                block::<Digits, 1, 1>(tokens, job)
            }
            #[target_feature(enable = $features)]
            unsafe fn attend(job: &attention::Job) {
                attention::attend::<S>(job)
            }
            #[target_feature(enable = $features)]
            unsafe fn merge(states: *mut f32, segments: (usize, usize), to: *mut f32, head_dim: usize, turned: bool) {
                softmax::merge::<S>(states, segments, to, head_dim, turned)
            }
            #[target_feature(enable = $features)]
            unsafe fn encode(x: *const f32, count: usize, bits: usize, codes: *mut u8) -> u8 {
                let mut trial = [0; WIDEST];
                let (x, codes) = (std::slice::from_raw_parts(x, count), std::slice::from_raw_parts_mut(codes, count));
                codes::encode(x, bits, codes, &mut trial[..count])
            }
            #[target_feature(enable = $features)]
            unsafe fn multiply(x: *const f32, y: *const f32, to: *mut f32, count: usize) {
                elementwise::multiply::<S>(x, y, to, count)
            }
            #[target_feature(enable = $features)]
            unsafe fn accumulate(x: *mut f32, y: *const f32, count: usize) {
                elementwise::accumulate::<S>(x, y, count)
            }
            #[target_feature(enable = $features)]
            unsafe fn norm(x: *const f32, weight: *const f32, to: *mut f32, count: usize, eps: f32) {
                elementwise::norm::<S>(x, weight, to, count, eps)
            }
            #[target_feature(enable = $features)]
            unsafe fn hadamard(x: *mut f32, count: usize, block: usize) {
                elementwise::hadamard::<S>(x, count, block)
            }
            #[target_feature(enable = $features)]
            unsafe fn quantise(x: *const f32, count: usize, group: usize, to: Quantised) {
                elementwise::quantise::<S>(x, count, group, to)
            }
            #[target_feature(enable = $features)]
            unsafe fn activate(gate: *const f32, up: *const f32, to: *mut f32, count: usize, kind: Activation) {
                elementwise::activate::<S>(gate, up, to, count, kind)
            }
            #[target_feature(enable = $features)]
            unsafe fn softcap(x: *mut f32, count: usize, cap: f32) {
                elementwise::softcap::<S>(x, count, cap)
            }
            #[target_feature(enable = $features)]
            unsafe fn pack(job: &packing::Job, tile: usize) {
                packing::pack(job, tile)
            }
            #[target_feature(enable = $features)]
            unsafe fn dense(job: &dense::Job, tile: usize) {
                dense::unpack(job, tile)
            }
            #[target_feature(enable = $features)]
            unsafe fn split(job: &straight::Split, row: usize) {
                straight::split(job, row)
            }
            #[target_feature(enable = $features)]
            unsafe fn widen(from: Numbers, first: usize, to: *mut f32, count: usize) {
                straight::widen(from, first, to, count)
            }
            #[target_feature(enable = $features)]
            unsafe fn narrow(from: *const f32, to: Numbers, first: usize, count: usize) {
                straight::narrow(from, to, first, count)
            }
            #[target_feature(enable = $features)]
            unsafe fn values(room: &straight::Room, group: usize, to: Numbers, first: usize, count: usize) {
                straight::values(room, group, to, first, count)
            }

            pub(crate) static KERNELS: Kernels = Kernels {
                name: $name,
                available: $available,
                block: <S as Simd>::BLOCK,
                half_block: <S as Simd>::HALF_BLOCK,
                product,
                unpack,
                digits,
                attend,
                merge,
                encode,
                multiply,
                accumulate,
                norm,
                hadamard,
                quantise,
                activate,
                softcap,
                lanes: <S as Simd>::LANES,
                pack,
                dense,
                split,
                widen,
                narrow,
                values,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile_for!(
    avx512vbmi,
    crate::simd::avx512::Avx512<true>,
    "avx512-vbmi",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi",
    || (crate::kernels::avx512::KERNELS.available)() && is_x86_feature_detected!("avx512vbmi")
);
#[cfg(target_arch = "x86_64")]
compile_for!(
    avx512,
    crate::simd::avx512::Avx512<false>,
    "avx512-vnni",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    || is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
);
#[cfg(target_arch = "x86_64")]
compile_for!(avxvnni, crate::simd::ymm::AvxVnni, "avx-vnni", "avx2,fma,f16c,avxvnni", || is_x86_feature_detected!(
    "avx2"
) && is_x86_feature_detected!(
    "fma"
) && is_x86_feature_detected!(
    "f16c"
) && is_x86_feature_detected!(
    "avxvnni"
));
#[cfg(target_arch = "x86_64")]
compile_for!(avx2, crate::simd::ymm::Avx2, "avx2", "avx2,fma,f16c", || is_x86_feature_detected!("avx2")
    && is_x86_feature_detected!("fma")
    && is_x86_feature_detected!("f16c"));
#[cfg(target_arch = "aarch64")]
compile_for!(
    neon,
    crate::simd::neon::Neon,
    "neon-dotprod",
    "neon,dotprod",
    || std::arch::is_aarch64_feature_detected!("dotprod")
);
#[cfg(target_arch = "x86_64")]
compile_for!(scalar, crate::simd::scalar::Scalar, "scalar", "sse2", || true);
#[cfg(target_arch = "aarch64")]
compile_for!(scalar, crate::simd::scalar::Scalar, "scalar", "neon", || true);

#[cfg(target_arch = "x86_64")]
static ALL: [&Kernels; 5] =
    [&avx512vbmi::KERNELS, &avx512::KERNELS, &avxvnni::KERNELS, &avx2::KERNELS, &scalar::KERNELS];
#[cfg(target_arch = "aarch64")]
static ALL: [&Kernels; 2] = [&neon::KERNELS, &scalar::KERNELS];

/// What this processor can run, best first.
pub(crate) fn available() -> impl Iterator<Item = &'static Kernels> {
    ALL.into_iter().filter(|kernels| (kernels.available)())
}

/// The kernels called `name`, or the best; one that this processor cannot run is an error.
pub(crate) fn select(name: Option<&str>) -> Result<&'static Kernels> {
    let found = available().find(|kernels| name.is_none_or(|name| kernels.name == name));
    let Some(kernels) = found else {
        let names: Vec<_> = available().map(|kernels| kernels.name).collect();
        ensure!(false, "no kernels called {:?} run here; these do: {}", name, names.join(", "));
        unreachable!();
    };
    Ok(kernels)
}
