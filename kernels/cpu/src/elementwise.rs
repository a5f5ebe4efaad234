//! Vector functions of one row: norm, signs, Walsh–Hadamard transform, int8 groups, activation.

use crate::simd::Simd;

/// `to[i] = x[i]·y[i]` for a count that is no multiple of anything.
///
/// # Safety
/// As for [`Simd`], here and below; slices are valid for `count`.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd>(x: *const f32, y: *const f32, to: *mut f32, count: usize) {
    let whole = count - count % S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        S::store(S::mul(S::load(x.add(i)), S::load(y.add(i))), to.add(i));
    }
    for i in whole..count {
        *to.add(i) = *x.add(i) * *y.add(i);
    }
}

/// `x[i] += y[i]`
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd>(x: *mut f32, y: *const f32, count: usize) {
    let whole = count - count % S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        S::store(S::add(S::load(x.add(i)), S::load(y.add(i))), x.add(i));
    }
    for i in whole..count {
        *x.add(i) += *y.add(i);
    }
}

/// `to = x/√(mean(x²) + eps)·weight`
#[inline(always)]
pub(crate) unsafe fn norm<S: Simd>(x: *const f32, weight: *const f32, to: *mut f32, count: usize, eps: f32) {
    let whole = count - count % S::LANES;
    let mut sums = [S::splat(0.0); 2];
    for (n, i) in (0..whole).step_by(S::LANES).enumerate() {
        let v = S::load(x.add(i));
        sums[n % 2] = S::fma(v, v, sums[n % 2]);
    }
    let mut square = S::sum(S::add(sums[0], sums[1]));
    for i in whole..count {
        square += *x.add(i) * *x.add(i);
    }
    let factor = 1.0 / (square / count as f32 + eps).sqrt();
    for i in (0..whole).step_by(S::LANES) {
        let v = S::mul(S::load(x.add(i)), S::splat(factor));
        S::store(S::mul(v, S::load(weight.add(i))), to.add(i));
    }
    for i in whole..count {
        *to.add(i) = *x.add(i) * factor * *weight.add(i);
    }
}

/// The Walsh–Hadamard transform, not normalised, of every run of `block` (a power of two).
#[inline(always)]
pub(crate) unsafe fn hadamard<S: Simd>(x: *mut f32, count: usize, block: usize) {
    for start in (0..count).step_by(block) {
        let run = x.add(start);
        let mut half = 1;
        if block >= S::LANES {
            for i in (0..block).step_by(S::LANES) {
                S::store(S::hadamard(S::load(run.add(i))), run.add(i));
            }
            half = S::LANES;
        }
        while half < block {
            for i in (0..block).step_by(2 * half) {
                let (low, high) = (run.add(i), run.add(i + half));
                if half >= S::LANES {
                    for j in (0..half).step_by(S::LANES) {
                        let (a, b) = (S::load(low.add(j)), S::load(high.add(j)));
                        S::store(S::add(a, b), low.add(j));
                        S::store(S::sub(a, b), high.add(j));
                    }
                } else {
                    for j in 0..half {
                        let (a, b) = (*low.add(j), *high.add(j));
                        *low.add(j) = a + b;
                        *high.add(j) = a - b;
                    }
                }
            }
            half *= 2;
        }
    }
}

/// Where the int8 groups of one token go: pointers to its place in the block's first quad and
/// group, and how many tokens the block has.  `per_token`: `x` is the whole token, and all its
/// groups get the same scale.
#[derive(Clone, Copy)]
pub(crate) struct Quantised {
    pub codes: *mut i8,
    pub scales: *mut f32,
    /// Negative.
    pub sums: *mut i32,
    pub block: usize,
    pub per_token: bool,
}

#[inline(always)]
unsafe fn largest_magnitude<S: Simd>(x: *const f32, count: usize) -> f32 {
    let mut bits = S::splat_i(0);
    for i in (0..count).step_by(S::LANES) {
        bits = S::largest_bits(bits, S::load(x.add(i)));
    }
    f32::from_bits(S::max_i(bits) as u32)
}

