"""Where a model is to run: the backend, why that one, and the memory that it will take there."""

from __future__ import annotations

from dataclasses import dataclass

from tzcore import hardware
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import Backend
from tzcore.backend.cuda.backend import CudaBackend
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.backend.select import select
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.kv_choice import AUTO, KvChoice, choose_kv
from tzcore.engine.plan import MemoryPlan, plan, plan_on_card
from tzcore.errors import DoesNotFitError
from tzcore.hardware import in_words
from tzcore.keyvalues import KeyValueFormat


@dataclass(frozen=True)
class Neighbours:
    """Models that are open beside: bytes of main memory that they have mapped (``occupied``; the system calls
    them free), and bytes of a card that the unused ones would give back (``reclaimable``)."""

    occupied: int = 0
    reclaimable: int = 0


@dataclass(frozen=True)
class Placement:
    """``reason`` says in words why ``backend`` was taken, and why keys and values are stored as ``kv``."""

    backend: Backend
    reason: str
    memory: MemoryPlan

    @property
    def kv(self) -> KeyValueFormat:
        return self.memory.stored


def place(
    folder: ModelFolder,
    spec: ModelSpec,
    backend: str = "auto",
    context: int | None = None,
    neighbours: Neighbours | None = None,
    kv: str = AUTO,
) -> Placement:
    """Decide for the model in ``folder``.  Nothing is loaded.

    ``backend`` is a name for :func:`tzcore.backend.select.select`, ``context`` as for
    :func:`tzcore.engine.plan.plan`, ``kv`` as for :func:`tzcore.engine.kv_choice.choose_kv`.
    DoesNotFitError where the memory does not suffice, there or
    anywhere; BackendError where a backend that was named is not there.
    """
    beside = neighbours or Neighbours()
    tried: list[KvChoice[DevicePlan]] = []

    def fit(budget: int, card: str) -> DevicePlan:
        def on_card(tokens: int | None, stored: KeyValueFormat) -> DevicePlan:
            return plan_on_card(spec, folder.quantization.matrices, tokens, budget, card, stored)

        tried.append(choose_kv(kv, spec, context, on_card))
        return tried[-1].plan

    chosen, reason = select(backend, fit, beside.reclaimable)
    if isinstance(chosen, CudaBackend) and chosen.plan is not None:
        _require_main_memory(chosen.plan.host)
        stored = next(choice for choice in tried if choice.plan is chosen.plan)
        return Placement(chosen, _joined(reason, stored.reason), MemoryPlan.of_card(chosen.plan, stored.kv))

    def in_main_memory(tokens: int | None, stored: KeyValueFormat) -> MemoryPlan:
        return plan(folder.bytes(), spec, tokens, occupied=beside.occupied, kv=stored)

    here = choose_kv(kv, spec, context, in_main_memory)
    here.plan.require()
    return Placement(chosen, _joined(reason, here.reason), here.plan)


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _require_main_memory(needed: int) -> None:
    """The embedding is pinned: memory that the system cannot take back."""
    free = hardware.memory().available
    if needed > free:
        raise DoesNotFitError(
            f"The model's embedding stays in main memory and takes {in_words(needed)} there; {in_words(free)} are "
            "free: close other programs"
        )
