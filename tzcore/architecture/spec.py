"""A decoder-only transformer as data: what every backend, and the converter, need to know.

One :class:`ModelSpec` describes any supported family.  Per token and layer::

    h  = norm(x)                      input_norm
    q,k,v = Wq·h + b, ...             then per-head RMS norm of q and k, and RoPE, where declared
    a  = softmax(softcap(q·k · attention_scale) + mask)·v
    a  = norm(a)                      attention_sub_norm, where declared
    a  = Wo·a + b;  a = norm(a)       post_attention_norm, where declared
    x  = x + residual_multiplier·a
    h  = norm(x)                      mlp_norm
    m  = act(Wgate·h + b) ⊙ (Wup·h + b)
    m  = norm(m)                      mlp_sub_norm, where declared
    m  = Wdown·m + b;  m = norm(m)    post_mlp_norm, where declared
    x  = x + residual_multiplier·m

and ``logits = softcap(logit_multiplier·Whead·norm(x))`` after the last layer; ``x`` starts as
``embedding[token]·embedding_scale``.  ``norm(x) = x/√(mean(x²)+eps)·(norm_offset + weight)``.

A layer with a router has many experts, each an MLP of its own.  A token goes through the few that
the router gives the largest shares of it, and ``m`` is the sum of what they make, by those shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tzcore.checkpoint.schema import Activations


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
    elements of a head: angle = position · inverse_frequency, cos and sin multiplied by ``scale``.
    ``kind`` names the scaling that gave them (:data:`tzcore.architecture.rope.TYPES`)."""

    inverse_frequencies: npt.NDArray[np.float32]
    scale: float = 1.0
    kind: str = "default"


@dataclass(frozen=True)
class Expert:
    """A gated MLP: the only one of a dense layer, or one of many.  Strings are names of biases."""

    gate: MatrixRef
    up: MatrixRef
    down: MatrixRef
    gate_bias: str | None = None
    up_bias: str | None = None
    down_bias: str | None = None

    def stages(self) -> tuple[tuple[MatrixRef, ...], ...]:
        """The matrices that share an input, in order of execution: gate/up, down."""
        return ((self.gate, self.up), (self.down,))


@dataclass(frozen=True)
class Router:
    """Chooses the ``active`` experts with the largest share in ``softmax(matrix·h)``, ``h`` being the
    experts' input.  ``normalise`` divides the chosen shares by their sum.  Neither the matrix nor
    its input is ever quantised: a wrong choice is a worse error than any rounding."""

    matrix: MatrixRef
    active: int
    normalise: bool


