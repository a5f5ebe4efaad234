"""Tensors of a safetensors file as float32, whatever floating-point type they are stored in.

The header is checked by :mod:`tzcore.checkpoint.safetensors` before anything is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tzcore.checkpoint import safetensors
from tzcore.errors import CheckpointError, SourceError


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
        return _stored(path, safetensors.read_header(path))
    except CheckpointError as error:
        raise SourceError(str(error)) from None


def parse_header(path: Path, raw: bytes, size: int) -> dict[str, StoredTensor]:
    """:func:`read_header` of a file of ``size`` bytes of which only the header's JSON ``raw`` is here."""
    try:
        return _stored(path, safetensors.parse_header(path, raw, size))
    except CheckpointError as error:
        raise SourceError(str(error)) from None


def _stored(path: Path, header: safetensors.Header) -> dict[str, StoredTensor]:
    return {
        name: StoredTensor(name, path, info.dtype, info.shape, info.start, info.stop - info.start)
        for name, info in header.tensors.items()
    }


def read_tensor(tensor: StoredTensor) -> npt.NDArray[np.float32]:
    """The tensor's values as float32 in its shape, in memory of its own."""
    return decode(tensor, read_bytes(tensor))


def decode(tensor: StoredTensor, raw: bytes) -> npt.NDArray[np.float32]:
    """The same of bytes that were read already."""
    return _as_float32(tensor, raw).reshape(tensor.shape)


def read_bytes(tensor: StoredTensor) -> bytes:
    """The tensor as stored."""
    try:
        with open(tensor.file, "rb") as file:
            file.seek(tensor.start)
            raw = file.read(tensor.length)
    except OSError as error:
        raise SourceError(f"cannot read {tensor.file}: {error.strerror}") from error
    if len(raw) != tensor.length:
        raise SourceError(f"{tensor.file} is truncated or damaged: {tensor.name} is cut off")
    return raw


def _as_float32(tensor: StoredTensor, raw: bytes) -> npt.NDArray[np.float32]:
    match tensor.dtype:
        case "F32":
            return np.frombuffer(bytearray(raw), "<f4")
        case "F64":
            return np.frombuffer(raw, "<f8").astype(np.float32)
        case "F16":
            return np.frombuffer(raw, "<f2").astype(np.float32)
        case "BF16":  # the upper half of a float32
            bits = np.frombuffer(raw, "<u2").astype(np.uint32)
            bits <<= np.uint32(16)  # in place: the embedding of a large model is gigabytes
            return bits.view(np.float32)
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
