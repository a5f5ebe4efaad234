"""Which format each matrix gets: the least predicted loss whose bytes keep a limit, or the reverse.

This is the multiple-choice knapsack problem, solved exactly: a Lagrange multiplier gives a lower
bound and a good start, reduced costs rule out most choices, and dynamic programming over the few
that remain decides (Dyer, Kayal & Walker, *A branch and bound algorithm for solving the
multiple-choice knapsack problem*, 1984; Pisinger, *A minimal algorithm for the multiple-choice
knapsack problem*, 1995).

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
import numpy.typing as npt

from tzcore import trits
from tzcore.errors import ConversionError

MENU = ("t1b3", "q2", "t2b3", "i4", "i8")
"""Formats a projection can get, the smallest first."""
END_MENU = ("i4", "i8")
"""Formats that embedding and head can get: lookups and the last product bear no fewer levels."""
EXACTNESS = 1e-9
"""Share of the optimum within which a solution counts as optimal."""
_STATES = 1 << 17
"""Combinations looked at side by side.  More of them, all equally good to nine digits, arise where losses are
proportional to bytes; the search then starts again from the best of them with a hundred times the tolerance."""
DOUBT = 0.5
"""Standard deviation of a predicted loss as a share of itself, for ranking swaps: predictions of single matrices
by sensitivity times error are right to about a factor of one and a half."""
_PAIRED = 1500
"""Changes in each direction that are paired for swaps, those of most predicted loss first."""

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


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
    """The format of each item: the least predicted loss in at most ``limit`` bytes, exact to :data:`EXACTNESS`.

    BudgetError where even the smallest formats need more.
    """
    if not items:
        return []
    table = _Table.of(items)
    least, grain = smallest(items), table.grain()
    if least > limit:
        raise BudgetError(f"{limit:,} bytes are too few: the smallest formats take {least:,}")
    reachable = least + (limit - least) // grain * grain
    return table.named(_knapsack(table.losses, table.bytes, float(reachable), 0.0))


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
    return table.named(_knapsack(table.bytes, table.losses, room, 0.5 * table.grain()))


# --- the knapsack ------------------------------------------------------------------------------


def _knapsack(cost: Numbers, weight: Numbers, limit: float, step: float) -> Indices:
    """The choice of each row that minimises the sum of ``cost`` while the sum of ``weight`` is at most ``limit``.

    Both ``[items, choices]``, infinite where there is no such choice; there must be a solution.
    Gains of at most ``step``, or of :data:`EXACTNESS` of the optimum (more only as said at
    :data:`_STATES`), are not looked for.
    """
    base, price = _relaxed(cost, weight, limit)
    if price == 0.0:
        return base
    rows = np.arange(len(cost))
    priced = cost + price * np.where(np.isfinite(weight), weight, 0.0)
    reduced = np.maximum(priced - priced[rows, base][:, None], 0.0)
    bound = float(priced[rows, base].sum()) - price * limit
    start = _filled(cost, weight, base, limit)
    tolerance = max(step, EXACTNESS * abs(bound))
    finished = False
    while not finished:
        start, finished = _search(cost, weight, limit, tolerance, base, reduced, bound, price, start)
        tolerance *= 100
    return start


def _relaxed(cost: Numbers, weight: Numbers, limit: float) -> tuple[Indices, float]:
    """A solution of the problem in which choices may be mixed, rounded to whole ones, and its multiplier.

    Starts from the cheapest choices and gives up weight where a unit of it costs least, along each
    row's convex hull, until the limit is kept.  The multiplier is the cost of the last unit.
    """
    count, width = cost.shape
    rows = np.arange(count)
    now = np.where(cost == cost.min(axis=1)[:, None], weight, np.inf).argmin(axis=1)
    excess = float(weight[rows, now].sum()) - limit
    if excess <= 0.0:
        return now, 0.0
    slopes, gains = (np.full((count, width), value) for value in (np.inf, 0.0))
    stops = np.tile(now[:, None], (1, width + 1))
    for turn in range(width):
        less = weight[rows, now][:, None] - weight
        more = cost - cost[rows, now][:, None]
        slope = np.divide(more, less, out=np.full_like(more, np.inf), where=(less > 0) & np.isfinite(less))
        best = slope.argmin(axis=1)
        found = np.isfinite(slope[rows, best])
        slopes[found, turn] = slope[rows, best][found]
        gains[found, turn] = less[rows, best][found]
        now = np.where(found, best, now)
        stops[:, turn + 1] = now
    slopes = np.maximum.accumulate(slopes, axis=1)
    order = np.argsort(slopes, axis=None, kind="stable")
    given = np.cumsum(gains.ravel()[order])
    last = min(int(np.searchsorted(given, excess)), int(np.isfinite(slopes).sum()) - 1)
    taken = np.bincount(order[: last + 1] // width, minlength=count)
    return stops[rows, taken], float(slopes.ravel()[order[last]])


def _filled(cost: Numbers, weight: Numbers, base: Indices, limit: float) -> Indices:
    """``base`` with the single changes that save most, as long as one fits."""
    chosen, rows = base.copy(), np.arange(len(cost))
    slack = limit - float(weight[rows, chosen].sum())
    while True:
        change = cost - cost[rows, chosen][:, None]
        change[weight - weight[rows, chosen][:, None] > slack] = 0.0
        row, choice = np.unravel_index(int(change.argmin()), change.shape)
        if change[row, choice] >= 0.0:
            return chosen
        slack -= float(weight[row, choice] - weight[row, chosen[row]])
        chosen[row] = choice


def _search(
    cost: Numbers, weight: Numbers, limit: float, least: float,
    base: Indices, reduced: Numbers, bound: float, price: float, start: Indices,
) -> tuple[Indices, bool]:  # fmt: skip
    """Dynamic programming over the rows, those first whose next choice costs least.

    A state is a sum of weight and of cost, with the rows not reached yet at ``base``.  It goes where
    another has no more of either, or where even mixed choices could not better what is known by
    more than ``least``.  Returns the best choices found, and whether the search came to its end.
    """
    rows = np.arange(len(cost))
    best_cost, best = float(cost[rows, start].sum()), (0, -1)
    others = reduced.copy()
    others[rows, base] = np.inf
    nearest = others.min(axis=1)
    shuffled = np.random.Generator(np.random.PCG64(0)).permutation(len(cost))  # equals: lighter and heavier in turn
    order = np.lexsort((shuffled, nearest))
    lightest = weight.min(axis=1) - weight[rows, base]
    relief = np.concatenate([np.cumsum(lightest[order][::-1])[::-1], [0.0]])
    weights, costs = np.array([weight[rows, base].sum()]), np.array([cost[rows, base].sum()])
    trail: list[tuple[Indices, npt.NDArray[np.int8]]] = []
    finished = True
    for depth, row in enumerate(order):
        if nearest[row] >= best_cost - bound - least:
            break
        options = np.flatnonzero(reduced[row] < best_cost - bound - least)
        total = (weights[:, None] + (weight[row, options] - weight[row, base[row]])).ravel()
        value = (costs[:, None] + (cost[row, options] - cost[row, base[row]])).ravel()
        parent = np.repeat(np.arange(len(weights)), len(options))
        option = np.tile(options, len(weights)).astype(np.int8)
        kept = (value + price * (total - limit) < best_cost - least) & (total + relief[depth + 1] <= limit)
        sorting = np.flatnonzero(kept)[np.lexsort((value[kept], total[kept]))]
        falling = value[sorting]
        keep = sorting[falling < np.concatenate([[np.inf], np.minimum.accumulate(falling)[:-1]])]
        weights, costs = total[keep], value[keep]
        trail.append((parent[keep], option[keep]))
        feasible = np.flatnonzero(weights <= limit)
        if len(feasible) and costs[feasible[-1]] < best_cost - least:
            best_cost, best = float(costs[feasible[-1]]), (depth, int(feasible[-1]))
        if not len(keep):
            break
        if len(keep) > _STATES:
            finished = False
            break
    return (_traced(base, order, trail, *best) if best[1] >= 0 else start), finished


def _traced(
    base: Indices, order: Indices, trail: list[tuple[Indices, npt.NDArray[np.int8]]], depth: int, state: int
) -> Indices:
    """The choices along the way to a state."""
    chosen = base.copy()
    for level in range(depth, -1, -1):
        parent, option = trail[level]
        chosen[order[level]] = option[state]
        state = int(parent[state])
    return chosen


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
