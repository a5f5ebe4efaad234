"""How long a conversion will take on this machine, from two seconds of the same work on the device it would take.

A conversion transforms, fits, packs and reads back every weight once (so many a second, whatever the
model) and multiplies matrices (everything else).  The probe times both on random matrices of the
model's widths; the forecast is

    seconds = weights / fit rate + operations / product rate

with the operations counted from the model's shape by :func:`operations`.  (Cards for games factor in
float64 slower than that assumes: a wide model takes longer there than foreseen.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tzcore import trits
from tzcore.architecture.spec import ModelSpec
from tzcore.quant import choice, rotation, sensitivity, simulation
from tzcore.quant.device import find
from tzcore.quant.runtime import torch_session
from tzcore.quant.settings import Settings
from tzcore.quant.solver import Factored, dequantised, relative_error, solve
from tzcore.trits import format_named

if TYPE_CHECKING:
    import torch

FACTOR_WORTH = 8.0
"""A product in half as many digits is this much faster than the same number of operations of a float64
Cholesky factorisation (half the rate for the digits, a quarter for the dependencies)."""
BACKWARD = 4.0
"""Products that a gradient through a block costs: one forward to keep its inputs, one again where they are
needed, and on the way back one for the inputs and one for the weights."""
_GROUPS = 4
_SECONDS = 2.0


@dataclass(frozen=True)
class Rates:
    """What this machine does: ``weights`` converted and ``operations`` of float32 products, each a second.
    ``device`` is where, for a person."""

    weights: float
    operations: float
    device: str = "the CPU"


def measure(width: int, settings: Settings, seconds: float = _SECONDS) -> Rates:
    """Time both kinds of work for about ``seconds`` in all, as ``settings`` would have it done.

    ``width`` is the model's hidden size.  MissingExtraError where torch is not installed, RequestError
    for a device that is not there.
    """
    device = find(settings.device)
    with torch_session(settings.threads, device) as count:
        import torch

        fmt = format_named(settings.format)
        group = settings.group_for(fmt, width) or 64
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator, device="cpu").to(device.name)

        cols = min(width, _GROUPS * group)
        rows = max(16, min(width, 1024))
        weights = random(rows, cols)
        # The factor of a Hessian whose columns resemble one another, as activations' do.
        factor = torch.triu(random(cols, cols) * 0.1) + torch.eye(cols)
        factored = Factored(factor @ factor.T, factor)

        signs, block = torch.ones(cols), rotation.block_for(cols)

        def work() -> None:
            """What happens to every matrix: transformed, fitted, packed, and read back for what follows."""
            if fmt.packing == "half":
                trits.pack_half(weights.cpu().numpy())
            elif not settings.calibrates:
                trits.pack(trits.fit(weights.cpu().numpy(), fmt, group)[0], fmt)
            else:
                turned = rotation.rotate(weights, signs, block)
                codes, scales = solve(turned, factored, fmt, group, settings.effort, count)
                stored = dequantised(trits.unpack(trits.pack(codes, fmt), fmt, rows, cols), scales, group)
                relative_error(weights, rotation.unrotate(stored, signs, block), factored.hessian)

        fitted = _rate(work, rows * cols, seconds / 2)
        side = min(width, 2048)
        left, right = random(1024, side), random(side, side)
        # Reading a number waits for the card.
        multiplied = _rate(lambda: float((left @ right)[0, 0]), 2 * 1024 * side * side, seconds / 2)
        return Rates(fitted, multiplied, device.words)


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
    """Floating-point operations of a calibrated conversion, other than the fitting of groups and
    what goes with it."""
    total = _blocks(spec, settings)
    if settings.tunes:
        tuning = settings.tuning
        tokens = float(min(tuning.tokens, settings.tokens) * tuning.passes)
        total += BACKWARD * _forward(spec, settings, tokens) + 3 * _head(spec, tokens)
    return total + (_choice(spec, settings) if settings.request is not None else 0.0)


def _shares(spec: ModelSpec) -> dict[str, float]:
    """The share of the tokens that reaches a matrix, where that is not all of them: experts."""
    return {
        ref.name: layer.router.active / len(layer.experts)
        for layer in spec.layers
        if layer.router
        for expert in layer.experts
        for stage in expert.stages()
        for ref in stage
    }


def _forward(spec: ModelSpec, settings: Settings, tokens: float) -> float:
    """One pass through all blocks: two operations for each weight and token, and the scores and their sums."""
    shares = _shares(spec)
    products = sum(
        2 * tokens * shares.get(ref.name, 1.0) * ref.rows * ref.cols
        for layer in spec.layers
        for stage in layer.stages()
        for ref in stage
    )
    return products + sum(2 * 2 * tokens * settings.window * layer.q.rows for layer in spec.layers)


def _head(spec: ModelSpec, tokens: float) -> float:
    return 2 * tokens * spec.head.rows * spec.head.cols


def _blocks(spec: ModelSpec, settings: Settings) -> float:
    """Both streams forward; of each stage the moments of its inputs with themselves and with their error (two
    operations for a token and pair of columns each), the factor (a third of the cube of the width) and the two
    triangular systems behind the correction; of each matrix its target (two for each weight and
    column) and the errors carried over to later groups (one)."""
    tokens, shares = float(settings.tokens), _shares(spec)
    total = 2 * _forward(spec, settings, tokens)
    for layer in spec.layers:
        for stage in layer.stages():
            cols, reached = stage[0].cols, tokens * shares.get(stage[0].name, 1.0)
            total += 4 * reached * cols**2 + (FACTOR_WORTH / 3 + 2) * cols**3
            total += sum(3 * ref.rows * cols**2 for ref in stage)
    return total


def _choice(spec: ModelSpec, settings: Settings) -> float:
    """What a budget adds: sensitivities (gradients by the inputs alone, one product less; moments and factors
    once more) and the candidates that are tried out."""
    tokens = float(min(sensitivity.WINDOWS * settings.window, settings.tokens))
    shares = _shares(spec)
    total = (BACKWARD - 1) * _forward(spec, settings, tokens) + 2 * _head(spec, tokens)
    for stage in (stage for layer in spec.layers for stage in layer.stages()):
        cols, reached = stage[0].cols, tokens * shares.get(stage[0].name, 1.0)
        total += 2 * reached * cols**2 + FACTOR_WORTH * cols**3 / 3
    tried = float(simulation.WINDOWS * settings.window)
    return total + (choice.SWAPS + 2) * (_forward(spec, settings, tried) + _head(spec, tried))


def seconds(spec: ModelSpec, settings: Settings, rates: Rates) -> float:
    """The forecast for a conversion with these settings."""
    weights = sum(rows * cols for rows, cols in spec.matrices().values())
    return weights / rates.weights + (operations(spec, settings) if settings.calibrates else 0.0) / rates.operations


def phases(spec: ModelSpec, settings: Settings, rates: Rates) -> dict[str, float]:
    """:func:`seconds`, parted into what the phases ``"measure"``, ``"convert"`` and ``"tune"`` take."""
    weights = sum(rows * cols for rows, cols in spec.matrices().values())
    found = {"convert": weights / rates.weights}
    if settings.calibrates:
        found["convert"] += _blocks(spec, settings) / rates.operations
        if settings.request is not None:
            found["measure"] = _choice(spec, settings) / rates.operations
        if settings.tunes:
            found["tune"] = (operations(spec, settings) - _blocks(spec, settings)) / rates.operations
            found["tune"] -= found.get("measure", 0.0)
    return found


def seconds_by_size(parameters: int, settings: Settings, rates: Rates) -> float:
    """The forecast where no more than the number of weights is known.

    In Llama's proportions the two moments of a stage take about as many operations as the products of
    both streams, and the terms that depend on the width alone add a few per cent.
    """
    work = 8.0 * settings.tokens * parameters if settings.calibrates else 0.0
    if settings.tunes:
        work += 2 * BACKWARD * min(settings.tuning.tokens, settings.tokens) * settings.tuning.passes * parameters
    return parameters / rates.weights + work / rates.operations
