"""The queue of downloads and conversions: one ``tz convert`` child at a time, kept in SQLite.

Nothing is lost when the window, or the machine, goes down: a job that was running is shown as
``"paused"`` at the next start and goes on from where it was with :meth:`Jobs.retry`, because the
child itself resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal


@dataclass
class Job:
    """One download and conversion.  ``state``: queued, running, paused, failed, done or cancelled.

    ``phase``, ``done``, ``total``, ``unit`` and ``detail`` are the child's last report (see
    :class:`tzcore.progress.Progress`; ``total`` 0 = not known).  ``rate`` is in ``unit`` a second and
    ``seconds_left`` for this phase, both ``None`` until measured.  ``message`` says why it failed, or
    what was made.
    """

    id: str
    source: str
    encoding: str
    packing: str | None = None
    state: str = "queued"
    phase: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    detail: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    message: str = ""
    model_id: str = ""
    """The installed model's id, once done."""
    created: float = 0.0


class Jobs(QObject):
    """The queue.  The :class:`Job` objects handed out are live: ``changed`` says that one was updated."""

    added = Signal(object)
    changed = Signal(object)
    removed = Signal(str)
    finished = Signal(object)
    """A job reached ``done``: the library has one model more."""

    def __init__(self, database: Path | None = None, parent: QObject | None = None) -> None:
        """``database`` defaults to ``jobs.sqlite`` under :func:`tzcore.paths.home`."""
        super().__init__(parent)
        raise NotImplementedError

    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        raise NotImplementedError

    def job(self, job_id: str) -> Job:
        raise NotImplementedError

    def add(self, source: str, encoding: str, packing: str | None = None) -> Job:
        """Queue it; starts at once if nothing runs.  The same unfinished source and encoding: that job."""
        raise NotImplementedError

    def pause(self, job_id: str) -> None:
        """Stop the child and keep what it has made: state ``paused``; :meth:`retry` goes on."""
        raise NotImplementedError

    def cancel(self, job_id: str) -> None:
        """Stop the child (terminate, after 5 s kill): state ``cancelled``; :meth:`retry` still resumes."""
        raise NotImplementedError

    def retry(self, job_id: str) -> None:
        """Queue a paused, failed or cancelled job again; it resumes from what is on the disk."""
        raise NotImplementedError

    def remove(self, job_id: str) -> None:
        """Take it off the list (cancelling it first if it runs)."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """Stop the running child and mark it paused.  For the end of the program."""
        raise NotImplementedError
