"""What a context costs: the memory of a model at so many tokens, in each format of keys and values.

For whoever chooses before the model is opened; nothing is loaded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tzcore import hardware
from tzcore.architecture import registry
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.backend import CudaBackend
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.backend.select import select
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.kv_choice import AUTOMATIC
from tzcore.engine.placement import Neighbours
from tzcore.engine.plan import LEAST_CONTEXT, MemoryPlan, context_costs, plan, plan_on_card
from tzcore.errors import BackendError
from tzcore.keyvalues import FORMATS, KeyValueFormat


@dataclass(frozen=True)
class Costs:
    """The plans at ``context`` tokens, by format; the model was made for ``max_context``."""

    context: int
    max_context: int
    plans: tuple[tuple[KeyValueFormat, MemoryPlan], ...]

    @property
    def automatic(self) -> KeyValueFormat:
        """What ``auto`` takes: the first of its formats with which the context fits, else the smallest."""
        usual = [(stored, made) for stored, made in self.plans if stored in AUTOMATIC]
        return next((stored for stored, made in usual if made.fits), usual[-1][0])


def costs(
    path: Path,
    backend: str = "auto",
    context: int | None = None,
    neighbours: Neighbours | None = None,
    held: MemoryPlan | None = None,
) -> Costs:
    """For the model folder ``path``, where it would run.

    ``context`` None is what the model gets when nothing is asked for; ``held`` is what the model has already,
    and would give back to be opened anew.  CheckpointError for a broken folder.
    """
    beside = neighbours or Neighbours()
    folder = ModelFolder.open(path)
    try:
        spec = registry.spec_of(folder)
        matrices = folder.quantization.matrices
        returned = beside.reclaimable + (held.total if held is not None and held.card else 0)

        def fit(budget: int, card: str) -> DevicePlan:
            return plan_on_card(spec, matrices, LEAST_CONTEXT, budget + returned, card)

        chosen, _ = select(backend, fit)
        if isinstance(chosen, CudaBackend):
            budget, card = chosen.place.budget + returned, chosen.place.card.name
            context = context or plan_on_card(spec, matrices, None, budget, card).context
            on_card = []
            for stored in FORMATS.values():
                with suppress(BackendError):  # these kernels do not store it
                    made = plan_on_card(spec, matrices, context, budget, card, stored)
                    on_card.append(MemoryPlan.of_card(made, stored))
            return _of(spec, context, on_card)
        memory = hardware.memory()
        if held is not None and not held.card:
            memory = replace(memory, available=min(memory.total, memory.available + held.kv + held.workspace))
        context = context or plan(folder.bytes(), spec, None, memory, beside.occupied).context
        return _of(spec, context, context_costs(folder.bytes(), spec, context, memory, beside.occupied))
    finally:
        folder.close()


def _of(spec: ModelSpec, context: int, plans: list[MemoryPlan]) -> Costs:
    return Costs(context, spec.max_context, tuple((made.stored, made) for made in plans))
