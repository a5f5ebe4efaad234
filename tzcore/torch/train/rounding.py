"""The straight-through rule: the engine's product forwards, an ordinary matrix product's gradients backwards.

A stored weight is ``w = gain · s · q`` with ``q = clip(round(u))``, where ``s`` is the fp16 scale of a group of
columns and the *latent* ``u`` is a real number in units of that scale: the levels are integers whatever the matrix,
so that one learning rate serves them all.  Forwards, latents are rounded and packed, and the product is the one that
the engine computes, inputs rotated and rounded to int8 included.  Backwards (Bengio, Léonard & Courville 2013, with
the clipped estimator of BinaryConnect, Courbariaux et al. 2015)::

    ∂y/∂u = gain · s · x̂     where u lies within half a level of the levels, or the step leads back there; else 0
    ∂y/∂s = gain · q · x̂     summed over the group
    ∂y/∂x = gain · s · q     turned back, straight through the rounding of the input

with x̂ the rotated, rounded input.  The gradient is *not* cut for latents that round to 0: a weight in that dead zone
that got none could never leave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tzcore import trits
from tzcore.quant import rotation
from tzcore.torch.form import MatrixForm
from tzcore.torch.product import ternary_linear
from tzcore.trits import Format

MARGIN = 0.5
"""How far beyond the outermost level a latent may go; the clip of the estimator."""
BEYOND = 1e30
"""What makes of the least distance of two latents more than a gradient is."""
STRIP = 1 << 17
"""Weights that a thread works on at a time: what lies between them and the result stays in its core's cache."""


