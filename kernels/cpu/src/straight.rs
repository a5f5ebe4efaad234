//! The passes of straight-through training that are no products: see `tzcore/torch/train/straight.py`.

use crate::elementwise::Quantised;
use crate::formats::padded;
use crate::kernels::Kernels;
use crate::matrix::Transform;
use crate::numbers::{Number, Numbers, with_number};
use crate::packing::nearest;

/// Sums that a group's products are spread over, in whose order they are added.
const LANES: usize = 16;

/// A gradient of dense weights `[rows, cols]`, and the gradients of latents and scales that come of it.
pub(crate) struct Split {
    pub gradient: Numbers,
    pub latents: *const f32,
    /// `[rows, groups]`: the distance of two levels.
    pub steps: *const f32,
    pub to_latents: *mut f32,
    /// `[rows, groups]`
    pub to_scales: *mut f32,
    pub cols: usize,
    pub group: usize,
    pub range: (f32, f32),
    /// How far beyond the range a latent may go.
    pub margin: f32,
    pub gain: f32,
}

// SAFETY: threads share it to write disjoint rows.
unsafe impl Sync for Split {}

/// Splits the gradient of row `row`.
///
/// # Safety
/// The addresses are valid for the shape, and no one else writes the row.
#[inline(always)]
pub(crate) unsafe fn split(job: &Split, row: usize) {
    with_number!(job.gradient.kind, N, split_row::<N>(job, row))
}

#[inline(always)]
unsafe fn split_row<N: Number>(job: &Split, row: usize) {
    let (first, groups) = (row * job.cols, job.cols.div_ceil(job.group));
    for g in 0..groups {
        let step = *job.steps.add(row * groups + g);
        let (mut c, last) = (g * job.group, job.cols.min((g + 1) * job.group));
        let mut sums = [0.0f32; LANES];
        while c + LANES <= last {
            let at = first + c;
            some(job, step, job.gradient.at::<N>(at), job.latents.add(at), job.to_latents.add(at), &mut sums);
            c += LANES;
        }
        if c < last {
            let (at, count) = (first + c, last - c);
            let (mut parts, mut own, mut to) = ([N::near(0.0); LANES], [0.0; LANES], [0.0; LANES]);
            std::ptr::copy_nonoverlapping(job.gradient.at::<N>(at), parts.as_mut_ptr(), count);
            std::ptr::copy_nonoverlapping(job.latents.add(at), own.as_mut_ptr(), count);
            some(job, step, parts.as_ptr(), own.as_ptr(), to.as_mut_ptr(), &mut sums);
            std::ptr::copy_nonoverlapping(to.as_ptr(), job.to_latents.add(at), count);
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                sums[i] += sums[i + width];
            }
        }
        *job.to_scales.add(row * groups + g) = sums[0] * job.gain;
    }
}

/// Sixteen columns of a group.
#[inline(always)]
unsafe fn some<N: Number>(
    job: &Split,
    step: f32,
    gradient: *const N,
    latents: *const f32,
    to: *mut f32,
    sums: &mut [f32; LANES],
) {
    let (low, high) = job.range;
    for i in 0..LANES {
        let (own, part) = (*latents.add(i), (*gradient.add(i)).wide());
        sums[i] += nearest(own, job.range) * part;
        let scaled = part * step;
        // Past the outermost level a step (against the gradient) may lead back, but no farther.
        let up = if own >= high + job.margin && scaled < 0.0 { 0.0 } else { scaled };
        *to.add(i) = if own <= low - job.margin && up > 0.0 { 0.0 } else { up };
    }
}

/// Room of a thread for one row: `padded` floats, as many codes, and a scale and a sum for every 64 columns.
pub(crate) struct Room {
    pub values: *mut f32,
    pub codes: *mut i8,
    pub scales: *mut f32,
    pub sums: *mut i32,
}

/// Rounds row `row` of `x` as a product does, turned and to int8 by group or by token, and writes what the codes stand
/// for to that of `to`.
///
/// # Safety
/// The kernels run here; arrays have the row, which no one else writes; the room is padded to 64 columns.
pub(crate) unsafe fn meet(
    kernels: &Kernels,
    (x, to): (Numbers, Numbers),
    row: usize,
    cols: usize,
    turn: Option<&Transform>,
    (group, per_token): (usize, bool),
    room: &Room,
) {
    let padded = padded(cols);
    (kernels.widen)(x, row * cols, room.values, cols);
    for i in cols..padded {
        *room.values.add(i) = 0.0;
    }
    if let Some(turn) = turn {
        (kernels.multiply)(room.values, turn.signs.as_ptr(), room.values, cols);
        (kernels.hadamard)(room.values, cols, turn.block);
    }
    let to_room = Quantised { codes: room.codes, scales: room.scales, sums: room.sums, block: 1, per_token };
    (kernels.quantise)(room.values, padded, group, to_room);
    (kernels.values)(room, group, to, row * cols, cols);
}

/// Undoes the turn of row `row` of `x`, in place.
///
/// # Safety
/// As for [`meet`].
pub(crate) unsafe fn turn_back(
    kernels: &Kernels,
    x: Numbers,
    row: usize,
    cols: usize,
    turn: &Transform,
    room: *mut f32,
) {
    (kernels.widen)(x, row * cols, room, cols);
    (kernels.hadamard)(room, cols, turn.block);
    (kernels.multiply)(room, turn.signs.as_ptr(), room, cols);
    (kernels.narrow)(room, x, row * cols, cols);
}

/// `to[i] = from[first + i]`
///
/// # Safety
/// Both have `count` such numbers; so for [`narrow`].
#[inline(always)]
pub(crate) unsafe fn widen(from: Numbers, first: usize, to: *mut f32, count: usize) {
    with_number!(from.kind, N, {
        let from = from.at::<N>(first);
        for i in 0..count {
            *to.add(i) = (*from.add(i)).wide();
        }
    })
}

/// `to[first + i] = from[i]`
#[inline(always)]
pub(crate) unsafe fn narrow(from: *const f32, to: Numbers, first: usize, count: usize) {
    with_number!(to.kind, N, {
        let to = to.at::<N>(first);
        for i in 0..count {
            *to.add(i) = N::near(*from.add(i));
        }
    })
}

/// `to[first + i] = codes[i] · scales[i / group]`, of the codes and scales in `room`.
///
/// # Safety
/// As for [`widen`].
#[inline(always)]
pub(crate) unsafe fn values(room: &Room, group: usize, to: Numbers, first: usize, count: usize) {
    with_number!(to.kind, N, {
        let to = to.at::<N>(first);
        for start in (0..count).step_by(group) {
            let scale = *room.scales.add(start / group);
            for i in start..count.min(start + group) {
                *to.add(i) = N::near(f32::from(*room.codes.add(i)) * scale);
            }
        }
    })
}
