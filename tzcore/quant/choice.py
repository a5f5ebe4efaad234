"""The format of every matrix for a budget, from what is measured of the model (:mod:`tzcore.quant.sensitivity`)."""

from __future__ import annotations

from functools import cache

import numpy as np

from tzcore import trits
from tzcore.progress import Progress
from tzcore.quant import budget, sensitivity, simulation
from tzcore.quant.allocation import END_MENU, MENU, Item, Swap
from tzcore.quant.budget import Allocation, Overhead
from tzcore.quant.job import Job
from tzcore.trits import format_named

SWAPS = 4
"""Changes of an allocation that are tried out."""


def choose(job: Job) -> Allocation:
    """What the settings' request comes to; noted, so that a rerun has the same.

    BudgetError where the budget cannot be kept.
    """
    request = job.settings.request
    assert request is not None
    noted = job.noted("allocation")
    if noted:
        return Allocation.from_json(noted)
    overhead = budget.Overhead.of(job.spec, job.settings.rotates, job.source.files)
    if request.kind != "quality":  # a budget that bytes alone forbid is refused before anything is measured
        assumed = budget.items_of(job.spec, budget.assumed_losses(job.spec), job.settings.group_for)
        budget.resolve(request, assumed, overhead, job.source.bytes())
    found = sensitivity.measure(job)
    errors, losses = {}, {}
    ends = (job.spec.embedding.name, job.spec.head.name)
    for name, matrix in found.items():
        menu = END_MENU if name in ends else MENU
        group = job.settings.group_for(format_named(menu[0]), job.originals.shapes[name][1])
        errors[name] = {fmt: matrix.shrinkage * distortion(fmt, group) for fmt in menu}
        losses[name] = {fmt: matrix.sensitivity * error for fmt, error in errors[name].items()}
    items = budget.items_of(job.spec, losses, job.settings.group_for)
    chosen = budget.resolve(request, items, overhead, job.source.bytes())
    swaps = [s for s in budget.alternatives(chosen, items, SWAPS) if not s.formats.keys() & set(ends)]
    chosen = _best(job, chosen, swaps, items, overhead, errors)
    job.note("allocation", chosen.as_json())
    count = len(job.spec.layers)
    what = f"{chosen.bits_per_weight:.3f} bits a weight, predicted KL divergence {chosen.predicted_kl:.3g}"
    job.report(Progress("measure", count, count, "blocks", what))
    return chosen


def _best(
    job: Job,
    chosen: Allocation,
    swaps: list[Swap],
    items: list[Item],
    overhead: Overhead,
    errors: dict[str, dict[str, float]],
) -> Allocation:
    """``chosen`` with those of the ``swaps`` that a simulation finds better.  No matrix is in two of them."""
    candidates = [chosen, *(budget.swapped(chosen, swap, items, overhead) for swap in swaps)]
    left = [{name: errors[name][fmt] for name, fmt in one.formats.items()} for one in candidates]
    as_chosen, *swapped = simulation.divergences(job, left)
    for swap, divergence in zip(swaps, swapped, strict=True):
        if divergence < as_chosen:
            chosen = budget.swapped(chosen, swap, items, overhead)
    return chosen


@cache
def distortion(fmt: str, group: int) -> float:
    """Error over energy of normally distributed weights, which transformed ones nearly are, in a format."""
    weights = np.random.Generator(np.random.PCG64(0)).standard_normal((512, group), np.float32)
    codes, scales = trits.fit(weights, format_named(fmt), group)
    error = weights - trits.dequantise(codes, scales, group)
    return float((error.astype(np.float64) ** 2).sum() / (weights.astype(np.float64) ** 2).sum())
