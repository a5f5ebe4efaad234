"""A model's receipt as the window reads it: what was made from what, and how near it is to its original.

``receipt.json`` lies in a folder that may come from anywhere, so every value is checked; what makes no sense is
left out.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.translation import mark, tr

LONGEST_TEXT = 4000
"""Characters of an answer that are shown."""


@dataclass(frozen=True)
class Sample:
    """``original`` is ``None`` where it was not asked."""

    question: str
    original: str | None
    converted: str


@dataclass(frozen=True)
class Receipt:
    """Numbers are ``None`` where they were not measured.  ``kl`` is in nats a token, ``top1`` a share."""

    model_id: str
    source: str = ""
    revision: str = ""
    licence: str = ""
    encoding: str = ""
    created: str = ""
    program: str = ""
    device: str = ""
    seconds: float | None = None
    bits: float | None = None
    bytes: float | None = None
    original_bytes: float | None = None
    perplexity: float | None = None
    original_perplexity: float | None = None
    kl: float | None = None
    top1: float | None = None
    tokens: int | None = None
    samples: tuple[Sample, ...] = ()
    skipped: str = ""
    lossless: bool = False

    @property
    def measured(self) -> bool:
        return self.kl is not None or self.perplexity is not None

    @property
    def verdict(self) -> tuple[str, str]:
        """How good it is in a sentence, and ``"good"``, ``"fair"``, ``"bad"`` or ``""`` (nobody knows)."""
        if self.lossless:
            return tr(NATIVE), "good"
        if self.encoding == "f16":
            return tr(HALVES), "good"
        if self.kl is None:
            return tr(UNKNOWN), ""
        for bound, sentence, tone in VERDICTS:
            if self.kl <= bound:
                return tr(sentence), tone
        return tr(FAR), "bad"


VERDICTS: tuple[tuple[float, str, str], ...] = (
    (0.02, mark("Hardly distinguishable from the original."), "good"),
    (0.08, mark("Nearly as good as the original."), "good"),
    (0.2, mark("Close to the original: answers stay sensible, details differ."), "good"),
    (0.6, mark("Noticeably weaker than the original: check what it says."), "fair"),
)
"""Up to which divergence a sentence holds.  The bounds 0.2 and 0.6 are those of ``tz convert --quality``."""
FAR = mark("Far from the original: expect mistakes. A larger encoding stays nearer.")
NATIVE = mark("The same as the original: its weights were ternary before.")
HALVES = mark("The same as the original: its weights were not quantised.")
UNKNOWN = mark("How near it is to the original has not been measured yet.")


def read(folder: Path, model_id: str = "") -> Receipt | None:
    """The receipt in a model's folder; ``None`` where there is none that can be read."""
    try:
        value = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    source, quality = _object(value.get("source")), _object(value.get("quality"))
    tokens = _number(quality.get("tokens"))
    return Receipt(
        model_id=model_id or _text(value.get("id")),
        source=_text(source.get("id")),
        revision=_text(source.get("revision")),
        licence=_text(source.get("licence")),
        encoding=_text(value.get("encoding")),
        created=_text(value.get("created")),
        program=_text(value.get("program")),
        device=_text(value.get("device")),
        seconds=_number(value.get("seconds")),
        bits=_number(value.get("bits_per_weight")),
        bytes=_number(value.get("bytes")),
        original_bytes=_number(value.get("original_bytes")),
        perplexity=_number(quality.get("perplexity")),
        original_perplexity=_number(quality.get("original_perplexity")),
        kl=_number(quality.get("kl_mean")),
        top1=_number(quality.get("top1")),
        tokens=None if tokens is None else int(tokens),
        samples=_samples(quality.get("samples")),
        skipped=_text(quality.get("skipped")),
        lossless=value.get("lossless") is True,
    )


def _samples(value: object) -> tuple[Sample, ...]:
    if not isinstance(value, list):
        return ()
    found = []
    for row in value[:20]:
        row = _object(row)
        if isinstance(row.get("question"), str) and isinstance(row.get("converted"), str):
            original = row.get("original")
            found.append(
                Sample(
                    _text(row["question"]),
                    _text(original, LONGEST_TEXT) if isinstance(original, str) else None,
                    _text(row["converted"], LONGEST_TEXT),
                )
            )
    return tuple(found)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object, longest: int = 400) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    return None
