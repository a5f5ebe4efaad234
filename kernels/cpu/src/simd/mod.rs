//! SIMD lanes as a trait.  A kernel is written once over [`Simd`] and compiled for each
//! instruction set; lanes are rows of a tile in matrix products, elements elsewhere.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ymm;

/// The two base-3 digits of a base-9 digit.
pub(crate) const FIRST: [u8; 16] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0];
pub(crate) const SECOND: [u8; 16] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0];

/// What is added to a scale's byte before it becomes the upper bits of a number.
pub(crate) const SCALE_ZERO: i32 = (crate::codes::SCALE_EXPONENT << 3) as i32;

/// `LANES` 32-bit lanes.  `I` holds integers, or four unsigned bytes a lane (a *quad*).
///
/// # Safety
/// Every function needs the instruction set of its type (callers sit under `target_feature`),
/// and pointers valid for the whole vector; no alignment is asked for.
#[allow(clippy::missing_safety_doc)]
pub(crate) trait Simd: Copy + 'static {
    const LANES: usize;
    /// Tokens of a block: as many as a product of integers keeps in registers at once.
    const BLOCK: usize;
    /// The same for f16 weights, which need four registers a token.
    const HALF_BLOCK: usize;
    /// Most tokens for which registers hold five sums each while base 3 is decoded.
    const STREAMED: usize;
    /// Most tokens whose dot products are spread over two sums each; more keep the processor busy by
    /// themselves.
    const SPREAD: usize;
    /// Strips of `LANES` rows that one token goes through together where rows are long.
    const STRIPS: usize;
    /// See [`Simd::trit_quads`].
    const TRIT_SHIFTS: [u32; 5] = [0; 5];
    /// What [`Simd::dot_signed`] adds to its signed bytes.
    const SIGNED_ZERO: i32;
    type I: Copy;
    type F: Copy;

    /// Brings the cache line nearer; any address will do.
    unsafe fn prefetch(address: *const u8);
    /// `4·LANES` bytes, four a lane.
    unsafe fn load_quads(from: *const u8) -> Self::I;
    unsafe fn store_quads(v: Self::I, to: *mut u8);
    unsafe fn splat_i(value: i32) -> Self::I;
    /// `(v >> shift) & mask` in every 32-bit lane.
    unsafe fn field(v: Self::I, shift: i32, mask: i32) -> Self::I;
    /// High 16 bits of the unsigned 16-bit products with `factor`.
    unsafe fn mul_high(v: Self::I, factor: u16) -> Self::I;
    /// Low 16 bits of the 16-bit products with `factor`.
    unsafe fn mul_low(v: Self::I, factor: u16) -> Self::I;
    /// `low | (high & 0xFF00)` in every 16-bit half.
    unsafe fn merge(low: Self::I, high: Self::I) -> Self::I;
    /// The entry of `table` for every byte, all of which are under 16.
    unsafe fn lookup(bytes: Self::I, table: &[u8; 16]) -> Self::I;
    /// The base-9 digits 1 and 3 of every 16-bit word as its two bytes, and digits 2 and 4.
    #[inline(always)]
    unsafe fn nine_quads(words: Self::I) -> [Self::I; 2] {
        nine_quads::<Self>(words)
    }
    /// The base-3 digits 0 and 1 of every 16-bit word as its two bytes, 2 and 6, 3 and 7, 4 and 8,
    /// 5 and 9; the digits of quad `p` times `2^TRIT_SHIFTS[p]`.
    #[inline(always)]
    unsafe fn trit_quads(words: Self::I) -> [Self::I; 5] {
        trit_quads::<Self>(words)
    }
    /// The first two base-3 digits of every 16-bit word, as its two bytes.
    #[inline(always)]
    unsafe fn trit_pair(words: Self::I) -> Self::I {
        Self::merge(Self::mul_high(words, 3), Self::mul_high(Self::mul_low(words, 3), 3 << 8))
    }
    /// `acc +` the dot products of unsigned bytes at most 15 with signed bytes.
    unsafe fn dot(acc: Self::I, codes: Self::I, activations: Self::I) -> Self::I;
    /// The same for signed bytes, each taken as if `SIGNED_ZERO` were added to it.
    unsafe fn dot_signed(acc: Self::I, codes: Self::I, activations: Self::I) -> Self::I;
    /// The same where it has been added already.
    unsafe fn dot_shifted(acc: Self::I, codes: Self::I, activations: Self::I) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn xor(a: Self::I, b: Self::I) -> Self::I;
    /// The entry of `table` for every byte, all of which are under 32.
    unsafe fn lookup_32(bytes: Self::I, table: &[u8; 32]) -> Self::I;
    /// What `LANES` bytes stand for as scales: see `codes::scale_of`.
    unsafe fn scales(from: *const u8) -> Self::F;

    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
    /// Signed lanes.
    unsafe fn shift_down(v: Self::I, bits: u32) -> Self::I;
    unsafe fn shift_up(v: Self::I, bits: u32) -> Self::I;
    unsafe fn sum_i(v: Self::I) -> i32;
    unsafe fn to_float(v: Self::I) -> Self::F;
    /// Nearest integers, ties to even.
    unsafe fn to_int(v: Self::F) -> Self::I;
    /// Stores lanes within ±127 as `LANES` bytes.
    unsafe fn store_bytes(v: Self::I, to: *mut i8);
    /// Larger of `seen` and the bits of |v|, as integers: NaN counts as larger than infinity.
    unsafe fn largest_bits(seen: Self::I, v: Self::F) -> Self::I;
    unsafe fn max_i(v: Self::I) -> i32;

    unsafe fn splat(value: f32) -> Self::F;
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(v: Self::F, to: *mut f32);
    unsafe fn load_half(from: *const u16) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a·b + c`, rounded once or twice.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a·b + c`, rounded once on every instruction set.
    #[inline(always)]
    unsafe fn fused(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        Self::fma(a, b, c)
    }
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn round(v: Self::F) -> Self::F;
    /// `2ⁿ` for integral lanes within −126 … 127.
    unsafe fn power_of_two(n: Self::F) -> Self::F;
    unsafe fn sum(v: Self::F) -> f32;
    unsafe fn largest(v: Self::F) -> f32;
    /// The Walsh–Hadamard transform of the lanes, not normalised.
    unsafe fn hadamard(v: Self::F) -> Self::F;
}

/// [`Simd::nine_quads`] by products.
#[inline(always)]
unsafe fn nine_quads<S: Simd>(words: S::I) -> [S::I; 2] {
    [
        S::merge(S::mul_high(S::mul_low(words, 9), 9), S::mul_high(S::mul_low(words, 729), 9 << 8)),
        S::merge(S::mul_high(S::mul_low(words, 81), 9), S::mul_high(S::mul_low(words, 6561), 9 << 8)),
    ]
}

/// [`Simd::trit_quads`] by way of base 9.
#[inline(always)]
unsafe fn trit_quads<S: Simd>(words: S::I) -> [S::I; 5] {
    let [odd, even] = nine_quads::<S>(words);
    let [a, b] = [S::lookup(odd, &FIRST), S::lookup(odd, &SECOND)];
    let [c, d] = [S::lookup(even, &FIRST), S::lookup(even, &SECOND)];
    [S::trit_pair(words), a, b, c, d]
}
