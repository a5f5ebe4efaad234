"""How matrices lie on the card: sizes, and the NumPy truth of what ``arrange`` makes.

The map from rows and columns to bytes is written down in ``kernels/cuda/fragments.cuh``; this is
the same map in NumPy.  Rows are padded to tiles of 16, columns to *kblocks* of 128.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tzcore.trits import Codes, Format, Halves, tiles

KBLOCK = 128
"""Columns that a warp multiplies at once; the padding of a matrix's width."""
LANES = 32
WORD = 16
"""Bytes a lane reads at once."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """One way of packing: ``parts`` × 32 lanes × 16 bytes hold ``kblocks`` × 128 columns of a tile."""

    name: str
    kblocks: int
    parts: int
    tail: str

    @property
    def step_bytes(self) -> int:
        return self.parts * LANES * WORD


KINDS = {
    kind.name: kind
    for kind in (
        Kind("slots2", 1, 1, "slots2"),
        Kind("slots4", 1, 2, "slots4"),
        Kind("slots8", 1, 4, "slots8"),
        Kind("base3", 5, 4, "slots2"),
        Kind("base9", 5, 8, "slots4"),
        Kind("half", 1, 8, "half"),
    )
}


def kind_of(fmt: Format) -> Kind:
    """The packing of a format on the card."""
    if fmt.packing == "base3":
        return KINDS["base3" if fmt.levels == 3 else "base9"]
    return KINDS[fmt.packing]


@dataclass(frozen=True)
class Shape:
    """A matrix of ``rows`` × ``cols`` on the card; ``group`` 0 where it has no scales."""

    fmt: Format
    rows: int
    cols: int
    group: int

    @property
    def kind(self) -> Kind:
        return kind_of(self.fmt)

    @property
    def tiles(self) -> int:
        return tiles(self.rows)

    @property
    def blocks(self) -> int:
        """Kblocks in a row."""
        return blocks(self.cols)

    @property
    def steps(self) -> int:
        return self.blocks // self.kind.kblocks

    @property
    def tail(self) -> int:
        """Kblocks after the last whole step."""
        return self.blocks % self.kind.kblocks

    @property
    def groups(self) -> int:
        """Scale groups in a row, those of the padding included."""
        return self.blocks * KBLOCK // self.group if self.group else 0

    @property
    def tile_bytes(self) -> int:
        return self.steps * self.kind.step_bytes + self.tail * KINDS[self.kind.tail].step_bytes

    @cached_property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Bytes of the codes, the scales and the tiles' gains."""
        return (
            ("codes", self.tiles * self.tile_bytes),
            ("scales", self.tiles * self.groups * 32),
            ("gains", self.tiles * 4),
        )

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.parts)