def rounded(latents: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The codes of ``latents``: the nearest level (a half to the even one), in their own type."""
    return latents.round().clamp_(fmt.low, fmt.high)


@torch.compiler.assume_constant_result
def strip() -> int:
    """Weights that all threads work on at a time."""
    return STRIP * torch.get_num_threads()


def strips(form: MatrixForm) -> Iterator[slice]:
    """The rows of a matrix, some whole tiles at a time."""
    step = max(1, strip() // (trits.LANES * form.cols)) * trits.LANES
    for first in range(0, form.rows, step):
        yield slice(first, min(form.rows, first + step))


def packed(latents: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """The bytes of the codes that ``latents`` ``[rows, cols]`` round to: ``[tiles, tile bytes]`` uint8."""
    return pack(latents, form.format.name)


@torch.library.custom_op("tzcore::pack", mutates_args=())
def pack(latents: torch.Tensor, fmt: str) -> torch.Tensor:
    """:func:`packed` as an operator, into which no compiler looks: some formats are packed by NumPy."""
    height, width = latents.shape
    form = MatrixForm(height, width, trits.format_named(fmt), trits.GROUPS[0])
    return torch.cat([_packed_strip(rounded(latents[rows], form.format), form.format) for rows in strips(form)])


@pack.register_fake
def _(latents: torch.Tensor, fmt: str) -> torch.Tensor:
    rows, cols = latents.shape
    return latents.new_empty(trits.tiles(rows), trits.tile_bytes(trits.format_named(fmt), cols), dtype=torch.uint8)


def _packed_strip(codes: torch.Tensor, fmt: Format) -> torch.Tensor:
    slots = {"slots2": 4, "slots4": 2, "slots8": 1}.get(fmt.packing)
    if slots is None:
        values = np.ascontiguousarray(codes.to(torch.int8).cpu().numpy())
        return torch.from_numpy(trits.pack(values, fmt)).to(codes.device)
    rows, cols = codes.shape
    lanes, wide = trits.LANES, trits.padded(cols)
    digits = (codes + fmt.zero).to(torch.int8)
    if (rows % lanes, wide) != (0, cols):
        digits = torch.nn.functional.pad(digits, (0, wide - cols, 0, -rows % lanes), value=fmt.zero)
    # A vector holds `slots` quads of four columns for each of 16 rows: [tile, lane, vector, slot, byte].
    quads = digits.view(torch.uint8).view(-1, lanes, wide // (4 * slots), slots, 4)
    out = quads[:, :, :, 0]
    for slot in range(1, slots):
        out = out | (quads[:, :, :, slot] << (8 // slots * slot))
    return out.transpose(1, 2).reshape(len(quads), -1).contiguous()


def packed_scales(scales: torch.Tensor) -> torch.Tensor:
    """``[rows, groups]`` as ``[tiles, groups, 16]`` halves."""
    filled = torch.nn.functional.pad(scales.to(torch.float16), (0, 0, 0, -len(scales) % trits.LANES))
    return filled.view(-1, trits.LANES, scales.shape[1]).transpose(1, 2).contiguous()


def spread(scales: torch.Tensor, cols: int, group: int) -> torch.Tensor:
    """A value for each column, ``[rows, cols]``, from one for each group."""
    return scales[:, :, None].expand(-1, -1, group).reshape(len(scales), -1)[:, :cols]


def rounded_input(x: torch.Tensor, form: MatrixForm, signs: torch.Tensor | None) -> torch.Tensor:
    """``x`` ``[n, cols]`` as the product meets it: turned, and rounded to int8 by group or token, in x's type."""
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    for rows in pieces(x):
        wide = x[rows].float()
        if signs is not None:
            wide = rotation.rotate(wide, signs, form.block)
        if form.activations == "token":
            factors = 127 / wide.abs().amax(-1, keepdim=True).clamp(min=1e-5)
            out[rows] = (wide * factors).round_().clamp_(-128, 127).div_(factors)
            continue
        for columns, _, width in runs(form):
            grouped = wide[:, columns].unflatten(1, (-1, width))
            steps = torch.maximum(grouped.amax(-1, keepdim=True), -grouped.amin(-1, keepdim=True)).div_(127)
            # A group of zeros alone has no step; whatever it is divided by, it stays 0.
            exact = (grouped / steps.clamp(min=torch.finfo(torch.float32).tiny)).round_().mul_(steps)
            out[rows, columns] = exact.flatten(1)
    return out


def pieces(x: torch.Tensor) -> Iterator[slice]:
    """The rows of an input, some at a time."""
    step = max(1, strip() // x.shape[1])
    for first in range(0, len(x), step):
        yield slice(first, min(len(x), first + step))


def runs(form: MatrixForm) -> Iterator[tuple[slice, slice, int]]:
    """Columns, their groups and the width of one: the whole groups, and a short last one."""
    count, short = divmod(form.cols, form.group)
    if count:
        yield slice(0, count * form.group), slice(0, count), form.group
    if short:
        yield slice(form.cols - short, form.cols), slice(count, count + 1), short


def scaled(values: torch.Tensor, steps: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """``values`` ``[rows, cols]``, each times the number of its group in ``steps`` ``[rows, groups]``, in place."""
    for columns, groups, width in runs(form):
        values[:, columns].unflatten(1, (-1, width)).mul_(steps[:, groups, None])
    return values


class Product(torch.autograd.Function):
    """``y = x·Wᵀ + bias`` with ``W`` rounded from latents ``[rows, cols]`` and scales ``[rows, groups]``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        latents: torch.Tensor,
        scales: torch.Tensor,
        bias: torch.Tensor | None,
        signs: torch.Tensor | None,
        form: MatrixForm,
    ) -> torch.Tensor:
        """``x`` ``[..., cols]``; ``[..., rows]`` in its type."""
        ctx.save_for_backward(x, latents, scales, bias, signs)
        ctx.form = form
        codes = packed(latents, form)
        return ternary_linear(
            x, codes, packed_scales(scales), signs, bias,
            form.rows, form.cols, form.format.name, form.group, form.block, form.gain, form.activations,
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x, latents, scales and bias; products are in the type of x."""
        x, latents, scales, bias, signs = ctx.saved_tensors
        form: MatrixForm = ctx.form
        (grad,) = grads
        flat = grad.reshape(-1, form.rows).to(x.dtype)
        to_x = to_latents = to_scales = to_bias = None
        if ctx.needs_input_grad[0]:
            # Either side of the product can be turned back: the one with fewer rows.
            few = len(flat) < form.rows
            back = flat @ weights(latents, scales, form, x.dtype, None if few else signs)
            if few and signs is not None:
                for rows in pieces(back):
                    back[rows] = rotation.unrotate(back[rows].float(), signs, form.block)
            to_x = back.view(x.shape)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            met = rounded_input(x.reshape(-1, form.cols), form, signs)
            to_latents, to_scales = _split(flat.T @ met, latents, scales, form)
        if bias is not None and ctx.needs_input_grad[3]:
            to_bias = flat.float().sum(0).to(bias.dtype)
        return to_x, to_latents, to_scales, to_bias, None, None


def weights(
    latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm, dtype: torch.dtype, signs: torch.Tensor | None = None
) -> torch.Tensor:
    """What is stored, as numbers ``gain · scale · code``, ``[rows, cols]``; with ``signs`` as plain inputs meet it."""
    out, steps = latents.new_empty(latents.shape, dtype=dtype), _steps(scales, form)
    for rows in strips(form):
        part = scaled(rounded(latents[rows], form.format), steps[rows], form)
        out[rows] = part if signs is None else rotation.unrotate(part, signs, form.block)
    return out


def _split(
    gradient: torch.Tensor, latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of latents and scales from that of the weights."""
    to_latents, to_scales = torch.empty_like(latents), torch.empty_like(scales)
    short, steps = scales.shape[1] * form.group - form.cols, _steps(scales, form)
    low, high = form.format.low - MARGIN, form.format.high + MARGIN
    for rows in strips(form):
        part, own = gradient[rows].float(), latents[rows]
        met = rounded(own, form.format).mul_(part)
        if short:
            met = torch.nn.functional.pad(met, (0, short))
        to_scales[rows] = met.view(len(own), -1, form.group).sum(-1).mul_(form.gain)
        scaled(part, steps[rows], form)
        # Past the outermost level a step (against the gradient) may lead back, but no farther: there the gradient
        # is bounded by 0, and elsewhere by more than it can be.  Masks would take three times as long.
        least, most = (own - high).clamp_(max=0).mul_(BEYOND), (own - low).clamp_(min=0).mul_(BEYOND)
        torch.minimum(torch.maximum(part, least, out=least), most, out=to_latents[rows])
    return to_latents, to_scales


def _steps(scales: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """The distance of two levels of each group, as stored, ``[rows, groups]``."""
    return scales.half().float().mul_(form.gain)
