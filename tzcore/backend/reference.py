"""The NumPy truth: every feature of a ModelSpec in float32 on dequantised weights.

Slow and plain on purpose.  It is what fast backends are tested against, and it is itself
tested against transformers.  ``activations="int8"`` rounds the inputs of quantised matrices
as the integer kernels do, ``cache="f16"`` rounds keys and values as their cache does; other formats of
theirs (:mod:`tzcore.keyvalues`) are asked for with the sequence.  Inputs with
one int8 scale a token are part of the network they were trained with, and always rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tzcore.architecture.registry import check_folder
from tzcore.architecture.spec import Expert, LayerSpec, MatrixRef, ModelSpec, Router
from tzcore.backend.base import Logits, weight_bytes_per_token
from tzcore.backend.base import Sequence as BaseSequence
from tzcore.backend.reference_sequence import Memory, ReferenceSequence
from tzcore.checkpoint import ModelFolder, dequantised
from tzcore.errors import BackendError, RequestError
from tzcore.hadamard import rotate, unrotate
from tzcore.keyvalues import BLOCK, F16, KeyValueFormat, turned

Floats = npt.NDArray[np.float32]
Activations = Literal["float", "int8"]
Cache = Literal["f32", "f16"]

_QUERIES = 128
"""Queries whose scores are held at once."""


def quantise_activations(x: Floats, group: int) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round ``x`` ``[n, cols]`` to int8 per run of ``group`` columns, symmetric.

    Returns codes ``[n, cols]`` and scales ``[n, groups]`` with ``scale = max|x| / 127`` in
    float32 and ``code = x / scale`` rounded to the nearest, ties to even.
    """
    n, cols = x.shape
    count = -(-cols // group)
    grouped = np.zeros((n, count * group), np.float32)
    grouped[:, :cols] = x
    grouped = grouped.reshape(n, count, group)
    scales = np.abs(grouped).max(-1) / np.float32(127)
    ratio = np.divide(grouped, scales[..., None], out=np.zeros_like(grouped), where=scales[..., None] > 0)
    codes = np.clip(np.rint(ratio), -127, 127).astype(np.int8)
    return codes.reshape(n, -1)[:, :cols], scales


def quantise_tokens(x: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round ``x`` ``[n, cols]`` to int8 with one factor a row, ``127 · (1 / max(max|x|, 10⁻⁵))``.

    Returns codes ``[n, cols]``, ``factor · x`` rounded to the nearest, ties to even, and the factors
    ``[n, 1]``.  To the last bit what the ``bitnet`` integration of transformers does: torch takes
    a number divided by a tensor as the reciprocal's multiple.
    """
    factors = np.float32(127) * (np.float32(1) / np.maximum(np.abs(x).max(-1, keepdims=True), np.float32(1e-5)))
    return np.clip(np.rint(x * factors), -128, 127).astype(np.int8), factors


def _round_trip(x: Floats, group: int) -> Floats:
    codes, scales = quantise_activations(x, group)
    return codes.astype(np.float32) * np.repeat(scales, group, axis=1)[:, : x.shape[1]]


@dataclass(frozen=True)
class _Matrix:
    """A stored matrix, dequantised; still in the transformed basis where it declares one."""

    weights: Floats
    block: int
    signs: npt.NDArray[np.int8] | None
    group: int

    def input(self, x: Floats, activations: Activations, per_token: bool) -> Floats:
        if self.signs is not None:
            x = rotate(x, self.signs, self.block)
        if not self.group:
            return x
        if per_token:
            codes, factors = quantise_tokens(x)
            return codes.astype(np.float32) / factors
        return _round_trip(x, self.group) if activations == "int8" else x

    def rows(self, ids: npt.NDArray[np.int32]) -> Floats:
        found = self.weights[ids]
        return found if self.signs is None else unrotate(found, self.signs, self.block)


class ReferenceModel:
    """A loaded model; see :class:`tzcore.backend.base.LoadedModel`."""

    exact_chunks = False  # NumPy's library adds in an order that depends on the shape

    def __init__(self, folder: ModelFolder, spec: ModelSpec, activations: Activations, cache: Cache) -> None:
        self.spec = spec
        self._activations = activations
        self._cache: npt.DTypeLike = np.float16 if cache == "f16" else np.float32
        self._bytes = weight_bytes_per_token(folder, spec)
        self._matrices = {name: _load_matrix(folder, name) for name in spec.matrices()}
        self._vectors = {name: np.array(folder.vector(name)) for name in spec.vectors()}

    def new_sequence(self, capacity: int, stored: KeyValueFormat = F16) -> ReferenceSequence:
        if capacity < 1:
            raise BackendError(f"a context of {capacity} tokens is impossible")
        return ReferenceSequence(self.spec, capacity, self._cache, stored, Memory(capacity).table())

    def cache_form(self, stored: KeyValueFormat) -> str:
        """Arrays of numbers, all layers one after the other."""
        return f"reference-1 {stored.name if stored.quantised else np.dtype(self._cache).name}"

    def weight_bytes_per_token(self) -> int:
        """Counted as the weights are stored, not as float32."""
        return self._bytes

    def close(self) -> None:
        self._matrices, self._vectors = {}, {}

    def forward(self, sequence: BaseSequence, tokens: npt.NDArray[np.int32], logits: Logits = "last") -> Floats:
        if not self._matrices:
            raise BackendError("this model is closed")
        if not isinstance(sequence, ReferenceSequence):
            raise BackendError("the sequence belongs to another backend")
        sequence.check_open()
        ids = np.asarray(tokens, np.int32).reshape(-1)
        spec = self.spec
        if ids.size == 0:
            raise RequestError("there are no tokens to process")
        if ids.min() < 0 or ids.max() >= spec.vocabulary:
            raise RequestError(f"a token lies outside the vocabulary of {spec.vocabulary}")
        start = sequence.length
        sequence.grow(ids.size)
        try:
            return self._forward(sequence, ids, start, logits)
        except BaseException:
            sequence.truncate(start)
            raise

    def _forward(self, sequence: ReferenceSequence, ids: npt.NDArray[np.int32], start: int, logits: Logits) -> Floats:
        spec = self.spec
        x = self._matrices[spec.embedding.name].rows(ids) * np.float32(spec.embedding_scale)
        positions = np.arange(start, start + ids.size)
        tables = [_rope_table(rope.inverse_frequencies, rope.scale, positions) for rope in spec.ropes]
        weight = np.float32(spec.residual_multiplier)
        for number, layer in enumerate(spec.layers):
            table = None if layer.rope is None else tables[layer.rope]
            x = x + self._attention(layer, number, x, sequence, positions, table) * weight
            x = x + self._mlp(layer, x) * weight
        if logits == "none":
            return np.empty((0, spec.vocabulary), np.float32)
        x = self._norm(x if logits == "all" else x[-1:], spec.final_norm)
        (out,) = self._product(x, spec.head)
        return _softcap(out * np.float32(spec.logit_multiplier), spec.logit_softcap)

    def _project(self, x: Floats, *pairs: tuple[MatrixRef, str | None]) -> tuple[Floats, ...]:
        """``x`` times each projection of a block plus its bias, ``[n, rows]``."""
        outs = self._product(x, *(ref for ref, _ in pairs), per_token=self.spec.activations == "token")
        biases = (bias for _, bias in pairs)
        return tuple(out if bias is None else out + self._vectors[bias] for out, bias in zip(outs, biases, strict=True))

    def _product(self, x: Floats, *refs: MatrixRef, per_token: bool = False) -> tuple[Floats, ...]:
        """``x`` times each matrix, ``[n, rows]``."""
        outs = []
        prepared: dict[str, Floats] = {}
        for ref in refs:
            matrix = self._matrices[ref.name]
            if ref.name not in prepared:
                prepared[ref.name] = matrix.input(x, self._activations, per_token)
            outs.append(prepared[ref.name] @ matrix.weights[ref.start : ref.start + ref.rows].T)
        return tuple(outs)

    def _norm(self, x: Floats, name: str | None) -> Floats:
        if name is None:
            return x
        scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(self.spec.norm_eps))
        return np.asarray(x * scale * (np.float32(self.spec.norm_offset) + self._vectors[name]), np.float32)

    def _attention(
        self,
        layer: LayerSpec,
        number: int,
        x: Floats,
        sequence: ReferenceSequence,
        positions: npt.NDArray[Any],
        table: tuple[Floats, Floats] | None,
    ) -> Floats:
        n, spec = len(x), self.spec
        pairs = ((layer.q, layer.q_bias), (layer.k, layer.k_bias), (layer.v, layer.v_bias))
        projected = self._project(self._norm(x, layer.input_norm), *pairs)
        q, k, v = (part.reshape(n, -1, spec.head_dim) for part in projected)
        q, k = self._norm(q, layer.q_norm), self._norm(k, layer.k_norm)
        if table is not None:
            q, k = _rotary(q, *table), _rotary(k, *table)
        sequence.put(number, int(positions[0]), k, v)
        if sequence.quantised:
            q = turned(q)
        attended = np.empty((n, spec.heads, spec.head_dim), np.float32)
        for part in _parts(positions, BLOCK if sequence.quantised else _QUERIES):
            last = int(positions[part][-1])
            keys, values = sequence.seen(number, last // BLOCK, last + 1)
            attended[part] = self._attend(q[part], keys, values, positions[part], layer.window)
        if sequence.quantised:
            attended = turned(attended)
        joined = attended.reshape(n, -1)
        (out,) = self._project(self._norm(joined, layer.attention_sub_norm), (layer.o, layer.o_bias))
        return self._norm(out, layer.post_attention_norm)

    def _attend(
        self, q: Floats, keys: Floats, values: Floats, positions: npt.NDArray[Any], window: int | None
    ) -> Floats:
        """Softmax attention of queries ``[n, heads, head_dim]``; returns as many."""
        n, spec = len(q), self.spec
        first = 0 if window is None else max(0, int(positions[0]) - window + 1)
        last = int(positions[-1]) + 1
        shared = q.reshape(n, spec.kv_heads, -1, spec.head_dim).transpose(1, 2, 0, 3)  # [kv, group, n, d]
        kept = keys[first:last].transpose(1, 2, 0)[:, None]  # [kv, 1, d, t]
        scores = _softcap(shared @ kept * np.float32(spec.attention_scale), spec.attention_softcap)
        distance = positions[:, None] - np.arange(first, last)
        visible = distance >= 0 if window is None else (distance >= 0) & (distance < window)
        scores = np.where(visible, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = weights @ values[first:last].transpose(1, 0, 2)[:, None]  # [kv, group, n, d]
        back: Floats = mixed.transpose(2, 0, 1, 3).reshape(q.shape)
        return back

    def _mlp(self, layer: LayerSpec, x: Floats) -> Floats:
        h = self._norm(x, layer.mlp_norm)
        if layer.router is None:
            out = self._expert(layer, layer.experts[0], h)
        else:
            out = self._mixture(layer, layer.router, h)
        return self._norm(out, layer.post_mlp_norm)

    def _expert(self, layer: LayerSpec, expert: Expert, h: Floats) -> Floats:
        gate, up = self._project(h, (expert.gate, expert.gate_bias), (expert.up, expert.up_bias))
        made = self._norm(_ACTIVATIONS[self.spec.activation](gate) * up, layer.mlp_sub_norm)
        (out,) = self._project(made, (expert.down, expert.down_bias))
        return out

    def _mixture(self, layer: LayerSpec, router: Router, h: Floats) -> Floats:
        """Each token through the experts that its router chooses, ``[n, hidden]``."""
        (logits,) = self._product(h, router.matrix)
        chosen, shares = choose_experts(logits, router)
        out = np.zeros_like(h)
        for number, expert in enumerate(layer.experts):
            tokens, places = np.nonzero(chosen == number)
            if tokens.size:
                out[tokens] += self._expert(layer, expert, h[tokens]) * shares[tokens, places, None]
        return out


class ReferenceBackend:
    """Runs models in NumPy, on one thread or as many as NumPy's BLAS takes."""

    name = "reference"

    def __init__(self, activations: Activations = "float", cache: Cache = "f32") -> None:
        self._activations: Activations = activations
        self._cache: Cache = cache

    def describe(self) -> str:
        return f"NumPy {np.__version__} in float32 ({self._activations} activations, {self._cache} cache); for checking"

    def load(self, folder: ModelFolder, spec: ModelSpec, threads: int | None = None) -> ReferenceModel:
        """``threads`` has no effect: NumPy's BLAS is told by its own environment variables."""
        check_folder(folder, spec)
        try:
            return ReferenceModel(folder, spec, self._activations, self._cache)
        except MemoryError as error:
            raise BackendError(f"not enough memory for {folder.path} in float32") from error


def _parts(positions: npt.NDArray[Any], size: int) -> Iterator[slice]:
    """Runs of neighbouring queries that lie between the same multiples of ``size``."""
    edges = [0, *(np.flatnonzero(np.diff(positions // size)) + 1), len(positions)]
    return (slice(int(a), int(b)) for a, b in pairwise(edges))


def choose_experts(logits: Floats, router: Router) -> tuple[npt.NDArray[np.intp], Floats]:
    """The experts of each token and their shares, ``[n, active]`` each, from logits ``[n, experts]``.

    Of experts with the same share the first is taken.
    """
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    chosen = np.argsort(-weights, axis=-1, kind="stable")[:, : router.active]
    shares = np.take_along_axis(weights, chosen, -1)
    return chosen, shares / shares.sum(-1, keepdims=True) if router.normalise else shares


def _load_matrix(folder: ModelFolder, name: str) -> _Matrix:
    stored = folder.matrix(name)
    block = stored.entry.transform.block if stored.entry.transform else 0
    return _Matrix(dequantised(stored), block, stored.signs, stored.entry.group)


def _rope_table(frequencies: Floats, scale: float, positions: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """cos and sin ``[n, 1, rotated/2]``; angles in float64, so that far positions keep their precision."""
    angles = positions[:, None, None] * frequencies.astype(np.float64)
    return (np.cos(angles) * scale).astype(np.float32), (np.sin(angles) * scale).astype(np.float32)


def _rotary(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate pairs (i, i + half) of the first ``2·half`` elements of each head."""
    half = cos.shape[-1]
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def _softcap(x: Floats, cap: float | None) -> Floats:
    return x if cap is None else np.asarray(np.tanh(x / np.float32(cap)) * np.float32(cap))


def _silu(x: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp overflows to infinity where silu is 0
        return np.asarray(x / (1 + np.exp(-x)))


def _gelu_tanh(x: Floats) -> Floats:
    """Hendrycks & Gimpel, *Gaussian Error Linear Units*, 2016: the tanh approximation."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (1 + np.tanh(inner)))


def _relu2(x: Floats) -> Floats:
    return np.square(np.maximum(x, np.float32(0)))


_ACTIVATIONS = {"silu": _silu, "gelu_tanh": _gelu_tanh, "relu2": _relu2}
