"""The multiple-choice knapsack problem: one choice a row, least cost, weight within a limit.

Solved exactly.  A Lagrange multiplier gives a lower bound and a good start, reduced costs rule out
most choices, and dynamic programming over the few that remain decides (Dyer, Kayal & Walker, *A
branch and bound algorithm for solving the multiple-choice knapsack problem*, 1984; Pisinger, *A
minimal algorithm for the multiple-choice knapsack problem*, 1995).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

EXACTNESS = 1e-9
"""Share of the optimum within which a solution counts as optimal."""
_STATES = 1 << 17
"""Combinations looked at side by side.  More of them, all equally good to nine digits, arise where cost is
proportional to weight; the search then starts again from the best of them with a hundred times the tolerance."""

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def minimise(cost: Numbers, weight: Numbers, limit: float, step: float) -> Indices:
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
