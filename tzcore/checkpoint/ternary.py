"""Originals whose weights are natively ternary: their own codes and scales, taken over as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tzcore import trits
from tzcore.checkpoint.source import WeightSource
from tzcore.trits import Codes, Floats, Halves


@dataclass(frozen=True, eq=False)
class TernaryMatrix:
    """A matrix as ``gain · scale · code``.

    ``codes`` is int8 ``[rows, cols]`` of −1, 0 and 1; ``scales`` float16 ``[rows, groups]``, one for
    ``group`` columns (64 or 128); ``gain`` a float32 for the whole matrix.
    """

    codes: Codes
    scales: Halves
    group: int
    gain: float = 1.0

    @classmethod
    def with_gain(cls, codes: Codes, gain: float) -> TernaryMatrix:
        """A matrix with one scale, kept in float32 as the gain; its group scales are exactly 1."""
        group = widest_group(codes.shape[1])
        ones = np.ones((len(codes), trits.groups(codes.shape[1], group)), np.float16)
        return cls(codes, ones, group, float(np.float32(gain)))

    def values(self) -> Floats:
        """The weights as float32 ``[rows, cols]``."""
        plain = trits.dequantise(self.codes, self.scales, self.group)
        return plain if self.gain == 1.0 else plain * np.float32(self.gain)


def widest_group(cols: int) -> int:
    """The longest group that divides the width, for a matrix in which all groups are alike."""
    return max((group for group in trits.GROUPS if cols % group == 0), default=min(trits.GROUPS))


@dataclass(frozen=True)
class Scheme:
    """What is natively ternary in a source, and by which rule.

    ``form`` names the file's own format and ``scales`` says how its scales are meant, both for a
    person.  ``matrices`` are the names, without ``.weight``, of those the file declares ternary.
    """

    form: str
    scales: str
    matrices: frozenset[str]


@runtime_checkable
class TernarySource(WeightSource, Protocol):
    """A source that can have ternary matrices; ``scheme`` is ``None`` where it has none.

    Its :meth:`tensor` gives the same matrices dequantised.
    """

    scheme: Scheme | None

    def ternary(self, name: str) -> TernaryMatrix:
        """The codes and scales of one of ``scheme.matrices``.  A code that is no ternary value, or a
        scale that is not finite, is a SourceError naming the tensor."""
