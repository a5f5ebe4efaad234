"""Layers of experts: each token's vector goes through the few matrices that its router chooses.

A *slot* is one of the ``active`` experts of a token.  A product of slots finds its matrix in a table of
all experts on the card, so that one launch serves whatever the router chose.  Experts whose formats
differ have a table each; a kernel passes over the slots that are another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.spec import LayerSpec
from tzcore.backend.cuda import products
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.layout import Shape
from tzcore.backend.cuda.products import WARPS, Form, Stage
from tzcore.backend.cuda.workspace import FEW, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tzcore.backend.cuda.network import Network, Step


@dataclass(frozen=True)
class RoutedPart:
    """Columns ``column`` … of the output, from the matrix of ``shape`` that ``table`` names for the slot's expert."""

    table: int
    shape: Shape
    column: int


@dataclass(frozen=True)
class RoutedStage:
    """As :class:`tzcore.backend.cuda.products.Stage`, of all experts."""

    cols: int
    width: int
    splits: int
    inputs: tuple[tuple[Form, tuple[RoutedPart, ...]], ...]


@dataclass(frozen=True)
class ExpertStages:
    """A layer's router, and its experts' products."""

    router: Stage
    gate_up: RoutedStage
    down: RoutedStage


def routed(
    stages: Sequence[Stage], active: int, processors: int, put: Callable[[npt.NDArray[np.uint64]], int]
) -> RoutedStage:
    """One stage of what every expert has one of; ``put`` brings a table to the card."""
    tables: dict[tuple[Form, Shape, int], npt.NDArray[np.uint64]] = {}
    for number, stage in enumerate(stages):
        for form, parts in stage.inputs:
            for part in parts:
                key = (form, part.matrix.shape, part.column)
                table = tables.setdefault(key, np.zeros((len(stages), 3), np.uint64))
                table[number] = (part.matrix.codes, part.matrix.scales, part.matrix.gains)
    forms = dict.fromkeys(form for form, _, _ in tables)
    made = {form: [RoutedPart(put(table), shape, column) for (f, shape, column), table in tables.items() if f == form]
            for form in forms}  # fmt: skip
    # A decoded token keeps as many matrices busy as it has experts.
    shapes = [part.matrix.shape for _, parts in stages[0].inputs for part in parts] * active
    splits = products.splits_for(shapes, processors)
    return RoutedStage(stages[0].cols, stages[0].width, splits, tuple((form, tuple(made[form])) for form in forms))


def multiply(
    kernels: Kernels,
    work: Workspace,
    parts: Sequence[RoutedPart],
    stage: RoutedStage,
    tokens: int,
    active: int,
    own: bool,
) -> int:
    """Launch the products of a prepared input, one row a slot (``own``) or a token; how many splits were written."""
    splits = stage.splits if tokens <= FEW else 1
    for part in parts:
        shape = part.shape
        inputs = (part.table, work["chosen"], work["codes"], work["factors"], work["parts"])
        layout = (shape.rows, shape.steps, shape.tail, shape.fmt.zero)
        grid = (-(-shape.tiles // WARPS), splits, tokens * active)
        file = f"product_routed_{shape.kind.name}"
        place = (active, int(own), stage.width, part.column)
        kernels.launch(file, grid, 32 * WARPS, (*inputs, *layout, *place), name=f"{file}_g{shape.group}")
    return splits


def run(network: Network, stages: ExpertStages, layer: LayerSpec, step: Step, waiting: tuple[int, int, int]) -> None:
    """A layer's MLP, added to x.  ``waiting``: splits, bias and norm of the sums that attention left."""
    assert layer.router is not None
    work, kernels, tokens, active = network.work, network.kernels, step.tokens, layer.router.active
    norm = network.vector(layer.mlp_norm)
    splits = network.enter(stages.router, tokens, waiting, norm)
    count = len(layer.experts)
    arguments = (work["parts"], splits, tokens, count, active, int(layer.router.normalise))
    kernels.launch("route", (tokens, 1, 1), 128, (*arguments, work["chosen"], work["shares"]))

    made = 0
    for form, parts in stages.gate_up.inputs:
        network.norm(form, tokens, (0, 0, 0), norm, stages.gate_up.cols)
        made = multiply(kernels, work, parts, stages.gate_up, tokens, active, own=False)
    down, gated = stages.down, network.gated(made, layer.experts[0])
    sub_norm = network.vector(layer.mlp_sub_norm)
    for _, parts in network.prepared(down.inputs, down.cols, tokens * active, "gate_prepare", gated, sub_norm):
        splits = multiply(kernels, work, parts, down, tokens, active, own=True)
    hidden = network.spec.hidden
    kernels.launch(
        "mix", (-(-hidden // 256), tokens, 1), 256,
        (work["parts"], splits, tokens, active, hidden, work["shares"], work["mixed"]),
    )  # fmt: skip
    network.add("mixed", network.vector(layer.post_mlp_norm), tokens)


def names(stages: ExpertStages) -> list[tuple[str, str]]:
    """File and name of the kernels that :func:`run` launches besides those of every model."""
    found = [("route", "route"), ("mix", "mix")]
    for stage in (stages.gate_up, stages.down):
        for part in (part for _, parts in stage.inputs for part in parts):
            file = f"product_routed_{part.shape.kind.name}"
            found.append((file, f"{file}_g{part.shape.group}"))
    return list(dict.fromkeys(found))