/// Symmetric int8, ties to even: x / scale by group, with scale = max|x|/127; or factor·x by token,
/// with factor = 127/max(max|x|, 10⁻⁵).  `count` is a multiple of 64.
/// A group with an infinity or a NaN gets the scale NaN, so that it shows in the result.
#[inline(always)]
pub(crate) unsafe fn quantise<S: Simd>(x: *const f32, count: usize, group: usize, to: Quantised) {
    let limit = S::splat(127.0);
    let whole = if to.per_token { largest_magnitude::<S>(x, count) } else { 0.0 };
    let factor = 127.0 * (1.0 / whole.max(1e-5)); // the order of operations in the models' own code
    for (g, start) in (0..count).step_by(group).enumerate() {
        let end = (start + group).min(count);
        let largest = if to.per_token { whole } else { largest_magnitude::<S>(x.add(start), end - start) };
        let scale = if to.per_token { 1.0 / factor } else { largest / 127.0 };
        let usable = scale > 0.0 && largest.is_finite();
        let mut sum = S::splat_i(0);
        for i in (start..end).step_by(S::LANES) {
            let mut codes = S::splat_i(0);
            if usable {
                let v = S::load(x.add(i));
                let ratio = if to.per_token { S::mul(v, S::splat(factor)) } else { S::div(v, S::splat(scale)) };
                codes = S::to_int(S::max(S::min(ratio, limit), S::splat(-127.0)));
                sum = S::add_i(sum, codes);
            }
            let mut bytes = [0i8; 16];
            S::store_bytes(codes, bytes.as_mut_ptr());
            for lane in 0..S::LANES / 4 {
                let quad = bytes.as_ptr().add(4 * lane).cast::<i32>().read_unaligned();
                to.codes.add((i / 4 + lane) * 4 * to.block).cast::<i32>().write_unaligned(quad);
            }
        }
        *to.scales.add(g * to.block) = if largest.is_finite() { scale } else { f32::NAN };
        *to.sums.add(g * to.block) = -S::sum_i(sum);
    }
}

/// eˣ to about one unit in the last place; below −87 the result is e⁻⁸⁷ and not smaller.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    // Cody–Waite reduction and the Cephes expf polynomial.
    // The constant comes first so that a NaN stays one.
    let x = S::min(S::splat(88.0), S::max(S::splat(-87.0), x));
    let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
    let r = S::fma(n, S::splat(-0.693_359_4), x);
    let r = S::fma(n, S::splat(2.121_944_4e-4), r);
    let mut p = S::splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = S::fma(p, r, S::splat(coefficient));
    }
    let p = S::fma(p, S::mul(r, r), S::add(r, S::splat(1.0)));
    S::mul(p, S::power_of_two(n))
}

/// tanh x = 1 − 2/(e²ˣ + 1)
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::F) -> S::F {
    let e = exp::<S>(S::add(x, x));
    S::sub(S::splat(1.0), S::div(S::splat(2.0), S::add(e, S::splat(1.0))))
}

/// What the gate of an MLP goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    GeluTanh,
    /// relu(x)²
    Relu2,
}

/// `to = act(gate)·up`
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd>(
    gate: *const f32,
    up: *const f32,
    to: *mut f32,
    count: usize,
    activation: Activation,
) {
    for i in (0..count).step_by(S::LANES) {
        let mut buffers = [[0.0f32; 16]; 2];
        let left = (count - i).min(S::LANES);
        let (mut g, mut u) = (gate.add(i), up.add(i));
        if left < S::LANES {
            std::ptr::copy_nonoverlapping(g, buffers[0].as_mut_ptr(), left);
            std::ptr::copy_nonoverlapping(u, buffers[1].as_mut_ptr(), left);
            (g, u) = (buffers[0].as_ptr(), buffers[1].as_ptr());
        }
        let (g, u) = (S::load(g), S::load(u));
        let one = S::splat(1.0);
        let activated = match activation {
            Activation::Silu => S::div(g, S::add(one, exp::<S>(S::sub(S::splat(0.0), g)))),
            Activation::GeluTanh => {
                let cube = S::mul(S::mul(g, g), g);
                let inner = S::mul(S::splat(0.797_884_6), S::fma(S::splat(0.044_715), cube, g));
                S::mul(S::mul(S::splat(0.5), g), S::add(one, tanh::<S>(inner)))
            }
            Activation::Relu2 => {
                // The constant comes first so that a NaN stays one.
                let positive = S::max(S::splat(0.0), g);
                S::mul(positive, positive)
            }
        };
        let result = S::mul(activated, u);
        if left < S::LANES {
            S::store(result, buffers[0].as_mut_ptr());
            std::ptr::copy_nonoverlapping(buffers[0].as_ptr(), to.add(i), left);
        } else {
            S::store(result, to.add(i));
        }
    }
}

/// `x = cap·tanh(x/cap)`
#[inline(always)]
pub(crate) unsafe fn softcap<S: Simd>(x: *mut f32, count: usize, cap: f32) {
    let whole = count - count % S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        let v = tanh::<S>(S::div(S::load(x.add(i)), S::splat(cap)));
        S::store(S::mul(v, S::splat(cap)), x.add(i));
    }
    for i in whole..count {
        let lane = S::mul(tanh::<S>(S::splat(*x.add(i) / cap)), S::splat(cap));
        *x.add(i) = S::largest(lane);
    }
}
