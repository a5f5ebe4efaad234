"""A ternary layer from float weights, in pieces that bound the memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tzcore import trits
from tzcore.errors import CheckpointError, ConversionError
from tzcore.hadamard import rotate
from tzcore.quant.rotation import block_for, random_signs
from tzcore.torch.linear import TernaryLinear
from tzcore.trits import Codes, Format

WEIGHTS_AT_ONCE = 1 << 21
"""A fit takes some forty bytes for each weight that it sees."""


@dataclass(frozen=True)
class Recipe:
    """How weights become ternary, whatever the layer."""

    fmt: Format
    group: int
    hadamard: bool
    seed: int

    @classmethod
    def checked(cls, fmt: str, group: int, hadamard: bool, seed: int) -> Recipe:
        """ConversionError for a format or a group that there is not."""
        try:
            found = trits.format_named(fmt)
        except CheckpointError as error:
            raise ConversionError(str(error)) from None
        if group not in trits.GROUPS:
            raise ConversionError(f"groups have {' or '.join(map(str, trits.GROUPS))} weights, not {group}")
        return cls(found, group, hadamard and found.packing != "half", seed)

    def turn(self, cols: int) -> tuple[int, Codes | None]:
        """Block and signs of the rotation of an input of ``cols``; 0 and ``None`` where there is none.

        The signs depend on the width alone: matrices with the same input must have the same (the engine turns
        it once for all of them), and which have the same cannot be told from a model's modules.
        """
        block = block_for(cols) if self.hadamard else 0
        return (block, random_signs(cols, self.seed, f"columns.{cols}")) if block >= 2 else (0, None)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A layer without a bias; its bits for each weight, and the relative error of its weights."""

    layer: TernaryLinear
    bits: float
    error: float


def fitted(weight: torch.Tensor, recipe: Recipe) -> Fitted:
    """The nearest layer to ``weight`` ``[rows, cols]``, by the recipe's own rotation for that width.

    ConversionError for weights that are not finite, or too large for half precision.
    """
    block, signs = recipe.turn(weight.shape[1])
    return fitted_with(weight, recipe.fmt, recipe.group, block, signs)


def fitted_with(weight: torch.Tensor, fmt: Format, group: int, block: int, signs: Codes | None) -> Fitted:
    """The nearest layer to ``weight`` whose input is turned by ``signs`` in blocks of ``block``, if > 0."""
    rows, cols = weight.shape
    made = TernaryLinear(cols, rows, False, fmt=fmt.name, group=group, block=block)
    if signs is not None and made.signs is not None:
        made.signs.copy_(torch.from_numpy(signs))
    step = max(trits.LANES, WEIGHTS_AT_ONCE // cols // trits.LANES * trits.LANES)
    lost = total = 0.0
    for first in range(0, rows, step):
        part = weight.detach()[first : first + step].to("cpu", torch.float32).numpy()
        if not np.isfinite(part).all():
            raise ConversionError("it has weights that are not finite")
        if signs is not None:
            part = rotate(part, signs, block)
        tiles = slice(first // trits.LANES, first // trits.LANES + trits.tiles(len(part)))
        if fmt.packing == "half":
            packed = trits.pack_half(part)
            made.codes[tiles] = torch.from_numpy(packed)
            back = trits.unpack_half(packed, len(part), cols)
        else:
            codes, scales = trits.fit(part, fmt, group)
            assert made.scales is not None
            made.codes[tiles] = torch.from_numpy(trits.pack(codes, fmt))
            made.scales[tiles] = torch.from_numpy(trits.pack_scales(scales))
            back = trits.dequantise(codes, scales, group)
        lost += float(np.square(part - back, dtype=np.float64).sum())
        total += float(np.square(part, dtype=np.float64).sum())
    stored = made.codes.nbytes + (made.scales.nbytes if made.scales is not None else 0)
    return Fitted(made, 8 * stored / (rows * cols), (lost / total) ** 0.5 if total else 0.0)
