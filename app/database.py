"""How the window opens its SQLite files: WAL, versioned migrations, a copy before migrating.

``user_version`` counts the migrations done.  Each migration is one SQL script run in one
transaction together with the new version, so a crash in the middle leaves the old file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from app.translation import tr
from tzcore.errors import StorageError


def open_database(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open or create ``path`` and bring it to the newest schema; rows are :class:`sqlite3.Row`.

    Before an older file is changed it is copied to ``NAME.before-vN``.  StorageError: the file
    is damaged, was written by a newer program, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(tr("{path} cannot be opened: {reason}").format(path=path, reason=error)) from error
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path, migrations)
    except sqlite3.DatabaseError as error:
        connection.close()
        text = tr("{path} cannot be used ({reason}); move it away to begin with an empty one")
        raise StorageError(text.format(path=path, reason=error)) from error
    except StorageError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; a full disk and the like become StorageError."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StorageError(tr("The database cannot be written: {reason}").format(reason=error)) from error


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        text = tr("{path} was written by a newer version of this program: update the program to open it")
        raise StorageError(text.format(path=path))
    if 0 < version < len(migrations):
        with closing(sqlite3.connect(path.with_name(f"{path.name}.before-v{len(migrations)}"))) as copy:
            connection.backup(copy)
    for number in range(version, len(migrations)):
        # executescript() commits first, so the transaction is written into the script itself.
        script = f"BEGIN IMMEDIATE;\n{migrations[number]}\nPRAGMA user_version = {number + 1};\nCOMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
