"""What a model will need of this machine's memory or of a card's, and the context that leaves room for.

A plan counts the stored weights (a backend maps or copies them once), the keys and values of
the whole context at fp16, and the workspace of one prefill chunk.  It is made before anything
is loaded, so that a model that cannot fit is refused with the sum written out instead of
driving the machine into swap.  On a card every byte is the backend's to know
(:mod:`tzcore.backend.cuda.plan`); which context is planned for is decided here for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tzcore import hardware
from tzcore.architecture.spec import LayerSpec, ModelSpec
from tzcore.backend.cuda import plan as cuda
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.errors import DoesNotFitError, RequestError
from tzcore.hardware import in_words

DEFAULT_CONTEXT = 8192  # tokens; enough for a long chat, and its keys and values stay small
LEAST_CONTEXT = 256  # below this no conversation is possible, so the model counts as not fitting
LARGEST_CHUNK = 512  # tokens in one prefill call, at most
_PROCESS = 64 << 20  # interpreter, tokenizer, buffers of the server


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a model at ``context`` tokens needs; ``largest_context`` is what would fit, capped by the model.

    ``card`` is the name of the card that they are on, ``""`` for main memory.
    """

    weights: int
    kv: int
    workspace: int
    context: int
    largest_context: int
    available: int
    reserve: int
    card: str = ""

    @classmethod
    def of_card(cls, made: DevicePlan) -> MemoryPlan:
        """The same of a card's plan, its items gathered."""
        memory = made.memory
        kv, workspace = memory.size(cuda.CONTEXT), memory.size(cuda.WORKSPACE)
        weights = memory.total - kv - workspace
        longest, budget = made.longest_context, memory.budget
        return cls(weights, kv, workspace, made.context, longest, budget, memory.reserve, memory.place)

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.workspace

    @property
    def fits(self) -> bool:
        return self.total <= self.available - self.reserve

    def sentence(self) -> str:
        """The sum, for a person."""
        return (
            f"weights {in_words(self.weights)} + context of {self.context:,} tokens {in_words(self.kv)} + "
            f"workspace {in_words(self.workspace)} = {in_words(self.total)}; "
            f"free {in_words(self.available)}, of which {in_words(self.reserve)} are kept for the system"
        )

    def require(self) -> None:
        """Raise DoesNotFitError, with the sum and what would help, where the plan does not fit."""
        if self.fits:
            return
        if self.largest_context >= LEAST_CONTEXT:
            advice = f"a context of {self.largest_context:,} tokens would fit (--context {self.largest_context})"
        else:
            advice = "close other programs, or use a smaller model or encoding"
        raise DoesNotFitError(f"The model does not fit into memory: {self.sentence()}; {advice}")


def plan(
    weights: int,
    spec: ModelSpec,
    context: int | None = None,
    memory: hardware.Memory | None = None,
    occupied: int = 0,
) -> MemoryPlan:
    """Plan for ``weights`` stored bytes of a model.

    ``context`` None takes the smallest of the model's own maximum, :data:`DEFAULT_CONTEXT` and
    what fits; a number asked for is kept as it is (above the model's maximum: RequestError).
    ``occupied`` bytes are counted as taken although the system calls them free, as it does
    with mapped files of models that are already loaded.
    """
    _check(context, spec)
    memory = memory or hardware.memory()
    reserve = min(1 << 30, memory.total // 20)
    available = max(0, memory.available - occupied)
    workspace = _workspace(spec)
    left = available - reserve - weights - workspace
    per_token = max(1, spec.kv_bytes_per_token())
    largest = max(0, min(spec.max_context, left // per_token))
    if context is None:
        context = _usual(spec, largest)
    return MemoryPlan(weights, per_token * context, workspace, context, largest, available, reserve)


def plan_on_card(
    spec: ModelSpec, matrices: Mapping[str, MatrixEntry], context: int | None, budget: int, card: str
) -> DevicePlan:
    """Plan for a model whose matrices are stored so, in ``budget`` bytes of ``card``.

    ``context`` is as for :func:`plan`.  BackendError for a model that the CUDA kernels cannot run.
    """
    _check(context, spec)
    first = cuda.plan(spec, matrices, context or 1, budget, card, LARGEST_CHUNK, LEAST_CONTEXT)
    if context is not None:
        return first
    usual = _usual(spec, first.longest_context)
    return cuda.plan(spec, matrices, usual, budget, card, LARGEST_CHUNK, LEAST_CONTEXT)


def _check(context: int | None, spec: ModelSpec) -> None:
    if context is not None and context < 1:
        raise RequestError(f"A context of {context} tokens is impossible")
    if context is not None and context > spec.max_context:
        raise RequestError(f"The model was made for at most {spec.max_context:,} tokens of context, not {context:,}")


def _usual(spec: ModelSpec, largest: int) -> int:
    """The context of somebody who asks for none."""
    wanted = min(DEFAULT_CONTEXT, spec.max_context)
    return largest if LEAST_CONTEXT <= largest < wanted else wanted


def _workspace(spec: ModelSpec) -> int:
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
