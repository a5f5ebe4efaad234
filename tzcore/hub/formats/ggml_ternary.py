"""The ternary block formats of GGUF files: bytes to codes and scales, nothing rounded.

Every block holds one float16 scale ``d`` for all its weights (ggml's ``ggml-common.h`` and
``ggml-quants.c``; PQ2_0 and PTQ1_0 are from PrismML's fork).  A digit ``q`` of 0, 1 or 2 stands for
``(q − 1)·d``.

* TQ2_0, 256 weights in 66 bytes: twice 32 bytes of two-bit digits, then ``d``.  Of a run of 32 bytes
  the lowest digits are weights 0–31, the next 32–63, and so on.
* Q2_0, 64 weights in 18 bytes, or in PrismML's fork 128 in 34: ``d``, then four digits a byte in
  order, lowest bits first.  Both call themselves type 42, so that only the number of bytes tells
  which it is.  PQ2_0 is the latter under a number of its own.
* TQ1_0, 256 weights in 54 bytes; PTQ1_0, 128 in 28: bytes of five base-3 digits, a few bytes of four,
  then ``d``.  A byte is ``ceil(256·v / 243)`` with the first digit the most significant of ``v``;
  four digits are followed by a zero.  Bytes come in stages (32 and 16; 16 and 8): of a stage the
  first digits of all its bytes come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tzcore import trits
from tzcore.checkpoint.ternary import TernaryMatrix
from tzcore.errors import SourceError
from tzcore.trits import Floats, Halves

CHUNK = 1 << 22
"""Weights decoded at a time; bounds the temporaries."""

Digits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Block:
    """One block format: ``weights`` in ``size`` bytes.  ``stages`` is empty for two-bit digits."""

    name: str
    weights: int
    size: int
    scale_first: bool = False
    stages: tuple[int, ...] = ()
    last: int = 0  # bytes of four digits

    @property
    def title(self) -> str:
        """The name with what one scale is for."""
        return f"{self.name}, one scale per {self.weights}"


TQ1_0 = Block("TQ1_0", 256, 54, stages=(32, 16), last=4)
TQ2_0 = Block("TQ2_0", 256, 66)
Q2_0_64 = Block("Q2_0", 64, 18, scale_first=True)
Q2_0_128 = Block("Q2_0", 128, 34, scale_first=True)
PQ2_0 = Block("PQ2_0", 128, 34, scale_first=True)
PTQ1_0 = Block("PTQ1_0", 128, 28, stages=(16, 8), last=2)

Q2_0 = 42
"""The number of both forms of Q2_0."""
BLOCKS = {34: TQ1_0, 35: TQ2_0, 142: PQ2_0, 143: PTQ1_0}
"""The others by ggml's number."""


