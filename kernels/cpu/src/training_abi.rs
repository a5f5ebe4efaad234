//! The passes of training over matrices that are no products, behind the ABI: each on all threads of a pool.

use std::ffi::c_char;

use crate::abi::{TzMatrix, TzNumbers, TzVector};
use crate::buffer::Buffer;
use crate::error::{Error, Result, ensure, guarded};
use crate::formats::{FormatId, TILE, padded};
use crate::kernels::Kernels;
use crate::matrix::{LARGEST_SIDE, Matrix, Transform};
use crate::model_abi::{TzPool, kernels_named};
use crate::numbers::Numbers;
use crate::pool::Pool;
use crate::product::{self, UNPACKED_BEYOND};
use crate::straight::{Room, Split};
use crate::{dense, packing, straight};

/// Claims of every thread.
const CLAIMS: usize = 4;

/// `work` for each of `count` items, in claims of at least `least`, with a buffer of `room` numbers for every thread.
fn each<T: Copy + Send + Sync>(
    pool: &Pool,
    count: usize,
    least: usize,
    room: usize,
    work: impl Fn(usize, *mut T) + Sync,
) -> Result<()> {
    let rooms = (0..pool.threads()).map(|_| Buffer::<T>::zeroed(room)).collect::<Result<Vec<_>>>()?;
    let most = count.div_ceil(pool.threads() * CLAIMS).max(least);
    pool.run(&|worker| {
        while let Some(items) = worker.claim(count, most) {
            items.for_each(|item| work(item, rooms[worker.index].pointer()));
        }
    })
}

unsafe fn tools<'a>(pool: *const TzPool, variant: *const c_char) -> Result<(&'a Pool, &'static Kernels)> {
    ensure!(!pool.is_null(), "a null pool");
    unsafe { Ok((&(*pool).0, kernels_named(variant)?)) }
}

fn sides(rows: usize, cols: usize) -> Result<()> {
    let possible = 1..=LARGEST_SIDE as usize;
    ensure!(possible.contains(&rows) && possible.contains(&cols), "impossible shape {rows} × {cols}");
    Ok(())
}

fn coded(format: u32) -> Result<FormatId> {
    let format = FormatId::from_number(format).filter(|format| *format != FormatId::F16);
    format.ok_or_else(|| Error::invalid("not a format of codes"))
}

fn floats(name: &str, raw: &TzVector, length: usize) -> Result<*const f32> {
    ensure!(!raw.data.is_null() && raw.length == length, "{name} has {} numbers where {length} are needed", raw.length);
    Ok(raw.data)
}

/// Rounds latents `[rows, cols]`, in units of their scale, to the codes of `format` and packs them into tiles.
///
/// # Safety
/// Pointers are null or valid for their lengths; `variant` is null or ends with a zero byte.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tz_pack(
    pool: *const TzPool,
    variant: *const c_char,
    latents: TzVector,
    rows: usize,
    cols: usize,
    format: u32,
    codes: *mut u8,
    codes_length: usize,
) -> i32 {
    guarded(|| unsafe {
        let (pool, kernels) = tools(pool, variant)?;
        sides(rows, cols)?;
        let format = coded(format)?;
        let tiles = rows.div_ceil(TILE);
        let tile_bytes = format.tile_bytes(cols);
        let wanted = tiles * tile_bytes;
        ensure!(!codes.is_null() && codes_length == wanted, "{codes_length} bytes of codes, not {wanted}");
        let latents = floats("latents", &latents, rows * cols)?;
        let places = packing::Places::new(format, cols);
        let job = packing::Job { format, latents, rows, cols, codes, tile_bytes, places: &places };
        let job = &job;
        each(pool, tiles, 1, 0, |tile, _: *mut u8| (kernels.pack)(job, tile))
    })
}

/// Writes what a matrix stores, `gain · scale · code`, as numbers `[rows, cols]`, which its turned input meets.
///
/// # Safety
/// As for [`tz_pack`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_dense(
    pool: *const TzPool,
    variant: *const c_char,
    matrix: *const TzMatrix,
    to: TzNumbers,
) -> i32 {
    guarded(|| unsafe {
        let (pool, kernels) = tools(pool, variant)?;
        ensure!(!matrix.is_null(), "a null matrix");
        let none = TzVector { data: std::ptr::null(), length: 0 };
        let (matrix, _) = Matrix::new("matrix", &*matrix, &none)?;
        let format = matrix.format;
        ensure!(format != FormatId::F16, "a matrix of halves has no codes");
        let to = Numbers::new("the output", &to, matrix.rows * matrix.cols)?;
        let unpacked = if format.is_base3() { padded(matrix.cols) * TILE + UNPACKED_BEYOND } else { 0 };
        let matrix = &matrix;
        each(pool, matrix.tiles(), 1, unpacked, |tile, room: *mut u8| {
            let mut job = dense::Job {
                codes: matrix.codes.add(tile * matrix.tile_bytes),
                slots: format.slots(),
                lanes: TILE,
                zero: format.zero(),
                scales: matrix.scales,
                groups: matrix.groups,
                group: matrix.group,
                gain: matrix.gain,
                rows: matrix.rows,
                cols: matrix.cols,
                to,
            };
            if unpacked > 0 {
                (kernels.unpack)(format, &product::Job::of(matrix, 0, 0), tile, room);
                (job.codes, job.lanes) = (room, kernels.lanes);
            }
            (kernels.dense)(&job, tile);
        })
    })
}

