"""How far a job is over all its phases: one number that never runs backwards, and the time left.

Phases differ by the time they take, so each is weighted by the seconds it is expected to take.  The child
says them when it knows them (the ``expect`` event of ``tz convert --json``); until then a usual conversion
is assumed.  When the weights change, what is left of the bar is spread over the work that is left, so that
the bar goes on from where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ORDER = ("resolve", "download", "calibrate", "measure", "convert", "tune", "evaluate", "answer")
"""The phases in their order.  One that is reached has those before it behind it."""

USUAL: dict[str, float] = {
    "resolve": 1.0, "download": 60.0, "calibrate": 4.0, "convert": 180.0, "tune": 90.0, "answer": 15.0,
}  # fmt: skip
"""Seconds that phases are taken for before anything is known."""

MEASURING: dict[str, float] = {"resolve": 1.0, "download": 5.0, "evaluate": 60.0, "answer": 20.0}
"""The same of the measurement of a model that is here."""

NEVER_WHOLE = 0.995
"""What is not done is not shown as done."""
_ENOUGH = 2.0
"""Seconds of expected work from which this run's speed is trusted."""


class Course:
    """The phases of one job.  What is kept of it (:meth:`as_json`) outlives the window."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        """Anything in ``kept`` that makes no sense is left out."""
        kept = kept or {}
        self._expected = _numbers(kept.get("expected")) or dict(USUAL)
        self._reached = {name: min(1.0, share) for name, share in _numbers(kept.get("reached")).items()}
        self._fraction = _share(kept.get("fraction"))
        self._base, self._origin = _share(kept.get("base")), _share(kept.get("origin"))
        self._run: dict[str, list[float]] = {}
        """Of this run: phase → time of its first report, share it began with, time and share of its last."""
        self._phase = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "expected": self._expected, "reached": self._reached, "fraction": self._fraction,
            "base": self._base, "origin": self._origin,
        }  # fmt: skip

    @property
    def fraction(self) -> float:
        return self._fraction

    def has(self, phase: str) -> bool:
        """Whether the phase is expected, or was there."""
        return self._expected.get(phase, 0.0) > 0 or phase in self._reached

    def begin(self) -> None:
        """A run begins: its speed is its own."""
        self._run.clear()
        self._phase = ""

    def expect(self, seconds: object) -> None:
        """The child has said how long each phase will take."""
        found = _numbers(seconds)
        if sum(found.values()) <= 0:
            return
        if "download" not in found and "download" in self._reached:
            found["download"] = self._expected.get("download", 0.0)
        self._expected = found
        self._base, self._origin = self._fraction, min(self._raw(), NEVER_WHOLE)

    def advance(self, phase: str, done: int, total: int, now: float) -> None:
        """The child has reported.  ``now`` is a monotonic time in seconds."""
        if phase not in ORDER:
            return
        share = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
        self._phase = phase
        self._reached[phase] = max(self._reached.get(phase, 0.0), share)
        point = self._run.setdefault(phase, [now, share, now, share])
        point[2:] = now, max(point[3], share)
        raw = self._raw()
        ahead = self._base + (1 - self._base) * max(0.0, raw - self._origin) / max(1 - self._origin, 1e-9)
        self._fraction = min(NEVER_WHOLE, max(self._fraction, ahead))

    def seconds_left(self, phase_left: float | None = None) -> float | None:
        """For all that is left; ``phase_left`` is what was measured for the phase that runs.  ``None`` before
        anything was measured."""
        if not self._phase:
            return None
        speed = self._speed()
        if speed is None and phase_left is None:
            return None
        pace = 1.0 if speed is None else speed
        at = ORDER.index(self._phase)
        _, _, _, share = self._run[self._phase]
        here = self._expected.get(self._phase, 0.0) * (1 - share) * (1.0 if self._phase == "download" else pace)
        later = sum(self._expected.get(name, 0.0) for name in ORDER[at + 1 :]) * pace
        return (here if phase_left is None else phase_left) + later

    def _speed(self) -> float | None:
        """Seconds that an expected second of computing took in this run; ``None`` until there is enough of it."""
        took = expected = 0.0
        for name, (began, first, last, share) in self._run.items():
            if name not in ("resolve", "download"):
                took += last - began
                expected += (share - first) * self._expected.get(name, 0.0)
        return min(20.0, max(0.05, took / expected)) if expected >= _ENOUGH and took > 0 else None

    def _raw(self) -> float:
        """The share of the expected seconds that is done."""
        furthest = max((ORDER.index(name) for name in self._reached if name in ORDER), default=-1)
        whole = sum(self._expected.get(name, 0.0) for name in ORDER)
        if whole <= 0:
            return 0.0
        done = sum(
            self._expected.get(name, 0.0) * (1.0 if at < furthest else self._reached.get(name, 0.0))
            for at, name in enumerate(ORDER)
        )
        return done / whole


def _numbers(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): float(number)
        for name, number in value.items()
        if isinstance(number, int | float) and not isinstance(number, bool)
        and math.isfinite(number) and 0 <= number < 1e9
    }  # fmt: skip


def _share(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return 0.0
