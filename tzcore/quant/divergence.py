"""How far one model's predictions are from another's: perplexity, KL divergence, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import CheckpointError
from tzcore.quant.texts import Window

POSITIONS_AT_ONCE = 128
"""Rows of logits compared at a time, in float64."""

Logits = npt.NDArray[np.float32]


@dataclass
class Tally:
    """Sums over scored positions."""

    loss: float = 0.0
    original_loss: float = 0.0
    agreed: int = 0
    tokens: int = 0
    divergence: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, window: Window, first: int, ours: Logits, original: Logits | None) -> None:
        """Count one window, whose ``first`` tokens are given; logits ``[tokens, vocabulary]``."""
        for at in range(max(0, first - 1), len(window) - 1, POSITIONS_AT_ONCE):
            stop = min(at + POSITIONS_AT_ONCE, len(window) - 1)
            targets = window[at + 1 : stop + 1].astype(np.int64)[:, None]
            q = _log_softmax(ours[at:stop])
            if not np.isfinite(q).all():
                raise CheckpointError("the converted model computes values that are not finite; convert it again")
            self.loss -= float(np.take_along_axis(q, targets, 1).sum())
            self.tokens += stop - at
            if original is not None:
                p = _log_softmax(original[at:stop])
                self.original_loss -= float(np.take_along_axis(p, targets, 1).sum())
                self.agreed += int((p.argmax(1) == q.argmax(1)).sum())
                self.divergence.append((np.exp(p) * (p - q)).sum(1))

    def measures(self) -> dict[str, Any]:
        """``tokens``, ``perplexity``; with an original ``kl_mean``, ``kl_p999`` (nats, original against
        this model, per token), ``top1`` (share of positions with the same likeliest token) and
        ``original_perplexity``."""
        found: dict[str, Any] = {"tokens": self.tokens, "perplexity": float(np.exp(self.loss / self.tokens))}
        if self.divergence:
            divergence = np.concatenate(self.divergence)
            found["kl_mean"] = float(divergence.mean())
            found["kl_p999"] = float(np.quantile(divergence, 0.999))
            found["top1"] = self.agreed / self.tokens
            found["original_perplexity"] = float(np.exp(self.original_loss / self.tokens))
        return found


def pooled(tallies: Sequence[Tally]) -> Tally:
    """Several texts as if they were one."""
    return Tally(
        sum(t.loss for t in tallies),
        sum(t.original_loss for t in tallies),
        sum(t.agreed for t in tallies),
        sum(t.tokens for t in tallies),
        [part for t in tallies for part in t.divergence],
    )


def _log_softmax(x: Logits) -> npt.NDArray[np.float64]:
    wide = x.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide
