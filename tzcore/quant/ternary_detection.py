"""Finds matrices that are natively ternary though they are stored as plain numbers: exactly {0, ±s}."""

from __future__ import annotations

import numpy as np

from tzcore import trits
from tzcore.checkpoint.ternary import TernaryMatrix, widest_group
from tzcore.trits import Floats, Halves

SAMPLE = 16
"""Rows looked at first: those of other matrices give themselves away at once."""


def exact_ternary(weights: Floats) -> TernaryMatrix | None:
    """``weights`` ``[rows, cols]`` as codes and scales that give back the same numbers, if there are such.

    One scale for the matrix, a row, or 128 or 64 columns of a row.  They are kept in half precision,
    or, where that would round them, half precision times one power of two; one scale for the
    matrix may be any float32.
    """
    for group in (128, 64) if weights.shape[1] % 128 == 0 else (64,):
        sample = _scales(weights[:SAMPLE], group)
        if sample is not None and (scales := _scales(weights, group)) is not None:
            return _matrix(weights, scales, group)
    return None


def _scales(weights: Floats, group: int) -> Floats | None:
    """The magnitude of the nonzero weights in every group, ``[rows, groups]``; ``None`` where one has two."""
    rows, cols = weights.shape
    count = trits.groups(cols, group)
    scales = np.empty((rows, count), np.float32)
    step = max(1, (1 << 22) // cols)
    for start in range(0, rows, step):
        size = np.abs(weights[start : start + step])
        for at in range(count):
            part = size[:, at * group : (at + 1) * group]
            largest = part.max(axis=1)
            if not (np.isfinite(largest).all() and ((part == 0) | (part == largest[:, None])).all()):
                return None
            scales[start : start + step, at] = largest
    return scales


def _matrix(weights: Floats, scales: Floats, group: int) -> TernaryMatrix | None:
    codes = np.sign(weights).astype(np.int8)
    largest = float(scales.max(initial=0))
    if ((scales == 0) | (scales == np.float32(largest))).all():  # one scale: groups of zeros alone take it too
        group = widest_group(weights.shape[1])
        scales = np.full((len(weights), trits.groups(weights.shape[1], group)), largest, np.float32)
        if _exact_halves(scales) is None:
            return TernaryMatrix.with_gain(codes, largest)
    if (halves := _exact_halves(scales)) is not None:
        return TernaryMatrix(codes, halves, group)
    gain = np.ldexp(np.float32(1), int(np.frexp(largest)[1]) - 15)  # the largest scale comes to 2^14 … 2^15
    if (halves := _exact_halves(scales / gain)) is not None:
        return TernaryMatrix(codes, halves, group, float(gain))
    return None


def _exact_halves(values: Floats) -> Halves | None:
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    return halves if np.array_equal(halves.astype(np.float32), values) else None
