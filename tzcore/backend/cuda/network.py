"""The forward pass as launches: one list for any number of tokens, read in the order of the model.

Per layer: norm and preparation, q k v, rotation and cache, attention, its preparation, o; norm and
preparation, gate and up, activation, down.  Everything a launch depends on is an address or a number of
the model, or one of :class:`Step`; tokens, positions and page table are read from the card, so that a
captured list serves every step of the same shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from tzcore.architecture.spec import Expert, LayerSpec, ModelSpec
from tzcore.backend.cuda import products
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.loaded import Loaded
from tzcore.backend.cuda.pages import PAGE, KeyValuePools, padded_head
from tzcore.backend.cuda.products import GROUPS, NOTHING, PLAIN, Form, Stage
from tzcore.backend.cuda.workspace import FEW, KEY_SPLITS, Workspace

PREPARE_THREADS = 512
_ACTIVATIONS = {"silu": 0, "gelu_tanh": 1, "relu2": 2}
_SEGMENT = 4096
"""Columns that a block of ``embed`` makes."""
_QUERIES = {"few": 16, "many": 64}
"""Queries of a block of attention."""


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


def step_for(first: int, tokens: int, logits: int) -> Step:
    """The shape of a call with ``tokens`` tokens from position ``first`` on.

    Few tokens have the same :func:`split_keys`, or the caller cuts them there.
    """
    if tokens > FEW:
        return Step(tokens, PAGE, 1, logits)
    size = split_keys(first)
    needed = (first + tokens - 1) // size + 1
    return Step(tokens, size, 1 << (needed - 1).bit_length(), logits)


class Network:
    """The launches of one model.  All methods queue work on the kernels' stream."""

    def __init__(
        self, spec: ModelSpec, loaded: Loaded, work: Workspace, pools: KeyValuePools, kernels: Kernels
    ) -> None:
        self.spec, self._loaded, self._work, self._pools, self._kernels = spec, loaded, work, pools, kernels
        self._head_dim = padded_head(spec.head_dim)

    def run(self, step: Step) -> None:
        """Tokens at ``tokens``, positions at ``positions``: keys and values appended, logits of the last made."""
        self._embed(step.tokens)
        self._angles(step.tokens)
        splits, bias, post = 0, 0, 0  # of the sums that wait to be added to x
        for number, layer in enumerate(self.spec.layers):
            splits = self._attention(number, layer, step, splits, bias, post)
            bias, post = self._vector(layer.o_bias), self._vector(layer.post_attention_norm)
            splits = self._mlp(number, layer, step, splits, bias, post)
            bias = 0 if layer.router else self._vector(layer.experts[0].down_bias)
            post = self._vector(layer.post_mlp_norm)
        if step.logits:
            self._logits(step, splits, bias, post)

    # --- one stage after the other ---------------------------------------------------------------

    def _embed(self, tokens: int) -> None:
        e, spec, work = self._loaded.embedding, self.spec, self._work
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
        self._kernels.launch("embed", grid, 256, (*arguments, work["tokens"], work["x"]))

    def _angles(self, tokens: int) -> None:
        for rope, frequencies, angles in self._loaded.ropes(self._work["angles"]):
            half = len(rope.inverse_frequencies)
            arguments = (frequencies, half, float(rope.scale), self._work["positions"], angles)
            self._kernels.launch("rope_angles", (tokens, 1, 1), -(-half // 32) * 32, arguments)

    def _attention(self, number: int, layer: LayerSpec, step: Step, splits: int, bias: int, post: int) -> int:
        """The splits of the sums of the o product."""
        spec, work, tokens, stages = self.spec, self._work, step.tokens, self._loaded.layers[number]
        splits = self._enter(stages.qkv, tokens, splits, bias, post, self._vector(layer.input_norm))
        angles, half = 0, 0
        if layer.rope is not None:
            rope, _, angles = self._loaded.ropes(work["angles"])[layer.rope]
            half = len(rope.inverse_frequencies)
        heads = (spec.heads, spec.kv_heads, spec.head_dim, self._head_dim)
        biases = tuple(self._vector(name) for name in (layer.q_bias, layer.k_bias, layer.v_bias))
        norms = tuple(self._vector(name) for name in (layer.q_norm, layer.k_norm))
        keys, values = self._pools.keys[number], self._pools.values[number]
        where = (work["q"], keys, values, work["page_table"], work["positions"])
        eps, offset = float(spec.norm_eps), float(spec.norm_offset)
        sums = (work["parts"], splits, stages.qkv.width)
        self._kernels.launch(
            "qkv", (spec.heads + 2 * spec.kv_heads, tokens, 1), 128,
            (*sums, *biases, *norms, eps, offset, angles, half, tokens, *heads, *where),
        )  # fmt: skip

        name = "few" if step.few else "many"
        queries = -(-tokens * (spec.heads // spec.kv_heads) // _QUERIES[name])
        grid = (spec.kv_heads, step.key_splits, queries) if step.few else (queries, spec.kv_heads, 1)
        scale, cap, window = float(spec.attention_scale), float(spec.attention_softcap or 0.0), layer.window or 0
        arguments = (*where, tokens, spec.heads, spec.kv_heads, scale, cap, window, step.split_keys)
        self._kernels.launch(
            f"attend_{name}", grid, 128, (*arguments, work["acc"], work["stats"]), name=f"attend_{name}_d{self._head_dim}"
        )
        merged = (work["acc"], work["stats"], step.key_splits, int(not step.few), work["positions"], step.split_keys)
        shape = (window, spec.heads, spec.head_dim, self._head_dim)
        return self._through(
            stages.o, tokens, "merge_prepare", (*merged, *shape), self._vector(layer.attention_sub_norm)
        )

    def _mlp(self, number: int, layer: LayerSpec, step: Step, splits: int, bias: int, post: int) -> int:
        """The splits of the sums of the down product."""
        stages, tokens, norm = self._loaded.layers[number], step.tokens, self._vector(layer.mlp_norm)
        if layer.router is not None:
            self._experts(number, layer, step, splits, bias, post)
            return 1
        expert: Expert = layer.experts[0]
        splits = self._enter(stages.gate_up, tokens, splits, bias, post, norm)
        biases = (self._vector(expert.gate_bias), self._vector(expert.up_bias))
        gated = (self._work["parts"], splits, *biases, _ACTIVATIONS[self.spec.activation])
        return self._through(stages.down, tokens, "gate_prepare", gated, self._vector(layer.mlp_sub_norm))

    def _experts(self, number: int, layer: LayerSpec, step: Step, splits: int, bias: int, post: int) -> None:
        from tzcore.backend.cuda import experts

        experts.run(self, number, layer, step, splits, bias, post)

    def _logits(self, step: Step, splits: int, bias: int, post: int) -> None:
        spec, work, stage, norm = self.spec, self._work, self._loaded.head, self._vector(self.spec.final_norm)
        first, rows = step.tokens - step.logits, step.logits
        for form, parts in stage.inputs:
            self._norm(form, rows, splits, bias, post, norm, stage.cols, skip=first, of=step.tokens)
            made = products.multiply(self._kernels, work, form, parts, stage, rows)
        cap = float(spec.logit_softcap or 0.0)
        shape = (made, rows, spec.vocabulary, float(spec.logit_multiplier), cap)
        grid = (-(-spec.vocabulary // 256), rows, 1)
        self._kernels.launch("finish_logits", grid, 256, (work["parts"], *shape, work["logits"]))

    # --- what stages have in common --------------------------------------------------------------

    def _vector(self, name: str | None) -> int:
        return 0 if name is None else self._loaded.vectors[name]

    def _enter(self, stage: Stage, tokens: int, splits: int, bias: int, post: int, norm: int) -> int:
        """Add waiting sums to x, and multiply its norm with the stage's matrices."""
        made = 0
        for form, parts in stage.inputs:
            self._norm(form, tokens, splits, bias, post, norm, stage.cols)
            splits = 0  # they are added once
            made = products.multiply(self._kernels, self._work, form, parts, stage, tokens)
        return made

    def _through(self, stage: Stage, tokens: int, kernel: str, arguments: tuple[int | float, ...], norm: int) -> int:
        """Prepare what ``kernel`` makes of sums, and multiply it with the stage's matrices.

        Where the input is normed or looked at as a whole it is written down in between.
        """
        plain = Form(0, 1, PLAIN, 0)
        whole = norm or len(stage.inputs) > 1 or stage.inputs[0][0].mode != GROUPS
        if whole:
            self._prepare(kernel, arguments, plain, tokens, stage.cols)
        made = 0
        for form, parts in stage.inputs:
            if whole:
                self._norm(form, tokens, 0, 0, 0, norm, stage.cols, x="plain")
            else:
                self._prepare(kernel, arguments, form, tokens, stage.cols)
            made = products.multiply(self._kernels, self._work, form, parts, stage, tokens)
        return made

    def _prepare(self, kernel: str, arguments: tuple[int | float, ...], form: Form, tokens: int, cols: int) -> None:
        work = self._work
        # merge_prepare knows its width from the heads, gate_prepare is told.
        width = (cols,) if kernel == "gate_prepare" else ()
        grid = (-(-cols // max(form.block, PREPARE_THREADS)), tokens, 1)
        outputs = (work["codes"], work["factors"], work.get("plain"))
        self._kernels.launch(kernel, grid, PREPARE_THREADS, (*arguments, *form, tokens, *width, *outputs))

    def _norm(
        self, form: Form, tokens: int, splits: int, bias: int, post: int, norm: int, cols: int,
        x: str = "x", skip: int = 0, of: int = 0,
    ) -> None:  # fmt: skip
        """``norm_prepare`` of ``tokens`` rows after the first ``skip``, of ``of`` in all."""
        spec, work = self.spec, self._work
        rows = work[x] + 4 * cols * skip
        parts = work["parts"] + 4 * cols * skip if splits else 0
        numbers = (float(spec.norm_eps), float(spec.norm_offset))
        sums = (rows, parts, splits, bias, post, float(spec.residual_multiplier), norm, *numbers)
        outputs = (work["codes"], work["factors"], work.get("hi"), work.get("lo"), work.get("plain"))
        self._kernels.launch(
            "norm_prepare", (tokens, 1, 1), PREPARE_THREADS, (*sums, *form, of or tokens, cols, *outputs), shared=4 * cols
        )

    def skip(self, splits: int, bias: int, post: int, tokens: int) -> None:
        """Only add waiting sums to x."""
        self._norm(Form(0, 1, NOTHING, 0), tokens, splits, bias, post, 0, self.spec.hidden)
