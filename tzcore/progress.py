"""How long work reports where it is, in one form for the terminal, ``--json`` and the window.

A long action takes ``report: Report = ignore`` and calls it with :class:`Progress`.  Stopping
it is done by raising :class:`tzcore.errors.Cancelled` from the callback, so every report is
also a point where the work can be stopped; what was finished before stays and is resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Progress:
    """One report.

    ``phase``: ``"resolve"``, ``"download"``, ``"calibrate"``, ``"convert"``, ``"evaluate"``,
    ``"targets"``, ``"train"``, ``"answer"``, ``"load"``, ``"summarise"`` or ``"prefill"``.  ``done`` and ``total`` are
    in ``unit`` (``"bytes"``, ``"weights"``, ``"tokens"``); ``total`` is 0 where it is not known.  ``done`` never runs
    backwards within a phase.  ``detail`` says what is being worked on, for a person.
    ``seconds_left`` is None where the work itself has no estimate.
    """

    phase: str
    done: int
    total: int
    unit: str
    detail: str = ""
    seconds_left: float | None = None

    def as_event(self) -> dict[str, object]:
        """The JSON-lines form: ``{"event": "progress", "phase": ..., ...}``."""
        fields = asdict(self)
        if self.seconds_left is None:
            del fields["seconds_left"]
        return {"event": "progress", **fields}


Report = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """The report for callers that do not want any."""
