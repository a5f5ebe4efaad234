//! The inner solver of the converter: integer codes and one scale for each row of a column group.
//!
//! A row `w` of a group of `n` columns is approximated by `α·t`, `t` integers in `low..=high`, so
//! that the error `e = w − α·t` is small in the metric `S = V·Vᵀ`, where `V` is the group's block of
//! the upper triangular factor of the Hessian: `eSeᵀ` is the output error that is left once the
//! later columns have compensated for this group in the best way.
//!
//! 1. For every trial scale, sequential rounding with error feedback through `U = V⁻¹` (Babai's nearest
//!    plane, which is what GPTQ does: Frantar et al. 2022), keeping the best few.
//! 2. Each of them: coordinate descent on the codes in the metric `S`, alternating with the scale
//!    that is exact for frozen codes, `α = (tᵀSw)/(tᵀSt)`.
//! 3. The scale is rounded to half precision, and the codes descend once more with it.
//!
//! Rows are independent of each other and of the number of threads.  Arithmetic is elementwise
//! or reduced in a fixed order, without fused multiply–add, so that every instruction set gives
//! the same bits.

use std::thread;

use crate::half::{from_f32, to_f32};
use crate::packing::nearest;

/// Done.
const OK: i32 = 0;
/// A pointer is null, or a size or range is outside what the function permits.
const BAD_ARGUMENT: i32 = -1;
/// A scale does not fit in half precision, or an input is not finite.
const NOT_FINITE: i32 = -2;

/// Lanes of the fixed reduction order, and the step in which triangles are cut.
const LANES: usize = 16;
const WIDEST: usize = 128;
const MOST_TRIALS: usize = 64;
/// Trial scales rounded at a time.
const TOGETHER: usize = 4;

