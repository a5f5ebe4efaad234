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

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tzcore import trits
from tzcore.quant import rotation
from tzcore.torch.product import ternary_linear
from tzcore.trits import Format

MARGIN = 0.5
"""How far beyond the outermost level a latent may go; the clip of the estimator."""


@dataclass(frozen=True)
class Form:
    """How a matrix is stored, without its contents; see :class:`tzcore.checkpoint.schema.MatrixEntry`."""

    rows: int
    cols: int
    format: Format
    group: int
    block: int = 0
    gain: float = 1.0
    activations: str = "group"


def rounded(latents: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The codes of ``latents``: the nearest level (a half to the even one), in their own type."""
    return latents.round().clamp_(fmt.low, fmt.high)


def packed(codes: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The bytes of ``codes`` ``[rows, cols]`` of any type: as :func:`tzcore.trits.pack`, in torch and so on all cores.

    ``[tiles, tile bytes]`` uint8.
    """
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
    return scales.repeat_interleave(group, 1)[:, :cols]


def rounded_input(x: torch.Tensor, form: Form, signs: torch.Tensor | None) -> torch.Tensor:
    """``x`` ``[n, cols]`` as the product meets it: turned, and rounded to int8 by group or token, in x's type."""
    if signs is not None:
        x = rotation.rotate(x.float(), signs, form.block)
    wide = x.float()
    if form.activations == "token":
        factors = 127 / wide.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        return ((wide * factors).round().clamp(-128, 127) / factors).to(x.dtype)
    short = -form.cols % form.group
    grouped = torch.nn.functional.pad(wide, (0, short)).view(len(x), -1, form.group)
    steps = grouped.abs().amax(-1, keepdim=True) / 127
    # A group of zeros alone has no step; whatever it is divided by, it stays 0.
    exact = (grouped / steps.clamp(min=torch.finfo(torch.float32).tiny)).round() * steps
    return exact.view(len(x), -1)[:, : form.cols].to(x.dtype)


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
        form: Form,
    ) -> torch.Tensor:
        """``x`` ``[..., cols]``; ``[..., rows]`` in its type."""
        ctx.save_for_backward(x, latents, scales, bias, signs)
        ctx.form = form
        codes = packed(rounded(latents, form.format), form.format)
        return ternary_linear(
            x, codes, packed_scales(scales), signs, bias, form.rows, form.cols, form.format.name, form.group, form.block,
            form.gain, form.activations,
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x, latents, scales and bias; products are in the type of x."""
        x, latents, scales, bias, signs = ctx.saved_tensors
        form: Form = ctx.form
        (grad,) = grads
        flat = grad.reshape(-1, form.rows).to(x.dtype)
        wide = spread(scales.half().float() * form.gain, form.cols, form.group)
        codes = rounded(latents.float(), form.format)
        to_x = to_latents = to_scales = to_bias = None
        if ctx.needs_input_grad[0]:
            back = flat @ (codes * wide).to(x.dtype)
            if signs is not None:
                back = rotation.unrotate(back.float(), signs, form.block).to(x.dtype)
            to_x = back.view(x.shape)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            met = rounded_input(x.reshape(-1, form.cols), form, signs).to(x.dtype)
            weights = (flat.T @ met).float()
            if ctx.needs_input_grad[2]:
                short = scales.shape[1] * form.group - form.cols
                summed = torch.nn.functional.pad(weights * codes, (0, short)).view(form.rows, -1, form.group).sum(-1)
                to_scales = (summed * form.gain).to(scales.dtype)
            if ctx.needs_input_grad[1]:
                to_latents = weights.mul_(wide)
                to_latents.masked_fill_(_outside(latents, to_latents, form.format), 0)
                to_latents = to_latents.to(latents.dtype)
        if bias is not None and ctx.needs_input_grad[3]:
            to_bias = flat.float().sum(0).to(bias.dtype)
        return to_x, to_latents, to_scales, to_bias, None, None


def _outside(latents: torch.Tensor, gradient: torch.Tensor, fmt: Format) -> torch.Tensor:
    """Where a latent is past the outermost level and its step (against the gradient) would lead farther."""
    over = (latents > fmt.high + MARGIN) & (gradient < 0)
    return over | ((latents < fmt.low - MARGIN) & (gradient > 0))
