//! Single functions of the core behind the ABI, for tests against NumPy and for measurements.

use std::ffi::c_char;

use crate::abi::{TzMatrix, TzVector};
use crate::buffer::Buffer;
use crate::elementwise::Quantised;
use crate::error::{Result, ensure, guarded};
use crate::formats::padded;
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Preparation, Stage};
use crate::model_abi::{TzPool, kernels_named};
use crate::pool::Worker;
use crate::stage::{Input, Place, Product, UNPACKED_ROOM, prepare};

const MOST_TOKENS: usize = 1 << 20;

/// One stage of one matrix.
struct Lone<'a> {
    kernels: &'static Kernels,
    stage: &'a Stage,
    inputs: &'a [Input],
    /// A padded row, and room for unpacked tiles, for every thread.
    scratch: &'a [(Buffer<f32>, Buffer<u8>)],
    x: *const f32,
    tokens: usize,
    output: *mut f32,
}

// SAFETY: threads share it to write disjoint parts through its raw pointers.
unsafe impl Sync for Lone<'_> {}

impl Lone<'_> {
    /// # Safety
    /// Called by every thread of the pool; buffers are made for these shapes.
    unsafe fn run(&self, worker: &Worker) {
        let stage = self.stage;
        let form: &Preparation = &stage.preparations[0];
        for token in worker.share(self.tokens) {
            let x = self.x.add(token * stage.cols);
            let scratch = self.scratch[worker.index].0.pointer();
            let columns = (0, stage.cols);
            let place = Place { first: 0, token, tokens: self.tokens };
            prepare(self.kernels, form, x, stage.cols, columns, place, scratch, &self.inputs[0]);
        }
        worker.barrier();
        Product {
            kernels: self.kernels,
            stage,
            inputs: self.inputs,
            tokens: (0, self.tokens),
            outputs: &[self.output],
            unpacked: &self.scratch[worker.index].1,
        }
        .share(worker);
    }
}

/// `output[tokens, rows] = x[tokens, cols] · matrixᵀ + bias`, as a step computes it, `repeats` times.
/// `per_token` 1 rounds inputs with one scale a token, 0 with one a group.
///
/// # Safety
/// Pointers are null or valid for their lengths; `variant` is null or ends with a zero byte.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tz_matmul(
    pool: *const TzPool,
    variant: *const c_char,
    matrix: *const TzMatrix,
    bias: TzVector,
    x: *const f32,
    x_length: usize,
    output: *mut f32,
    output_length: usize,
    tokens: usize,
    per_token: u32,
    repeats: usize,
) -> i32 {
    guarded(|| unsafe {
        ensure!(per_token <= 1, "no activations have the number {per_token}");
        ensure!(!pool.is_null() && !matrix.is_null(), "a null pool or matrix");
        let (pool, kernels) = (&(*pool).0, kernels_named(variant)?);
        let (matrix, mut form) = Matrix::new("matrix", &*matrix, &bias)?;
        form.per_token = per_token == 1 && form.group.is_some();
        let stage = Stage::new(vec![(matrix, form)]);
        let rows = stage.matrices[0].rows;
        ensure!((1..=MOST_TOKENS).contains(&tokens), "{tokens} tokens");
        ensure!(!x.is_null() && x_length == tokens * stage.cols, "x has {x_length} numbers");
        ensure!(!output.is_null() && output_length == tokens * rows, "the output has {output_length} numbers");
        let inputs = [Input::new(tokens, stage.cols, stage.preparations[0].group.is_none())?];
        let room = || Ok((Buffer::zeroed(stage.padded())?, Buffer::zeroed(UNPACKED_ROOM)?));
        let scratch = (0..pool.threads()).map(|_| room()).collect::<Result<Vec<_>>>()?;
        let (stage, inputs, scratch) = (&stage, &inputs[..], &scratch[..]);
        let lone = Lone { kernels, stage, inputs, scratch, x, tokens, output };
        for _ in 0..repeats {
            pool.run(&|worker| lone.run(worker))?;
        }
        Ok(())
    })
}

/// `x ↦ H·x/√block` in place on every run of `block` numbers.
///
/// # Safety
/// As for [`tz_matmul`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_hadamard(variant: *const c_char, x: *mut f32, length: usize, block: usize) -> i32 {
    guarded(|| unsafe {
        let kernels = kernels_named(variant)?;
        ensure!(!x.is_null() && block.is_power_of_two() && length.is_multiple_of(block), "{length} / {block}");
        (kernels.hadamard)(x, length, block);
        let unit = 1.0 / (block as f32).sqrt();
        std::slice::from_raw_parts_mut(x, length).iter_mut().for_each(|v| *v *= unit);
        Ok(())
    })
}

/// Int8 codes and float32 scales by group (64 or 128) of one row; the last group may be short.
/// The group 0 stands for the whole row, rounded with one scale a token.
///
/// # Safety
/// As for [`tz_matmul`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_quantise(
    variant: *const c_char,
    x: *const f32,
    length: usize,
    group: usize,
    codes: *mut i8,
    codes_length: usize,
    scales: *mut f32,
    scales_length: usize,
) -> i32 {
    guarded(|| unsafe {
        let kernels = kernels_named(variant)?;
        ensure!([0, 64, 128].contains(&group), "group size {group}");
        let (per_token, group) = (group == 0, if group == 0 { 64 } else { group });
        ensure!(!x.is_null() && !codes.is_null() && !scales.is_null(), "a null address");
        let groups = length.div_ceil(group);
        let wanted = if per_token { 1 } else { groups };
        ensure!(codes_length == length && scales_length == wanted, "{codes_length} codes, {scales_length} scales");
        let width = padded(length);
        let (row, bytes, sums) = (Buffer::zeroed(width)?, Buffer::<i8>::zeroed(width)?, Buffer::zeroed(groups)?);
        let all: Buffer<f32> = Buffer::zeroed(groups)?;
        std::ptr::copy_nonoverlapping(x, row.pointer(), length);
        let to = Quantised { codes: bytes.pointer(), scales: all.pointer(), sums: sums.pointer(), block: 1, per_token };
        (kernels.quantise)(row.pointer(), width, group, to);
        std::ptr::copy_nonoverlapping(all.pointer(), scales, wanted);
        std::ptr::copy_nonoverlapping(bytes.pointer(), codes, length);
        Ok(())
    })
}

/// Bytes per second that the pool's threads read together, from `bytes` of memory each pass.
///
/// # Safety
/// `pool` and `result` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_read_bandwidth(pool: *const TzPool, bytes: usize, passes: usize, result: *mut f64) -> i32 {
    guarded(|| unsafe {
        ensure!(!pool.is_null() && !result.is_null(), "a null pool or result");
        ensure!(bytes >= 1 << 20 && (1..=1 << 20).contains(&passes), "{bytes} bytes, {passes} passes");
        *result = crate::bandwidth::read(&(*pool).0, bytes, passes)?;
        Ok(())
    })
}

/// The names of the kernels that run here, best first, separated by commas; written and counted
/// as by `tz_last_error`.
///
/// # Safety
/// `buffer` is null or valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_variants(buffer: *mut u8, length: usize) -> usize {
    let names: Vec<_> = crate::kernels::available().map(|kernels| kernels.name).collect();
    // SAFETY: the caller's promise.
    unsafe { crate::error::copy_text(&names.join(","), buffer, length) }
}
