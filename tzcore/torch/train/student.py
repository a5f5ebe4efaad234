"""A causal language model in two parts, so that logits need never exist for all tokens at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

FLOATS = 1 << 24
"""Logits that exist at a time, about: 64 MiB in float32, and a few times that with what is computed from them."""


class Split:
    """``body(ids)`` gives the last hidden states ``[batch, tokens, width]``, ``head(states)`` the logits.

    Of a transformers model these are its decoder and its output matrix, with the factor and the
    soft cap that some families have.  Any other module is taken to give logits itself: its head is the
    identity.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        finder = getattr(model, "get_output_embeddings", None)
        self._head: nn.Module | None = finder() if finder else None
        config: Any = getattr(model, "config", None)
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        self._vocabulary = int(getattr(text, "vocab_size", None) or 1)
        self._divisor = float(getattr(text, "logits_scaling", None) or 1.0)
        self._cap: float | None = getattr(text, "final_logit_softcapping", None)

    def body(self, ids: torch.Tensor) -> torch.Tensor:
        """``ids`` ``[batch, tokens]`` → hidden states, or the logits of a model that is not in two parts."""
        return self.layers(ids, all_of_them=False)[-1]

    def layers(self, ids: torch.Tensor, *, all_of_them: bool = True) -> list[torch.Tensor]:
        """The hidden states behind every layer, or the last alone: what :meth:`body` gives."""
        if self._head is None:
            out = self.model(ids)
            return [getattr(out, "logits", out)]
        inner: Any = self.model.base_model
        out = inner(input_ids=ids, use_cache=False, output_hidden_states=all_of_them)
        # transformers gives the last one normed, and the embedding first.
        return [*out.hidden_states[1:-1], out.last_hidden_state] if all_of_them else [out.last_hidden_state]

    def head(self, states: torch.Tensor) -> torch.Tensor:
        """``states`` ``[rows, width]`` → logits ``[rows, vocabulary]``."""
        if self._head is None:
            return states
        logits: torch.Tensor = self._head(states)
        if self._divisor != 1.0:
            logits = logits / self._divisor
        if self._cap is not None:
            logits = self._cap * torch.tanh(logits / self._cap)
        return logits

    def rows_at_once(self, states: torch.Tensor) -> int:
        """Rows of ``states`` for which logits are computed together."""
        width: int = states.shape[-1] if self._head is None else self._vocabulary
        return max(1, FLOATS // width)
