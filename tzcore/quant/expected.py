"""How far from its original a converted model is to be expected, before it is converted.

From what was measured (``resources/quality.json``: two small models in every format).  Between measured bits a
weight, the logarithm of the divergence is taken as linear.  Larger models lose less at the same bits: from the
smaller to the larger of the two that were measured, the divergence falls with a power of the size, and

- ``low`` goes on with that power to the size in question,
- ``high`` assumes that models beyond the largest one measured gain nothing more,
- both are widened by what families may differ by, and ``kl`` is their geometric mean.

For a model of billions of weights the two are far apart, and that is what is known.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from math import exp, log, sqrt
from statistics import median
from typing import Any

from tzcore import paths
from tzcore.errors import SourceError

LEVELS = ((0.02, "same"), (0.08, "close"), (0.2, "sensible"), (0.6, "weaker"))
"""Bounds on the divergence, and what it means: hardly to be told from the original; close to it; answers stay
sensible; noticeably weaker.  Beyond: ``poor``.  :data:`tzcore.quant.budget.QUALITIES` says what was seen there."""
_FAMILIES = 1.25
"""Families of models lose differently; the two that were measured differ by less at the same size."""
_NOTHING = 1e-4
"""Nats that count as no divergence, so that logarithms exist."""


@dataclass(frozen=True)
class Expected:
    """``kl`` in nats a token, between ``low`` and ``high``; ``level`` is one of :data:`LEVELS`' words.

    ``measured``: it is no estimate but was measured, for this very model and format.
    """

    kl: float
    low: float
    high: float
    level: str
    measured: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Measurement:
    """One line of the file, as far as the estimate needs it; ``source`` is ``""`` for a file of no fixed origin."""

    source: str
    parameters: int
    option: str
    bits: float
    kl: float


@cache
def measurements() -> tuple[Measurement, ...]:
    """All that was measured.  A damaged file is a SourceError naming it."""
    path = paths.resources() / "quality.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["measured"]
        return tuple(
            Measurement(row["source"], int(row["parameters"]), row["option"], float(row["bits"]), float(row["kl"]))
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(f"the measured qualities {path} are damaged ({error}); reinstall the program") from None


def measured_for(source: str, option: str) -> Expected | None:
    """What was measured for this very source and option (an encoding, or bits as in ``2.4bpw``), if it was."""
    found = (one.kl for one in measurements() if one.source and (one.source, one.option) == (source, option))
    kl = next(found, None)
    return None if kl is None else known(kl)


def known(kl: float) -> Expected:
    """What was measured."""
    return Expected(kl, kl, kl, level_of(kl), measured=True)


def expected(bits: float, parameters: int) -> Expected:
    """For a model of so many weights, whose projections take so many bits each."""
    by_model: dict[int, list[Measurement]] = defaultdict(list)
    for one in measurements():
        by_model[one.parameters].append(one)
    smallest, largest = min(by_model), max(by_model)
    at_smallest = _at(bits, by_model[smallest])
    if at_smallest <= 1.01 * _NOTHING:
        return Expected(0.0, 0.0, 0.0, level_of(0.0))
    ends = {one.option: one.kl for one in by_model[largest]}
    ratios = [ends[one.option] / one.kl for one in by_model[smallest] if one.option in ends and one.kl > _NOTHING]
    gained = median(ratios)  # from the smaller to the larger
    power = log(gained) / log(largest / smallest)
    low = at_smallest * (parameters / smallest) ** power
    high = max(low, at_smallest * (gained if parameters >= largest else (parameters / smallest) ** power))
    low, high = low / _FAMILIES, high * _FAMILIES
    middle = sqrt(low * high)
    return Expected(middle, low, high, level_of(middle))


def level_of(kl: float) -> str:
    """The word of :data:`LEVELS` for a divergence."""
    return next((word for bound, word in LEVELS if kl <= bound), "poor")


def _at(bits: float, points: list[Measurement]) -> float:
    """The divergence at ``bits``, between the points measured; beyond them that of the last."""
    curve = sorted({(one.bits, max(one.kl, _NOTHING)) for one in points})
    if bits <= curve[0][0]:
        return curve[0][1]
    for (left, above), (right, below) in pairwise(curve):
        if bits <= right:
            share = (bits - left) / (right - left)
            return exp(log(above) * (1 - share) + log(below) * share)
    return curve[-1][1]
