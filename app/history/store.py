"""The connection that all parts of the history share, and what they all do with it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from app.database import damaged, transaction
from app.history.backup import Backups
from app.translation import tr
from tzcore.errors import StorageError


class Store:
    """Reads with errors that a person can read.  Not thread-safe: one object, one thread."""

    _db: sqlite3.Connection
    _backups: Backups

    def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        if self._suspect(error):
            text = tr(
                "The file with your conversations is damaged ({reason}). Close this window and open it again: "
                "what can be restored will be restored then."
            )
        else:
            text = tr("The conversations cannot be read: {reason}")
        raise StorageError(text.format(reason=error)) from error

    def _suspect(self, error: BaseException | None) -> bool:
        """Whether the file is to blame; it is checked at the next opening then."""
        if not isinstance(error, sqlite3.Error) or not damaged(error):
            return False
        self._backups.mark_suspect()
        return True

    def _one(self, sql: str, *values: object) -> sqlite3.Row | None:
        return next(iter(self._all(sql, *values)), None)

    def _conversation_row(self, conversation_id: int, columns: str) -> sqlite3.Row:
        row = self._one(f"SELECT {columns} FROM conversation WHERE id = ?", conversation_id)
        if row is None:
            raise KeyError(f"no conversation {conversation_id}")
        return row

    def _message_row(self, message_id: int, columns: str) -> sqlite3.Row:
        row = self._one(f"SELECT {columns} FROM message WHERE id = ?", message_id)
        if row is None:
            raise KeyError(f"no message {message_id}")
        return row

    def _set(self, conversation_id: int, column: str, value: object) -> None:
        with transaction(self._db):
            cursor = self._db.execute(f"UPDATE conversation SET {column} = ? WHERE id = ?", (value, conversation_id))
            if cursor.rowcount == 0:
                raise KeyError(f"no conversation {conversation_id}")

    def _touch(self, conversation_id: int) -> None:
        """It was changed now.  Within a transaction.  Where the clock went back, it still comes before all others."""
        now = time.time()
        self._db.execute(
            "UPDATE conversation SET updated = ?1, place = max(?1, "
            "(SELECT coalesce(max(place), 0) FROM conversation WHERE id != ?2) + 0.001) WHERE id = ?2",
            (now, conversation_id),
        )


def dump(mapping: Mapping[str, Any]) -> str:
    """JSON as the columns hold it."""
    return json.dumps(dict(mapping), ensure_ascii=False)
