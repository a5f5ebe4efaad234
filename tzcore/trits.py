"""Codes, their packing and their fit: the NumPy truth that every kernel is tested against.

A quantised matrix of shape ``[rows, cols]`` holds small integers ``v`` (its *codes*) and one
fp16 *scale* per row and group of ``group`` consecutive columns: ``w ≈ scale · v``.

========  ==================  ============================================  ==============
format    values              packing                                       bits a code
========  ==================  ============================================  ==============
``t1``    −1 … 1              2-bit slots, four codes a byte                2
``t1b3``  −1 … 1              base 3, ten trits in 16 bits                  1.75 (2 in a tail)
``q2``    −2 … 1              2-bit slots                                   2
``t2``    −4 … 4 (= 3·a + b)  4-bit slots (two trit planes, scale ratio 3)  4
``t2b3``  −4 … 4              base 3, two planes: ten trits in 16 bits      3.25 (3.5)
``i4``    −8 … 7              4-bit slots                                   4
``i8``    −127 … 127          signed bytes                                  8
``f16``   any                 IEEE half, no scales                          16
========  ==================  ============================================  ==============

**Tiles.**  Sixteen rows make a tile, so that SIMD lanes are rows and no kernel ever sums
across lanes.  A tile is a sequence of 64-byte *vectors*; lane ``r`` (bytes ``4r … 4r+3``)
belongs to row ``16·tile + r``.  Kernels consume a tile *quad* by quad: four consecutive
columns, one byte each, in the four bytes of the lane.  Rows are padded to 16 and columns to
64 with the value 0; unused digits of base-3 words are the digit 0.

* slots: vector ``j`` holds the quads ``n·j … n·j+n−1`` (n = 4, 2, 1 for 2-, 4-, 8-bit slots);
  quad ``s`` of the vector sits at bit ``(8/n)·s`` of every byte.
* base 3: a *set* is the one vector of ``t1b3``, or two neighbouring vectors of ``t2b3``, that
  holds five quads.  A lane of a vector is two little-endian 16-bit words, each of ten trits or
  five nine-level digits.

  - ``t1b3``: quad 0 is (digits 0, 1 of word 0; the same of word 1), quads ``p`` = 1 … 4 are
    (digits ``p+1``, ``p+5`` of word 0; the same of word 1).
  - ``t2b3``: quad 0 is (digit 0 of: word 0 of the first vector, word 0 of the second, word 1 of
    the first, word 1 of the second); quads ``p`` = 1, 2 are (digits ``p``, ``p+2`` of word 0; the
    same of word 1) of the first vector, and quads 3 and 4 are those of the second.

* base-3 columns come in *runs* of five blocks of 64 (80 quads), the last run of a row of as
  many blocks as are left, in as few vectors as hold them.  The quads of a run, in order, are
  cut into five *streams*, one for each quad of a set: set ``j`` holds quad ``j`` of every stream.
  In a whole run a stream is a block, so that kernels sum five blocks side by side and a scale
  group never ends within one.  In the last run a stream is as long as there are sets, and the
  first vector of a set of ``t2b3`` may be there alone, with quads 1 and 2.

(*) A last run of 1, 2, 3 or 4 blocks takes 2, 1.75, 1.67 or 1.63 bits a code (``t1b3``), 3.5,
3.25, 3.33 or 3.25 (``t2b3``): over a row of 4096 columns that makes 1.602 and 3.203.

A word of ``n`` base-``b`` digits ``d₀ … dₙ₋₁`` is stored as ``ceil(65536·v / bⁿ)`` with
``v = Σ dᵢ·bⁿ⁻¹⁻ⁱ``: repeated multiplication by ``b`` then yields the digits as the carries
out of 16 bits, with no division.  (3¹⁰ = 9⁵ = 59049 < 65536, so this is exact.)

``f16`` tiles are ``[cols, 16]`` halves.  Scales are laid out ``[tiles, groups, 16]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tzcore.errors import CheckpointError, ConversionError

LANES = 16
"""Rows in a tile."""
COLUMN_PAD = 64
"""Columns are padded to a multiple of this; it is also the smallest group."""
GROUPS = (64, 128)
"""Permitted group sizes."""
WORD_SPAN = 3**10
RUN_BLOCKS = 5
"""Blocks of 64 columns in a whole run of base-3 words."""

Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Format:
    """How one matrix is stored.  ``zero`` is added to a value to make its unsigned digit."""

    name: str
    encoding: str
    packing: str
    low: int
    high: int
    zero: int

    @property
    def levels(self) -> int:
        return self.high - self.low + 1


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("t1", "t1", "slots2", -1, 1, 1),
        Format("t1b3", "t1", "base3", -1, 1, 1),
        Format("q2", "q2", "slots2", -2, 1, 2),
        Format("t2", "t2", "slots4", -4, 4, 4),
        Format("t2b3", "t2", "base3", -4, 4, 4),
        Format("i4", "i4", "slots4", -8, 7, 8),
        Format("i8", "i8", "slots8", -127, 127, 0),
        Format("f16", "f16", "half", 0, 0, 0),
    )
}


def format_named(name: str) -> Format:
    """The format called ``name``; :class:`CheckpointError` lists the known ones otherwise."""
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise CheckpointError(f"unknown weight format {name!r}; known are {known}") from None


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


def padded(cols: int) -> int:
    """``cols`` rounded up to whole column pads."""
    return -(-cols // COLUMN_PAD) * COLUMN_PAD


def tiles(rows: int) -> int:
    """Number of 16-row tiles."""
    return -(-rows // LANES)


def groups(cols: int, group: int) -> int:
    """Number of scale groups in a row; the last one may be short."""
    return -(-cols // group)


def tile_bytes(fmt: Format, cols: int) -> int:
    """Bytes of one tile of codes."""
    if fmt.packing == "half":
        return padded(cols) * LANES * 2
    return sum(count * unit.columns.shape[0] * 64 for count, unit in _units(fmt, padded(cols)))


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


# --- fitting ---------------------------------------------------------------------------------


def _grouped(weights: Floats, group: int) -> Floats:
    """``[rows, groups, group]``; a short last group is filled up with zeros."""
    rows, cols = weights.shape
    full = groups(cols, group) * group
    if full != cols:
        weights = np.concatenate([weights, np.zeros((rows, full - cols), np.float32)], axis=1)
    return weights.reshape(rows, -1, group)


def _as_scale(scale: Floats) -> Halves:
    with np.errstate(over="ignore"):
        half = scale.astype(np.float16)
    if not np.isfinite(half).all():
        raise ConversionError("a weight group is not finite, or its scale is too large for half precision")
    return half


def fit(weights: Floats, fmt: Format, group: int) -> tuple[Codes, Halves]:
    """Codes ``[rows, cols]`` and scales ``[rows, groups]`` of least squared error, data-free.

    Ternary is exact: for the best scale the codes keep the ``k`` largest magnitudes, and the
    error falls by (Σ of the top k)²/k, so sorting finds the optimum (Li & Liu, *Ternary Weight
    Networks*, 2016, equation 4, without its approximation).  The other formats search the
    scale over 32 clipping ratios, then refit it by least squares.
    """
    if not np.isfinite(weights).all():
        raise ConversionError("a weight is not finite")
    grouped = _grouped(np.asarray(weights, np.float32), group)
    scale = _ternary_scale(grouped) if fmt.levels == 3 else _searched_scale(grouped, fmt)
    half = _as_scale(scale)
    return _round_to(grouped, half, fmt, weights.shape[1]), half


def _round_to(grouped: Floats, scale: Halves, fmt: Format, cols: int) -> Codes:
    step = scale.astype(np.float32)[..., None]
    ratio = np.divide(grouped, step, out=np.zeros_like(grouped), where=step != 0)
    codes = np.clip(np.rint(ratio), fmt.low, fmt.high).astype(np.int8)
    return np.ascontiguousarray(codes.reshape(len(grouped), -1)[:, :cols])


def _ternary_scale(grouped: Floats) -> Floats:
    magnitude = -np.sort(-np.abs(grouped), axis=-1)
    total = np.cumsum(magnitude, axis=-1, dtype=np.float64)
    count = np.arange(1, grouped.shape[-1] + 1)
    best = np.argmax(total * total / count, axis=-1)[..., None]
    return (np.take_along_axis(total, best, -1) / (best + 1))[..., 0].astype(np.float32)


def _searched_scale(grouped: Floats, fmt: Format) -> Floats:
    """The scale of least error; negative where an asymmetric range serves better flipped."""
    peak = np.abs(grouped).max(axis=-1)
    reach = max(-fmt.low, fmt.high)
    signs = (1.0,) if fmt.low == -fmt.high else (1.0, -1.0)
    ratios = [1.0] if reach > 64 else np.linspace(1.0, 0.25 if reach < 3 else 0.4, 32)
    best_scale = np.zeros_like(peak)
    best_gain = np.full_like(peak, -np.inf)
    for sign in signs:
        for ratio in ratios:
            step = (sign * ratio / reach) * peak[..., None]
            raw = np.divide(grouped, step, out=np.zeros_like(grouped), where=step != 0)
            codes = np.clip(np.rint(raw), fmt.low, fmt.high)
            dot, square = (grouped * codes).sum(-1), (codes * codes).sum(-1)
            gain = np.divide(dot * dot, square, out=np.zeros_like(dot), where=square > 0)
            refit = np.divide(dot, square, out=np.zeros_like(dot), where=square > 0)
            better = gain > best_gain
            best_gain = np.where(better, gain, best_gain)
            best_scale = np.where(better, refit, best_scale)
    return best_scale


def dequantise(codes: Codes, scales: Halves, group: int) -> Floats:
    """``scale · code`` as float32 ``[rows, cols]``."""
    wide = np.repeat(scales.astype(np.float32), group, axis=1)[:, : codes.shape[1]]
    return codes.astype(np.float32) * wide
