"""How the window opens its SQLite files: WAL, versioned migrations, a copy before migrating.

``user_version`` counts the migrations done.  Each migration is one SQL script run in one
transaction together with the new version, so a crash in the middle leaves the old file.
A damaged file is told apart from one that cannot be read or written just now: see
:class:`DamagedError` and :func:`set_aside`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from app.translation import tr
from tzcore.errors import StorageError

SIDE_FILES = ("-wal", "-shm")
"""What SQLite keeps beside a database that is open, or was not closed."""


class DamagedError(StorageError):
    """The file is no database, or one whose pages contradict each other."""


def open_database(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open or create ``path`` and bring it to the newest schema; rows are :class:`sqlite3.Row`.

    Before an older file is changed it is copied to ``NAME.before-vN``.  StorageError: the file
    was written by a newer program or cannot be written; DamagedError: it is damaged.
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
        kind = DamagedError if damaged(error) else StorageError
        raise kind(text.format(path=path, reason=error)) from error
    except StorageError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; a full disk and the like become StorageError, a damaged file DamagedError."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        kind = DamagedError if damaged(error) else StorageError
        raise kind(tr("The database cannot be written: {reason}").format(reason=error)) from error


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, not the disk, its rights or another program."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def left_open(path: Path) -> bool:
    """Whether the program that used it last did not come to close it."""
    return path.with_name(path.name + "-wal").exists()


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """DamagedError unless all pages hold together; takes about a second for each few hundred megabytes."""
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
        if not damaged(error):
            raise StorageError(tr("{path} cannot be opened: {reason}").format(path=path, reason=error)) from error
    if found != "ok":
        raise DamagedError(tr("{path} is damaged: {reason}").format(path=path, reason=found))


def set_aside(path: Path) -> Path:
    """Rename a damaged database, and what lies beside it, to ``NAME.broken-DATE.sqlite``; where it is now."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S")
    number = 1
    while (aside := path.with_name(f"{path.stem}.broken-{stamp}{'' if number == 1 else f'-{number}'}.sqlite")).exists():
        number += 1
    try:
        path.replace(aside)
        for ending in SIDE_FILES:
            if (side := path.with_name(path.name + ending)).exists():
                side.replace(aside.with_name(aside.name + ending))
    except OSError as error:
        text = tr("{path} is damaged and cannot be renamed: {reason}")
        raise StorageError(text.format(path=path, reason=error.strerror)) from error
    return aside


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
