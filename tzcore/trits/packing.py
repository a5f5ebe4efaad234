"""Packing: where the code of a column lies in the bytes of a tile, there and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tzcore.errors import CheckpointError, ConversionError
from tzcore.trits.formats import COLUMN_PAD, LANES, Bytes, Codes, Floats, Format, Halves, padded, tiles

WORD_SPAN = 3**10
RUN_BLOCKS = 5
"""Blocks of 64 columns in a whole run of base-3 words."""

# --- the map from columns to bytes -----------------------------------------------------------


@dataclass(frozen=True)
class _Unit:
    """Where the columns of one unit go: ``columns[vector, word, digit]``, −1 where unused."""

    width: int
    columns: npt.NDArray[np.intp]


def _slots_unit(slots: int) -> _Unit:
    quads = COLUMN_PAD // 4
    vector, byte, slot = np.ogrid[: quads // slots, :4, :slots]
    return _Unit(COLUMN_PAD, 4 * (slots * vector + slot) + byte)


def _base3_run(levels: int, blocks: int) -> _Unit:
    """The columns of a run of ``blocks`` blocks."""
    trits = levels == 3
    per_set = 1 if trits else 2
    quads = blocks * COLUMN_PAD // 4
    vectors = -(-quads * per_set // 5)
    columns = np.full((vectors, 2, 10 if trits else 5), -1, np.intp)
    quad = 0
    for p in range(5):
        sets = vectors // per_set + (vectors % per_set if p in (1, 2) else 0)
        for first in range(0, sets * per_set, per_set):
            if quad < quads:
                for byte, place in enumerate(_places(trits, first, p)):
                    columns[place] = 4 * quad + byte
            quad += 1
    return _Unit(blocks * COLUMN_PAD, columns)


def _places(trits: bool, first: int, p: int) -> list[tuple[int, int, int]]:
    """(vector, word, digit) of the four bytes of quad ``p`` of the set that begins at ``first``."""
    if trits:
        digits = (p + 1, p + 5) if p else (0, 1)
        return [(first, word, digit) for word in (0, 1) for digit in digits]
    if p == 0:
        return [(first + second, word, 0) for word in (0, 1) for second in (0, 1)]
    second, odd = divmod(p - 1, 2)
    return [(first + second, word, digit) for word in (0, 1) for digit in (odd + 1, odd + 3)]


@cache
def _units(fmt: Format, cols: int) -> tuple[tuple[int, _Unit], ...]:
    """How many of which unit, in order, make up a row of ``cols`` (padded) columns."""
    if fmt.packing == "base3":
        whole, left = divmod(cols // COLUMN_PAD, RUN_BLOCKS)
        units = [(whole, _base3_run(fmt.levels, RUN_BLOCKS)), (1, _base3_run(fmt.levels, left))]
        return tuple(units[0 if whole else 1 : 2 if left else 1])
    return ((cols // COLUMN_PAD, _slots_unit({"slots2": 4, "slots4": 2, "slots8": 1}[fmt.packing])),)


def tile_bytes(fmt: Format, cols: int) -> int:
    """Bytes of one tile of codes."""
    if fmt.packing == "half":
        return padded(cols) * LANES * 2
    return sum(count * unit.columns.shape[0] * 64 for count, unit in _units(fmt, padded(cols)))


def places(fmt: Format, cols: int) -> npt.NDArray[np.uint32]:
    """Where the code of each column lies within a tile: uint32 ``[cols]``, ``vector << 8 | byte << 4 | digit``.

    ``byte`` of the lane is the one of a slot, or the first of a base-3 word.  Not for halves (ValueError).
    """
    if fmt.packing == "half":
        raise ValueError("halves are not digits of anything")
    out: list[npt.NDArray[np.intp]] = []
    first = 0
    for number, unit in _units(fmt, padded(cols)):
        vectors, words, _ = unit.columns.shape
        vector, word, digit = np.nonzero(unit.columns >= 0)
        place = np.empty(unit.width, np.intp)
        place[unit.columns[vector, word, digit]] = vector << 8 | word * (4 // words) << 4 | digit
        starts = first + vectors * np.arange(number)
        out.append((place + (starts[:, None] << 8)).reshape(-1))
        first += number * vectors
    return np.concatenate(out)[:cols].astype(np.uint32)


def _check_values(fmt: Format, values: Codes) -> None:
    if values.ndim != 2 or values.dtype != np.int8:
        raise ConversionError(f"codes must be an int8 matrix, not {values.dtype} {values.shape}")
    if values.size and (values.min() < fmt.low or values.max() > fmt.high):
        raise ConversionError(f"{fmt.name} holds values {fmt.low} to {fmt.high} only")


def pack(values: Codes, fmt: Format) -> Bytes:
    """Pack ``values`` ``[rows, cols]`` int8 into tiles: ``[tiles, tile_bytes]`` uint8."""
    _check_values(fmt, values)
    rows, cols = values.shape
    out = np.empty((tiles(rows), tile_bytes(fmt, cols)), np.uint8)
    step = max(1, (1 << 22) // (LANES * padded(cols)))  # bounds the temporaries to some 10 MB
    for first in range(0, len(out), step):
        part = values[first * LANES : (first + step) * LANES]
        count = tiles(len(part))
        digits = np.full((count * LANES, padded(cols)), fmt.zero, np.uint8)
        digits[: len(part), :cols] = (part + np.int8(fmt.zero)).view(np.uint8)
        out[first : first + count] = _pack_tiles(digits.reshape(count, LANES, -1), fmt)
    return out


def _pack_tiles(digits: Bytes, fmt: Format) -> Bytes:
    pieces: list[Bytes] = []
    start, count = 0, len(digits)
    for number, unit in _units(fmt, digits.shape[2]):
        stop = start + number * unit.width
        block = digits[:, :, start:stop].reshape(count, LANES, number, unit.width)
        chosen = np.where(unit.columns >= 0, block[..., unit.columns], 0)
        words = _join(chosen, fmt)  # [count, LANES, number, vectors, words]
        pieces.append(np.ascontiguousarray(words.transpose(0, 2, 3, 1, 4)).view(np.uint8).reshape(count, -1))
        start = stop
    return np.concatenate(pieces, axis=1)


def _join(digits: Bytes, fmt: Format) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    number = digits.shape[-1]
    if fmt.packing == "base3":
        base = 3 if number == 10 else 9
        powers = base ** np.arange(number - 1, -1, -1, dtype=np.uint64)
        value = (digits.astype(np.uint64) * powers).sum(axis=-1)
        return ((value * 65536 + WORD_SPAN - 1) // WORD_SPAN).astype(np.uint16)
    shifts = (np.arange(number) * (8 // number)).astype(np.uint8)
    return np.bitwise_or.reduce(digits << shifts, axis=-1)


def unpack(packed: Bytes, fmt: Format, rows: int, cols: int) -> Codes:
    """Undo :func:`pack`.  A code outside the format's values is a :class:`CheckpointError`."""
    expected = (tiles(rows), tile_bytes(fmt, cols))
    if packed.shape != expected or packed.dtype != np.uint8:
        raise CheckpointError(f"packed codes are {packed.dtype} {packed.shape}, expected uint8 {expected}")
    digits = np.empty((expected[0], LANES, padded(cols)), np.uint8)
    at = start = 0
    for number, unit in _units(fmt, padded(cols)):
        vectors, words, _ = unit.columns.shape
        size, stop = number * vectors * 64, start + number * unit.width
        raw = np.ascontiguousarray(packed[:, at : at + size])
        raw = raw.view(np.uint16) if fmt.packing == "base3" else raw
        lanes = raw.reshape(expected[0], number, vectors, LANES, words).transpose(0, 3, 1, 2, 4)
        split = _split(lanes, unit.columns.shape[2], fmt)
        used = unit.columns >= 0
        block = np.empty((expected[0], LANES, number, unit.width), np.uint8)
        block[..., unit.columns[used]] = split[..., used]
        digits[:, :, start:stop] = block.reshape(expected[0], LANES, -1)
        at, start = at + size, stop
    values = (digits.view(np.int8) - np.int8(fmt.zero)).reshape(-1, padded(cols))[:rows, :cols]
    if values.size and (values.min() < fmt.low or values.max() > fmt.high):
        raise CheckpointError(f"the stored codes are not {fmt.name}: a value lies outside {fmt.low} to {fmt.high}")
    return np.ascontiguousarray(values)


