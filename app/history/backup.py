"""Copies of the conversations' database: the last good two, made in the background.

``history.backup.sqlite`` is the newest, ``history.backup-2.sqlite`` the one before.  A copy takes its
place only when it is whole, so that a database that is breaking never drives out the good ones.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

from app.database import DamagedError, check_whole
from tzcore.errors import StorageError

DAY = 24 * 3600.0
LOOK_EVERY = 600.0
"""Seconds between two looks at whether a backup is due."""


class Backups:
    """The copies beside one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._looked = -LOOK_EVERY
        self.armed = False
        self.newest = path.with_name(f"{path.stem}.backup.sqlite")
        self.previous = path.with_name(f"{path.stem}.backup-2.sqlite")
        self.suspect = path.with_name(f"{path.stem}.suspect")
        """A mark: the database is to be checked at the next opening."""

    def start_when_due(self) -> None:
        """Copy in the background when a day has gone by since the last copy, or the schema is a newer one."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        if self._due() and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._make_quietly, name="history backup", daemon=True)
            self._thread.start()

    def start_anew(self) -> None:
        """Replace all copies by one of now, in the background."""
        self.wait()
        if self.candidates() or self._older():
            self._thread = threading.Thread(target=self._make_anew, name="history backup", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until a copy that is being made is done."""
        if self._thread is not None:
            self._thread.join()

    def make(self) -> None:
        """Copy now.  DamagedError: the database is not whole; the copies stay as they were."""
        fresh = self._path.with_name(f"{self._path.stem}.backup.{os.getpid()}.new")
        try:
            # In one step: the copy is of one moment, and in WAL mode no writer waits for it.
            with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(fresh)) as copy:
                source.backup(copy)
                check_whole(copy, self._path)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, complete in itself
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
            if self.newest.exists():
                self.newest.replace(self.previous)
            fresh.replace(self.newest)
        except DamagedError:
            self.mark_suspect()
            raise
        except (OSError, sqlite3.Error) as error:
            raise StorageError(str(error)) from error
        finally:
            for left in (fresh, fresh.with_name(fresh.name + "-journal")):
                with suppress(OSError):
                    left.unlink(missing_ok=True)

    def mark_suspect(self) -> None:
        """Have the database checked at the next opening."""
        with suppress(OSError):
            self.suspect.touch()

    def candidates(self) -> list[Path]:
        """The copies that there are, newest first."""
        return [path for path in (self.newest, self.previous) if path.exists()]

    def _due(self) -> bool:
        try:
            made = self.newest.stat().st_mtime
        except OSError:
            return True
        if any(old.stat().st_mtime > made for old in self._older()):
            return True  # migrated since
        changed = 0.0
        for name in (self._path.name, self._path.name + "-wal"):
            with suppress(OSError):
                changed = max(changed, (self._path.with_name(name)).stat().st_mtime)
        age = time.time() - made
        return changed > made and not 0 <= age < DAY  # a copy from the future: the clock was changed

    def _older(self) -> list[Path]:
        """The copies that were made before migrations."""
        return list(self._path.parent.glob(f"{self._path.name}.before-v*"))

    def _make_anew(self) -> None:
        with suppress(StorageError, OSError):
            self.make()
            for old in (self.previous, *self._older()):
                old.unlink(missing_ok=True)

    def _make_quietly(self) -> None:
        # No room for a copy, or the like: the next look tries again.  A damage is marked.
        with suppress(StorageError):
            self.make()