def decode(raw: npt.NDArray[np.uint8], block: Block, where: str) -> TernaryMatrix:
    """Codes and scales of ``raw`` ``[rows, bytes]``; ``where`` names file and tensor for messages.

    SourceError where a digit is not one of three or a scale is not finite.
    """
    rows, count = raw.shape[0], raw.shape[1] // block.size
    codes = np.empty((rows, count * block.weights), np.int8)
    for start, stop in _runs(rows, codes.shape[1]):
        digits = _digits(raw[start:stop], block, where)
        if digits.max(initial=0) > 2:
            raise SourceError(
                f"{where} holds the code 3 (+2 times the scale) and so is not ternary: it cannot be imported "
                "without loss; with --encoding it is converted like any other"
            )
        codes[start:stop] = digits.view(np.int8) - np.int8(1)
    group = min(block.weights, max(trits.GROUPS))
    scales = np.repeat(_scales(raw, block, where), block.weights // group, axis=1)
    return TernaryMatrix(codes, scales, group)


def values(raw: npt.NDArray[np.uint8], block: Block, where: str) -> Floats:
    """The weights as float32 ``[rows, cols]``, also where Q2_0 uses its fourth level, +2."""
    rows, count = raw.shape[0], raw.shape[1] // block.size
    out = np.empty((rows, count * block.weights), np.float32)
    scales = _scales(raw, block, where).astype(np.float32)
    for start, stop in _runs(rows, out.shape[1]):
        plain = _digits(raw[start:stop], block, where).astype(np.float32) - np.float32(1)
        out[start:stop] = (plain.reshape(stop - start, count, -1) * scales[start:stop, :, None]).reshape(plain.shape)
    return out


def form_of_q2_0(runs: Sequence[tuple[int, int, int]], alignment: int) -> Block | None:
    """Which Q2_0 a file uses: the only one whose lengths fit all its tensors, ``None`` if neither or both do.

    ``runs`` has of each tensor its number of weights, its width, and the bytes from its start to
    the next tensor or the file's end.
    """
    fitting = [
        block
        for block in (Q2_0_64, Q2_0_128)
        if all(
            cols % block.weights == 0 and 0 <= room - count // block.weights * block.size < alignment
            for count, cols, room in runs
        )
    ]
    return fitting[0] if len(fitting) == 1 else None


def _runs(rows: int, cols: int) -> list[tuple[int, int]]:
    step = max(1, CHUNK // cols)
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def _scales(raw: npt.NDArray[np.uint8], block: Block, where: str) -> Halves:
    """``[rows, blocks]``."""
    blocks = raw.reshape(len(raw), -1, block.size)
    bytes_ = blocks[..., :2] if block.scale_first else blocks[..., -2:]
    scales: Halves = np.ascontiguousarray(bytes_).view("<f2")[..., 0].astype(np.float16)
    if not np.isfinite(scales).all():
        raise SourceError(f"{where} has a scale that is not a finite number: the file is damaged, download it again")
    return scales


def _digits(raw: npt.NDArray[np.uint8], block: Block, where: str) -> Digits:
    """``[rows, cols]`` of 0 … 2, or 3 in Q2_0; anything else is a SourceError."""
    blocks = raw.reshape(-1, block.size)
    if block.stages:
        return _base3(blocks, block, where).reshape(len(raw), -1)
    codes = blocks[:, 2:] if block.scale_first else blocks[:, :-2]
    shifts = np.array([0, 2, 4, 6], np.uint8)
    if block.scale_first:
        return ((codes[..., None] >> shifts) & np.uint8(3)).reshape(len(raw), -1)
    split: Digits = (codes.reshape(len(blocks), -1, 1, 32) >> shifts[:, None]) & np.uint8(3)
    if (split == 3).any():
        raise SourceError(f"{where} holds the code 3, which {block.name} never has: it is damaged or not ternary")
    return split.reshape(len(raw), -1)


def _base3(blocks: npt.NDArray[np.uint8], block: Block, where: str) -> Digits:
    whole = sum(block.stages)
    five, four = blocks[:, :whole], blocks[:, whole : whole + block.last]
    if not (_FIVE[five].all() and _FOUR[four].all()):
        raise SourceError(
            f"{where} holds bytes that stand for no ternary digits in {block.name}: it is damaged or not ternary"
        )
    parts, at = [], 0
    for width in block.stages:
        parts.append(_DIGITS[five[:, at : at + width]].swapaxes(1, 2))
        at += width
    parts.append(_DIGITS[four][..., :4].swapaxes(1, 2))
    return np.concatenate([part.reshape(len(blocks), -1) for part in parts], axis=1)


def _tables() -> tuple[Digits, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The digits ``[256, 5]`` of every byte, and which bytes stand for five and for four digits."""
    value = np.arange(243)
    byte = (value * 256 + 242) // 243
    digits = np.zeros((256, 5), np.uint8)
    digits[byte] = value[:, None] // np.array([81, 27, 9, 3, 1]) % 3
    five, four = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    five[byte], four[byte[value % 3 == 0]] = True, True
    return digits, five, four


_DIGITS, _FIVE, _FOUR = _tables()
