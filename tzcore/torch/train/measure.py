"""How near a student is to its original, on text that it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from tzcore.progress import Progress, Report, ignore
from tzcore.torch.train.student import Split
from tzcore.torch.train.targets import Targets
from tzcore.torch.train.text import Windows

MEASURES = ("perplexity", "original_perplexity", "kl")


@dataclass(frozen=True)
class Held:
    """Text to measure with, and the original on it."""

    windows: Windows
    targets: Targets


def measure(split: Split, held: Held, device: torch.device, report: Report = ignore) -> dict[str, float]:
    """``perplexity``, ``original_perplexity`` and ``kl`` (nats a token, original against student), of the model in
    evaluation mode.

    Phase ``"evaluate"``, in tokens.
    """
    windows, model = held.windows, split.model
    was_training = model.training
    model.eval()
    loss = original = divergence = 0.0
    try:
        with torch.no_grad():
            for at, row in enumerate(windows.ids):
                report(Progress("evaluate", at * windows.window, windows.ids.size, "tokens", "held-out text"))
                ids = torch.from_numpy(row)[None].to(device)
                states = split.body(ids)[:, windows.scored].flatten(0, 1)
                following = torch.from_numpy(windows.following([at])[0]).to(device)
                followed = held.targets.batch([at], ids)
                original += followed.text_loss(following)
                step = split.rows_at_once(states)
                for start in range(0, len(states), step):
                    rows = slice(start, min(start + step, len(states)))
                    logits = split.head(states[rows])
                    loss += float(functional.cross_entropy(logits.float(), following[rows], reduction="sum"))
                    divergence += float(followed.divergence(logits, rows))
    finally:
        model.train(was_training)
    report(Progress("evaluate", windows.ids.size, windows.ids.size, "tokens", "held-out text"))
    count = len(windows) * windows.positions
    return {
        "perplexity": _exponential(loss / count),
        "original_perplexity": _exponential(original / count),
        "kl": divergence / count,
    }


def _exponential(mean: float) -> float:
    return math.exp(mean) if mean < 700 else math.inf
