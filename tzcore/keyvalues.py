"""How attention's keys and values are stored: the formats, and the NumPy truth that every kernel is tested against.

A *vector* is the key or the value of one token and one head.  Below 16 bits it is turned by a Walsh–Hadamard
transform first, which spreads outliers over all its numbers and leaves products of keys and queries as they were;
then each number becomes the nearest level of a fixed grid, times one scale a vector.  Grids of 2, 4 and 5 bits have
the least mean squared error for the normal distribution (Lloyd, *Least squares quantization in PCM*, 1982; Max,
*Quantizing for minimum distortion*, 1960), those of 6 and 8 bits are even.  Levels are whole numbers of at most 127,
so that sums can be made of integers.

A scale is one byte: five bits of exponent and three of mantissa, ``2^(E−20)·(1 + M/8)`` for the byte ``8·E + M``.
It is the one of a few candidates that leaves the least squared error, so that the coarse steps cost almost nothing.

The first :data:`SINK` tokens, and the last 64 to 127 before a token's own block of 64 is complete, are read in half
precision: most of attention's weight is there (Xiao et al., *Efficient Streaming Language Models with Attention
Sinks*, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import RequestError
from tzcore.hadamard import hadamard

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]

BLOCK = 64
"""Tokens that are counted as one: a token sees its own block and the one before in half precision."""
SINK = 16
"""Tokens at the beginning of a text that stay in half precision."""
EXPONENT = 20
"""A scale's exponent is stored as so much more than it is."""


@dataclass(frozen=True)
class KeyValueFormat:
    """Bits of a number of a key, and of one of a value; 16 is half precision, in which there are no scales."""

    name: str
    key_bits: int
    value_bits: int

    @property
    def quantised(self) -> bool:
        return self.key_bits < 16

    def bits(self, head_dim: int) -> float:
        """Bits of a number on average, scales included."""
        codes = (self.key_bits + self.value_bits) / 2
        return codes + 8 / head_dim if self.quantised else codes


F16 = KeyValueFormat("f16", 16, 16)
FORMATS = {
    fmt.name: fmt
    for fmt in (
        F16,
        KeyValueFormat("k8v8", 8, 8),
        KeyValueFormat("k6v5", 6, 5),
        KeyValueFormat("k4v4", 4, 4),
        KeyValueFormat("k4v2", 4, 2),
    )
}
ALIASES = {"16": "f16", "fp16": "f16", "8": "k8v8", "5.5": "k6v5", "4": "k4v4", "4.125": "k4v4", "3": "k4v2"}
"""By the bits that people say."""


def format_named(name: str) -> KeyValueFormat:
    """The format called ``name``, or said in bits; RequestError names those there are."""
    found = FORMATS.get(ALIASES.get(name, name))
    if found is None:
        raise RequestError(f"No format of keys and values is called {name!r}; there are {', '.join(FORMATS)}")
    return found


def _mirrored(*upper: int) -> npt.NDArray[np.int8]:
    return np.array([*(-level for level in reversed(upper)), *upper], np.int8)


LEVELS: dict[int, npt.NDArray[np.int8]] = {
    2: _mirrored(38, 127),
    4: _mirrored(6, 18, 31, 44, 58, 75, 96, 127),
    5: _mirrored(3, 8, 13, 18, 24, 29, 35, 41, 47, 54, 61, 70, 79, 90, 105, 127),
    6: _mirrored(*range(2, 128, 4)),
    8: np.arange(-128, 128).astype(np.int8),
}
"""What each code stands for, by bits.  8 bits do not use the code 0."""
SPREADS = {2: 1.5104, 4: 2.7326, 5: 3.2607}
"""Where the largest level lies, in standard deviations, by bits."""


def block_of(head_dim: int) -> int:
    """Numbers that are transformed together: the largest power of two that divides a head."""
    return head_dim & -head_dim


def turned(vectors: Floats) -> Floats:
    """``vectors`` ``[…, head_dim]`` times the normalised transform, which is its own inverse."""
    return hadamard(np.asarray(vectors, np.float32), block_of(vectors.shape[-1]))


def scale_of(codes: Codes) -> Floats:
    """The scale that each byte stands for."""
    return ((codes.astype(np.uint32) + ((127 - EXPONENT) << 3)) << 20).view(np.float32)


def _nearest_scale(scales: Floats, up: bool = False) -> npt.NDArray[np.int32]:
    """The byte whose scale is nearest, or (``up``) not less."""
    bits = np.maximum(scales, np.float32(2.0**-EXPONENT)).astype(np.float32).view(np.uint32).astype(np.int64)
    rounded = (bits + ((1 << 20) - 1 if up else 1 << 19)) >> 20
    return np.asarray(rounded - ((127 - EXPONENT) << 3), np.int32)


def encode(vectors: Floats, bits: int) -> tuple[Codes, Codes]:
    """Codes ``[…, head_dim]`` and scale bytes ``[…]`` of turned ``vectors``."""
    x = np.asarray(vectors, np.float32)
    largest = np.abs(x).max(-1)
    if bits in SPREADS:
        deviation = np.sqrt(np.mean(x * x, axis=-1, dtype=np.float32))
        middle = _nearest_scale(deviation * np.float32(SPREADS[bits] / 127))
        candidates = [middle, middle - 1, middle + 1]
    else:
        top = _nearest_scale(largest * np.float32(1 / LEVELS[bits].max()), up=True)
        candidates = [top] if bits == 8 else [top, top - 1, top - 2]
    best: tuple[Any, Any, Any] | None = None
    for candidate in candidates:
        byte = np.clip(candidate, 0, 255).astype(np.uint8)
        codes, error = _coded(x, byte, bits)
        if best is None:
            best = codes, byte, error
        else:
            better = error < best[2]
            best = (
                np.where(better[..., None], codes, best[0]),
                np.where(better, byte, best[1]),
                np.where(better, error, best[2]),
            )
    assert best is not None
    return best[0].astype(np.uint8), best[1].astype(np.uint8)


def _coded(x: Floats, byte: Codes, bits: int) -> tuple[Codes, Floats]:
    levels = LEVELS[bits].astype(np.float32)
    places = x * (np.float32(1) / scale_of(byte))[..., None]
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, places).astype(np.uint8)
    if bits == 8:
        codes = np.maximum(codes, 1)
    error = np.sum(np.square(places - levels[codes]), axis=-1) * np.square(scale_of(byte))
    return codes, np.asarray(error, np.float32)


def decode(codes: Codes, scales: Codes, bits: int) -> Floats:
    """The turned vectors that ``codes`` and scale bytes stand for."""
    return LEVELS[bits].astype(np.float32)[codes] * scale_of(scales)[..., None]


def stored(vectors: Floats, bits: int) -> Floats:
    """Turned ``vectors`` as they come back."""
    if bits == 16:
        return vectors.astype(np.float16).astype(np.float32)
    return decode(*encode(vectors, bits), bits)
