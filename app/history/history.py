"""Conversations: a tree of messages in SQLite (WAL), full-text search, soft delete.

A message's children are the ways the conversation went on from it.  Editing or regenerating
adds a sibling; nothing is overwritten.  Each message remembers which child is shown, so
the *active branch* is the walk from the conversation's shown root down to a leaf.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from app.database import DamagedError, check_whole, left_open, open_database, transaction
from app.history import search
from app.history.backup import Backups
from app.history.conversations import Conversations
from app.history.messages import Messages, title_from
from app.history.presets import Presets
from app.history.records import (
    ENDED_EARLY,
    ROLES,
    STATES,
    Attachment,
    ConversationSummary,
    Folder,
    Message,
    Preset,
)
from app.history.schema import MIGRATIONS
from tzcore import paths
from tzcore.errors import StorageError

__all__ = [
    "ENDED_EARLY", "MIGRATIONS", "ROLES", "STATES", "Attachment", "ConversationSummary", "Folder", "History",
    "Message", "Preset", "title_from",
]


class History(Messages, Conversations, Presets):
    """Not thread-safe: one object, one thread.  Every method is one transaction.

    All methods raise StorageError when the file cannot be read or written, and KeyError for a
    conversation, message, folder or preset that does not exist.
    """

    def __init__(self, path: Path | None = None) -> None:
        """``path`` defaults to ``history.sqlite`` under :func:`tzcore.paths.home`.  Migrates an older file
        (after copying it to ``….before-vN``); StorageError for one from a newer program.  A damaged one is
        set aside and its backup restored, which :attr:`notices` says.  Answers left ``"streaming"`` by a
        crash become ``"interrupted"``."""
        super().__init__()
        path = path or paths.home() / "history.sqlite"
        self.notices: list[str] = []
        """What the user must be told of the opening, as whole sentences."""
        self.path = path
        self._backups = Backups(path)
        try:
            self._db = self._open(path)
        except DamagedError:
            from app.history.recovery import recover  # not needed otherwise

            self.notices = recover(path, self._backups)
            self._db = self._open(path)
        self._backups.suspect.unlink(missing_ok=True)

    def _open(self, path: Path) -> sqlite3.Connection:
        doubtful = left_open(path) or self._backups.suspect.exists()
        connection = open_database(path, MIGRATIONS)
        try:
            if doubtful:
                check_whole(connection, path)
            if self._backups.suspect.exists():
                search.mend(connection)
            with transaction(connection):
                connection.execute("UPDATE message SET state = 'interrupted' WHERE state = 'streaming'")
        except BaseException:
            connection.close()
            raise
        return connection

    def keep_backup(self) -> None:
        """Copy the database in the background where that is due: once a day, and after a migration.  From
        then on :meth:`append` looks after it as well, for a window that stays open for days."""
        self._backups.armed = True
        self._backups.start_when_due()

    def forget_in_backups(self) -> None:
        """What was deleted for ever is to stay in no copy either: one backup, without it, replaces all of them."""
        self._backups.start_anew()

    def close(self) -> None:
        """Write what is still in memory, end a backup that is being made, and close the file."""
        if self._unsaved:
            with suppress(StorageError):
                self.save_again()
        self._backups.wait()
        self._db.close()
