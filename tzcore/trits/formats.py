"""The code formats, and the shapes of what is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tzcore.errors import CheckpointError

LANES = 16
"""Rows in a tile."""
COLUMN_PAD = 64
"""Columns are padded to a multiple of this; it is also the smallest group."""
GROUPS = (64, 128)
"""Permitted group sizes."""

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


def padded(cols: int) -> int:
    """``cols`` rounded up to whole column pads."""
    return -(-cols // COLUMN_PAD) * COLUMN_PAD


def tiles(rows: int) -> int:
    """Number of 16-row tiles."""
    return -(-rows // LANES)


def groups(cols: int, group: int) -> int:
    """Number of scale groups in a row; the last one may be short."""
    return -(-cols // group)
