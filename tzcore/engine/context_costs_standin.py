"""Stand-in until plans know the formats of keys and values: their bytes are taken from those at half precision.

To be replaced by ``context_costs`` and ``plan_on_card(…, kv)`` of :mod:`tzcore.engine.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tzcore import hardware
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.engine.plan import MemoryPlan, plan, plan_on_card
from tzcore.keyvalues import FORMATS


def context_costs(
    weights: int, spec: ModelSpec, context: int, memory: hardware.Memory | None = None, occupied: int = 0
) -> list[MemoryPlan]:
    """In main memory."""
    return _in_formats(spec, plan(weights, spec, context, memory, occupied))


def context_costs_on_card(
    spec: ModelSpec, matrices: Mapping[str, MatrixEntry], context: int, budget: int, card: str
) -> list[MemoryPlan]:
    """On ``card``, in ``budget`` bytes."""
    return _in_formats(spec, MemoryPlan.of_card(plan_on_card(spec, matrices, context, budget, card)))


def _in_formats(spec: ModelSpec, half: MemoryPlan) -> list[MemoryPlan]:
    made = []
    for stored in FORMATS.values():
        kv = round(half.kv * stored.bits(spec.head_dim) / 16)
        left = half.available - half.reserve - half.weights - half.workspace
        longest = max(0, min(spec.max_context, left * half.context // max(1, kv)))
        made.append(replace(half, kv=kv, largest_context=longest))
    return made
