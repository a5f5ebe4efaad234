"""Which format each matrix gets: the least predicted loss whose bytes keep a limit, or the reverse.

Every matrix is an item of its own, although q, k and v (gate and up) share an input: a backend
reads the format matrix by matrix and the transform belongs to the input, so nothing is gained by
forcing them together, and v, which bears little, would drag q and k up.  An item may still stand
for several matrices: the experts of one layer, which calibration tells apart too badly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from tzcore import trits
from tzcore.errors import ConversionError
from tzcore.quant.knapsack import Indices, Numbers, minimise

MENU = ("t1b3", "q2", "t2b3", "i4", "i8")
"""Formats a projection can get, the smallest first."""
END_MENU = ("i4", "i8")
"""Formats that embedding and head can get: lookups and the last product bear no fewer levels."""
DOUBT = 0.5
"""Standard deviation of a predicted loss as a share of itself, for ranking swaps: predictions of single matrices
by sensitivity times error are right to about a factor of one and a half."""
_PAIRED = 1500
"""Changes in each direction that are paired for swaps, those of most predicted loss first."""


class BudgetError(ConversionError):
    """A budget that cannot be kept; the message says what could be."""


@dataclass(frozen=True)
class Choice:
    """One format of an item: stored ``bytes`` (codes and scales) and predicted ``loss`` in nats."""

    bytes: int
    loss: float


@dataclass(frozen=True)
class Item:
    """Matrices that get one format together, usually a single one.

    ``weights`` counts all of theirs; ``end`` marks embedding and head, which are no projections.
    """

    names: tuple[str, ...]
    weights: int
    choices: Mapping[str, Choice]
    end: bool = False

    def __post_init__(self) -> None:
        if not self.names or not self.choices:
            raise ConversionError("an item of an allocation has neither matrices nor choices")
        for name, choice in self.choices.items():
            if not (choice.bytes > 0 and np.isfinite(choice.loss) and choice.loss >= 0):
                what = f"{choice.bytes} bytes at a predicted loss of {choice.loss}"
                raise ConversionError(f"{self.names[0]} as {name}: {what} make no sense")


def stored_bytes(rows: int, cols: int, format_name: str, group: int) -> int:
    """Bytes of a matrix's codes and scales as the model folder holds them; ``group`` is ignored for f16."""
    fmt = trits.format_named(format_name)
    codes = trits.tiles(rows) * trits.tile_bytes(fmt, cols)
    if fmt.packing == "half":
        return codes
    return codes + trits.tiles(rows) * trits.LANES * trits.groups(cols, group) * 2


# --- items as arrays --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """Bytes and losses ``[items, choices]``, infinite where an item has fewer choices."""

    formats: list[list[str]]
    bytes: Numbers
    losses: Numbers

    @classmethod
    def of(cls, items: Sequence[Item]) -> _Table:
        formats = [list(item.choices) for item in items]
        width = max(map(len, formats))
        sizes, losses = (np.full((len(items), width), np.inf) for _ in range(2))
        for row, item in enumerate(items):
            for column, choice in enumerate(item.choices.values()):
                sizes[row, column], losses[row, column] = choice.bytes, choice.loss
        return cls(formats, sizes, losses)

    def grain(self) -> int:
        """What every difference of two totals of bytes is a multiple of."""
        finite = np.where(np.isfinite(self.bytes), self.bytes, self.bytes[:, :1])
        return int(np.gcd.reduce((finite - self.bytes[:, :1]).astype(np.int64), axis=None)) or 1

    def named(self, chosen: Indices) -> list[str]:
        return [names[index] for names, index in zip(self.formats, chosen, strict=True)]


def smallest(items: Sequence[Item]) -> int:
    """Bytes with every item in its smallest format."""
    return sum(min(choice.bytes for choice in item.choices.values()) for item in items)


def largest(items: Sequence[Item]) -> int:
    """Bytes with every item in the smallest of the formats that lose least."""
    return sum(min((c.loss, c.bytes) for c in item.choices.values())[1] for item in items)


def total_bytes(items: Sequence[Item], formats: Sequence[str]) -> int:
    """Bytes of the items in these formats."""
    return sum(item.choices[name].bytes for item, name in zip(items, formats, strict=True))


def total_loss(items: Sequence[Item], formats: Sequence[str]) -> float:
    """Predicted loss of the items in these formats, in nats."""
    return float(sum(item.choices[name].loss for item, name in zip(items, formats, strict=True)))