def _split(words: npt.NDArray[np.unsignedinteger], digits: int, fmt: Format) -> Bytes:
    if fmt.packing == "base3":
        base = np.uint32(3 if digits == 10 else 9)
        out = np.empty((*words.shape, digits), np.uint8)
        rest = words.astype(np.uint32)
        for i in range(digits):
            rest = rest * base
            out[..., i] = rest >> 16
            rest &= np.uint32(0xFFFF)
        return out
    bits = 8 // digits
    shifts = (np.arange(digits) * bits).astype(np.uint8)
    return (words[..., None].astype(np.uint8) >> shifts) & np.uint8((1 << bits) - 1)


def pack_half(weights: Floats) -> Halves:
    """Lay out ``[rows, cols]`` as f16 tiles ``[tiles, padded cols, 16]``."""
    rows, cols = weights.shape
    out = np.zeros((tiles(rows) * LANES, padded(cols)), np.float16)
    with np.errstate(over="ignore"):
        out[:rows, :cols] = weights
    if not np.isfinite(out).all():
        raise ConversionError("a weight is not finite, or too large for half precision")
    return np.ascontiguousarray(out.reshape(-1, LANES, padded(cols)).transpose(0, 2, 1))


def unpack_half(tiled: Halves, rows: int, cols: int) -> Floats:
    """Undo :func:`pack_half`."""
    plain = tiled.transpose(0, 2, 1).reshape(-1, tiled.shape[1])
    return np.ascontiguousarray(plain[:rows, :cols], dtype=np.float32)


def pack_scales(scales: Halves) -> Halves:
    """Lay out ``[rows, groups]`` scales as ``[tiles, groups, 16]``, zero in the padding."""
    rows, count = scales.shape
    out = np.zeros((tiles(rows) * LANES, count), np.float16)
    out[:rows] = scales
    return np.ascontiguousarray(out.reshape(-1, LANES, count).transpose(0, 2, 1))


def unpack_scales(tiled: Halves, rows: int) -> Halves:
    """Undo :func:`pack_scales`: ``[rows, groups]``."""
    return np.ascontiguousarray(tiled.transpose(0, 2, 1).reshape(-1, tiled.shape[1])[:rows])
