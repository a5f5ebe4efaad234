"""The queue's file: its schema, what is read from it and written to it, and what is done when it is damaged."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLockFile

from app.database import open_database, transaction
from app.jobs.course import Course
from app.jobs.job import Job
from app.jobs.options import Options
from app.translation import tr
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
    """
    ALTER TABLE job ADD COLUMN kind TEXT NOT NULL DEFAULT 'convert';
    ALTER TABLE job ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN arguments TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE job ADD COLUMN course TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE job ADD COLUMN remedy TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN finished REAL NOT NULL DEFAULT 0;
    UPDATE job SET position = (SELECT count(*) FROM job AS other
        WHERE other.created < job.created OR (other.created = job.created AND other.rowid < job.rowid));
    """,
)
"""The schema's versions, in order; only ever appended to.  ``child_pid`` and ``child_started`` find the
child that a killed window has left behind; ``arguments`` are :class:`Options`, ``course`` a :class:`Course`."""

PLAIN = ("source", "encoding", "packing", "state", "phase", "done", "total", "unit", "detail", "message", "model_id",
         "created", "kind", "position", "remedy", "finished")  # fmt: skip


class Store:
    """The open file.  One window at a time has it."""

    def __init__(self, path: Path) -> None:
        """StorageError: another window has it, a newer program wrote it, or it cannot be written.

        A damaged file is set aside and an empty one begun; ``trouble`` says so.
        """
        self.trouble = ""
        self._lock = QLockFile(str(path.with_name(path.name + ".lock")))
        self._lock.setStaleLockTime(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._lock.tryLock(0) and self._lock.error() == QLockFile.LockError.LockFailedError:
            text = tr("Another window works on the queue in {path}: close it first.")
            raise StorageError(text.format(path=path))
        try:
            self._db = self._open(path)
        except BaseException:
            self._lock.unlock()
            raise

    def _open(self, path: Path) -> sqlite3.Connection:
        try:
            database = open_database(path, MIGRATIONS)
        except StorageError as error:
            if not _damaged(error.__cause__):
                raise
            return self._anew(path)
        try:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            database.execute("SELECT * FROM job").fetchall()
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found == "ok":
            return database
        database.close()
        return self._anew(path)

    def _anew(self, path: Path) -> sqlite3.Connection:
        kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        for ending in ("", "-wal", "-shm"):
            part = path.with_name(path.name + ending)
            if part.exists():
                part.replace(kept.with_name(kept.name + ending))
        text = tr(
            "The list of jobs was damaged and begins anew; the old file is {file}. What was converted is kept: "
            "order a model again and it goes on from where it was."
        )
        self.trouble = text.format(file=kept.name)
        return open_database(path, MIGRATIONS)

    def read(self) -> list[tuple[Job, int, float]]:
        """All jobs in their order, each with its child's process id (0 = none) and when that was last seen."""
        found = []
        for row in self._db.execute("SELECT * FROM job ORDER BY position, created, rowid").fetchall():
            job = Job(row["id"], **{name: row[name] for name in PLAIN})
            job.options, job.course = Options.read(row["arguments"]), Course(_object(row["course"]))
            found.append((job, row["child_pid"], row["child_started"]))
        return found

    def save(self, job: Job, pid: int = 0) -> None:
        values: dict[str, Any] = {name: getattr(job, name) for name in PLAIN}
        values |= {"id": job.id, "arguments": job.options.kept(), "course": json.dumps(job.course.as_json())}
        values |= {"child_pid": pid, "child_started": time.time() if pid else 0.0}
        places = ", ".join("?" * len(values))
        with transaction(self._db):
            self._db.execute(f"INSERT OR REPLACE INTO job ({', '.join(values)}) VALUES ({places})", [*values.values()])

    def save_order(self, jobs: list[Job]) -> None:
        with transaction(self._db):
            self._db.executemany("UPDATE job SET position = ? WHERE id = ?", [(job.position, job.id) for job in jobs])

    def remove(self, job_id: str) -> None:
        with transaction(self._db):
            self._db.execute("DELETE FROM job WHERE id = ?", (job_id,))

    def close(self) -> None:
        self._db.close()
        self._lock.unlock()


def _damaged(cause: BaseException | None) -> bool:
    """Whether the file itself is at fault, and not the disk, a lock or a permission."""
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
