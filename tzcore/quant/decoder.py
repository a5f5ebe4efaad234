"""One block of a decoder in torch, float32, taken apart at the inputs of its stages.

Calibration needs the input of every stage (q/k/v, o, gate/up, down), and after a stage has been
quantised the next one's input has to be computed with the quantised weights.  So a block is
not one function here but five, one between each pair of stages; :meth:`Block.forward` chains
them.  Windows of tokens are a batch: activations are ``[windows, tokens, width]``, and every
window starts at position 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def rotary(rope: Rope, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin ``[tokens, rotated/2]`` for positions 0 … tokens−1."""
    import torch

    angles = torch.outer(torch.arange(tokens, dtype=torch.float32), torch.tensor(rope.inverse_frequencies))
    return angles.cos() * rope.scale, angles.sin() * rope.scale


def apply_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the first ``2·cos.shape[-1]`` entries of every head; ``x`` is ``[..., tokens, head_dim]``."""
    import torch

    half = cos.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


def activate(x: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """The gate's activation: ``silu`` or ``gelu_tanh``."""
    from torch.nn import functional

    return functional.silu(x) if spec.activation == "silu" else functional.gelu(x, approximate="tanh")


class Block:
    """Layer ``index`` of ``spec`` with its ``vectors`` (norms, biases) by tensor name."""

    def __init__(self, spec: ModelSpec, index: int, vectors: Mapping[str, torch.Tensor]) -> None:
        self.spec = spec
        self.layer: LayerSpec = spec.layers[index]
        self._vectors = vectors

    def _norm(self, x: torch.Tensor, name: str | None) -> torch.Tensor:
        return x if name is None else rms_norm(x, self._vectors[name], self.spec)

    def _bias(self, name: str | None) -> torch.Tensor | None:
        return None if name is None else self._vectors[name]

    def qkv_input(self, x: torch.Tensor) -> torch.Tensor:
        """The input of q, k and v from the block's input."""
        return self._norm(x, self.layer.input_norm)

    def o_input(self, h: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """Attention over ``h`` (from :meth:`qkv_input`): ``[windows, tokens, heads·head_dim]``."""
        import torch
        from torch.nn.functional import linear

        spec, layer = self.spec, self.layer
        windows, tokens, _ = h.shape
        cos, sin = rotary(spec.ropes[layer.rope], tokens)

        def heads(ref: MatrixRef, bias: str | None, norm: str | None, turn: bool) -> torch.Tensor:
            flat = linear(h, matrices(ref), self._bias(bias))
            split = self._norm(flat.view(windows, tokens, -1, spec.head_dim), norm).transpose(1, 2)
            return apply_rotary(split, cos, sin) if turn else split

        q = heads(layer.q, layer.q_bias, layer.q_norm, True)
        k = heads(layer.k, layer.k_bias, layer.k_norm, True)
        v = heads(layer.v, layer.v_bias, None, False).contiguous()
        shared = spec.heads // spec.kv_heads
        out = torch.empty(windows, tokens, spec.heads, spec.head_dim)
        for start in range(0, tokens, QUERY_CHUNK):
            stop = min(start + QUERY_CHUNK, tokens)
            first = 0 if layer.window is None else max(0, start - layer.window + 1)
            query = q[:, :, start:stop].reshape(windows, spec.kv_heads, shared * (stop - start), spec.head_dim)
            scores = query @ k[:, :, first:stop].transpose(2, 3) * spec.attention_scale
            if spec.attention_softcap is not None:
                scores = torch.tanh(scores / spec.attention_softcap) * spec.attention_softcap
            distance = torch.arange(start, stop)[:, None] - torch.arange(first, stop)
            hidden = distance < 0 if layer.window is None else (distance < 0) | (distance >= layer.window)
            scores.view(windows, spec.kv_heads, shared, stop - start, -1).masked_fill_(hidden, -torch.inf)
            mixed = torch.softmax(scores, dim=-1) @ v[:, :, first:stop]
            mixed = mixed.view(windows, spec.heads, stop - start, spec.head_dim)
            out[:, start:stop] = mixed.transpose(1, 2)
        return out.view(windows, tokens, -1)

    def after_attention(self, x: torch.Tensor, a: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The residual stream behind attention, from the block's input and :meth:`o_input`."""
        from torch.nn.functional import linear

        return x + self._norm(linear(a, matrices(self.layer.o)), self.layer.post_attention_norm)

    def mlp_input(self, x: torch.Tensor) -> torch.Tensor:
        """The input of gate and up, from :meth:`after_attention`."""
        return self._norm(x, self.layer.mlp_norm)

    def down_input(self, h: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """``act(gate·h) ⊙ up·h``, from :meth:`mlp_input`."""
        from torch.nn.functional import linear

        gate = activate(linear(h, matrices(self.layer.gate)), self.spec)
        return gate.mul_(linear(h, matrices(self.layer.up)))

    def after_mlp(self, x: torch.Tensor, m: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The block's output, from :meth:`after_attention` and :meth:`down_input`."""
        from torch.nn.functional import linear

        return x + self._norm(linear(m, matrices(self.layer.down)), self.layer.post_mlp_norm)

    def forward(self, x: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """The whole block."""
        x = self.after_attention(x, self.o_input(self.qkv_input(x), matrices), matrices)
        return self.after_mlp(x, self.down_input(self.mlp_input(x), matrices), matrices)


def logits(x: torch.Tensor, final_norm: torch.Tensor, head: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """``softcap(head·norm(x))``: ``[..., vocabulary]``."""
    import torch
    from torch.nn.functional import linear

    out = linear(rms_norm(x, final_norm, spec), head)
    if spec.logit_softcap is not None:
        out = torch.tanh(out / spec.logit_softcap) * spec.logit_softcap
    return out
