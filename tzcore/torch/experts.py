"""The experts of a layer, each with matrices of its own, in place of transformers' two stacked tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tzcore.torch.linear import TernaryLinear

PARTS = ("gate_proj", "up_proj", "down_proj")


class Expert(nn.Module):
    """A gated MLP without its activation: ``gate_proj``, ``up_proj`` and ``down_proj``."""

    def __init__(self, gate_proj: TernaryLinear, up_proj: TernaryLinear, down_proj: TernaryLinear) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate_proj, up_proj, down_proj


EXPERTS = frozenset({"MixtralExperts", "Qwen3MoeExperts"})
"""Classes of transformers that hold ``gate_up_proj`` ``[experts, 2·wide, width]`` and ``down_proj`` ``[experts,
width, wide]`` without biases.  Others have the same names for other layouts."""


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


def split_experts(module: nn.Module, layer: Callable[[str, torch.Tensor], TernaryLinear]) -> TernaryExperts:
    """The same experts one by one; ``layer`` makes a layer of a matrix and its name behind the module's."""
    made = []
    for number, (gate_up, down) in enumerate(zip(module.gate_up_proj, module.down_proj, strict=True)):
        weights = (*gate_up.chunk(2), down)
        made.append(Expert(*(layer(f"{number}.{part}", w) for part, w in zip(PARTS, weights, strict=True))))
    return TernaryExperts(made, module.act_fn)
