"""The header of a safetensors file, checked before anything is believed.

Format: an 8-byte little-endian length, that many bytes of JSON (name → dtype, shape,
``data_offsets``), then the data, which the tensors cover without holes or overlaps
(safetensors' README, "Format").
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import SourceError

_LONGEST_HEADER = 100_000_000
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one element by dtype."""


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies in ``file``: ``length`` bytes from ``start`` on."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    length: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """All tensors of the file.  Anything truncated, damaged or out of bounds is a SourceError naming it."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise _damaged(path, "it is empty or cut off")
            (length,) = struct.unpack("<Q", prefix)
            if length > min(_LONGEST_HEADER, size - 8):
                raise _damaged(path, "its header is longer than the file")
            text = file.read(length)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not valid JSON") from None
    raw.pop("__metadata__", None)
    data = 8 + length
    tensors = {name: _tensor(path, name, entry, data) for name, entry in raw.items()}
    end = data
    for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.length)):
        if tensor.start != end:
            raise _damaged(path, f"the data of {tensor.name} overlaps another's or leaves a hole")
        end += tensor.length
    if end != size:
        raise _damaged(path, f"it is {size} bytes long where its header speaks of {end}: download it again")
    return tensors


def _tensor(path: Path, name: str, entry: Any, data: int) -> StoredTensor:
    try:
        dtype, shape = str(entry["dtype"]), entry["shape"]
        begin, end = entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)) or len(shape) > 8:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"the entry of {name!r} is malformed") from None
    if dtype not in BYTES:
        raise SourceError(f"{path}: {name} has the element type {dtype!r}, which is not supported")
    if end - begin != math.prod(shape) * BYTES[dtype]:
        raise _damaged(path, f"{name} has {end - begin} bytes, which does not fit its shape {shape} of {dtype}")
    return StoredTensor(name, path, dtype, tuple(shape), data + begin, end - begin)


def _damaged(path: Path, why: str) -> SourceError:
    return SourceError(f"{path} is truncated or damaged: {why}")


def read_tensor(tensor: StoredTensor) -> npt.NDArray[np.float32]:
    """The tensor's values as float32 in its shape, in memory of its own."""
    try:
        with open(tensor.file, "rb") as file:
            file.seek(tensor.start)
            raw = file.read(tensor.length)
    except OSError as error:
        raise SourceError(f"cannot read {tensor.file}: {error.strerror}") from error
    if len(raw) != tensor.length:
        raise _damaged(tensor.file, f"{tensor.name} is cut off")
    return _as_float32(tensor, raw).reshape(tensor.shape)


def _as_float32(tensor: StoredTensor, raw: bytes) -> npt.NDArray[np.float32]:
    match tensor.dtype:
        case "F32":
            return np.frombuffer(bytearray(raw), "<f4")
        case "F64":
            return np.frombuffer(raw, "<f8").astype(np.float32)
        case "F16":
            return np.frombuffer(raw, "<f2").astype(np.float32)
        case "BF16":  # the upper half of a float32
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
        case "F8_E5M2":  # the upper half of a float16
            return (np.frombuffer(raw, np.uint8).astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float32)
        case "F8_E4M3":
            return _E4M3[np.frombuffer(raw, np.uint8)]
        case other:
            raise SourceError(f"{tensor.file}: {tensor.name} holds {other}, not floating-point weights")


def _e4m3_table() -> npt.NDArray[np.float32]:
    """All 256 values: sign, 4 bits of exponent (bias 7), 3 of mantissa, no infinities
    (Micikevicius et al., *FP8 Formats for Deep Learning*, 2022)."""
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, code & 7
    value = np.where(exponent > 0, (1 + mantissa / 8) * 2.0 ** (exponent - 7), mantissa / 8 * 2.0**-6)
    value[(code & 127) == 127] = np.nan
    return np.where(code < 128, value, -value).astype(np.float32)


_E4M3 = _e4m3_table()
