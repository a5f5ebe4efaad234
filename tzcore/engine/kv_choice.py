"""Which format keys and values are stored in, and why, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.engine.plan import MemoryPlan, bits_in_words, usual_context
from tzcore.errors import BackendError
from tzcore.hardware import in_words
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat, format_named

AUTO = "auto"
AUTOMATIC = (F16, FORMATS["k8v8"], FORMATS["k6v5"], FORMATS["k4v4"])
"""What ``auto`` takes: the first with which the context fits."""

Plan = TypeVar("Plan", MemoryPlan, DevicePlan)


@dataclass(frozen=True)
class KvChoice(Generic[Plan]):
    """``plan`` is with the format ``kv``; ``reason`` says why that one, empty for what goes without saying."""

    kv: KeyValueFormat
    plan: Plan
    reason: str


def choose_kv(
    name: str, spec: ModelSpec, context: int | None, make: Callable[[int | None, KeyValueFormat], Plan]
) -> KvChoice[Plan]:
    """The format called ``name``, or for ``auto`` the best with which ``context`` tokens fit by the plans that
    ``make(context, format)`` gives.

    A ``context`` of None is the usual one.  Where ``auto`` finds that nothing fits, the plan is the smallest
    format's: of a shorter context, where none was asked for, or one that does not fit.  RequestError for an
    unknown name.
    """
    if name != AUTO:
        kv = format_named(name)
        reason = f"keys and values in {bits_in_words(kv)}, as asked for" if kv.quantised else ""
        return KvChoice(kv, make(context, kv), reason)
    wanted = usual_context(spec) if context is None else context
    full = make(wanted, F16)
    if full.fits:
        return KvChoice(F16, full, "")
    because = f"because 16 bits would need {in_words(_missing(full))} more than is free"
    chosen, made = F16, full
    for kv in AUTOMATIC[1:]:
        try:
            chosen, made = kv, make(wanted, kv)
        except BackendError:  # these kernels store no smaller ones
            break
        if made.fits:
            break
    if context is None and not made.fits:
        made = make(None, chosen)
    reason = f"keys and values in {bits_in_words(chosen)}, {because}" if chosen.quantised else ""
    return KvChoice(chosen, made, reason)


def _missing(plan: MemoryPlan | DevicePlan) -> int:
    if isinstance(plan, MemoryPlan):
        return plan.missing
    return plan.memory.total + plan.memory.reserve - plan.memory.budget
