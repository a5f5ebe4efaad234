"""What the Rust core does with tensors on the CPU beside products: the passes over matrices that gradients need.

Numbers are float32 or bfloat16; where another type is asked for, results are float32 before they are converted.
"""

from __future__ import annotations

import threading
from typing import Any

import torch

from tzcore import trits
from tzcore.backend import native
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.torch.form import MatrixForm

_pools: dict[int, native.Pool] = {}
_lock = threading.Lock()
_KINDS = {torch.float32: 0, torch.bfloat16: 1}


def pool(most: int | None = None) -> native.Pool:
    """torch's threads, as many as it has (``torch.set_num_threads``) and ``most`` at most."""
    count = torch.get_num_threads()
    if most is not None:
        count = min(count, most)
    with _lock:
        if count not in _pools:
            _pools[count] = native.Pool.of_team(count)
        return _pools[count]


def pack(latents: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """The bytes of the codes that ``latents`` ``[rows, cols]`` round to: ``[tiles, tile bytes]`` uint8."""
    latents = _usable(latents, torch.float32)
    out = torch.empty(trits.tiles(form.rows), trits.tile_bytes(form.format, form.cols), dtype=torch.uint8)
    _call("tz_pack", _vector(latents), form.rows, form.cols, _number(form), _address("uint8_t *", out), out.numel())
    return out


def dense(codes: torch.Tensor, scales: torch.Tensor, form: MatrixForm, dtype: torch.dtype) -> torch.Tensor:
    """What packed codes and scales stand for, times the gain: ``[rows, cols]`` of ``dtype``; turned as it is stored."""
    ffi, _ = native.library()
    out = torch.empty(form.rows, form.cols, dtype=_kind(dtype))
    entry = MatrixEntry("weight", form.rows, form.cols, form.format, form.group, None, form.gain)
    matrix = native.matrix(StoredMatrix(entry, codes.numpy(), scales.numpy(), None), [])
    _call("tz_dense", ffi.new("TzMatrix *", matrix), _numbers(out))
    return out.to(dtype)


def split(
    gradient: torch.Tensor, latents: torch.Tensor, steps: torch.Tensor, form: MatrixForm, margin: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of latents and scales from that of the dense weights, all ``[rows, …]``; float32."""
    gradient, latents = _usable(gradient, _kind(gradient.dtype)), _usable(latents, torch.float32)
    steps = _usable(steps, torch.float32)
    to_latents, to_scales = torch.empty_like(latents), torch.empty_like(steps)
    _call(
        "tz_split_gradient", _numbers(gradient), _vector(latents), _vector(steps), form.rows, form.cols, form.group,
        _number(form), margin, form.gain, _address("float *", to_latents), to_latents.numel(),
        _address("float *", to_scales), to_scales.numel(),
    )  # fmt: skip
    return to_latents, to_scales


def met(x: torch.Tensor, signs: torch.Tensor | None, group: int, block: int, activations: str) -> torch.Tensor:
    """``x`` ``[n, cols]`` as a product meets it: turned, and rounded to int8 by group or token, in x's type."""
    given = _usable(x, _kind(x.dtype))
    signs = None if signs is None else _usable(signs, torch.int8)
    out = torch.empty_like(given)
    if len(x):
        by_token = activations == "token"
        _call("tz_meet", _numbers(given), _numbers(out), *x.shape, *_signs(signs), block, group, by_token)
    return out.to(x.dtype)


def turn_back(x: torch.Tensor, signs: torch.Tensor, block: int) -> torch.Tensor:
    """Undoes the turn of inputs on ``x`` ``[n, cols]``, in a new tensor of its type."""
    out = x.detach().to(_kind(x.dtype), copy=True, memory_format=torch.contiguous_format)
    signs = _usable(signs, torch.int8)
    if len(x):
        _call("tz_turn_back", _numbers(out), *x.shape, *_signs(signs), block)
    return out.to(x.dtype)


def _call(name: str, *arguments: Any) -> None:
    _, lib = native.library()
    native.check(getattr(lib, name)(pool().handle, native.variant_argument(None), *arguments))


def _kind(dtype: torch.dtype) -> torch.dtype:
    """The type that the core computes ``dtype`` in."""
    return dtype if dtype in _KINDS else torch.float32


def _usable(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.detach().to(dtype).contiguous()


def _address(kind: str, tensor: torch.Tensor) -> Any:
    ffi, _ = native.library()
    return ffi.cast(kind, tensor.data_ptr())


def _signs(signs: torch.Tensor | None) -> tuple[Any, int]:
    ffi, _ = native.library()
    return (ffi.NULL, 0) if signs is None else (_address("int8_t *", signs), signs.numel())


def _vector(tensor: torch.Tensor) -> Any:
    ffi, _ = native.library()
    return ffi.new("TzVector *", (_address("float *", tensor), tensor.numel()))[0]


def _numbers(tensor: torch.Tensor) -> Any:
    ffi, _ = native.library()
    return ffi.new("TzNumbers *", (_address("uint8_t *", tensor), tensor.numel(), _KINDS[tensor.dtype]))[0]


def _number(form: MatrixForm) -> int:
    return native.FORMAT_NUMBERS[form.format.name]
