"""The fast Walsh–Hadamard transform, by which outliers in a matrix's input are spread out.

``H`` is the Sylvester matrix: ``H₁ = [1]``, ``H₂ₙ = [[Hₙ, Hₙ], [Hₙ, −Hₙ]]``.  ``H/√n`` is
symmetric and orthogonal, hence its own inverse.  With signs ``s`` a transformed input is
``T·x = H·(s ⊙ x)/√n`` on each run of ``n`` columns; the stored matrix is ``W·Tᵀ``, whose rows
are the rows of ``W`` transformed in the same way, so that ``(W·Tᵀ)·(T·x) = W·x``.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Real = TypeVar("Real", np.float32, np.float64)


def hadamard(x: npt.NDArray[Real], block: int) -> npt.NDArray[Real]:
    """``H·x/√block`` on each run of ``block`` elements of the last axis, as a new array.

    ``block`` is a power of two that divides the last axis (ValueError otherwise).  The sums are
    made in x's own precision.
    """
    width = x.shape[-1]
    if block < 1 or block & (block - 1) or width % block:
        raise ValueError(f"a Hadamard block of {block} does not fit {width} columns")
    out = np.array(x, order="C")
    half = 1
    while half < block:
        pairs = out.reshape(*x.shape[:-1], width // (2 * half), 2, half)
        first, second = pairs[..., 0, :].copy(), pairs[..., 1, :]
        pairs[..., 0, :] += second
        np.subtract(first, second, out=pairs[..., 1, :])
        half *= 2
    out *= out.dtype.type(block**-0.5)
    return out


def rotate(x: npt.NDArray[Real], signs: npt.NDArray[np.int8], block: int) -> npt.NDArray[Real]:
    """``T·x`` along the last axis: of a matrix's input, or of the rows of the matrix itself."""
    return hadamard(x * signs.astype(x.dtype), block)


def unrotate(x: npt.NDArray[Real], signs: npt.NDArray[np.int8], block: int) -> npt.NDArray[Real]:
    """``Tᵀ·x``, the inverse of :func:`rotate`: a stored row back to the original's."""
    return hadamard(x, block) * signs.astype(x.dtype)
