"""The safetensors container: header checks before anything is touched, atomic writing.

Format (github.com/huggingface/safetensors, README): 8 bytes little-endian header length N, N
bytes of JSON ``{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {str: str}}``,
then the data, offsets relative to its start, without holes.  Files written here pad the header
so that data begins on a 64-byte boundary, and put tensors of whole 64-byte multiples first, of these
the large ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import atomic
from tzcore.errors import CheckpointError

_MAX_HEADER = 100 << 20
# Tensors below are read when a file is opened.  Strewn among the large ones they would leave small
# pages in the page cache all over the file, where the rest could be in huge ones.
_LARGE = 64 << 10
_SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
          "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}  # fmt: skip
_NUMPY = {"U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "F16": np.float16, "U32": np.uint32,
          "I32": np.int32, "F32": np.float32, "U64": np.uint64, "I64": np.int64, "F64": np.float64}  # fmt: skip
_NAMES = {np.dtype(kind): name for name, kind in _NUMPY.items()}


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies: absolute byte offsets ``start … stop`` in its file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """What a file holds: its tensors, and the free-form ``__metadata__``."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Parse and check a file's header.  Every defect is a CheckpointError that names the file."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise _damaged(path, "it is empty or cut off")
            length = int.from_bytes(prefix, "little")
            if length > min(_MAX_HEADER, size - 8):
                raise _damaged(path, "its header is longer than the file")
            raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_header(path, raw, size)


def parse_header(path: Path, raw: bytes, size: int) -> Header:
    """Check a header's JSON ``raw``, which follows the length at the start of a file of ``size`` bytes.

    Every defect is a CheckpointError that names ``path``, which need not be here.
    """
    length = len(raw)
    try:
        table = json.loads(raw)
        if not isinstance(table, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not valid JSON") from None
    metadata = table.pop("__metadata__", {})
    tensors = {name: _info(path, name, entry, 8 + length) for name, entry in table.items()}
    end = 8 + length
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if info.start != end:
            raise _damaged(path, f"the data of {name} overlaps another's or leaves a hole")
        end = info.stop
    if end != size:
        raise _damaged(path, f"it is {size} bytes long where its header speaks of {end}")
    return Header(tensors, metadata if isinstance(metadata, dict) else {})


def _info(path: Path, name: str, entry: Any, data: int) -> TensorInfo:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
        if not isinstance(dtype, str) or len(shape) > 8 or not whole:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"the entry of {name!r} is malformed") from None
    if dtype not in _SIZES:
        raise CheckpointError(f"{path}: {name} has the element type {dtype!r}, which is not supported")
    if end - begin != _SIZES[dtype] * math.prod(shape):
        raise _damaged(path, f"{name} has {end - begin} bytes, which does not fit its shape {list(shape)} of {dtype}")
    return TensorInfo(dtype, shape, data + begin, data + end)


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} is truncated or damaged: {why}")


def view(mapped: npt.NDArray[np.uint8], info: TensorInfo) -> npt.NDArray[Any]:
    """The tensor as a zero-copy view of ``mapped``, the whole file as bytes (copied if misaligned)."""
    kind = np.dtype(_NUMPY[info.dtype])
    raw = mapped[info.start : info.stop]
    if info.start % kind.itemsize:
        raw = raw.copy()
    return raw.view(kind).reshape(info.shape)


def map_file(path: Path) -> npt.NDArray[np.uint8]:
    """The whole file, memory-mapped read-only, in huge pages where the system has them for files.

    Weights are read from end to end for every token; in pages of 4 KiB the processor then waits for
    translations of addresses (a third of the time, measured on a virtual machine).
    """
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot map {path}: {error}") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapped, np.uint8)


def write_file(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """Write a file atomically; the same tensors give the same bytes.  Returns its SHA-256."""
    order = sorted(tensors, key=lambda name: (tensors[name].nbytes % 64 != 0, tensors[name].nbytes < _LARGE, name))
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    at = 0
    for name in order:
        array = tensors[name]
        end = at + array.nbytes
        table[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % 64)
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes | memoryview]:
        yield from counted(len(header).to_bytes(8, "little") + header)
        for name in order:
            flat = np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8)
            for start in range(0, len(flat), 1 << 24):
                yield from counted(flat[start : start + (1 << 24)].data)

    def counted(chunk: bytes | memoryview) -> Iterator[bytes | memoryview]:
        digest.update(chunk)
        yield chunk

    atomic.write(path, chunks())
    return digest.hexdigest()
