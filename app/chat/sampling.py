"""How answers are drawn: the controls, the presets that are built in, and whose value holds.  No Qt.

A value set in a conversation goes before that of the settings, and that before the model's own.  ``None`` in a
conversation means the model's own, whatever the settings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.translation import mark


@dataclass(frozen=True)
class Control:
    """One number: its range on the slider, and what it does.  ``decimals`` 0: a whole number.  ``most`` is the most
    that may be typed, where that is more than the slider reaches."""

    key: str
    name: str
    meaning: str
    low: float
    high: float
    decimals: int
    step: float
    most: float = 0.0
    unset: str = ""

    @property
    def limit(self) -> float:
        return max(self.high, self.most)


CONTROLS = (
    Control(
        "temperature", mark("Temperature"), mark("0 always takes the most likely word; higher is more varied."),
        0.0, 2.0, 2, 0.05,
    ),
    Control(
        "top_p", mark("Top-p"),
        mark("Only the most likely words that together reach this probability are drawn from."), 0.01, 1.0, 2, 0.01,
    ),
    Control(
        "top_k", mark("Top-k"), mark("Only this many of the most likely words; 0 means no limit."),
        0, 200, 0, 1, most=100_000,
    ),
    Control(
        "min_p", mark("Min-p"), mark("Drops words less likely than this share of the most likely one."),
        0.0, 1.0, 2, 0.01,
    ),
    Control(
        "repetition_penalty", mark("Repetition penalty"),
        mark("Makes words that were written already less likely; 1 is off."), 1.0, 2.0, 2, 0.01, most=10.0,
    ),
    Control(
        "dry_multiplier", mark("Penalty for repeated phrases (DRY)"),
        mark("Keeps the model from writing the same phrase again; 0 is off."), 0.0, 3.0, 2, 0.05, most=10.0,
    ),
    Control(
        "max_tokens", mark("Longest answer (tokens)"), mark("An answer that reaches it stops there and says so."),
        16, 8192, 0, 16, most=1_000_000, unset=mark("as far as the context reaches"),
    ),
    Control(
        "seed", mark("Seed"), mark("The same seed and settings give the same answer."),
        0, 9999, 0, 1, most=2**31 - 1, unset=mark("another each time"),
    ),
)
KEYS = tuple(control.key for control in CONTROLS)

OWN = mark("Model's own")
BUILT_IN: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (OWN, {}),
    (mark("Precise"), {"temperature": 0.1, "top_p": 0.9, "top_k": 20, "min_p": 0.1}),
    (mark("Creative"), {"temperature": 0.9, "top_p": 0.98, "top_k": 100, "min_p": 0.05, "repetition_penalty": 1.1}),
    # Code repeats itself by its nature: names, brackets, indentation.
    (mark("Code"), {
        "temperature": 0.2, "top_p": 0.95, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.0,
        "dry_multiplier": 0.0,
    }),
)  # fmt: skip
"""Name and settings; what a preset does not name is the model's own."""


def of_preset(preset: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides that a preset stands for: all the drawing, while length and seed stay what they are unless it
    names them."""
    return {key: preset.get(key) for key in KEYS if key in preset or key not in ("max_tokens", "seed")}


def effective(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine is asked for: nothing for the model's own."""
    both = {**settings, **{key: overrides[key] for key in KEYS if key in overrides}}
    return {key: value for key, value in both.items() if value is not None}
