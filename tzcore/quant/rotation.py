"""The randomised block-Hadamard transform that spreads outliers before weights are rounded.

A stage's input ``x`` is replaced by ``y = H·(signs ⊙ x)/√b`` on each run of ``b`` columns, where
``H`` is the Sylvester–Hadamard matrix.  The transform is orthogonal, so storing
``W' = W·diag(signs)·H/√b`` keeps the product: ``W'·y = W·x``.  Random signs keep ``H`` from
aligning with structure in the weights (as in QuIP#, Tseng et al. 2024, and QuaRot, Ashkboos et
al. 2024).  The NumPy side, which backends are tested against, is :mod:`tzcore.hadamard`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tzcore.errors import ConversionError
from tzcore.trits import Codes

if TYPE_CHECKING:
    import torch

LARGEST_BLOCK = 4096
"""Larger blocks bring nothing measurable and cost run time."""
PRODUCT = 64
"""Size of the matrices that a transform is multiplied out of."""
STRIP = 512
"""Rows or columns of a second moment that are transformed at a time."""


def block_for(width: int) -> int:
    """The largest power of two that divides ``width``, at most 4096; 1 means no transform."""
    return min(width & -width, LARGEST_BLOCK)


def random_signs(width: int, seed: int, stage: str) -> Codes:
    """±1 for each of ``width`` columns, int8, the same for the same seed and stage on every machine."""
    generator = np.random.Generator(np.random.PCG64([seed, *stage.encode()]))
    return (generator.integers(0, 2, width, dtype=np.int8) * 2 - 1).astype(np.int8)


def hadamard(x: torch.Tensor, block: int) -> torch.Tensor:
    """``H·x/√block`` on each run of ``block`` entries of the last dimension, in a new tensor.

    ``H`` of a product of sizes is the Kronecker product of theirs, so a large block is two or three
    multiplications by matrices of at most 64, which is faster than additions at this size.
    """
    width = x.shape[-1]
    if block < 1 or block & (block - 1) or width % block:
        raise ConversionError(f"a Hadamard block of {block} does not fit {width} columns")
    out, inner = x, 1
    while inner < block:
        size = min(PRODUCT, block // inner)
        matrix = _sylvester(size, x.device).to(x.dtype)
        if inner == 1:
            out = (out.reshape(-1, size) @ matrix).view(x.shape)
        else:
            out = (matrix @ out.reshape(-1, size, inner)).view(x.shape)
        inner *= size
    return out.clone() if out is x else out


@cache
def _sylvester(size: int, device: torch.device) -> torch.Tensor:
    """The orthogonal Sylvester–Hadamard matrix, ``[size, size]``."""
    import torch

    matrix = torch.ones(1, 1, device=device)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix * size**-0.5


def rotate(x: torch.Tensor, signs: torch.Tensor, block: int) -> torch.Tensor:
    """The transform of the last dimension: of inputs ``x``, and of the rows of a weight matrix.

    Both are the same map because ``(W·diag(signs)·H)ᵢ = H·(signs ⊙ Wᵢ)``: H is symmetric.
    """
    return hadamard(x * signs.to(x.dtype), block)


def unrotate(y: torch.Tensor, signs: torch.Tensor, block: int) -> torch.Tensor:
    """Undo :func:`rotate`."""
    return hadamard(y, block) * signs.to(y.dtype)


def rotate_moment(moment: torch.Tensor, signs: torch.Tensor, block: int) -> torch.Tensor:
    """``R·M·Rᵀ`` in place of ``M``: the second moment ``XᵀX``, or a mixed one, of transformed inputs from that of
    plain ones.  Strip by strip, because such a matrix can be larger than all else in a conversion."""
    for start in range(0, len(moment), STRIP):
        rows = moment[start : start + STRIP]
        rows.copy_(rotate(rows, signs, block))
    for start in range(0, len(moment), STRIP):
        columns = moment[:, start : start + STRIP]
        columns.copy_(rotate(columns.T.contiguous(), signs, block).T)
    return moment
