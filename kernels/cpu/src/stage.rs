//! Running one stage: preparing its input and multiplying it by the stage's matrices.

use crate::buffer::Buffer;
use crate::elementwise::Quantised;
use crate::error::Result;
use crate::formats::{FormatId, TILE, padded};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Preparation, Stage};
use crate::pool::Worker;
use crate::product::{Job, UNPACKED_BEYOND};

/// Bytes of weights that stay in a core's cache while blocks of tokens pass over them.
const RESIDENT_BYTES: usize = 128 << 10;
/// The same for weights that are unpacked to bytes; wider tiles are not.
const UNPACKED_BYTES: usize = 256 << 10;
const SMALLEST_GROUP: usize = 64;

/// A prepared input of some tokens: int8 blocks with scales and sums, or float32 rows.
pub(crate) struct Input {
    values: Buffer<f32>,
    scales: Buffer<f32>,
    sums: Buffer<i32>,
}

impl Input {
    /// Room for `tokens` inputs of any preparation up to `columns` wide.
    pub fn new(tokens: usize, columns: usize, float: bool) -> Result<Self> {
        let width = padded(columns);
        let groups = width / SMALLEST_GROUP;
        Ok(Self {
            values: Buffer::zeroed(tokens * if float { width } else { width / 4 })?,
            scales: Buffer::zeroed(tokens * groups)?,
            sums: Buffer::zeroed(tokens * groups)?,
        })
    }
}

/// Where in an [`Input`] a token is: it is number `token` of the `tokens` that are multiplied
/// together, which are the rows from `first` on.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub first: usize,
    pub token: usize,
    pub tokens: usize,
}

/// Prepares columns `from .. to` (multiples of the stage's span, or its end) of one token.
///
/// # Safety
/// The kernels run here; `x` is the token's row of `cols` numbers; `scratch` has room for the padded
/// row; the token's part of `input` (made for these shapes) is no one else's.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn prepare(
    kernels: &Kernels,
    preparation: &Preparation,
    x: *const f32,
    cols: usize,
    (from, to): (usize, usize),
    place: Place,
    scratch: *mut f32,
    input: &Input,
) {
    let width = padded(cols);
    let count = to.min(cols) - from;
    let end = if to >= cols { width } else { to };
    let target = match preparation.group {
        Some(_) => scratch,
        None => input.values.pointer().add((place.first + place.token) * width + from),
    };
    match &preparation.transform {
        Some(transform) => {
            (kernels.multiply)(x.add(from), transform.signs.as_ptr().add(from), target, count);
            (kernels.hadamard)(target, count, transform.block);
        }
        None => std::ptr::copy_nonoverlapping(x.add(from), target, count),
    }
    for i in count..end - from {
        *target.add(i) = 0.0;
    }
    if let Some(group) = preparation.group {
        let (start, block) = kernels.block_of(place.token, place.tokens);
        let (row, within) = (place.first + start, place.token - start);
        let at = row * cols.div_ceil(group) + from / group * block + within;
        let quantised = Quantised {
            codes: input.values.pointer().cast::<i8>().add(row * width + from * block + 4 * within),
            scales: input.scales.pointer().add(at),
            sums: input.sums.pointer().add(at),
            block,
            per_token: preparation.per_token,
        };
        (kernels.quantise)(target, end - from, group, quantised);
    }
}

/// Room for the unpacked tiles that [`multiply`] keeps.
pub(crate) const UNPACKED_ROOM: usize = UNPACKED_BYTES + UNPACKED_BEYOND;

/// The tiles of matrix `index` that fall to this thread when the stage's bytes are split evenly.
fn band(stage: &Stage, index: usize, worker: &Worker) -> (usize, usize) {
    let bytes = |m: &Matrix| m.tiles() * m.tile_bytes;
    let total: usize = stage.matrices.iter().map(bytes).sum();
    let before: usize = stage.matrices[..index].iter().map(bytes).sum();
    let matrix = &stage.matrices[index];
    let border = |i: usize| {
        let at = (total as u128 * i as u128 / worker.threads as u128) as usize;
        ((at.saturating_sub(before) + matrix.tile_bytes / 2) / matrix.tile_bytes).min(matrix.tiles())
    };
    (border(worker.index), border(worker.index + 1))
}