def least_loss(items: Sequence[Item], limit: int) -> list[str]:
    """The format of each item: the least predicted loss in at most ``limit`` bytes.

    Exact to :data:`~tzcore.quant.knapsack.EXACTNESS`.  BudgetError where even the smallest formats need more.
    """
    if not items:
        return []
    table = _Table.of(items)
    least, grain = smallest(items), table.grain()
    if least > limit:
        raise BudgetError(f"{limit:,} bytes are too few: the smallest formats take {least:,}")
    reachable = least + (limit - least) // grain * grain
    return table.named(minimise(table.losses, table.bytes, float(reachable), 0.0))


def least_bytes(items: Sequence[Item], bound: float) -> list[str]:
    """The format of each item: the fewest bytes whose predicted loss is at most ``bound`` nats.

    BudgetError where even the formats that lose least lose more.
    """
    if not items:
        return []
    table = _Table.of(items)
    least = float(table.losses.min(axis=1).sum())
    if least > bound:
        raise BudgetError(f"a predicted loss of {bound:g} nats cannot be had: the best formats lose {least:.3g}")
    room = bound * (1 + 1e-11)  # sums in another order differ in the last digits
    return table.named(minimise(table.bytes, table.losses, room, 0.5 * table.grain()))


# --- swaps -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swap:
    """Formats to put in place of chosen ones; ``bytes`` and predicted ``loss`` change by so much."""

    formats: dict[str, str]
    bytes: int
    loss: float


def swaps(items: Sequence[Item], formats: Sequence[str], limit: int, count: int) -> list[Swap]:
    """The changes most worth measuring, best first: one item a format larger, another a format smaller.

    Predicted losses are uncertain in proportion to themselves (:data:`DOUBT`), so a swap's worth
    is its expected improvement (Jones, Schonlau & Welch, *Efficient global optimization of
    expensive black-box functions*, 1998): large where much loss moves and prediction sees hardly a
    difference.  No item occurs twice, and all swaps together keep ``limit``.
    """
    chosen = [item.choices[name] for item, name in zip(items, formats, strict=True)]
    slack = limit - sum(choice.bytes for choice in chosen)
    up, down = ([], []) if len(items) < 2 else _neighbours(items, chosen)
    if not up or not down:
        return []
    gain, price = (np.array([change[2] for change in side]) for side in (up, down))
    more, less = (np.array([change[3] for change in side]) for side in (up, down))
    mean = gain[:, None] + price
    spread = DOUBT * np.hypot(gain[:, None], price)
    worth = _expected_improvement(mean, spread)
    apart = np.array([change[0] for change in up])[:, None] != np.array([change[0] for change in down])
    worth[~(apart & (more[:, None] + less <= slack))] = 0.0
    found: list[Swap] = []
    used: set[int] = set()
    for flat in np.argsort(-worth, axis=None, kind="stable"):
        (i, larger, *_), (j, smaller, *_) = up[flat // len(down)], down[flat % len(down)]
        bytes_more = int(more[flat // len(down)] + less[flat % len(down)])
        if len(found) == count or worth.flat[flat] <= 0.0:
            break
        if i in used or j in used or bytes_more > slack:
            continue
        used |= {i, j}
        slack -= max(0, bytes_more)
        changed = dict.fromkeys(items[i].names, larger) | dict.fromkeys(items[j].names, smaller)
        found.append(Swap(changed, bytes_more, float(mean.flat[flat])))
    return found


_Change = tuple[int, str, float, int]
"""Item, new format, change of loss, change of bytes."""


def _neighbours(items: Sequence[Item], chosen: Sequence[Choice]) -> tuple[list[_Change], list[_Change]]:
    """For each item the next larger format that loses less, and the next smaller that loses more."""
    up: list[_Change] = []
    down: list[_Change] = []
    for index, (item, now) in enumerate(zip(items, chosen, strict=True)):
        changes = [(index, name, c.loss - now.loss, c.bytes - now.bytes) for name, c in item.choices.items()]
        larger = [change for change in changes if change[2] < 0 < change[3]]
        smaller = [change for change in changes if change[3] < 0 < change[2]]
        up += sorted(larger, key=lambda change: change[3])[:1]
        down += sorted(smaller, key=lambda change: -change[3])[:1]
    return (sorted(up, key=lambda c: c[2])[:_PAIRED], sorted(down, key=lambda c: -c[2])[:_PAIRED])


def _expected_improvement(mean: Numbers, spread: Numbers) -> Numbers:
    """E[max(0, −x)] of normal x, with Φ by the logistic approximation of Bowling et al. (2009), off by 1e-4."""
    z = mean / np.maximum(spread, 1e-300)
    density = np.exp(-0.5 * z * z) / sqrt(2 * pi)
    below = 1.0 / (1.0 + np.exp(np.clip(0.07056 * z**3 + 1.5976 * z, -700, 700)))
    return np.maximum(spread * density - mean * below, 0.0)
