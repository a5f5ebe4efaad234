"""What loading and answering really took on this machine, kept so that the next estimate is better.

``measured.json`` under :func:`tzcore.paths.home`::

    {"version": 1,
     "loads":  {MODEL: [{"planned": bytes, "measured": bytes, "time": seconds}, ...]},
     "speeds": {MODEL: [{"tokens_per_second": x, "depth": tokens, "time": seconds}, ...]}}

MODEL is an installed model's id, the newest entry comes last, and no more than :data:`KEPT` of each are kept.
``tz plan`` reads the same file (:mod:`tzcore.cli.experience`).  A file that is damaged counts as empty: what
is in it is measured again.  Recording never fails: a full disk is no reason to stop an answer.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tzcore import atomic, paths
from tzcore.errors import StorageError

VERSION = 1
KEPT = 12
"""Entries of a model that are kept: enough for a median, and soon renewed after a change of the machine."""
LARGEST_EXCESS = 2 << 30
"""Bytes by which a measurement may correct an estimate; beyond, something else was measured."""


@dataclass(frozen=True)
class Load:
    """One load: ``planned`` bytes and those ``measured`` in the engine's process, at ``time`` (Unix seconds)."""

    planned: int
    measured: int
    time: float


@dataclass(frozen=True)
class Speed:
    """One answer: ``tokens_per_second`` behind ``depth`` tokens of context."""

    tokens_per_second: float
    depth: int
    time: float


def record_load(model: str, planned: int, measured: int) -> None:
    """Keep what a load of ``model`` was planned to take and what it took.  Impossible numbers are left out."""
    if model and planned > 0 and measured > 0:
        _add("loads", model, {"planned": int(planned), "measured": int(measured), "time": time.time()})


def record_speed(model: str, tokens_per_second: float, depth: int) -> None:
    """Keep how fast ``model`` wrote an answer that began behind ``depth`` tokens.  Impossible numbers are left out."""
    if model and math.isfinite(tokens_per_second) and tokens_per_second > 0 and depth >= 0:
        entry = {"tokens_per_second": float(tokens_per_second), "depth": int(depth), "time": time.time()}
        _add("speeds", model, entry)


def loads(model: str) -> list[Load]:
    """The loads of ``model``, oldest first."""
    return [
        Load(int(one["planned"]), int(one["measured"]), float(one["time"]))
        for one in _entries("loads", model, ("planned", "measured", "time"))
    ]


def speeds(model: str) -> list[Speed]:
    """The answers of ``model``, oldest first."""
    return [
        Speed(float(one["tokens_per_second"]), int(one["depth"]), float(one["time"]))
        for one in _entries("speeds", model, ("tokens_per_second", "depth", "time"))
    ]


def excess(model: str) -> int | None:
    """Bytes that loads of ``model`` took beyond their plan, in the median; ``None`` if it never was."""
    found = [one.measured - one.planned for one in loads(model)]
    return max(-LARGEST_EXCESS, min(LARGEST_EXCESS, round(median(found)))) if found else None


def usual_speed(model: str) -> float | None:
    """Tokens a second of the latest answers of ``model``, in the median; ``None`` if it never answered."""
    found = [one.tokens_per_second for one in speeds(model)]
    return median(found) if found else None


def forget(model: str) -> None:
    """Take out all about ``model``, which is deleted."""
    content = _read()
    found = [content[kind].pop(model, None) for kind in ("loads", "speeds")]
    if any(entry is not None for entry in found):
        _write(content)


def file() -> Path:
    """Where it is kept."""
    return paths.home() / "measured.json"


def _add(kind: str, model: str, entry: Mapping[str, float]) -> None:
    content = _read()
    kept = content[kind].get(model)
    content[kind][model] = [*(kept if isinstance(kept, list) else []), entry][-KEPT:]
    _write(content)


def _entries(kind: str, model: str, keys: tuple[str, ...]) -> list[Mapping[str, float]]:
    found = _read()[kind].get(model)
    rows = found if isinstance(found, list) else []
    return [row for row in rows if isinstance(row, dict) and all(_is_number(row.get(key)) for key in keys)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read() -> dict[str, Any]:
    try:
        content = json.loads(file().read_bytes())
    except (OSError, ValueError, RecursionError):
        content = {}
    if not isinstance(content, dict) or content.get("version") != VERSION:
        content = {}
    kinds = {kind: content.get(kind) for kind in ("loads", "speeds")}
    return {"version": VERSION, **{kind: found if isinstance(found, dict) else {} for kind, found in kinds.items()}}


def _write(content: Mapping[str, Any]) -> None:
    try:
        atomic.write_json(file(), content)
    except StorageError:
        return  # the next one is kept