#[inline(always)]
fn dot<const L: usize>(a: &[f32; L], b: &[f32; L]) -> f32 {
    let mut lanes = [0f32; LANES];
    for (x, y) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

#[inline(always)]
fn add_scaled(y: &mut [f32], x: &[f32], a: f32) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// What all rows of a group share.  Padding columns have zero metric and unit factor.
struct Problem<const L: usize> {
    columns: usize,
    factor: Vec<[f32; L]>,
    metric: Vec<[f32; L]>,
    low: f32,
    high: f32,
    trials: Vec<f32>,
    starts: usize,
    sweeps: usize,
}

/// Codes and scale under way.
#[derive(Clone)]
struct Candidate<const L: usize> {
    scale: f32,
    codes: [f32; L],
    loss: f32,
}

impl<const L: usize> Problem<L> {
    #[inline(always)]
    fn times_metric(&self, x: &[f32; L]) -> [f32; L] {
        let mut out = [0f32; L];
        for i in 0..self.columns {
            if x[i] != 0.0 {
                add_scaled(&mut out, &self.metric[i], x[i]);
            }
        }
        out
    }

    /// Sequential rounding with error feedback at several scales together: they share the loads of
    /// the factor, and their dependency chains overlap.  The losses are the metric's.
    #[inline(always)]
    fn sequential(&self, weights: &[f32; L], scales: [f32; TOGETHER]) -> [Candidate<L>; TOGETHER] {
        let mut rest = [*weights; TOGETHER];
        let mut found = scales.map(|scale| Candidate { scale, codes: [0f32; L], loss: 0.0 });
        let inverse = scales.map(f32::recip);
        for i in 0..self.columns {
            let row = &self.factor[i];
            let stiffness = row[i].recip();
            let from = i / LANES * LANES;
            for k in 0..TOGETHER {
                let t = nearest(rest[k][i] * inverse[k], (self.low, self.high));
                let error = (rest[k][i] - scales[k] * t) * stiffness;
                add_scaled(&mut rest[k][from..], &row[from..], -error);
                found[k].codes[i] = t;
                found[k].loss += error * error;
            }
        }
        found
    }

    /// One pass of exact coordinate minimisation with `v = S·w` and `p = S·t`; says whether a code moved.
    #[inline(always)]
    fn descend(&self, codes: &mut [f32; L], p: &mut [f32; L], v: &[f32; L], scale: f32) -> bool {
        let mut moved = false;
        for i in 0..self.columns {
            let stiffness = self.metric[i][i];
            if stiffness <= 0.0 {
                continue;
            }
            let best = nearest(codes[i] + (v[i] / scale - p[i]) / stiffness, (self.low, self.high));
            let step = best - codes[i];
            if step != 0.0 {
                codes[i] = best;
                add_scaled(p, &self.metric[i], step);
                moved = true;
            }
        }
        moved
    }

    #[inline(always)]
    fn polish(&self, candidate: &mut Candidate<L>, v: &[f32; L], energy: f32) {
        let mut p = self.times_metric(&candidate.codes);
        for _ in 0..self.sweeps {
            let square = dot(&candidate.codes, &p);
            if square <= 0.0 {
                break;
            }
            candidate.scale = dot(&candidate.codes, v) / square;
            if candidate.scale == 0.0 || !self.descend(&mut candidate.codes, &mut p, v, candidate.scale) {
                break;
            }
        }
        let square = dot(&candidate.codes, &p);
        if square > 0.0 {
            candidate.scale = dot(&candidate.codes, v) / square;
        }
        candidate.scale = to_f32(from_f32(candidate.scale));
        if candidate.scale == 0.0 || !candidate.scale.is_finite() {
            candidate.codes = [0f32; L];
            candidate.loss = energy;
            return;
        }
        for _ in 0..self.sweeps {
            if !self.descend(&mut candidate.codes, &mut p, v, candidate.scale) {
                break;
            }
        }
        let (a, t) = (candidate.scale, &candidate.codes);
        candidate.loss = energy - 2.0 * a * dot(t, v) + a * a * dot(t, &p);
    }

    /// The best candidate for one row.  A row of zeros has scale 0.
    #[inline(always)]
    fn solve(&self, weights: &[f32; L]) -> Candidate<L> {
        let peak = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
        let zero = Candidate { scale: 0.0, codes: [0f32; L], loss: 0.0 };
        let smallest = self.trials.iter().fold(f32::INFINITY, |m, t| m.min(t.abs())) * peak;
        if smallest < f32::MIN_POSITIVE {
            return zero;
        }
        let v = self.times_metric(weights);
        let energy = dot(weights, &v);
        let mut found: Vec<Candidate<L>> = Vec::with_capacity(self.trials.len());
        for trials in self.trials.chunks(TOGETHER) {
            let scales = std::array::from_fn(|k| trials[k.min(trials.len() - 1)] * peak);
            found.extend(self.sequential(weights, scales).into_iter().take(trials.len()));
        }
        found.sort_by(|a, b| a.loss.total_cmp(&b.loss)); // stable: equal losses keep their order
        found.truncate(self.starts);
        for candidate in &mut found {
            self.polish(candidate, &v, energy);
        }
        found.into_iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap_or(zero)
    }

    #[inline(always)]
    fn solve_rows(&self, weights: &[f32], stride: usize, codes: &mut [i8], scales: &mut [u16]) -> i32 {
        let n = self.columns;
        for (row, (codes, scale)) in codes.chunks_exact_mut(n).zip(scales).enumerate() {
            let mut padded = [0f32; L];
            padded[..n].copy_from_slice(&weights[row * stride..row * stride + n]);
            let best = self.solve(&padded);
            if !best.loss.is_finite() || !best.scale.is_finite() || best.scale.abs() > 65504.0 {
                return NOT_FINITE;
            }
            for (code, t) in codes.iter_mut().zip(&best.codes) {
                *code = *t as i8;
            }
            *scale = from_f32(best.scale);
        }
        OK
    }
}

/// Fits a run of rows: its first row, codes and scales to write; returns a status.
type RowTask<'a> = dyn Fn(usize, &mut [i8], &mut [u16]) -> i32 + Sync + 'a;

/// `task` over equal runs of rows, in at most `threads` threads.
fn in_parallel(rows: usize, width: usize, threads: usize, codes: &mut [i8], scales: &mut [u16], task: &RowTask) -> i32 {
    let run = rows.div_ceil(threads.clamp(1, rows.max(1))).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = codes
            .chunks_mut(run * width)
            .zip(scales.chunks_mut(run))
            .enumerate()
            .map(|(i, (codes, scales))| scope.spawn(move || task(i * run, codes, scales)))
            .collect();
        // A panic in a worker must not cross the C boundary; it counts as bad input.
        parts.into_iter().map(|part| part.join().unwrap_or(BAD_ARGUMENT)).min().unwrap_or(OK)
    })
}

macro_rules! dispatched {
    ($wide:ident, $wider:ident, $($name:ident: $kind:ty),+ => $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn $wide<const L: usize>($($name: $kind),+) -> i32 { $body }
            #[target_feature(enable = "avx512f")]
            fn $wider<const L: usize>($($name: $kind),+) -> i32 { $body }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the feature.
                return unsafe { $wider::<L>($($name),+) };
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the feature.
                return unsafe { $wide::<L>($($name),+) };
            }
        }
        $body
    }};
}

