"""The header of a GGUF file: its metadata and where its tensors lie, all bounds checked.

Format (ggml's ``docs/gguf.md``, versions 2 and 3): magic ``GGUF``, version, number of tensors and
of key–value pairs, the pairs, the tensor infos, padding to the alignment, the data.  The
``gguf`` package has a reader too, but one that a damaged count sends into an endless loop and
that takes seconds over a large vocabulary.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzcore.errors import SourceError

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class GgufTensor:
    """One tensor.  ``shape`` is in NumPy's order, ``kind`` ggml's number of the element type,
    ``start`` counts from the beginning of the file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GgufHeader:
    """What the file says about itself."""

    path: Path
    size: int
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]
    alignment: int = 32

    def get(self, key: str, default: Any = None) -> Any:
        """The metadata value of ``key``; a missing one is ``default``."""
        return self.metadata.get(key, default)

    @property
    def architecture(self) -> str:
        """``general.architecture``, e.g. ``"llama"``."""
        return str(self.metadata.get("general.architecture", ""))


def read_gguf_header(path: Path) -> GgufHeader:
    """Parse the header.  Anything truncated, damaged or out of bounds is a SourceError naming the file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if size < 24:
                raise damaged(path, "it is empty or cut off")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Parser(path, data).header()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


def damaged(path: Path, why: str) -> SourceError:
    """The error for a file that cannot be what it claims."""
    return SourceError(f"{path} is truncated or damaged: {why}; download it again")


class _Parser:
    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0
        self.size = len(data)

    def header(self) -> GgufHeader:
        if self._take(4) != b"GGUF":
            raise SourceError(f"{self.path} is not a GGUF file")
        version = self._number("<I")
        if version not in (2, 3):
            reason = "big-endian" if version & 0xFFFF == 0 and version else f"version {version}"
            raise SourceError(f"{self.path} is a GGUF file of a kind that is not supported ({reason})")
        tensor_count, pair_count = self._number("<Q"), self._number("<Q")
        self._demand(tensor_count * 24 + pair_count * 13)  # the least that so many can take
        metadata: dict[str, Any] = {}
        for _ in range(pair_count):
            key = self._string()
            if key in metadata:
                raise damaged(self.path, f"the key {key!r} comes twice")
            metadata[key] = self._value(self._number("<I"), key)
        infos = [self._info() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise damaged(self.path, "its alignment is not a power of two")
        data = -(-self.at // alignment) * alignment
        tensors: dict[str, GgufTensor] = {}
        for info in infos:
            if info.name in tensors:
                raise damaged(self.path, f"the tensor {info.name!r} comes twice")
            if info.start % alignment or data + info.start > self.size:
                raise damaged(self.path, f"the data of {info.name} would lie outside the file")
            tensors[info.name] = GgufTensor(info.name, info.shape, info.kind, data + info.start)
        return GgufHeader(self.path, self.size, metadata, tensors, alignment)

    def _info(self) -> GgufTensor:
        name = self._string()
        dimensions = self._number("<I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise damaged(self.path, f"{name!r} has {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))[::-1]
        if any(n < 1 or n > 1 << 40 for n in shape):
            raise damaged(self.path, f"{name!r} has the impossible shape {shape}")
        return GgufTensor(name, shape, self._number("<I"), self._number("<Q"))

    def _value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self._string()
        if kind in _SCALARS:
            return self._unpack(_SCALARS[kind])
        if kind != _ARRAY:
            raise damaged(self.path, f"{key!r} has a value of the unknown type {kind}")
        inner, count = self._number("<I"), self._number("<Q")
        if inner == _STRING:
            self._demand(count * 8)
            return [self._string() for _ in range(count)]
        if inner not in _SCALARS:
            raise damaged(self.path, f"{key!r} is a list of the unknown type {inner}")
        code = _SCALARS[inner][1]
        self._demand(count * struct.calcsize("<" + code))
        return list(struct.unpack(f"<{count}{code}", self._take(count * struct.calcsize("<" + code))))

    # --- primitives ------------------------------------------------------------------------

    def _demand(self, count: int) -> None:
        if count > self.size - self.at:
            raise damaged(self.path, "it ends, or its header says more than the file holds")

    def _take(self, count: int) -> bytes:
        self._demand(count)
        self.at += count
        return self.data[self.at - count : self.at]

    def _unpack(self, code: str) -> Any:
        return struct.unpack(code, self._take(struct.calcsize(code)))[0]

    def _number(self, code: str) -> int:
        return int(self._unpack(code))

    def _string(self) -> str:
        raw = self._take(self._number("<Q"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise damaged(self.path, "a text in its header is not UTF-8") from None