/// This thread's rows of every matrix of the stage, for the `tokens` that the inputs hold from row
/// `first` on: `[tokens, rows]` each.  Returns the rows of the last matrix that were written.
///
/// # Safety
/// The inputs hold these tokens, prepared together; `outputs` have room for them; `unpacked` has this
/// thread's room of [`UNPACKED_ROOM`]; all threads of the pool call this for the same stage.
pub(crate) unsafe fn multiply(
    kernels: &Kernels,
    stage: &Stage,
    inputs: &[Input],
    tokens: (usize, usize),
    outputs: &[*mut f32],
    unpacked: &Buffer<u8>,
    worker: &Worker,
) -> (usize, usize) {
    let mut rows = (0, 0);
    for (index, matrix) in stage.matrices.iter().enumerate() {
        let (first, last) = band(stage, index, worker);
        let (input, output) = (&inputs[matrix.input], outputs[index]);
        let whole = padded(matrix.cols) * TILE;
        let once = matrix.format.is_base3() && tokens.1 >= 2 * kernels.block && whole <= UNPACKED_BYTES;
        let tile_bytes = if once { whole } else { matrix.tile_bytes };
        let room = if once { UNPACKED_BYTES } else { RESIDENT_BYTES };
        let resident = if tokens.1 == 1 { last } else { (room / tile_bytes).max(1) };
        let mut from = first;
        while from < last {
            let to = (from + resident).min(last);
            let mut job = job(matrix, from, to);
            if once {
                let digits = unpacked.pointer();
                for tile in from..to {
                    (kernels.unpack)(matrix.format, &job, tile, digits.add((tile - from) * tile_bytes));
                }
                job.codes = digits.wrapping_sub(from * tile_bytes);
                (job.tile_bytes, job.unpacked) = (tile_bytes, true);
            }
            tiles(kernels, matrix, input, tokens, output, job);
            from = to;
        }
        rows = (first * TILE, (last * TILE).min(matrix.rows));
    }
    rows
}

/// The tiles `from .. to` of a matrix, still without tokens.
fn job(matrix: &Matrix, from: usize, to: usize) -> Job {
    Job {
        codes: matrix.codes,
        tile_bytes: matrix.tile_bytes,
        scales: matrix.scales,
        groups: matrix.groups,
        group: matrix.group,
        padded: padded(matrix.cols),
        zero: matrix.format.zero(),
        rows: matrix.rows,
        gain: matrix.gain,
        bias: matrix.bias.as_ref().map_or(std::ptr::null(), |bias| bias.as_ptr()),
        stride: matrix.rows,
        first: from,
        last: to,
        unpacked: false,
        input: std::ptr::null(),
        input_scales: std::ptr::null(),
        input_sums: std::ptr::null(),
        output: std::ptr::null_mut(),
    }
}

unsafe fn tiles(
    kernels: &Kernels,
    matrix: &Matrix,
    input: &Input,
    (first, tokens): (usize, usize),
    output: *mut f32,
    mut job: Job,
) {
    let half = matrix.format == FormatId::F16;
    let limit = if half { kernels.half_block } else { usize::MAX };
    for (token, count) in kernels.blocks(tokens, limit) {
        let (bytes, row) = (if half { 4 } else { 1 }, first + token);
        job.input = input.values.pointer().cast::<u8>().add(row * job.padded * bytes);
        job.input_scales = input.scales.pointer().add(row * matrix.groups);
        job.input_sums = input.sums.pointer().add(row * matrix.groups);
        job.output = output.add(token * matrix.rows);
        if job.unpacked {
            (kernels.digits)(count, &job);
        } else {
            (kernels.product)(matrix.format, count, &job);
        }
    }
}
