"""The queue of downloads and conversions: one ``tz convert`` child at a time, kept in SQLite.

Nothing is lost when the window, or the machine, goes down: a job that was running is shown as
``"paused"`` at the next start and goes on from where it was with :meth:`Jobs.retry`, because the
child itself resumes.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.child import TZ, Child
from app.database import open_database, transaction
from app.translation import tr
from tzcore import paths
from tzcore.errors import StorageError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE job (
        id TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        encoding TEXT NOT NULL,
        packing TEXT,
        state TEXT NOT NULL,
        phase TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        unit TEXT NOT NULL,
        detail TEXT NOT NULL,
        message TEXT NOT NULL,
        model_id TEXT NOT NULL,
        created REAL NOT NULL,
        child_pid INTEGER NOT NULL,
        child_started REAL NOT NULL
    );
    """,
)
"""The schema's versions, in order; only ever appended to.  ``child_pid`` and ``child_started`` find the
child that a killed window has left behind."""

KEPT = ("source", "encoding", "packing", "state", "phase", "done", "total", "unit", "detail", "message", "model_id",
        "created")
RATE_WINDOW = 15.0
"""Seconds over which the rate is measured: speed changes along the way, and so does the time left."""
SAVE_INTERVAL = 1.0


@dataclass(eq=False)
class Job:
    """One download and conversion.

    ``encoding`` ``""`` leaves the choice to the converter.  ``state``: queued, running, paused, failed,
    done or cancelled.

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

    @property
    def unfinished(self) -> bool:
        return self.state in ("queued", "running", "paused")


class Pace:
    """Rate and time left of one phase over the last :data:`RATE_WINDOW` seconds.  What an interrupted run
    had done before is in the first report and does not count as speed."""

    def __init__(self) -> None:
        self._phase = ""
        self._points: deque[tuple[float, int]] = deque()

    def measure(self, phase: str, done: int, total: int, now: float) -> tuple[float | None, float | None]:
        """Units a second, and seconds left."""
        if phase != self._phase or (self._points and done < self._points[-1][1]):
            self._phase = phase
            self._points.clear()
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] > RATE_WINDOW:
            self._points.popleft()
        began, start = self._points[0]
        if now - began < 0.5 or done <= start:
            return None, None
        rate = (done - start) / (now - began)
        return rate, max(total - done, 0) / rate if total else None


class Jobs(QObject):
    """The queue.  The :class:`Job` objects handed out are live: ``changed`` says that one was updated.

    Methods raise KeyError for an unknown id and StorageError when the queue cannot be saved.
    """

    added = Signal(object)
    changed = Signal(object)
    removed = Signal(str)
    finished = Signal(object)
    """A job reached ``done``: the library has one model more."""

    def __init__(
        self, database: Path | None = None, command: Sequence[str] = TZ, parent: QObject | None = None
    ) -> None:
        """``database`` defaults to ``jobs.sqlite`` under :func:`tzcore.paths.home`."""
        super().__init__(parent)
        self._command = command
        self._db = open_database(database or paths.home() / "jobs.sqlite", MIGRATIONS)
        self._jobs: dict[str, Job] = {}
        self._child: Child | None = None
        self._running: Job | None = None
        self._said_done = False
        self._pace = Pace()
        self._saved = 0.0
        self._closed = False
        self._read()

    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        return list(self._jobs.values())

    def job(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def add(self, source: str, encoding: str, packing: str | None = None) -> Job:
        """Queue it; starts at once if nothing runs.  The same unfinished source and encoding: that job goes on."""
        for job in self._jobs.values():
            if job.unfinished and (job.source, job.encoding, job.packing) == (source, encoding, packing):
                if job.state == "paused":
                    self.retry(job.id)
                return job
        job = Job(uuid.uuid4().hex, source, encoding, packing, created=time.time())
        self._jobs[job.id] = job
        try:
            self._save(job)
        except StorageError:
            del self._jobs[job.id]
            raise
        self.added.emit(job)
        self._next()
        return job

    def pause(self, job_id: str) -> None:
        """Stop the child and keep what it has made: state ``paused``; :meth:`retry` goes on."""
        self._halt(self._jobs[job_id], "paused")

    def cancel(self, job_id: str) -> None:
        """Stop the child (terminate, after 5 s kill): state ``cancelled``; :meth:`retry` still resumes."""
        self._halt(self._jobs[job_id], "cancelled")

    def retry(self, job_id: str) -> None:
        """Queue a paused, failed or cancelled job again; it resumes from what is on the disk."""
        job = self._jobs[job_id]
        if job.state in ("paused", "failed", "cancelled"):
            self._set(job, "queued")
            self._next()

    def remove(self, job_id: str) -> None:
        """Take it off the list (cancelling it first if it runs)."""
        self.cancel(job_id)
        del self._jobs[job_id]
        with transaction(self._db):
            self._db.execute("DELETE FROM job WHERE id = ?", (job_id,))
        self.removed.emit(job_id)

    def shutdown(self) -> None:
        """Stop the running child, mark its job paused, and close.  For the end of the program."""
        self._closed = True
        if self._running is not None:
            self._halt(self._running, "paused")
        if self._child is not None:
            self._child.stop_now(5.0)
        self._db.close()

    def _next(self) -> None:
        """Start the oldest queued job if no child runs; one that is being stopped still does."""
        if self._child is not None or self._closed:
            return
        job = next((job for job in self._jobs.values() if job.state == "queued"), None)
        if job is None:
            return
        arguments = ["convert", "--json"]
        arguments += ["--encoding", job.encoding] if job.encoding else []
        arguments += ["--packing", job.packing] if job.packing else []
        self._pace = Pace()
        self._said_done = False
        self._running = job
        self._child = Child([*arguments, "--", job.source], self._command, paths.logs() / "jobs.log", self)
        self._child.said.connect(self._on_event)
        self._child.finished.connect(self._on_finished)
        self._set(job, "running")
        self._child.start()
        self._try_to_save(job)  # once more: now it has a process id

    def _on_event(self, event: object) -> None:
        job = self._running
        if job is None or job.state != "running" or not isinstance(event, dict):
            return
        kind = event.get("event")
        if kind == "progress":
            job.phase, job.unit = str(event.get("phase", "")), str(event.get("unit", ""))
            job.done, job.total = int(event.get("done", 0)), int(event.get("total", 0))
            job.detail = str(event.get("detail", ""))
            now = time.monotonic()
            job.rate, job.seconds_left = self._pace.measure(job.phase, job.done, job.total, now)
            if now - self._saved >= SAVE_INTERVAL:
                self._saved = now
                self._try_to_save(job)
        elif kind == "note":
            job.detail = str(event.get("message", ""))
        elif kind == "error":
            job.message = str(event.get("message", ""))
        elif kind == "done":
            self._said_done = True
            job.model_id = str(event.get("id", ""))
        self.changed.emit(job)

    def _on_finished(self, code: int) -> None:
        child, job = self._child, self._running
        self._child = self._running = None
        if child is None or job is None:
            return
        child.deleteLater()
        if job.state == "running":
            if code == 0 and self._said_done:
                job.message = tr("{name} is ready.").format(name=job.model_id)
                self._set(job, "done")
                self.finished.emit(job)
            else:
                job.message = job.message or _reason(code, child.last_words)
                self._set(job, "failed")
        self._next()

    def _halt(self, job: Job, state: str) -> None:
        if job.state in ("done", "failed", state) or (job.state == "cancelled" and state == "paused"):
            return
        self._set(job, state)
        if job is self._running and self._child is not None:
            self._child.stop()

    def _set(self, job: Job, state: str) -> None:
        job.state = state
        job.rate = job.seconds_left = None
        if state in ("queued", "running"):
            job.message = ""
        self._try_to_save(job)
        self.changed.emit(job)

    def _try_to_save(self, job: Job) -> None:
        """The work goes on when the queue cannot be saved (a full disk), and the job says so."""
        try:
            self._save(job)
        except StorageError as error:
            job.message = str(error)

    def _save(self, job: Job) -> None:
        if job.id not in self._jobs:
            return  # removed while its child was still ending
        pid = self._child.pid if job is self._running and self._child is not None else 0
        columns = ("id", *KEPT, "child_pid", "child_started")
        values = (job.id, *(getattr(job, name) for name in KEPT), pid, time.time() if pid else 0.0)
        places = ", ".join("?" * len(columns))
        with transaction(self._db):
            self._db.execute(f"INSERT OR REPLACE INTO job ({', '.join(columns)}) VALUES ({places})", values)

    def _read(self) -> None:
        """The queue as the last window left it: what ran or waited is paused, its child is ended."""
        for row in self._db.execute("SELECT * FROM job ORDER BY created, rowid").fetchall():
            job = Job(row["id"], **{name: row[name] for name in KEPT})
            self._jobs[job.id] = job
            if job.state in ("queued", "running"):
                if row["child_pid"]:
                    _end_orphan(row["child_pid"], row["child_started"])
                self._set(job, "paused")


def _reason(code: int, last_words: str) -> str:
    if code == -1:
        return tr("The conversion was killed, perhaps for lack of memory; Retry goes on from where it was.")
    if code == -2:
        return tr("The conversion cannot be started: {reason}").format(reason=last_words)
    return last_words.removeprefix("tz: ") or tr("The conversion ended with exit code {code}.").format(code=code)


def _end_orphan(pid: int, seen: float) -> None:
    """End the child of a window that was killed, if it still runs: two must not write one model."""
    import psutil

    try:
        process = psutil.Process(pid)
        # Begun before we last saw it, and a tz conversion: the id has not been given to another program.
        if process.create_time() <= seen + 1 and "convert" in process.cmdline():
            process.kill()  # at any moment it loses nothing, and the window need not wait
    except psutil.Error:
        return
