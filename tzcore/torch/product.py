"""``tzcore::ternary_linear``: the product with a stored matrix as an operator of torch.

On the CPU it is the Rust core's, the same that a decoder step runs, activations rounded to int8 included; on a
card :mod:`tzcore.torch.card` launches the engine's kernels.  The gradient goes to the input alone, straight
through the rounding (Bengio et al. 2013): stored codes are integers and are not trained
(:mod:`tzcore.torch.train` trains the weights behind them).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tzcore import trits
from tzcore.backend import native
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import Activations, MatrixEntry, Transform
from tzcore.errors import BackendError
from tzcore.quant import rotation
from tzcore.torch import card, core, weights
from tzcore.torch.form import MatrixForm

WEIGHTS_AT_ONCE = 1 << 22
"""Weights that are unpacked at a time for a gradient: few enough to stay in a processor's last cache."""
CARD_WEIGHTS_AT_ONCE = 1 << 24
"""The same on a card, which wants much to do at once."""
_ALONE = 1 << 24
"""Multiplications of a call, up to which one thread is done before a second one would have woken up."""

_SHARED, _SOON = 1 << 15, 1 << 20
"""Numbers of a tensor from which on torch shares out a conversion, and up to which one thread does it in 0.1 ms."""


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


def check(
    x: torch.Tensor,
    width: int,
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    bias: torch.Tensor | None,
    rows: int,
    cols: int,
    fmt: str,
    group: int,
    block: int,
) -> None:
    """BackendError, in one sentence, for tensors that cannot be multiplied: ``x`` must be ``[..., width]``."""
    if not x.is_floating_point():
        raise BackendError(f"a ternary layer takes floating-point inputs, not {x.dtype}: convert the input first")
    if x.dim() < 1 or x.shape[-1] != width:
        raise BackendError(f"the input has the shape {tuple(x.shape)}, and this layer takes [..., {width}]")
    for name, tensor in (("codes", codes), ("scales", scales), ("signs", signs), ("bias", bias)):
        if tensor is not None and tensor.device != x.device:
            raise BackendError(
                f"the input is on {x.device} and the layer's {name} are on {tensor.device}: move one of them"
            )
    tiles = trits.tiles(rows)
    chosen = trits.format_named(fmt)
    half = chosen.packing == "half"
    wanted = (tiles, trits.padded(cols), trits.LANES) if half else (tiles, trits.tile_bytes(chosen, cols))
    _is("codes", codes, wanted, torch.float16 if half else torch.uint8)
    if not half:
        _is("scales", scales, (tiles, trits.groups(cols, group), trits.LANES), torch.float16)
    if block:
        _is("signs", signs, (cols,), torch.int8)
    if bias is not None and bias.shape != (rows,):
        raise BackendError(f"the bias has the shape {tuple(bias.shape)}, and this layer needs [{rows}]")


def _is(name: str, tensor: torch.Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
        found = "missing" if tensor is None else f"{tensor.dtype} of the shape {tuple(tensor.shape)}"
        raise BackendError(f"the layer's {name} must be {dtype} of the shape {shape}, and are {found}: load it again")


@contextmanager
def _converting(numbers: int) -> Iterator[None]:
    """For conversions of inputs and outputs: those that torch would share out, and are soon done, stay on this thread.

    Each time that threads which sleep are woken can take as long as the product does.
    """
    count = torch.get_num_threads()
    alone = _SHARED <= numbers <= _SOON
    if alone:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if alone:
            torch.set_num_threads(count)


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
    """``x`` ``[..., cols]`` times the matrix, transposed, plus ``bias``: ``[..., rows]`` in the type of ``x``.

    BackendError for tensors that do not fit together.
    """
    check(x, cols, codes, scales, signs, bias, rows, cols, fmt, group, block)
    with _converting(x.numel()):
        flat = x.detach().reshape(-1, cols).to(torch.float32).contiguous()
    if not len(flat):
        return x.new_empty((*x.shape[:-1], rows))
    matrix = stored(codes, scales, signs, rows, cols, fmt, group, block, gain)
    added = None if bias is None else bias.detach().to(torch.float32).numpy()
    kind: Activations = "token" if activations == "token" else "group"
    threads = core.pool(1 if len(flat) * rows * cols <= _ALONE else None)
    out = native.matmul(threads, matrix, flat.numpy(), added, activations=kind)
    with _converting(out.size):
        return torch.from_numpy(out).to(x.dtype).reshape(*x.shape[:-1], rows)


@ternary_linear.register_kernel("cuda")
def _(
    x: torch.Tensor, codes: torch.Tensor, scales: Any, signs: Any, bias: Any, rows: int, cols: int,
    fmt: str, group: int, block: int, gain: float, activations: str,
) -> torch.Tensor:  # fmt: skip
    check(x, cols, codes, scales, signs, bias, rows, cols, fmt, group, block)
    matrix = MatrixForm(rows, cols, trits.format_named(fmt), group, block, gain, activations)
    return card.product(card.card(x.device.index), x, codes, scales, signs, bias, matrix)


@ternary_linear.register_fake
def _(
    x: torch.Tensor, codes: Any, scales: Any, signs: Any, bias: Any, rows: int, cols: int,
    fmt: str, group: int, block: int, *_: Any,
) -> torch.Tensor:  # fmt: skip
    check(x, cols, codes, scales, signs, bias, rows, cols, fmt, group, block)
    return x.new_empty((*x.shape[:-1], rows))


def weight_rows(
    codes: torch.Tensor, scales: torch.Tensor | None, first: int, last: int, cols: int, fmt: str, group: int,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:  # fmt: skip
    """Rows ``first`` (a multiple of 16) to ``last`` as they meet the transformed input, without the gain."""
    tiles, chosen = slice(first // trits.LANES, trits.tiles(last)), trits.format_named(fmt)
    if scales is not None and codes.device.type == "cpu":
        form = MatrixForm(last - first, cols, chosen, group)
        return core.dense(codes[tiles], scales[tiles], form, dtype)
    part = None if scales is None else scales[tiles]
    return weights.weight_rows(codes[tiles], part, chosen, cols, group, dtype)[: last - first]


@torch.library.custom_op("tzcore::ternary_linear_gradient", mutates_args=(), device_types=("cpu", "cuda"))
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
    """The gradient of the input: ``grad`` ``[..., rows]`` times the matrix, ``[..., cols]`` in the type of ``grad``.

    Products of a few hundred rows are made in ``grad``'s own type where processors have it, and are summed in float32.
    """
    check(grad, rows, codes, scales, signs, None, rows, cols, fmt, group, block)
    flat = grad.reshape(-1, rows)
    own = grad.dtype == torch.bfloat16 or (grad.is_cuda and grad.dtype == torch.float16)
    kind = grad.dtype if own else torch.float32
    summed = torch.zeros(len(flat), cols, device=grad.device)
    most = CARD_WEIGHTS_AT_ONCE if grad.is_cuda else WEIGHTS_AT_ONCE
    step = max(1, most // cols // trits.LANES) * trits.LANES
    for first in range(0, rows, step):
        last = min(rows, first + step)
        part = flat[:, first:last].to(kind)
        weight = weight_rows(codes, scales, first, last, cols, fmt, group, kind)
        if kind == torch.float32:
            summed.addmm_(part, weight)
        else:
            summed += part @ weight
    if block:
        assert signs is not None
        summed = rotation.unrotate(summed, signs, block) if grad.is_cuda else core.turn_back(summed, signs, block)
    return (summed * gain).to(grad.dtype).reshape(*grad.shape[:-1], cols)


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
