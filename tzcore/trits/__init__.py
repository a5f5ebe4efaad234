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

from tzcore.trits.fitting import dequantise, fit
from tzcore.trits.formats import (
    COLUMN_PAD,
    FORMATS,
    GROUPS,
    LANES,
    Bytes,
    Codes,
    Floats,
    Format,
    Halves,
    format_named,
    groups,
    padded,
    tiles,
)
from tzcore.trits.packing import (
    RUN_BLOCKS,
    WORD_SPAN,
    pack,
    pack_half,
    pack_scales,
    places,
    tile_bytes,
    unpack,
    unpack_half,
    unpack_scales,
)

__all__ = [
    "COLUMN_PAD",
    "FORMATS",
    "GROUPS",
    "LANES",
    "RUN_BLOCKS",
    "WORD_SPAN",
    "Bytes",
    "Codes",
    "Floats",
    "Format",
    "Halves",
    "dequantise",
    "fit",
    "format_named",
    "groups",
    "pack",
    "pack_half",
    "pack_scales",
    "padded",
    "places",
    "tile_bytes",
    "tiles",
    "unpack",
    "unpack_half",
    "unpack_scales",
]
