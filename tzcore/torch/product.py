"""``tzcore::ternary_linear``: the product with a stored matrix as an operator of torch.

On the CPU it is the Rust core's, the same that a decoder step runs, activations rounded to int8 included.  The
gradient goes to the input alone, straight through the rounding (Bengio et al. 2013): stored codes are integers
and are not trained (:mod:`tzcore.torch.train` trains the weights behind them).
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from tzcore import trits
from tzcore.backend import native
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import Activations, MatrixEntry, Transform
from tzcore.hadamard import unrotate

_pools: dict[int, native.Pool] = {}
_lock = threading.Lock()
ROWS_AT_ONCE = 1024
"""Rows that are unpacked at a time for a gradient: a multiple of 16, which bounds the memory."""


def pool() -> native.Pool:
    """The threads of this process, as many as torch has (``torch.set_num_threads``)."""
    count = torch.get_num_threads()
    with _lock:
        if count not in _pools:
            _pools[count] = native.Pool(count)
        return _pools[count]


def stored(
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    rows: int,
    cols: int,
    fmt: str,
    group: int,
    block: int,
    gain: float,
) -> StoredMatrix:
    """A view of the tensors as the engine's matrix; nothing is copied."""
    transform = Transform(block, "signs") if block else None
    entry = MatrixEntry("weight", rows, cols, trits.format_named(fmt), group, transform, gain)
    return StoredMatrix(
        entry,
        codes.numpy(),
        None if scales is None else scales.numpy(),
        None if signs is None else signs.numpy(),
    )


@torch.library.custom_op("tzcore::ternary_linear", mutates_args=(), device_types="cpu")
def ternary_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    bias: torch.Tensor | None,
    rows: int,
    cols: int,
    fmt: str,
    group: int,
    block: int,
    gain: float,
    activations: str,
) -> torch.Tensor:
    """``x`` ``[..., cols]`` times the matrix, transposed, plus ``bias``: ``[..., rows]`` in the type of ``x``."""
    matrix = stored(codes, scales, signs, rows, cols, fmt, group, block, gain)
    flat = x.detach().reshape(-1, cols).to(torch.float32).contiguous()
    if not len(flat):
        return x.new_empty((*x.shape[:-1], rows))
    added = None if bias is None else bias.detach().to(torch.float32).numpy()
    kind: Activations = "token" if activations == "token" else "group"
    out = native.matmul(pool(), matrix, flat.numpy(), added, activations=kind)
    return torch.from_numpy(out).to(x.dtype).reshape(*x.shape[:-1], rows)


@ternary_linear.register_fake
def _(x: torch.Tensor, codes: Any, scales: Any, signs: Any, bias: Any, rows: int, *_: Any) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], rows))


def weight_rows(matrix: StoredMatrix, first: int, last: int) -> torch.Tensor:
    """Rows ``first`` to ``last`` as floats, gain included, as they meet the transformed input: ``[rows, cols]``."""
    entry = matrix.entry
    tiles = slice(first // 16, -(-last // 16))
    count = last - first
    if entry.format.packing == "half":
        return torch.from_numpy(trits.unpack_half(matrix.codes[tiles], count, entry.cols) * np.float32(entry.gain))
    assert matrix.scales is not None
    values = trits.unpack(matrix.codes[tiles], entry.format, count, entry.cols)
    scales = trits.unpack_scales(matrix.scales[tiles], count)
    return torch.from_numpy(trits.dequantise(values, scales, entry.group) * np.float32(entry.gain))


@torch.library.custom_op("tzcore::ternary_linear_gradient", mutates_args=(), device_types="cpu")
def ternary_linear_gradient(
    grad: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    rows: int,
    cols: int,
    fmt: str,
    group: int,
    block: int,
    gain: float,
) -> torch.Tensor:
    """The gradient of the input: ``grad`` ``[..., rows]`` times the matrix, ``[..., cols]`` in the type of ``grad``."""
    matrix = stored(codes, scales, signs, rows, cols, fmt, group, block, gain)
    flat = grad.reshape(-1, rows)
    summed = torch.zeros(len(flat), cols)
    for first in range(0, rows, ROWS_AT_ONCE):
        last = min(rows, first + ROWS_AT_ONCE)
        summed += flat[:, first:last].to(torch.float32) @ weight_rows(matrix, first, last)
    if block:
        assert matrix.signs is not None
        summed = torch.from_numpy(unrotate(summed.numpy(), matrix.signs, block))
    return summed.to(grad.dtype).reshape(*grad.shape[:-1], cols)


@ternary_linear_gradient.register_fake
def _(grad: torch.Tensor, codes: Any, scales: Any, signs: Any, rows: int, cols: int, *_: Any) -> torch.Tensor:
    return grad.new_empty((*grad.shape[:-1], cols))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, codes, scales, signs, bias, *form = inputs
    ctx.save_for_backward(codes, scales, signs)
    ctx.form, ctx.bias_type = form[:-1], None if bias is None else bias.dtype


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    codes, scales, signs = ctx.saved_tensors
    to_x = to_bias = None
    if ctx.needs_input_grad[0]:
        to_x = ternary_linear_gradient(grad, codes, scales, signs, *ctx.form)
    if ctx.needs_input_grad[4]:
        to_bias = grad.reshape(-1, grad.shape[-1]).sum(0).to(ctx.bias_type)
    return (to_x, None, None, None, to_bias, *(None,) * 7)


ternary_linear.register_autograd(_backward, setup_context=_setup)
