"""The passes of training over whole matrices, as operators: by the Rust core on the CPU, elsewhere by torch.

They are opaque to ``torch.compile``, as the product is.  Operators take no structures: the functions below take the
:class:`MatrixForm`, and hand on of it what is needed.
"""

from __future__ import annotations

from typing import Any

import torch

from tzcore import trits
from tzcore.quant import rotation
from tzcore.torch import core
from tzcore.torch.form import MatrixForm
from tzcore.torch.train import rounding


def packed(latents: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """The bytes of the codes that ``latents`` ``[rows, cols]`` round to: ``[tiles, tile bytes]`` uint8."""
    out: torch.Tensor = pack(latents, form.format.name)
    return out


def weights(latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm, dtype: torch.dtype) -> torch.Tensor:
    """What is stored, as numbers ``gain · scale · code`` of ``dtype``, ``[rows, cols]``."""
    out: torch.Tensor = dense(latents, scales, form.format.name, form.group, form.gain, dtype)
    return out


def met(x: torch.Tensor, signs: torch.Tensor | None, form: MatrixForm) -> torch.Tensor:
    """``x`` ``[n, cols]`` as the product meets it: turned, and rounded to int8 by group or token, in x's type."""
    out: torch.Tensor = meet(x, signs, form.group, form.block, form.activations)
    return out


def split(
    gradient: torch.Tensor, latents: torch.Tensor, scales: torch.Tensor, form: MatrixForm
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of latents and scales, float32, from that of the dense weights ``[rows, cols]``."""
    out: tuple[torch.Tensor, torch.Tensor] = split_gradient(
        gradient, latents, scales, form.format.name, form.group, form.gain
    )
    return out


def _form(latents: torch.Tensor, fmt: str, group: int = trits.GROUPS[0], gain: float = 1.0) -> MatrixForm:
    rows, cols = latents.shape
    return MatrixForm(rows, cols, trits.format_named(fmt), group, gain=gain)


@torch.library.custom_op("tzcore::pack", mutates_args=())
def pack(latents: torch.Tensor, fmt: str) -> torch.Tensor:
    """:func:`packed` as an operator."""
    form = _form(latents, fmt)
    return core.pack(latents, form) if latents.device.type == "cpu" else rounding.packed(latents, form.format)


@pack.register_fake
def _(latents: torch.Tensor, fmt: str) -> torch.Tensor:
    rows, cols = latents.shape
    return latents.new_empty(trits.tiles(rows), trits.tile_bytes(trits.format_named(fmt), cols), dtype=torch.uint8)


@torch.library.custom_op("tzcore::dense", mutates_args=())
def dense(
    latents: torch.Tensor, scales: torch.Tensor, fmt: str, group: int, gain: float, dtype: torch.dtype
) -> torch.Tensor:
    """:func:`weights` as an operator."""
    form = _form(latents, fmt, group, gain)
    if latents.device.type != "cpu":
        return rounding.weights(latents, scales, form, dtype)
    return core.dense(core.pack(latents, form), rounding.packed_scales(scales), form, dtype)


@dense.register_fake
def _(
    latents: torch.Tensor, scales: torch.Tensor, fmt: str, group: int, gain: float, dtype: torch.dtype
) -> torch.Tensor:
    return latents.new_empty(latents.shape, dtype=dtype)


@torch.library.custom_op("tzcore::meet", mutates_args=())
def meet(x: torch.Tensor, signs: torch.Tensor | None, group: int, block: int, activations: str) -> torch.Tensor:
    """:func:`met` as an operator."""
    by = core if x.device.type == "cpu" else rounding
    return by.met(x, signs, group, block, activations)


@meet.register_fake
def _(x: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("tzcore::split_gradient", mutates_args=())
def split_gradient(
    gradient: torch.Tensor, latents: torch.Tensor, scales: torch.Tensor, fmt: str, group: int, gain: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`split` as an operator."""
    form = _form(latents, fmt, group, gain)
    if latents.device.type == "cpu":
        return core.split(gradient, latents, rounding.steps(scales, form), form, rounding.MARGIN)
    return rounding.split(gradient, latents, scales, form)


@split_gradient.register_fake
def _(
    gradient: torch.Tensor, latents: torch.Tensor, scales: torch.Tensor, *_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    return latents.new_empty(latents.shape), scales.new_empty(scales.shape)


@torch.library.custom_op("tzcore::turn_back", mutates_args=())
def turn_back(x: torch.Tensor, signs: torch.Tensor, block: int) -> torch.Tensor:
    """Undoes the turn of inputs on ``x`` ``[n, cols]``, in its type."""
    if x.device.type == "cpu":
        return core.turn_back(x, signs, block)
    return rotation.unrotate(x.float(), signs, block).to(x.dtype)


@turn_back.register_fake
def _(x: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.empty_like(x)
