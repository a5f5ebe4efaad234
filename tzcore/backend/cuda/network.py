"""The forward pass as launches: one list for any number of tokens, read in the order of the model.

Per layer: norm and preparation, q k v, rotation and cache, attention, its preparation, o; norm and
preparation, gate and up, activation, down.  Everything a launch depends on is an address or a number of
the model, or one of :class:`Step`; tokens, positions and page table are read from the card, so that a
captured list serves every step of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tzcore.architecture.spec import Expert, LayerSpec, ModelSpec
from tzcore.backend.cuda import experts, products
from tzcore.backend.cuda.contents import KeyValuePools
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.loaded import Loaded
from tzcore.backend.cuda.pages import PAGE, padded_head
from tzcore.backend.cuda.products import GROUPS, NOTHING, PLAIN, Form, Stage
from tzcore.backend.cuda.workspace import FEW, HEADER, KEY_SPLITS, Workspace
from tzcore.keyvalues import block_of

PREPARE_THREADS = 512
_ACTIVATIONS = {"silu": 0, "gelu_tanh": 1, "relu2": 2}
_SEGMENT = 4096
"""Columns that a block of ``embed`` makes."""
_QUERIES = {"few": 16, "several": 32, "many": 64}
"""Queries of a block of attention."""
_SEVERAL_HEADS = (64, 96, 128)
"""Widths of heads that the kernel for several queries has; it gives the bits that the one for few gives.  Of keys and
values as codes there is none: their halves are made in registers, which leaves none for more queries."""


Parts = TypeVar("Parts")
Waiting = tuple[int, int, int]
"""Sums in ``parts`` that are not added to x yet: their splits (0: there are none), bias and norm."""
NONE: Waiting = (0, 0, 0)


@dataclass(frozen=True)
class Step:
    """The shape of one call.  ``split_keys`` and ``key_splits`` cut the keys for few tokens; logits are made of
    the ``logits`` last tokens."""

    tokens: int
    split_keys: int
    key_splits: int
    logits: int

    @property
    def few(self) -> bool:
        return self.tokens <= FEW


def split_keys(position: int) -> int:
    """Keys of a split for the token at ``position``: the fewest that :data:`KEY_SPLITS` splits reach it with.

    It depends on nothing but the position, so that a token's bits do not depend on its neighbours.
    """
    size = PAGE
    while position >= size * KEY_SPLITS:
        size *= 2
    return size


def step_for(first: int, tokens: int, logits: int, chunk: int) -> Step:
    """The shape of a call with ``tokens`` of at most ``chunk`` tokens from position ``first`` on.

    Few tokens have the same :func:`split_keys`, or the caller cuts them there.  The fewer tokens a prompt has, the
    more splits of the keys keep the processors busy, and the more there is room for.
    """
    last = first + tokens - 1
    if tokens > FEW:
        pages = last // PAGE + 1
        share = -(-pages // max(1, min(KEY_SPLITS, chunk // tokens)))
        return Step(tokens, share * PAGE, -(-pages // share), logits)
    size = split_keys(first)
    needed = last // size + 1
    return Step(tokens, size, 1 << (needed - 1).bit_length(), logits)


class Network:
    """The launches of one model.  All methods queue work on the kernels' stream."""

    def __init__(
        self, spec: ModelSpec, loaded: Loaded, work: Workspace, pools: KeyValuePools, kernels: Kernels,
        table_numbers: int,
    ) -> None:  # fmt: skip
        """A page table and what is in front of it are ``table_numbers`` numbers."""
        self.spec, self.work, self.kernels = spec, work, kernels
        self._loaded, self._pools, self._table_numbers = loaded, pools, table_numbers
        self._head_dim = padded_head(spec.head_dim)
        self._form = f"_{pools.kv.name}" if pools.kv.quantised else ""
        self._several = not pools.kv.quantised and self._head_dim in _SEVERAL_HEADS

    def run(self, step: Step) -> None:
        """Tokens at ``tokens``, positions at ``positions``: keys and values appended, logits of the last made."""
        self._embed(step.tokens)
        self._angles(step.tokens)
        waiting = NONE
        for number, layer in enumerate(self.spec.layers):
            splits = self._attention(number, layer, step, waiting)
            waiting = (splits, self.vector(layer.o_bias), self.vector(layer.post_attention_norm))
            waiting = self._mlp(number, layer, step, waiting)
        if step.logits:
            self._logits(step, waiting)

    def fetch(self) -> None:
        """Load every kernel that :meth:`run` may launch: nothing is loaded while a list is captured."""
        for form, part in self._loaded.products():
            for file, name in products.names(form, part):
                self.kernels.get(file, name)
        for file in ("embed", "rope_angles", "norm_prepare", "gate_prepare", "merge_prepare", f"qkv{self._form}",
                     "finish_logits", "penalise", "choose"):  # fmt: skip
            self.kernels.get(file)
        for name in ("few", "several", "many"):
            if name != "several" or self._several:
                self.kernels.get(f"attend_{name}_d{self._head_dim}{self._form}")
        for file, kernel in self._loaded.routed():
            self.kernels.get(file, kernel)

    # --- one stage after the other ---------------------------------------------------------------

    def _embed(self, tokens: int) -> None:
        e, spec, work = self._loaded.embedding, self.spec, self.work
        entry = e.stored.entry
        half = e.stored.scales is None
        kind = ("slots2", "slots4", "slots8", "base3", "base9", "half").index(self._loaded.embedding_kind)
        tile_bytes = e.stored.codes.nbytes // len(e.stored.codes)
        groups = 1 if e.stored.scales is None else e.stored.scales.shape[1]
        form = self._loaded.transform(entry)
        shape = (kind, entry.format.zero, spec.hidden, tile_bytes, groups, entry.group or 1)
        factor = entry.gain * spec.embedding_scale
        arguments = (e.buffer.address, 0 if half else e.scales, e.places, *form, *shape, factor)
        grid = (-(-spec.hidden // _SEGMENT), tokens, 1)
        self.kernels.launch("embed", grid, 256, (*arguments, work["tokens"], work["x"]))

    def _angles(self, tokens: int) -> None:
        for rope, frequencies, angles in self._loaded.ropes(self.work["angles"]):
            half = len(rope.inverse_frequencies)
            arguments = (frequencies, half, float(rope.scale), self.work["positions"], angles)
            self.kernels.launch("rope_angles", (tokens, 1, 1), -(-half // 32) * 32, arguments)

    def _attention(self, number: int, layer: LayerSpec, step: Step, waiting: Waiting) -> int:
        """The splits of the sums of the o product."""
        spec, work, tokens, stages = self.spec, self.work, step.tokens, self._loaded.layers[number]
        splits = self.enter(stages.qkv, tokens, waiting, self.vector(layer.input_norm))
        angles, half = 0, 0
        if layer.rope is not None:
            rope, _, angles = self._loaded.ropes(work["angles"])[layer.rope]
            half = len(rope.inverse_frequencies)
        heads = (spec.heads, spec.kv_heads, spec.head_dim, self._head_dim)
        biases = tuple(self.vector(name) for name in (layer.q_bias, layer.k_bias, layer.v_bias))
        norms = tuple(self.vector(name) for name in (layer.q_norm, layer.k_norm))
        pools = self._pools
        table = work["page_table"] + 4 * (HEADER + pools.group_of[number] * self._table_numbers)
        second = (pools.recent[number], pools.slots) if pools.kv.quantised else (pools.values[number],)
        where = (work["q"], pools.keys[number], *second, table, work["positions"])
        eps, offset = float(spec.norm_eps), float(spec.norm_offset)
        sums = (work["parts"], splits, stages.qkv.width)
        self.kernels.launch(
            f"qkv{self._form}", (spec.heads + 2 * spec.kv_heads, tokens, 1), 128,
            (*sums, *biases, *norms, eps, offset, angles, half, tokens, *heads, *where),
        )  # fmt: skip

        queries = tokens * (spec.heads // spec.kv_heads)
        several = queries > _QUERIES["few"] and self._several
        name = ("several" if several else "few") if step.few else "many"
        blocks = -(-queries // _QUERIES[name])
        grid = (spec.kv_heads, step.key_splits, blocks) if step.few else (blocks, spec.kv_heads, step.key_splits)
        scale, cap, window = float(spec.attention_scale), float(spec.attention_softcap or 0.0), layer.window or 0
        arguments = (*where, tokens, spec.heads, spec.kv_heads, scale, cap, window, step.split_keys)
        outputs = (work["acc"], work["stats"])
        self.kernels.launch(f"attend_{name}_d{self._head_dim}{self._form}", grid, 128, (*arguments, *outputs))
        merged = (*outputs, step.key_splits, 0, work["positions"], step.split_keys)
        turned = block_of(spec.head_dim) if pools.kv.quantised else 1
        shape = (window, spec.heads, spec.head_dim, self._head_dim, turned)
        sub_norm = self.vector(layer.attention_sub_norm)
        return self._through(stages.o, tokens, "merge_prepare", (*merged, *shape), sub_norm)

    def _mlp(self, number: int, layer: LayerSpec, step: Step, waiting: Waiting) -> Waiting:
        mlp, tokens, expert = self._loaded.layers[number].mlp, step.tokens, layer.experts[0]
        if isinstance(mlp, experts.ExpertStages):
            experts.run(self, mlp, layer, step, waiting)
            return NONE
        splits = self.enter(mlp.gate_up, tokens, waiting, self.vector(layer.mlp_norm))
        gated, norm = self.gated(splits, expert), self.vector(layer.mlp_sub_norm)
        splits = self._through(mlp.down, tokens, "gate_prepare", gated, norm)
        return splits, self.vector(expert.down_bias), self.vector(layer.post_mlp_norm)

    def _logits(self, step: Step, waiting: Waiting) -> None:
        spec, work, stage, norm = self.spec, self.work, self._loaded.head, self.vector(self.spec.final_norm)
        first, rows = step.tokens - step.logits, step.logits
        for form, parts in stage.inputs:
            self.norm(form, rows, waiting, norm, stage.cols, skip=first, of=step.tokens)
            waiting = NONE
            made = products.multiply(self.kernels, work, form, parts, stage, rows)
        cap = float(spec.logit_softcap or 0.0)
        shape = (made, rows, spec.vocabulary, float(spec.logit_multiplier), cap)
        grid = (-(-spec.vocabulary // 256), rows, 1)
        self.kernels.launch("finish_logits", grid, 256, (work["parts"], *shape, work["logits"]))

    # --- what stages have in common --------------------------------------------------------------

    def vector(self, name: str | None) -> int:
        return 0 if name is None else self._loaded.vectors[name]

    def enter(self, stage: Stage, tokens: int, waiting: Waiting, norm: int) -> int:
        """Add waiting sums to x, and multiply its norm with the stage's matrices; the splits of their sums."""
        made = 0
        for form, parts in stage.inputs:
            self.norm(form, tokens, waiting, norm, stage.cols)
            waiting = NONE  # they are added once
            made = products.multiply(self.kernels, self.work, form, parts, stage, tokens)
        return made

    def prepared(
        self,
        inputs: Sequence[tuple[Form, Parts]],
        cols: int,
        rows: int,
        kernel: str,
        arguments: tuple[int | float, ...],
        norm: int,
    ) -> Iterator[tuple[Form, Parts]]:
        """Prepare ``rows`` rows of ``cols`` columns that ``kernel`` makes of sums, in one form after the other.

        Where they are normed or looked at as a whole, or taken in several forms, they are written down in between:
        products overwrite the sums.
        """
        whole = norm or len(inputs) > 1 or inputs[0][0].mode != GROUPS
        if whole:
            self._prepare(kernel, arguments, Form(0, 1, PLAIN, 0), rows, cols)
        for form, parts in inputs:
            if whole:
                self.norm(form, rows, NONE, norm, cols, x="plain")
            else:
                self._prepare(kernel, arguments, form, rows, cols)
            yield form, parts

    def _through(self, stage: Stage, tokens: int, kernel: str, arguments: tuple[int | float, ...], norm: int) -> int:
        """Multiply what ``kernel`` makes of sums with the stage's matrices; the splits of their sums."""
        made = 0
        for form, parts in self.prepared(stage.inputs, stage.cols, tokens, kernel, arguments, norm):
            made = products.multiply(self.kernels, self.work, form, parts, stage, tokens)
        return made

    def _prepare(self, kernel: str, arguments: tuple[int | float, ...], form: Form, tokens: int, cols: int) -> None:
        work = self.work
        # merge_prepare knows its width from the heads, gate_prepare is told.
        width = (cols,) if kernel == "gate_prepare" else ()
        grid = (-(-cols // max(form.block, PREPARE_THREADS)), tokens, 1)
        outputs = (work["codes"], work["factors"], work.get("plain"))
        self.kernels.launch(kernel, grid, PREPARE_THREADS, (*arguments, *form, tokens, *width, *outputs))

    def norm(
        self, form: Form, tokens: int, waiting: Waiting, norm: int, cols: int,
        x: str = "x", sums: str = "parts", skip: int = 0, of: int = 0,
    ) -> None:  # fmt: skip
        """``norm_prepare`` of ``tokens`` rows after the first ``skip``, of ``of`` in all."""
        spec, work, (splits, bias, post) = self.spec, self.work, waiting
        rows = work[x] + 4 * cols * skip
        parts = work[sums] + 4 * cols * skip if splits else 0
        numbers = (float(spec.norm_eps), float(spec.norm_offset))
        added = (rows, parts, splits, bias, post, float(spec.residual_multiplier), norm, *numbers)
        outputs = (work["codes"], work["factors"], work.get("hi"), work.get("lo"), work.get("plain"))
        arguments = (*added, *form, of or tokens, cols, *outputs)
        shared = products.row_bytes(cols)
        self.kernels.launch("norm_prepare", (tokens, 1, 1), PREPARE_THREADS, arguments, shared=shared)

    def add(self, sums: str, post: int, tokens: int) -> None:
        """Only add the rows of ``sums`` to x."""
        self.norm(Form(0, 1, NOTHING, 0), tokens, (1, 0, post), 0, self.spec.hidden, sums=sums)

    def gated(self, splits: int, expert: Expert) -> tuple[int, ...]:
        """What ``gate_prepare`` is told of the sums of gate and up."""
        biases = (self.vector(expert.gate_bias), self.vector(expert.up_bias))
        return (self.work["parts"], splits, *biases, _ACTIVATIONS[self.spec.activation])
