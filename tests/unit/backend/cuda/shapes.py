"""Shapes for tests of plans: real ones and small ones, with how their matrices are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.engine.scripted_model import spec
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import Expert, MatrixRef, ModelSpec, Router
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.hub.formats.synthetic_shapes import configuration
from tzcore.trits import FORMATS


class EveryName(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return not str(name).startswith("language_model.")


def shape(name: str, **changes: Any) -> ModelSpec:
    """The shape of a real model."""
    config, _ = configuration(name, None)
    return replace(read_spec(config, EveryName()), **changes)


def routed(experts: int = 9, active: int = 4) -> ModelSpec:
    """A small model whose first layer has experts."""
    dense = spec()
    shapes = (("gate_proj", 96, 64), ("up_proj", 96, 64), ("down_proj", 64, 96))
    made = tuple(
        Expert(*(MatrixRef(f"model.layers.0.mlp.experts.{i}.{n}", 0, rows, cols) for n, rows, cols in shapes))
        for i in range(experts)
    )
    router = Router(MatrixRef("model.layers.0.mlp.gate", 0, experts, 64), active, True)
    layer = replace(dense.layers[0], experts=made, router=router)
    return replace(dense, layers=(layer, *dense.layers[1:]))


def stored(spec: ModelSpec, fmt: str = "t1", ends: str = "i8", rotated: bool = True) -> dict[str, MatrixEntry]:
    """Every matrix in one format, embedding and head in another, routers as halves."""
    tables, routers = {spec.embedding.name, spec.head.name}, {ref.name for ref in spec.routers()}
    found = {}
    for name, (rows, cols) in spec.matrices().items():
        chosen = FORMATS["f16" if name in routers else ends if name in tables else fmt]
        turns = rotated and name not in tables | routers
        turned = Transform(min(cols & -cols, 4096), f"{name}.signs") if turns else None
        found[name] = MatrixEntry(name, rows, cols, chosen, 0 if chosen.packing == "half" else 128, turned)
    return found