fn solve_rows<const L: usize>(p: &Problem<L>, w: &[f32], stride: usize, c: &mut [i8], s: &mut [u16]) -> i32 {
    dispatched!(avx2, avx512, p: &Problem<L>, w: &[f32], stride: usize, c: &mut [i8], s: &mut [u16]
        => p.solve_rows(w, stride, c, s))
}

struct GroupCall<'a> {
    weights: &'a [f32],
    stride: usize,
    rows: usize,
    columns: usize,
    factor: &'a [f32],
    metric: &'a [f32],
    trials: &'a [f32],
    low: f32,
    high: f32,
    starts: usize,
    sweeps: usize,
    threads: usize,
}

fn fit_group<const L: usize>(call: &GroupCall, codes: &mut [i8], scales: &mut [u16]) -> i32 {
    let n = call.columns;
    let pad = |matrix: &[f32], diagonal: f32| -> Vec<[f32; L]> {
        (0..L)
            .map(|i| {
                let mut row = [0f32; L];
                if i < n {
                    row[..n].copy_from_slice(&matrix[i * n..(i + 1) * n]);
                } else {
                    row[i] = diagonal;
                }
                row
            })
            .collect()
    };
    let problem = Problem::<L> {
        columns: n,
        factor: pad(call.factor, 1.0),
        metric: pad(call.metric, 0.0),
        low: call.low,
        high: call.high,
        trials: call.trials.to_vec(),
        starts: call.starts,
        sweeps: call.sweeps,
    };
    in_parallel(call.rows, n, call.threads, codes, scales, &|first, codes, scales| {
        solve_rows(&problem, &call.weights[first * call.stride..], call.stride, codes, scales)
    })
}

/// Fit one column group of a matrix.
///
/// `weights`: `rows` rows of `columns` floats, `stride` floats apart, already compensated for the
/// groups before.  `factor`, `metric`: `[columns, columns]` row-major, `U` (upper triangular,
/// positive diagonal, zeros below) and `S = U⁻¹·U⁻ᵀ` (symmetric).  `trials`: scales to
/// start from, relative to the largest magnitude of the row's group (negative ones flip an
/// asymmetric range).  The best `starts` of them get up to `sweeps` passes of descent.
///
/// Writes `codes` `[rows, columns]` and `scales` `[rows]` (IEEE half).  Returns 0, −1 for a bad
/// argument, −2 when a value is not finite or a scale exceeds half precision.
///
/// # Safety
/// Every pointer must be valid for the sizes stated, and the outputs must not overlap the inputs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_fit_group(
    weights: *const f32,
    rows: usize,
    stride: usize,
    columns: usize,
    factor: *const f32,
    metric: *const f32,
    trials: *const f32,
    trial_count: usize,
    low: i32,
    high: i32,
    starts: usize,
    sweeps: usize,
    threads: usize,
    codes: *mut i8,
    scales: *mut u16,
) -> i32 {
    if weights.is_null() || factor.is_null() || metric.is_null() || trials.is_null() {
        return BAD_ARGUMENT;
    }
    let sizes =
        rows > 0 && rows <= 1 << 24 && (1..=WIDEST).contains(&columns) && stride >= columns && stride <= 1 << 24;
    let range = (-127..=0).contains(&low) && (1..=127).contains(&high);
    let effort = (1..=MOST_TRIALS).contains(&trial_count) && (1..=trial_count).contains(&starts) && sweeps <= 1000;
    if codes.is_null() || scales.is_null() || !sizes || !range || !effort {
        return BAD_ARGUMENT;
    }
    // SAFETY: the caller vouches for the pointers; the sizes were checked above.
    let (call, codes, scales) = unsafe {
        (
            GroupCall {
                weights: std::slice::from_raw_parts(weights, (rows - 1) * stride + columns),
                stride,
                rows,
                columns,
                factor: std::slice::from_raw_parts(factor, columns * columns),
                metric: std::slice::from_raw_parts(metric, columns * columns),
                trials: std::slice::from_raw_parts(trials, trial_count),
                low: low as f32,
                high: high as f32,
                starts,
                sweeps,
                threads,
            },
            std::slice::from_raw_parts_mut(codes, rows * columns),
            std::slice::from_raw_parts_mut(scales, rows),
        )
    };
    let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
    if !finite(call.factor) || !finite(call.metric) || !(0..columns).all(|i| call.factor[i * columns + i] > 0.0) {
        return NOT_FINITE;
    }
    if !finite(call.trials) || call.trials.contains(&0.0) {
        return BAD_ARGUMENT;
    }
    if !(0..rows).all(|row| finite(&call.weights[row * stride..row * stride + columns])) {
        return NOT_FINITE;
    }
    if columns <= 64 { fit_group::<64>(&call, codes, scales) } else { fit_group::<128>(&call, codes, scales) }
}
