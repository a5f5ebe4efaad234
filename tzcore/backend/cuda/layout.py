"""How a weight matrix lies on the device."""

from __future__ import annotations

from tzcore import trits

COLUMNS = 128
"""Columns of a kblock; rows of codes are padded to whole ones."""
SUPERBLOCK = 5
"""Kblocks that base-3 words take together: 640 columns."""

# Bytes of a tile of 16 rows: of a kblock, and of a superblock of base-3 words.
_KBLOCK = {"slots2": 512, "slots4": 1024, "slots8": 2048, "half": 4096}
_SUPERBLOCK = {3: 2048, 9: 4096}
_REST = {3: "slots2", 9: "slots4"}
"""What the kblocks behind the last whole superblock are stored as, by the levels of a code."""


def device_bytes(fmt: trits.Format, rows: int, cols: int, group: int) -> int:
    """Bytes of a matrix on the device: codes, fp16 scales of every row and group, a float32 gain a tile.

    ``group`` is ignored for ``f16``, which has no scales.
    """
    kblocks = -(-cols // COLUMNS)
    tile = 4 + (0 if fmt.packing == "half" else trits.LANES * 2 * (kblocks * COLUMNS // group))
    if fmt.packing == "base3":
        whole, rest = divmod(kblocks, SUPERBLOCK)
        tile += whole * _SUPERBLOCK[fmt.levels] + rest * _KBLOCK[_REST[fmt.levels]]
    else:
        tile += kblocks * _KBLOCK[fmt.packing]
    return trits.tiles(rows) * tile