/// Of the gradient of dense weights `[rows, cols]` that of the latents, and that of the scales `[rows, groups]`.
///
/// `steps` are the distances of two levels, `[rows, groups]`; latents may go `margin` beyond the format's range;
/// a scale's gradient is multiplied by `gain`.
///
/// # Safety
/// As for [`tz_pack`]; outputs do not overlap inputs.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tz_split_gradient(
    pool: *const TzPool,
    variant: *const c_char,
    gradient: TzNumbers,
    latents: TzVector,
    steps: TzVector,
    rows: usize,
    cols: usize,
    group: usize,
    format: u32,
    margin: f32,
    gain: f32,
    to_latents: *mut f32,
    to_latents_length: usize,
    to_scales: *mut f32,
    to_scales_length: usize,
) -> i32 {
    guarded(|| unsafe {
        let (pool, kernels) = tools(pool, variant)?;
        sides(rows, cols)?;
        ensure!(group == 64 || group == 128, "group size {group}");
        let (low, high) = coded(format)?.range();
        let groups = rows * cols.div_ceil(group);
        ensure!(!to_latents.is_null() && to_latents_length == rows * cols, "{to_latents_length} gradients of latents");
        ensure!(!to_scales.is_null() && to_scales_length == groups, "{to_scales_length} gradients of scales");
        let job = Split {
            gradient: Numbers::new("the gradient", &gradient, rows * cols)?,
            latents: floats("latents", &latents, rows * cols)?,
            steps: floats("steps", &steps, groups)?,
            to_latents,
            to_scales,
            cols,
            group,
            range: (low as f32, high as f32),
            margin,
            gain,
        };
        let job = &job;
        each(pool, rows, TILE, 0, |row, _: *mut u8| (kernels.split)(job, row))
    })
}

/// Rounds inputs `[tokens, cols]` as a product does, turned where there is a block, and writes what their codes stand
/// for.  `per_token` 1 rounds with one scale a token, 0 with one for every `group`.
///
/// # Safety
/// As for [`tz_pack`].
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tz_meet(
    pool: *const TzPool,
    variant: *const c_char,
    x: TzNumbers,
    to: TzNumbers,
    tokens: usize,
    cols: usize,
    signs: *const i8,
    signs_length: usize,
    block: usize,
    group: usize,
    per_token: u32,
) -> i32 {
    guarded(|| unsafe {
        let (pool, kernels) = tools(pool, variant)?;
        sides(tokens, cols)?;
        ensure!(group == 64 || group == 128, "group size {group}");
        ensure!(per_token <= 1, "no activations have the number {per_token}");
        let arrays = (Numbers::new("x", &x, tokens * cols)?, Numbers::new("the output", &to, tokens * cols)?);
        let turn = Transform::of("x", (signs, signs_length), cols, block)?;
        let (wide, rounding) = (padded(cols), (group, per_token == 1));
        // A row of floats, its scales and sums, and its codes: four bytes hold four of these.
        let groups = wide / 64;
        each(pool, tokens, 1, wide + 2 * groups + wide / 4, |row, room: *mut f32| {
            let codes = room.add(wide + 2 * groups).cast();
            let room = Room { values: room, scales: room.add(wide), sums: room.add(wide + groups).cast(), codes };
            straight::meet(kernels, arrays, row, cols, turn.as_ref(), rounding, &room);
        })
    })
}

/// Undoes the turn of inputs on numbers `[tokens, cols]`, in place.
///
/// # Safety
/// As for [`tz_meet`].
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn tz_turn_back(
    pool: *const TzPool,
    variant: *const c_char,
    x: TzNumbers,
    tokens: usize,
    cols: usize,
    signs: *const i8,
    signs_length: usize,
    block: usize,
) -> i32 {
    guarded(|| unsafe {
        let (pool, kernels) = tools(pool, variant)?;
        sides(tokens, cols)?;
        let x = Numbers::new("x", &x, tokens * cols)?;
        let turn = Transform::of("x", (signs, signs_length), cols, block)?;
        let turn = &turn.ok_or_else(|| Error::invalid("no block to turn back"))?;
        each(pool, tokens, 1, cols, |row, room: *mut f32| straight::turn_back(kernels, x, row, cols, turn, room))
    })
}
