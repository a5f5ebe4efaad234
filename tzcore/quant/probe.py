"""How long a conversion will take on this machine, from two seconds of the same work.

A conversion fits every weight once (so many a second, whatever the model) and multiplies matrices
(everything else).  The probe times both on random matrices of the model's widths; the forecast is

    seconds = weights / fit rate + operations / product rate

with the operations counted from the model's shape by :func:`operations`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tzcore import trits
from tzcore.architecture.spec import ModelSpec
from tzcore.quant.runtime import torch_session
from tzcore.quant.settings import Settings
from tzcore.quant.solver import Factored, solve
from tzcore.trits import format_named

FORWARDS = 2.0
"""Passes of the calibration tokens through every block: the original's, and the quantised one's."""
FACTOR_WORTH = 8.0
"""A product in half as many digits is this much faster than the same number of operations of a float64
Cholesky factorisation (half the rate for the digits, a quarter for the dependencies)."""
_GROUPS = 4
_SECONDS = 2.0


@dataclass(frozen=True)
class Rates:
    """What this machine does: ``weights`` fitted and ``operations`` of float32 products, each a second."""

    weights: float
    operations: float


def measure(width: int, settings: Settings, seconds: float = _SECONDS) -> Rates:
    """Time both kinds of work for about ``seconds`` in all, as ``settings`` would have it done.

    ``width`` is the model's hidden size.  MissingExtraError where torch is not installed.
    """
    with torch_session(settings.threads) as count:
        import torch

        fmt = format_named(settings.format)
        group = settings.group_for(fmt, width) or 64
        generator = torch.Generator().manual_seed(0)
        cols = min(width, _GROUPS * group)
        rows = max(16, min(width, 1024))
        weights = torch.randn(rows, cols, generator=generator)
        # The factor of a Hessian whose columns resemble one another, as activations' do.
        factor = torch.triu(torch.randn(cols, cols, generator=generator) * 0.1) + torch.eye(cols)
        factored = Factored(factor @ factor.T, factor)

        def work() -> object:
            if settings.calibrates:
                return solve(weights, factored, fmt, group, settings.effort, count)
            return trits.pack_half(weights.numpy()) if fmt.packing == "half" else trits.fit(weights.numpy(), fmt, group)

        fitted = _rate(work, rows * cols, seconds / 2)
        side = min(width, 2048)
        left, right = torch.randn(1024, side, generator=generator), torch.randn(side, side, generator=generator)
        multiplied = _rate(lambda: left @ right, 2 * 1024 * side * side, seconds / 2)
        return Rates(fitted, multiplied)


def _rate(work: Callable[[], object], amount: int, seconds: float) -> float:
    """``amount`` a second: the median of repeats, the first of which only warms up."""
    work()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return amount / float(np.median(times))


def operations(spec: ModelSpec, settings: Settings) -> float:
    """Floating-point operations of a calibrated conversion, other than the fitting of groups.

    Forward passes (two for each weight and token, and the scores), Hessians (two for each token
    and pair of columns), their factors (a third of the cube of the width), and the errors carried
    over to later groups (one for each weight and column).  An expert sees its share of the tokens.
    """
    tokens, total = float(settings.tokens), 0.0
    for layer in spec.layers:
        share = layer.router.active / len(layer.experts) if layer.router else 1.0
        total += FORWARDS * 2 * tokens * settings.window * 2 * layer.q.rows
        seen = {ref.name: share for expert in layer.experts for stage in expert.stages() for ref in stage}
        for stage in layer.stages():
            cols, reached = stage[0].cols, tokens * seen.get(stage[0].name, 1.0)
            total += 2 * reached * cols**2 + FACTOR_WORTH * cols**3 / 3
            for ref in stage:
                total += FORWARDS * 2 * reached * ref.rows * cols + ref.rows * cols**2
    return total


def seconds(spec: ModelSpec, settings: Settings, rates: Rates) -> float:
    """The forecast for a conversion with these settings."""
    weights = sum(rows * cols for rows, cols in spec.matrices().values())
    return weights / rates.weights + (operations(spec, settings) if settings.calibrates else 0.0) / rates.operations


def seconds_by_size(parameters: int, settings: Settings, rates: Rates) -> float:
    """The forecast where no more than the number of weights is known.

    In Llama's proportions a stage's Hessian takes about as many operations as its product, and the
    terms that depend on the width alone add a few per cent.
    """
    work = (2 * FORWARDS + 2) * settings.tokens * parameters if settings.calibrates else 0.0
    return parameters / rates.weights + work / rates.operations
