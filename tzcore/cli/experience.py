"""What the window measured on this machine (``measured.json``; :mod:`app.library.measured` writes and documents it)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from statistics import median
from typing import Any

from tzcore import paths

VERSION = 1
LARGEST_EXCESS = 2 << 30
"""Bytes by which loads may correct a plan."""


@dataclass(frozen=True)
class Answer:
    """An answer of ``model``: ``tokens_per_second`` behind ``depth`` tokens."""

    model: str
    tokens_per_second: float
    depth: int


def excess(model: str | None = None) -> int | None:
    """Bytes that loads took beyond their plan, in the median: of ``model``, or of all.  ``None`` without any."""
    rows = _rows("loads", ("planned", "measured"))
    found = [row["measured"] - row["planned"] for name, row in rows if model is None or name == model]
    return max(-LARGEST_EXCESS, min(LARGEST_EXCESS, round(median(found)))) if found else None


def answers() -> list[Answer]:
    """Every answer that is kept, by model, oldest first."""
    rows = _rows("speeds", ("tokens_per_second", "depth"))
    return [Answer(name, float(row["tokens_per_second"]), int(row["depth"])) for name, row in rows]


def usual_speed(model: str) -> float | None:
    """Tokens a second of the answers of ``model``, in the median."""
    found = [one.tokens_per_second for one in answers() if one.model == model]
    return median(found) if found else None


def _rows(kind: str, keys: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads((paths.home() / "measured.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    found = content.get(kind) if isinstance(content, dict) and content.get("version") == VERSION else None
    if not isinstance(found, dict):
        return []
    rows = [(name, row) for name, kept in found.items() if isinstance(kept, list) for row in kept]
    return [(name, row) for name, row in rows if isinstance(row, dict) and all(_number(row.get(key)) for key in keys)]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