@dataclass(frozen=True)
class LayerSpec:
    """One block.  Strings are tensor names; ``None`` where the family has no such tensor.

    ``window``: a token sees itself and the ``window − 1`` before it; ``None`` sees all.
    ``rope`` indexes :attr:`ModelSpec.ropes`; ``None`` turns nothing.
    A dense layer has one expert and no router.
    """

    input_norm: str
    q: MatrixRef
    k: MatrixRef
    v: MatrixRef
    o: MatrixRef
    q_bias: str | None
    k_bias: str | None
    v_bias: str | None
    o_bias: str | None
    q_norm: str | None
    k_norm: str | None
    attention_sub_norm: str | None
    post_attention_norm: str | None
    mlp_norm: str
    experts: tuple[Expert, ...]
    router: Router | None
    mlp_sub_norm: str | None
    post_mlp_norm: str | None
    window: int | None
    rope: int | None

    def stages(self) -> tuple[tuple[MatrixRef, ...], ...]:
        """The quantised matrices that share an input, in order of execution: qkv, o, then gate/up
        and down of every expert."""
        attention = ((self.q, self.k, self.v), (self.o,))
        return attention + tuple(stage for expert in self.experts for stage in expert.stages())

    def transforms(self) -> dict[str, str]:
        """By the first matrix of each stage: the matrix after which the signs of its transform are named.  All
        experts' inputs are turned alike, so that a token's is turned once for all of them."""
        owners = {stage[0].name: stage[0].name for stage in self.stages()}
        for expert in self.experts:
            for stage, first in zip(expert.stages(), self.experts[0].stages(), strict=True):
                owners[stage[0].name] = first[0].name
        return owners

    def names(self) -> list[str]:
        """Every matrix of the layer, the router's among them, each once (q, k and v can be parts of one)."""
        refs = [ref for stage in self.stages() for ref in stage]
        return list(dict.fromkeys(ref.name for ref in (*refs, *([self.router.matrix] if self.router else []))))

    def vectors(self, head_dim: int) -> dict[str, int]:
        """The length of every norm weight and bias of the layer, by its full name."""
        hidden, intermediate = self.q.cols, self.experts[0].down.cols
        lengths: list[tuple[str | None, int]] = [
            *((name, hidden) for name in (self.input_norm, self.post_attention_norm)),
            *((name, hidden) for name in (self.mlp_norm, self.post_mlp_norm)),
            *((name, head_dim) for name in (self.q_norm, self.k_norm)),
            (self.attention_sub_norm, self.o.cols),
            (self.mlp_sub_norm, intermediate),
            (self.q_bias, self.q.rows),
            (self.k_bias, self.k.rows),
            (self.v_bias, self.v.rows),
            (self.o_bias, self.o.rows),
        ]
        for expert in self.experts:
            lengths += [(expert.gate_bias, expert.gate.rows), (expert.up_bias, expert.up.rows)]
            lengths += [(expert.down_bias, expert.down.rows)]
        return {name: length for name, length in lengths if name is not None}


@dataclass(frozen=True)
class ModelSpec:
    """The whole network.  ``head`` equals ``embedding`` where the weights are tied.

    ``intermediate`` is the width of the widest MLP.  ``activations`` is ``"token"`` for networks
    that were trained with int8 inputs of one scale a token (BitNet): scale = 127 / max(max|x|, 10⁻⁵),
    code = scale·x rounded to the nearest, ties to even.  All quantised projections of the blocks
    have such inputs, the head has not.
    """

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
    residual_multiplier: float
    attention_scale: float
    attention_softcap: float | None
    logit_multiplier: float
    logit_softcap: float | None
    activation: str  # "silu", "gelu_tanh" or "relu2" (the square of relu)
    activations: Activations
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

    def routers(self) -> list[MatrixRef]:
        """The routers' matrices, which are stored as f16 whatever the rest is."""
        return [layer.router.matrix for layer in self.layers if layer.router]

    def matrices(self) -> dict[str, tuple[int, int]]:
        """The shape ``(rows, cols)`` of every matrix, by its name without ``.weight``."""
        shapes: dict[str, tuple[int, int]] = {}
        projections = [ref for layer in self.layers for stage in layer.stages() for ref in stage]
        for ref in (self.embedding, *projections, *self.routers(), self.head):
            rows = max(ref.start + ref.rows, shapes.get(ref.name, (0, 0))[0])
            shapes[ref.name] = (rows, ref.cols)
        return shapes

    def read_per_token(self) -> list[tuple[MatrixRef, float]]:
        """The matrices that a decoded token is multiplied by, each with the share of tokens that read
        it: below 1 for experts."""
        read = [(ref, 1.0) for ref in (*self.routers(), self.head)]
        for layer in self.layers:
            read += [(ref, 1.0) for ref in (layer.q, layer.k, layer.v, layer.o)]
            share = layer.router.active / len(layer.experts) if layer.router else 1.0
            read += [(ref, share) for expert in layer.experts for stage in expert.stages() for ref in stage]
        return read

    def vectors(self) -> dict[str, int]:
        """The length of every norm weight and bias, by its full name."""
        lengths = {self.final_norm: self.hidden}
        for layer in self.layers:
            lengths |= layer.vectors(self.head_dim)
        return lengths
