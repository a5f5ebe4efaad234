"""Latents as codes, inputs as int8, and the gradient that is left of both: in torch's own operations.

These are what :mod:`tzcore.torch.train.passes` runs on a card, and what the Rust core does on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tzcore import trits
from tzcore.quant import rotation
from tzcore.torch.form import MatrixForm
from tzcore.trits import Format

MARGIN = 0.5
"""How far beyond the outermost level a latent may go; the clip of the estimator."""


def rounded(latents: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The codes of ``latents``: the nearest level (a half to the even one), in their own type."""
    return latents.round().clamp_(fmt.low, fmt.high)


def packed(latents: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The bytes of the codes that ``latents`` ``[rows, cols]`` round to: ``[tiles, tile bytes]`` uint8."""
    codes = rounded(latents, fmt)
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


def steps(scales: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """The distance of two levels of each group, as stored, ``[rows, groups]``."""
    return scales.half().float().mul_(form.gain)


def weights(latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm, dtype: torch.dtype) -> torch.Tensor:
    """What is stored, as numbers ``gain · scale · code``, ``[rows, cols]``."""
    return scaled(rounded(latents, form.format), steps(scales, form), form).to(dtype)


def met(x: torch.Tensor, signs: torch.Tensor | None, group: int, block: int, activations: str) -> torch.Tensor:
    """``x`` ``[n, cols]`` as the product meets it: turned, and rounded to int8 by group or token, in x's type."""
    wide = x.float()
    if signs is not None:
        wide = rotation.rotate(wide, signs, block)
    if activations == "token":
        factors = 127 / wide.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        return (wide * factors).round_().clamp_(-128, 127).div_(factors).to(x.dtype)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    for columns, _, width in runs(x.shape[1], group):
        grouped = wide[:, columns].unflatten(1, (-1, width))
        largest = torch.maximum(grouped.amax(-1, keepdim=True), -grouped.amin(-1, keepdim=True)).div_(127)
        # A group of zeros alone has no step; whatever it is divided by, it stays 0.
        exact = (grouped / largest.clamp(min=torch.finfo(torch.float32).tiny)).round_().mul_(largest)
        out[:, columns] = exact.flatten(1)
    return out


def split(
    gradient: torch.Tensor, latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of latents and scales, float32, from that of the dense weights."""
    gradient = gradient.float()
    summed = rounded(latents, form.format).mul_(gradient)
    short = scales.shape[1] * form.group - form.cols
    if short:
        summed = torch.nn.functional.pad(summed, (0, short))
    to_scales = summed.view(form.rows, -1, form.group).sum(-1).mul_(form.gain)
    to_latents = scaled(gradient.clone(), steps(scales, form), form)
    # Past the outermost level a step (against the gradient) may lead back, but no farther.
    to_latents.masked_fill_((latents >= form.format.high + MARGIN) & (to_latents < 0), 0)
    to_latents.masked_fill_((latents <= form.format.low - MARGIN) & (to_latents > 0), 0)
    return to_latents, to_scales


def scaled(values: torch.Tensor, by: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """``values`` ``[rows, cols]``, each times the number of its group in ``by`` ``[rows, groups]``, in place."""
    for columns, groups, width in runs(form.cols, form.group):
        values[:, columns].unflatten(1, (-1, width)).mul_(by[:, groups, None])
    return values


def runs(cols: int, group: int) -> Iterator[tuple[slice, slice, int]]:
    """Columns, their groups and the width of one: the whole groups, and a short last one."""
    count, short = divmod(cols, group)
    if count:
        yield slice(0, count * group), slice(0, count), group
    if short:
        yield slice(cols - short, cols), slice(count, count + 1), short
