"""A decoder-only transformer as data: what every backend, and the converter, need to know.

One :class:`ModelSpec` describes any supported family.  Per token and layer::

    h  = norm(x)                      input_norm
    q,k,v = Wq·h + b, ...             then per-head RMS norm of q and k where declared, RoPE
    a  = softmax(softcap(q·k · attention_scale) + mask)·v
    a  = Wo·a;  a = norm(a)           post_attention_norm, where declared
    x  = x + a
    h  = norm(x)                      mlp_norm
    m  = Wdown·(act(Wgate·h) ⊙ Wup·h)
    m  = norm(m)                      post_mlp_norm, where declared
    x  = x + m

and ``logits = softcap(Whead·norm(x))`` after the last layer; ``x`` starts as
``embedding[token]·embedding_scale``.  ``norm(x) = x/√(mean(x²)+eps)·(norm_offset + weight)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class MatrixRef:
    """Rows ``start … start+rows−1`` of the matrix ``name`` (no ``.weight``): some checkpoints
    store q, k and v, or gate and up, in one matrix.  ``start`` is a multiple of 16."""

    name: str
    start: int
    rows: int
    cols: int


@dataclass(frozen=True, eq=False)
class Rope:
    """Rotary embedding, half-split ("neox") pairing of the first ``2·len(inverse_frequencies)``
    elements of a head: angle = position · inverse_frequency, cos and sin multiplied by ``scale``."""

    inverse_frequencies: npt.NDArray[np.float32]
    scale: float = 1.0


@dataclass(frozen=True)
class LayerSpec:
    """One block.  Strings are tensor names; ``None`` where the family has no such tensor.

    ``window``: a token sees itself and the ``window − 1`` before it; ``None`` sees all.
    ``rope`` indexes :attr:`ModelSpec.ropes`.
    """

    input_norm: str
    q: MatrixRef
    k: MatrixRef
    v: MatrixRef
    o: MatrixRef
    q_bias: str | None
    k_bias: str | None
    v_bias: str | None
    q_norm: str | None
    k_norm: str | None
    post_attention_norm: str | None
    mlp_norm: str
    gate: MatrixRef
    up: MatrixRef
    down: MatrixRef
    post_mlp_norm: str | None
    window: int | None
    rope: int

    def stages(self) -> tuple[tuple[MatrixRef, ...], ...]:
        """The matrices that share an input, in order of execution: qkv, o, gate/up, down."""
        return ((self.q, self.k, self.v), (self.o,), (self.gate, self.up), (self.down,))


@dataclass(frozen=True)
class ModelSpec:
    """The whole network.  ``head`` equals ``embedding`` where the weights are tied."""

    family: str
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    max_context: int
    norm_eps: float
    norm_offset: float
    embedding_scale: float
    attention_scale: float
    attention_softcap: float | None
    logit_softcap: float | None
    activation: str  # "silu" or "gelu_tanh"
    embedding: MatrixRef
    final_norm: str
    head: MatrixRef
    layers: tuple[LayerSpec, ...]
    ropes: tuple[Rope, ...]

    @property
    def tied(self) -> bool:
        return self.head == self.embedding

    def kv_bytes_per_token(self) -> int:
        """Bytes of one token's keys and values at fp16."""
        return len(self.layers) * 2 * self.kv_heads * self.head_dim * 2

    def matrices(self) -> dict[str, tuple[int, int]]:
        """The shape ``(rows, cols)`` of every matrix, by its name without ``.weight``."""
        shapes: dict[str, tuple[int, int]] = {}
        stages = [refs for layer in self.layers for refs in layer.stages()]
        for ref in (self.embedding, *(ref for refs in stages for ref in refs), self.head):
            rows = max(ref.start + ref.rows, shapes.get(ref.name, (0, 0))[0])
            shapes[ref.name] = (rows, ref.cols)
        return shapes

    def vectors(self) -> dict[str, int]:
        """The length of every norm weight and bias, by its full name."""
        lengths = {self.final_norm: self.hidden}
        for layer in self.layers:
            for name in (layer.input_norm, layer.post_attention_norm, layer.mlp_norm, layer.post_mlp_norm):
                if name is not None:
                    lengths[name] = self.hidden
            for name in (layer.q_norm, layer.k_norm):
                if name is not None:
                    lengths[name] = self.head_dim
            for name, ref in ((layer.q_bias, layer.q), (layer.k_bias, layer.k), (layer.v_bias, layer.v)):
                if name is not None:
                    lengths[name] = ref.rows
        return lengths
