//! Running one stage: preparing its input and multiplying it by the stage's matrices.

use std::ops::Range;

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

/// Bytes of weights that a thread claims at once, at least: less would not be worth the claim.
const CLAIM_BYTES: usize = 32 << 10;
/// Claims of every thread in a stage that is large enough.
const CLAIMS: usize = 8;
/// Tiles of a claim at least: long rows go through so many together.
const LEAST_TILES: usize = 4;
/// Room for the unpacked tiles that a [`Product`] keeps.
pub(crate) const UNPACKED_ROOM: usize = UNPACKED_BYTES + UNPACKED_BEYOND;

/// Where a product reads and writes.
pub(crate) struct Product<'a> {
    pub kernels: &'a Kernels,
    pub stage: &'a Stage,
    /// Of the stage's preparations, prepared together.
    pub inputs: &'a [Input],
    /// The first row of the inputs, and how many.
    pub tokens: (usize, usize),
    /// `[tokens, rows]` of every matrix.
    pub outputs: &'a [*mut f32],
    /// This thread's, of [`UNPACKED_ROOM`].
    pub unpacked: &'a Buffer<u8>,
}

impl Product<'_> {
    /// All tiles of the stage, by all threads of the pool together: each helps those that are slower.
    /// Only once between two barriers.
    ///
    /// # Safety
    /// The inputs hold these tokens; the outputs have room for them; all threads call this for the same.
    pub unsafe fn share(&self, worker: &Worker) {
        let count = self.stage.tiles();
        let widest = self.stage.matrices.iter().map(|m| m.tile_bytes).max().unwrap_or(1);
        let claims = if worker.threads == 1 { 1 } else { worker.threads * CLAIMS };
        let most = count.div_ceil(claims).max(CLAIM_BYTES / widest).max(LEAST_TILES);
        while let Some(tiles) = worker.claim(count, most) {
            self.range(tiles);
        }
    }

    /// The same for products that follow each other without a barrier: every thread does its own share.
    ///
    /// # Safety
    /// As for [`Product::share`].
    pub unsafe fn own(&self, worker: &Worker) {
        self.range(worker.share(self.stage.tiles()));
    }

    /// Some tiles of the stage, counted through its matrices.
    unsafe fn range(&self, tiles: Range<usize>) {
        let mut start = 0;
        for (matrix, output) in self.stage.matrices.iter().zip(self.outputs) {
            let end = start + matrix.tiles();
            let (mut from, last) = (tiles.start.max(start), tiles.end.min(end));
            while from < last {
                from = start + self.some(matrix, *output, from - start, last - start);
            }
            start = end;
        }
    }

    /// As many of a matrix' tiles `from .. last` as stay in the cache; returns where they end.
    unsafe fn some(&self, matrix: &Matrix, output: *mut f32, from: usize, last: usize) -> usize {
        let (kernels, count) = (self.kernels, self.tokens.1);
        let whole = padded(matrix.cols) * TILE;
        let once = matrix.format.is_base3() && count >= 2 * kernels.block && whole <= UNPACKED_BYTES;
        let (tile_bytes, room) = if once { (whole, UNPACKED_BYTES) } else { (matrix.tile_bytes, RESIDENT_BYTES) };
        let to = if count == 1 { last } else { last.min(from + (room / tile_bytes).max(1)) };
        let mut job = Job::of(matrix, from, to);
        if once {
            let digits = self.unpacked.pointer();
            for tile in from..to {
                (kernels.unpack)(matrix.format, &job, tile, digits.add((tile - from) * tile_bytes));
            }
            job.codes = digits.wrapping_sub(from * tile_bytes);
            (job.tile_bytes, job.unpacked) = (tile_bytes, true);
        }
        tiles(kernels, matrix, &self.inputs[matrix.input], self.tokens, output, job);
        to
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