def blocks(cols: int) -> int:
    """Kblocks that hold ``cols`` columns."""
    return -(-cols // KBLOCK)


def device_bytes(fmt: Format, rows: int, cols: int, group: int) -> int:
    """Bytes of a matrix on the card."""
    return Shape(fmt, rows, cols, group).bytes


# --- the NumPy truth of ``arrange`` ------------------------------------------------------------


def _columns(kind: str) -> npt.NDArray[np.intp]:
    """``[part, lane, word, byte, slot]``: the column within a step's first kblock; ``slot`` counts a byte's
    codes from the lowest bits up (SLOTS) or has one entry (base 3, whose digits are kblocks)."""
    bits = {"slots2": 2, "slots4": 4}.get(kind, 8)
    parts = {"slots2": 1, "slots4": 2}.get(kind, 4)
    part, lane, word, byte, slot = np.ogrid[:parts, :LANES, :4, :4, : 8 // bits]
    product = part + slot * parts
    return 64 * (product // 2) + 16 * (lane % 4) + 8 * (product % 2) + 4 * (word // 2) + byte


def _rows() -> npt.NDArray[np.intp]:
    """``[lane, word]``: the row of the tile."""
    lane, word = np.ogrid[:LANES, :4]
    return lane // 4 + 8 * (word % 2)


def _flat(steps: npt.NDArray[np.uint8]) -> Bytes:
    """``[tiles, steps, …]`` as ``[tiles, bytes]``; there may be no steps at all."""
    return np.ascontiguousarray(steps).reshape(len(steps), int(np.prod(steps.shape[1:])))


def _slots(digits: Bytes, kind: str) -> Bytes:
    """``digits`` ``[tiles, 16, blocks, 128]`` as steps ``[tiles, bytes]``."""
    columns = _columns(kind)
    rows = np.broadcast_to(_rows()[None, :, :, None, None], columns.shape)
    chosen = digits[:, rows, :, columns]  # [part, lane, word, byte, slot, tiles, blocks]
    shifts = (8 // columns.shape[-1] * np.arange(columns.shape[-1])).astype(np.uint8)
    joined = np.bitwise_or.reduce(chosen << shifts[:, None, None], axis=4)
    return _flat(joined.transpose(4, 5, 0, 1, 2, 3))


def _base3(digits: Bytes, nine: bool) -> Bytes:
    """``digits`` ``[tiles, 16, steps, 5, 128]`` as steps ``[tiles, bytes]``."""
    columns = _columns("base3")[..., 0]
    rows = np.broadcast_to(_rows()[None, :, :, None], columns.shape)
    chosen = digits.transpose(0, 2, 3, 1, 4)[..., rows, columns].astype(np.int64)  # [tiles, steps, 5, part, …]
    planes = (chosen // 3, chosen % 3) if nine else (chosen,)
    powers = 3 ** np.arange(4, -1, -1)
    values = [np.tensordot(powers, plane, (0, 2)) for plane in planes]
    stored = np.stack([(value * 256 + 242) // 243 for value in values], axis=2).astype(np.uint8)
    return _flat(stored)


def arrange(codes: Codes, shape: Shape) -> Bytes:
    """``codes`` ``[rows, cols]`` as they lie on the card: ``[tiles, tile_bytes]``.

    The padding holds the digit 0 where columns are missing, and the code 0 where rows are.
    """
    digits = np.zeros((shape.tiles * 16, shape.blocks * KBLOCK), np.uint8)
    digits[:, : shape.cols] = shape.fmt.zero
    digits[: shape.rows, : shape.cols] = (codes.astype(np.int16) + shape.fmt.zero).astype(np.uint8)
    tiled = digits.reshape(shape.tiles, 16, shape.blocks, KBLOCK)
    kind, whole = shape.kind, shape.steps * shape.kind.kblocks
    if kind.kblocks == 1:
        return _slots(tiled, kind.name)
    steps = tiled[:, :, :whole].reshape(shape.tiles, 16, shape.steps, kind.kblocks, KBLOCK)
    return np.concatenate([_base3(steps, kind.name == "base9"), _slots(tiled[:, :, whole:], kind.tail)], axis=1)


def arrange_half(weights: Halves, shape: Shape) -> Bytes:
    """``weights`` ``[rows, cols]`` in half precision as they lie on the card: ``[tiles, tile_bytes]``."""
    padded = np.zeros((shape.tiles * 16, shape.blocks * KBLOCK), np.float16)
    padded[: shape.rows, : shape.cols] = weights
    tiled = padded.reshape(shape.tiles, 16, shape.blocks, KBLOCK)
    part, lane, word, half = np.ogrid[:8, :LANES, :4, :2]
    column = 64 * (part % 4 // 2) + 16 * (lane % 4) + 8 * (part % 2) + 4 * (part // 4) + 2 * (word // 2) + half
    rows = np.broadcast_to(_rows()[None, :, :, None], column.shape)
    chosen = tiled[:, rows, :, column]  # [part, lane, word, half, tiles, blocks]
    return np.ascontiguousarray(chosen.transpose(4, 5, 0, 1, 2, 3)).view(np.uint8).reshape(shape.tiles, -1)


def arrange_scales(scales: Halves, shape: Shape) -> Halves:
    """``scales`` ``[rows, groups]`` as they lie on the card: ``[tiles, groups, 8, 2]``, rows g and g+8 side by side."""
    padded = np.zeros((shape.tiles * 16, shape.groups), np.float16)
    padded[: shape.rows, : scales.shape[1]] = scales
    return np.ascontiguousarray(padded.reshape(shape.tiles, 2, 8, shape.groups).transpose(0, 3, 2, 1))
