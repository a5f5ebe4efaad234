"""The queue of conversions: one ``tz`` child at a time, in an order that the user chooses, kept in SQLite.

Nothing is lost when the window, or the machine, goes down: a job that was running is shown as
``"paused"`` at the next start and goes on from where it was with :meth:`Jobs.retry`, because the
child itself resumes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.child import TZ, Child
from app.jobs import failures, log
from app.jobs import receipt as receipts
from app.jobs.course import MEASURING, Course
from app.jobs.job import CONVERT, MEASURE, Job
from app.jobs.options import Options
from app.jobs.pace import Pace
from app.jobs.store import Store
from app.translation import tr
from tzcore import paths
from tzcore.errors import StorageError

__all__ = ["CONVERT", "MEASURE", "Job", "Jobs", "Pace"]

SAVE_INTERVAL = 1.0


class Jobs(QObject):
    """The queue.  The :class:`Job` objects handed out are live: ``changed`` says that one was updated.

    Methods raise KeyError for an unknown id and StorageError when the queue cannot be saved.
    """

    added = Signal(object)
    changed = Signal(object)
    removed = Signal(str)
    moved = Signal()
    """The order is another."""
    finished = Signal(object)
    """A job reached ``done``: the library has one model more, or one that is measured."""
    failed = Signal(object)
    """A job ended without having been asked to."""
    held = Signal(str)
    """The queue waits, for this reason; ``""``: it goes on."""

    def __init__(
        self, database: Path | None = None, command: Sequence[str] = TZ, parent: QObject | None = None
    ) -> None:
        """``database`` defaults to ``jobs.sqlite`` under :func:`tzcore.paths.home`."""
        super().__init__(parent)
        self._command = command
        self._store = Store(database or paths.home() / "jobs.sqlite")
        self._jobs: dict[str, Job] = {}
        self._child: Child | None = None
        self._running: Job | None = None
        self._said_done = False
        self._error = ""
        self._pace = Pace()
        self._saved = 0.0
        self._closed = False
        self._hold = ""
        self.interrupted: list[str] = []
        """The ids of jobs that ran or waited when the last window ended, or was ended."""
        self._read()

    @property
    def trouble(self) -> str:
        """What was wrong with the queue's file when it was opened, for the user; mostly nothing."""
        return self._store.trouble

    @property
    def hold_reason(self) -> str:
        """Why nothing runs although something waits; ``""`` where it may."""
        return self._hold

    def jobs(self) -> list[Job]:
        """All jobs, in their order."""
        return list(self._jobs.values())

    def job(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def log(self, job_id: str) -> Path:
        """The file with what a job's child has said on stderr; it may not be there."""
        return paths.logs() / "jobs" / f"{job_id}.log"

    def add(
        self,
        source: str,
        encoding: str = "",
        packing: str | None = None,
        options: Options | Mapping[str, Any] | None = None,
    ) -> Job:
        """Queue a conversion; it starts at once if nothing runs.  The same unfinished order: that job goes on.

        ValueError says which of the ``options`` is wrong.  With a budget among them ``encoding`` is left out.
        """
        chosen = options if isinstance(options, Options) else Options.of(options)
        if chosen.budget:
            encoding, packing = "", None
        return self._add(Job("", source, encoding, packing, options=chosen))

    def measure(self, model_id: str) -> Job:
        """Queue the measurement of an installed model: its receipt will say how near it is to its original."""
        course = Course({"expected": MEASURING})
        return self._add(Job("", model_id, "", kind=MEASURE, model_id=model_id, course=course))

    def _add(self, order: Job) -> Job:
        for job in self._jobs.values():
            if job.unfinished and _order(job) == _order(order):
                if job.state == "paused":
                    self.retry(job.id)
                return job
        last = max((job.position for job in self._jobs.values()), default=-1)
        job = replace(order, id=uuid.uuid4().hex, created=time.time(), position=last + 1)
        self._jobs[job.id] = job
        try:
            self._save(job)
        except StorageError:
            del self._jobs[job.id]
            raise
        self.added.emit(job)
        self._next()
        return job

    def move(self, job_id: str, places: int) -> None:
        """Move it so many places down (up where negative) among the jobs that are not done."""
        self._jobs[job_id]  # an unknown one is a KeyError
        waiting = [job.id for job in self._jobs.values() if not job.over]
        if job_id not in waiting:
            return
        at = waiting.index(job_id)
        to = min(max(at + places, 0), len(waiting) - 1)
        if to == at:
            return
        waiting.insert(to, waiting.pop(at))
        order = [job.id for job in self._jobs.values() if job.over] + waiting
        before = list(self._jobs)
        self._jobs = {name: self._jobs[name] for name in order}
        for position, job in enumerate(self._jobs.values()):
            job.position = position
        try:
            self._store.save_order(self.jobs())
        except StorageError:
            self._jobs = {name: self._jobs[name] for name in before}
            raise
        self.moved.emit()

    def pause(self, job_id: str) -> None:
        """Stop it; :meth:`retry` goes on from where it was."""
        self._halt(self._jobs[job_id], "paused")

    def cancel(self, job_id: str) -> None:
        """Stop it for good, as far as the user is concerned; :meth:`retry` still resumes."""
        self._halt(self._jobs[job_id], "cancelled")

    def retry(self, job_id: str) -> None:
        """Queue a paused, failed or cancelled job again; it resumes from what is on the disk."""
        job = self._jobs[job_id]
        if job.state in ("paused", "failed", "cancelled"):
            self._set(job, "queued")
            self._next()

    def resume_all(self, only: Sequence[str] | None = None) -> None:
        """Queue every paused job again, or those of ``only`` that are paused."""
        for job in self.jobs():
            if job.state == "paused" and (only is None or job.id in only):
                self.retry(job.id)

    def remove(self, job_id: str) -> None:
        """Take it off the list (cancelling it first if it runs)."""
        self.cancel(job_id)
        del self._jobs[job_id]
        self._store.remove(job_id)
        if job_id != (self._running.id if self._running else ""):
            self.log(job_id).unlink(missing_ok=True)
        self.removed.emit(job_id)

    def hold(self, reason: str) -> None:
        """Let nothing run until :meth:`release`: what runs is stopped, keeps its place and goes on by itself then."""
        if reason == self._hold:
            return
        self._hold = reason
        if self._running is not None and self._running.state == "running":
            job = self._running
            self._set(job, "queued")
            if self._child is not None:
                self._child.stop()
        self.held.emit(reason)

    def release(self) -> None:
        """The queue goes on."""
        if self._hold:
            self._hold = ""
            self.held.emit("")
            self._next()

    def shutdown(self) -> None:
        """Stop the running child, mark its job paused, and close.  For the end of the program."""
        if self._closed:
            return
        self._closed = True
        if self._running is not None:
            self._halt(self._running, "paused")
        if self._child is not None:
            self._child.stop_now(5.0)
        self._store.close()

    def _next(self) -> None:
        """Start the first queued job if no child runs; one that is being stopped still does."""
        if self._child is not None or self._closed or self._hold:
            return
        job = next((job for job in self._jobs.values() if job.state == "queued"), None)
        if job is None:
            return
        self._pace = Pace()
        self._said_done = False
        self._error = ""
        self._running = job
        job.course.begin()
        self._child = Child(command_line(job), self._command, self.log(job.id), self)
        self._child.said.connect(self._on_event)
        self._child.finished.connect(self._on_finished)
        self._set(job, "running")
        log.write(self.log(job.id), "tz " + " ".join(command_line(job)))
        self._child.start()
        self._try_to_save(job)  # once more: now it has a process id

    def _on_event(self, event: object) -> None:
        job = self._running
        if job is None or job.state != "running" or not isinstance(event, dict):
            return
        kind = event.get("event")
        if kind == "progress":
            self._on_progress(job, event)
        elif kind == "expect":
            job.course.expect(event.get("seconds"))
        elif kind == "note":
            job.detail = str(event.get("message", ""))
            log.write(self.log(job.id), job.detail)
        elif kind == "error":
            job.message, self._error = str(event.get("message", "")), str(event.get("kind", ""))
        elif kind == "done":
            self._said_done = True
            job.model_id = str(event.get("id", ""))
            receipt = receipts.read(Path(str(event.get("path", "")))) if event.get("path") else None
            job.verdict = receipt.verdict[0] if receipt is not None and receipt.kl is not None else ""
        self.changed.emit(job)

    def _on_progress(self, job: Job, event: dict[str, Any]) -> None:
        phase, detail = str(event.get("phase", "")), str(event.get("detail", ""))
        if phase != job.phase or (detail != job.detail and phase != "answer"):
            log.write(self.log(job.id), f"{phase}: {detail}")
        job.phase, job.unit = phase, str(event.get("unit", ""))
        job.done, job.total = int(event.get("done", 0)), int(event.get("total", 0))
        job.detail = detail
        now = time.monotonic()
        job.rate, job.seconds_left = self._pace.measure(job.phase, job.done, job.total, now)
        job.course.advance(job.phase, job.done, job.total, now)
        if now - self._saved >= SAVE_INTERVAL:
            self._saved = now
            self._try_to_save(job)

    def _on_finished(self, code: int) -> None:
        child, job = self._child, self._running
        self._child = self._running = None
        if child is None or job is None:
            return
        child.deleteLater()
        asked = "" if job.state == "running" else f" ({job.state})"
        log.write(self.log(job.id), f"ended with exit code {code}{asked}")
        if job.id not in self._jobs:
            self.log(job.id).unlink(missing_ok=True)
        elif job.state == "running":
            job.finished = time.time()
            if code == 0 and self._said_done:
                text = tr("{name} is measured.") if job.kind == MEASURE else tr("{name} is ready.")
                job.message = text.format(name=job.model_id)
                self._set(job, "done")
                self.finished.emit(job)
            else:
                job.message = job.message or failures.reason(code, child.last_words)
                job.remedy = failures.remedy(code, self._error, job.message)
                self._set(job, "failed")
                self.failed.emit(job)
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
            job.message = job.remedy = ""
            job.finished = 0.0
        self._try_to_save(job)
        self.changed.emit(job)

    def _try_to_save(self, job: Job) -> None:
        """The work goes on when the queue cannot be saved (a full disk), and the job says so."""
        try:
            self._save(job)
        except StorageError as error:
            job.message = str(error)

    def _save(self, job: Job) -> None:
        if job.id in self._jobs:  # else: removed while its child was still ending
            self._store.save(job, self._child.pid if job is self._running and self._child is not None else 0)

    def _read(self) -> None:
        """The queue as the last window left it: what ran or waited is paused, its child is ended."""
        for job, pid, seen in self._store.read():
            self._jobs[job.id] = job
            if job.state in ("queued", "running"):
                if pid:
                    _end_orphan(pid, seen)
                self.interrupted.append(job.id)
                self._set(job, "paused")


def command_line(job: Job) -> list[str]:
    """The arguments of the ``tz`` that does it."""
    if job.kind == MEASURE:
        return ["eval", "--json", "--background", "--receipt", "--", job.source]
    arguments = ["convert", "--json", "--background"]
    arguments += ["--encoding", job.encoding] if job.encoding else []
    arguments += ["--packing", job.packing] if job.packing else []
    return [*arguments, *job.options.words(), "--", job.source]


def _order(job: Job) -> tuple[object, ...]:
    return job.kind, job.source, job.encoding, job.packing, job.options


def _end_orphan(pid: int, seen: float) -> None:
    """End the child of a window that was killed, if it still runs: two must not write one model."""
    import psutil

    try:
        process = psutil.Process(pid)
        # Begun before we last saw it, and a tz conversion: the id has not been given to another program.
        if process.create_time() <= seen + 1 and {"convert", "eval"} & set(process.cmdline()):
            process.kill()  # at any moment it loses nothing, and the window need not wait
    except psutil.Error:
        return
