"""The experts of a layer, each with matrices of its own, in place of transformers' two stacked tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tzcore.torch.linear import TernaryLinear


class Expert(nn.Module):
    """A gated MLP without its activation: ``gate_proj``, ``up_proj`` and ``down_proj``."""

    def __init__(self, gate_proj: TernaryLinear, up_proj: TernaryLinear, down_proj: TernaryLinear) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate_proj, up_proj, down_proj


class TernaryExperts(nn.ModuleList):
    """Called as ``MixtralExperts`` and ``Qwen3MoeExperts`` of transformers are; expert ``n`` is module ``n``."""

    def __init__(self, experts: list[Expert], act_fn: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(experts)
        self.act_fn = act_fn

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """``hidden_states`` ``[tokens, width]`` through the experts ``top_k_index`` ``[tokens, k]`` that each
        token has, summed by ``top_k_weights`` ``[tokens, k]``."""
        summed = torch.zeros_like(hidden_states)
        for number in top_k_index.unique().tolist():
            expert = self[number]
            assert isinstance(expert, Expert)
            token, place = torch.where(top_k_index == number)
            x = hidden_states[token]
            made = expert.down_proj(self.act_fn(expert.gate_proj(x)) * expert.up_proj(x))
            summed = summed.index_add(0, token, (made * top_k_weights[token, place, None]).to(summed.dtype))
        return summed
