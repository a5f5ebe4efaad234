"""What a model will need of this machine's memory or of a card's, and the context that leaves room for.

A plan counts the stored weights (a backend maps or copies them once), the keys and values of
the whole context in their format, and the workspace of one prefill chunk.  It is made before anything
is loaded, so that a model that cannot fit is refused with the sum written out instead of
driving the machine into swap.  On a card every byte is the backend's to know
(:mod:`tzcore.backend.cuda.plan`); which context is planned for is decided here for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tzcore import hardware
from tzcore.architecture.spec import LayerSpec, ModelSpec
from tzcore.backend import cpu_memory
from tzcore.backend.cuda import plan as cuda
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.errors import DoesNotFitError, RequestError
from tzcore.hardware import in_words
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

DEFAULT_CONTEXT = 8192  # tokens; enough for a long chat, and its keys and values stay small
LEAST_CONTEXT = 256  # below this no conversation is possible, so the model counts as not fitting
LARGEST_CHUNK = 512  # tokens in one prefill call, at most
_PROCESS = 64 << 20  # interpreter, tokenizer, buffers of the server


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a model at ``context`` tokens needs; ``largest_context`` is what would fit, capped by the model.

    ``card`` is the name of the card that they are on, ``""`` for main memory; ``stored`` the format that ``kv``,
    the bytes of keys and values, are for.
    """

    weights: int
    kv: int
    workspace: int
    context: int
    largest_context: int
    available: int
    reserve: int
    card: str = ""
    stored: KeyValueFormat = F16

    @classmethod
    def of_card(cls, made: DevicePlan, stored: KeyValueFormat = F16) -> MemoryPlan:
        """The same of a card's plan, its items gathered."""
        memory = made.memory
        kv, workspace = memory.size(cuda.CONTEXT), memory.size(cuda.WORKSPACE)
        weights = memory.total - kv - workspace
        longest, budget = made.longest_context, memory.budget
        return cls(weights, kv, workspace, made.context, longest, budget, memory.reserve, memory.place, stored)

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.workspace

    @property
    def fits(self) -> bool:
        return self.missing <= 0

    @property
    def missing(self) -> int:
        """Bytes that it needs beyond what is free."""
        return self.total + self.reserve - self.available

    def sentence(self) -> str:
        """The sum, for a person."""
        return (
            f"weights {in_words(self.weights)} + context of {self.context:,} tokens{self._precision()} "
            f"{in_words(self.kv)} + "
            f"workspace {in_words(self.workspace)} = {in_words(self.total)}; "
            f"free {in_words(self.available)}, of which {in_words(self.reserve)} are kept for the system"
        )

    def _precision(self) -> str:
        return f" in {bits_in_words(self.stored)}" if self.stored.quantised else ""

    def require(self) -> None:
        """Raise DoesNotFitError, with the sum and what would help, where the plan does not fit."""
        if self.fits:
            return
        if self.largest_context >= LEAST_CONTEXT:
            advice = f"a context of {self.largest_context:,} tokens would fit (--context {self.largest_context})"
        else:
            advice = "close other programs, or use a smaller model or encoding"
        raise DoesNotFitError(f"The model does not fit into memory: {self.sentence()}; {advice}")


def bits_in_words(stored: KeyValueFormat) -> str:
    """``8 bits``; ``6 and 5 bits`` where keys and values differ."""
    if stored.key_bits == stored.value_bits:
        return f"{stored.key_bits} bits"
    return f"{stored.key_bits} and {stored.value_bits} bits"


def plan(
    weights: int,
    spec: ModelSpec,
    context: int | None = None,
    memory: hardware.Memory | None = None,
    occupied: int = 0,
    kv: KeyValueFormat = F16,
) -> MemoryPlan:
    """Plan for ``weights`` stored bytes of a model, whose keys and values are stored as ``kv``.

    ``context`` None takes the smallest of the model's own maximum, :data:`DEFAULT_CONTEXT` and
    what fits; a number asked for is kept as it is, even above the model's maximum
    (:func:`tzcore.engine.reach.beyond` says what that costs).
    ``occupied`` bytes are counted as taken although the system calls them free, as it does
    with mapped files of models that are already loaded.
    """
    _check(context)
    memory = memory or hardware.memory()
    reserve = min(1 << 30, memory.total // 20)
    available = max(0, memory.available - occupied)
    workspace = workspace_bytes(spec)
    left = available - reserve - weights - workspace
    largest = cpu_memory.longest(spec, kv, left, spec.max_context)
    if context is None:
        context = _usual(spec, largest)
    held = cpu_memory.memory_bytes(spec, context, kv)
    return MemoryPlan(weights, held, workspace, context, largest, available, reserve, stored=kv)


def context_costs(
    weights: int,
    spec: ModelSpec,
    context: int | None,
    memory: hardware.Memory | None = None,
    occupied: int = 0,
) -> list[MemoryPlan]:
    """:func:`plan` with every format of keys and values, in the order of :data:`tzcore.keyvalues.FORMATS`."""
    memory = memory or hardware.memory()
    return [plan(weights, spec, context, memory, occupied, stored) for stored in FORMATS.values()]


def plan_on_card(
    spec: ModelSpec,
    matrices: Mapping[str, MatrixEntry],
    context: int | None,
    budget: int,
    card: str,
    kv: KeyValueFormat = F16,
) -> DevicePlan:
    """Plan for a model whose matrices are stored so, in ``budget`` bytes of ``card``.

    ``context`` and ``kv`` are as for :func:`plan`.  BackendError for a model that the CUDA kernels cannot run.
    """
    _check(context)

    def made(tokens: int) -> DevicePlan:
        return cuda.plan(spec, matrices, tokens, budget, card, LARGEST_CHUNK, LEAST_CONTEXT, kv=kv)

    if context is not None:
        return made(context)
    return made(_usual(spec, made(1).longest_context))


def context_costs_on_card(
    spec: ModelSpec, matrices: Mapping[str, MatrixEntry], context: int | None, budget: int, card: str
) -> list[MemoryPlan]:
    """:func:`plan_on_card` with every format, in the order of :data:`tzcore.keyvalues.FORMATS`."""
    return [
        MemoryPlan.of_card(plan_on_card(spec, matrices, context, budget, card, stored), stored)
        for stored in FORMATS.values()
    ]


def _check(context: int | None) -> None:
    if context is not None and context < 1:
        raise RequestError(f"A context of {context} tokens is impossible")


def usual_context(spec: ModelSpec) -> int:
    """The context of somebody who asks for none, where the memory suffices."""
    return min(DEFAULT_CONTEXT, spec.max_context)


def _usual(spec: ModelSpec, largest: int) -> int:
    """The same, or what fits."""
    wanted = usual_context(spec)
    return largest if LEAST_CONTEXT <= largest < wanted else wanted


def workspace_bytes(spec: ModelSpec) -> int:
    """Activations of the largest prefill chunk in float32, one row of logits, and the process itself."""
    attention = (spec.heads + 2 * spec.kv_heads) * spec.head_dim
    row = 4 * spec.hidden + 3 * spec.intermediate + 2 * attention + max(map(_routed, spec.layers), default=0)
    return 4 * (LARGEST_CHUNK * row + 2 * spec.vocabulary) + _PROCESS


def _routed(layer: LayerSpec) -> int:
    """Numbers that each token of a layer with a router needs besides: its row in each of its experts."""
    if layer.router is None:
        return 0
    expert = layer.experts[0]
    each = 3 * expert.gate.rows + expert.gate.cols + expert.down.rows
    return expert.gate.cols + len(layer.experts) + layer.router.active * each
