"""One block of a decoder in torch, float32, taken apart at the inputs of its stages.

Calibration needs the input of every stage (q/k/v, o, gate/up, down), and after a stage has been
quantised the next one's input has to be computed with the quantised weights.  So a block is
not one function here but several, one between each pair of stages; :meth:`Block.forward` chains
them.  Windows of tokens are a batch: activations are ``[windows, tokens, width]``, and every
window starts at position 0.  Behind a router each expert has the tokens that :meth:`Block.route`
gives it, as rows ``[n, width]``.

A network trained with rounded inputs (``activations`` "token") computes with them here too; what
the methods named ``…_input`` return is not rounded yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tzcore.architecture.spec import LayerSpec, MatrixRef, ModelSpec, Rope

if TYPE_CHECKING:
    import torch

QUERY_CHUNK = 256
"""Queries whose scores are held at a time."""

Matrices = Callable[[MatrixRef], "torch.Tensor"]
"""The weight ``[rows, cols]`` behind a reference, in the basis of the original (not transformed)."""


def rms_norm(x: torch.Tensor, weight: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """``x/√(mean(x²)+eps)·(norm_offset + weight)`` over the last dimension."""
    import torch

    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + spec.norm_eps)
    return x * scale * (weight + spec.norm_offset)


def rotary(rope: Rope, tokens: int, device: torch.device | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin ``[tokens, rotated/2]`` for positions 0 … tokens−1."""
    import torch

    frequencies = torch.tensor(rope.inverse_frequencies, device=device)
    angles = torch.outer(torch.arange(tokens, dtype=torch.float32, device=device), frequencies)
    return angles.cos() * rope.scale, angles.sin() * rope.scale


def apply_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the first ``2·cos.shape[-1]`` entries of every head; ``x`` is ``[..., tokens, head_dim]``."""
    import torch

    half = cos.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


def activate(x: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """The gate's activation: ``silu``, ``gelu_tanh`` or ``relu2``."""
    from torch.nn import functional

    if spec.activation == "relu2":
        return functional.relu(x).square()
    return functional.silu(x) if spec.activation == "silu" else functional.gelu(x, approximate="tanh")


def rounded(x: torch.Tensor) -> torch.Tensor:
    """``x`` rounded to int8 with one scale a token, as networks with ``activations`` "token" have it.

    Gradients pass as if it were not rounded.
    """
    import torch

    with torch.no_grad():
        factor = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        found = (x * factor).round().clamp(-128, 127) / factor
    return x + (found - x).detach() if x.requires_grad else found


@dataclass(frozen=True)
class Routing:
    """The experts of ``n`` tokens (windows one after another) and their shares, ``[n, active]`` each."""

    chosen: torch.Tensor
    shares: torch.Tensor

    def of(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens (indices, ascending) that go through ``expert``, and its shares of them: ``[k]`` each."""
        import torch

        tokens, places = torch.nonzero(self.chosen == expert, as_tuple=True)
        return tokens, self.shares[tokens, places]


class Block:
    """Layer ``index`` of ``spec`` with its ``vectors`` (norms, biases) by tensor name."""

    def __init__(self, spec: ModelSpec, index: int, vectors: Mapping[str, torch.Tensor]) -> None:
        self.spec = spec
        self.layer: LayerSpec = spec.layers[index]
        self._vectors = vectors

    def _norm(self, x: torch.Tensor, name: str | None) -> torch.Tensor:
        return x if name is None else rms_norm(x, self._vectors[name], self.spec)

    def _project(self, x: torch.Tensor, ref: MatrixRef, bias: str | None, matrices: Matrices) -> torch.Tensor:
        """``x`` times a projection, as the original network computes it."""
        from torch.nn.functional import linear

        x = rounded(x) if self.spec.activations == "token" else x
        return linear(x, matrices(ref), None if bias is None else self._vectors[bias])

    def _add(self, x: torch.Tensor, made: torch.Tensor, norm: str | None) -> torch.Tensor:
        made = self._norm(made, norm)
        return x + (made if self.spec.residual_multiplier == 1 else made * self.spec.residual_multiplier)

    def qkv_input(self, x: torch.Tensor) -> torch.Tensor:
        """The input of q, k and v from the block's input."""
        return self._norm(x, self.layer.input_norm)

    def o_input(self, h: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The input of o, attention over ``h`` (from :meth:`qkv_input`): ``[windows, tokens, heads·head_dim]``."""
        import torch

        spec, layer = self.spec, self.layer
        windows, tokens, _ = h.shape
        table = None if layer.rope is None else rotary(spec.ropes[layer.rope], tokens, h.device)

        def heads(ref: MatrixRef, bias: str | None, norm: str | None, turn: bool) -> torch.Tensor:
            flat = self._project(h, ref, bias, matrices)
            split = self._norm(flat.view(windows, tokens, -1, spec.head_dim), norm).transpose(1, 2)
            return apply_rotary(split, *table) if turn and table else split

        q = heads(layer.q, layer.q_bias, layer.q_norm, True)
        k = heads(layer.k, layer.k_bias, layer.k_norm, True).contiguous()
        v = heads(layer.v, layer.v_bias, None, False).contiguous()
        if spec.attention_softcap is None and (layer.window is None or layer.window >= tokens):
            mixed = torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=True, scale=spec.attention_scale, enable_gqa=True
            )
        else:
            mixed = self._scored(q, k, v)
        flat = mixed.transpose(1, 2).reshape(windows, tokens, -1)
        return self._norm(flat, layer.attention_sub_norm)

    def _scored(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention with a cap on the scores or a window: ``[windows, heads, tokens, head_dim]``."""
        import torch

        spec, layer = self.spec, self.layer
        windows, tokens = len(q), q.shape[2]
        shared = spec.heads // spec.kv_heads
        out = torch.empty_like(q)
        for start in range(0, tokens, QUERY_CHUNK):
            stop = min(start + QUERY_CHUNK, tokens)
            first = 0 if layer.window is None else max(0, start - layer.window + 1)
            query = q[:, :, start:stop].reshape(windows, spec.kv_heads, shared * (stop - start), spec.head_dim)
            scores = query @ k[:, :, first:stop].transpose(2, 3) * spec.attention_scale
            if spec.attention_softcap is not None:
                scores = torch.tanh(scores / spec.attention_softcap) * spec.attention_softcap
            positions = torch.arange(tokens, device=q.device)
            distance = positions[start:stop, None] - positions[first:stop]
            hidden = distance < 0 if layer.window is None else (distance < 0) | (distance >= layer.window)
            scores.view(windows, spec.kv_heads, shared, stop - start, -1).masked_fill_(hidden, -torch.inf)
            mixed = torch.softmax(scores, dim=-1) @ v[:, :, first:stop]
            out[:, :, start:stop] = mixed.view(windows, spec.heads, stop - start, spec.head_dim)
        return out

    def after_attention(self, x: torch.Tensor, a: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The residual stream behind attention, from the block's input and :meth:`o_input`."""
        layer = self.layer
        return self._add(x, self._project(a, layer.o, layer.o_bias, matrices), layer.post_attention_norm)

    def mlp_input(self, x: torch.Tensor) -> torch.Tensor:
        """The input of every expert's gate and up, and of the router, from :meth:`after_attention`."""
        return self._norm(x, self.layer.mlp_norm)

    def down_input(self, h: torch.Tensor, matrices: Matrices, expert: int = 0) -> torch.Tensor:
        """The input of an expert's down, ``act(gate·h) ⊙ up·h``, from the rows of :meth:`mlp_input` it gets."""
        chosen = self.layer.experts[expert]
        gate = activate(self._project(h, chosen.gate, chosen.gate_bias, matrices), self.spec)
        made = gate * self._project(h, chosen.up, chosen.up_bias, matrices)
        return self._norm(made, self.layer.mlp_sub_norm)

    def down_output(self, m: torch.Tensor, matrices: Matrices, expert: int = 0) -> torch.Tensor:
        """What an expert makes, from :meth:`down_input`."""
        chosen = self.layer.experts[expert]
        return self._project(m, chosen.down, chosen.down_bias, matrices)

    def after_mlp(self, x: torch.Tensor, m: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The output of a dense block, from :meth:`after_attention` and :meth:`down_input`."""
        return self.after_experts(x, self.down_output(m, matrices))

    def route(self, h: torch.Tensor, matrices: Matrices) -> Routing:
        """The experts of every token of :meth:`mlp_input`, by the router's own matrix."""
        import torch
        from torch.nn.functional import linear

        router = self.layer.router
        assert router is not None, "a dense layer has no router"
        shares = torch.softmax(linear(h.flatten(0, -2), matrices(router.matrix)), dim=-1)
        # A stable sort takes the first of equal shares, as the backends do.
        shares, chosen = (t[:, : router.active] for t in torch.sort(shares, dim=-1, descending=True, stable=True))
        return Routing(chosen, shares / shares.sum(-1, keepdim=True) if router.normalise else shares)

    def after_experts(self, x: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """The block's output, from :meth:`after_attention` and the sum of what the experts made."""
        return self._add(x, made, self.layer.post_mlp_norm)

    def _mlp(self, h: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        if self.layer.router is None:
            return self.down_output(self.down_input(h, matrices), matrices)
        import torch

        routing, flat = self.route(h, matrices), h.flatten(0, -2)
        made = torch.zeros_like(flat)
        for expert in range(len(self.layer.experts)):
            tokens, shares = routing.of(expert)
            if len(tokens):
                out = self.down_output(self.down_input(flat[tokens], matrices, expert), matrices, expert)
                made.index_add_(0, tokens, out * shares[:, None])
        return made.view_as(h)

    def forward(self, x: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The whole block."""
        x = self.after_attention(x, self.o_input(self.qkv_input(x), matrices), matrices)
        return self.after_experts(x, self._mlp(self.mlp_input(x), matrices))


def logits(x: torch.Tensor, final_norm: torch.Tensor, head: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """``softcap(logit_multiplier·head·norm(x))``: ``[..., vocabulary]``."""
    import torch
    from torch.nn.functional import linear

    out = linear(rms_norm(x, final_norm, spec), head)
    if spec.logit_multiplier != 1:
        out = out * spec.logit_multiplier
    if spec.logit_softcap is not None:
        out = torch.tanh(out / spec.logit_softcap) * spec.logit_softcap
    return out
