"""What happens when the conversations' database is damaged: set aside, the newest good backup in its
place, and what the damaged file still gives of later messages added to it.

Nothing of this is silent: :func:`recover` returns the sentences that the user must read.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from app.database import SIDE_FILES, check_whole, open_database, set_aside, transaction
from app.history.backup import Backups
from app.history.schema import MIGRATIONS
from app.translation import tr
from tzcore.errors import StorageError

BEYOND = 5000
"""Row numbers tried after the last one that was found, where the file does not say how many there are."""
MANY = 500
TABLES = ("folder", "preset", "conversation", "message", "attachment")


def recover(path: Path, backups: Backups) -> list[str]:
    """Put a working database at ``path``; the damaged one is kept.  StorageError when even that fails."""
    aside = set_aside(path)
    backup = next((one for one in backups.candidates() if _good(one)), None)
    made = 0.0
    if backup is not None:
        made = backup.stat().st_mtime
        fresh = path.with_name(path.name + ".new")
        try:
            shutil.copyfile(backup, fresh)
            fresh.replace(path)
        except OSError as error:
            text = tr("{path} cannot be written: {reason}")
            raise StorageError(text.format(path=path, reason=error.strerror)) from error
    with closing(open_database(path, MIGRATIONS)) as connection:
        restored = _count(connection)
        added = salvage(aside, connection)
        total = _count(connection)
    return [_told(aside.name, made, restored, total, added)]


def salvage(broken: Path, into: sqlite3.Connection) -> int:
    """Add to ``into`` the rows that the broken file has and it has not, or has with an older text; how many
    messages that were.  The file itself is not touched."""
    with tempfile.TemporaryDirectory(prefix="tz-salvage-") as folder:
        copy = Path(folder) / "broken.sqlite"
        try:
            shutil.copyfile(broken, copy)
            wal = broken.with_name(broken.name + SIDE_FILES[0])
            if wal.exists():
                shutil.copyfile(wal, copy.with_name(copy.name + SIDE_FILES[0]))
        except OSError:  # no room for the copy: the backup alone has to do
            return 0
        with closing(sqlite3.connect(copy)) as source:
            source.row_factory = sqlite3.Row
            source.text_factory = lambda data: data.decode("utf-8", "replace")
            rows = {table: list(_rows(source, table, _highest(into, table))) for table in TABLES}
    with transaction(into):
        return _merge(into, rows)


def _rows(source: sqlite3.Connection, table: str, at_least: int) -> Iterator[dict[str, Any]]:
    """Every row that can be read, one by one, so that a broken page costs only what lies on it."""
    highest = None
    with suppress(sqlite3.Error):
        highest = source.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0
    with suppress(sqlite3.Error):
        sequence = source.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        highest = max(highest or 0, sequence[0] if sequence else 0)
    number, found, errors = 0, 0, 0
    for begin in range(0, highest or 0, MANY):  # whole stretches, as long as none lies on a broken page
        try:
            stretch = source.execute(
                f"SELECT * FROM {table} WHERE id > ? AND id <= ? ORDER BY id", (begin, begin + MANY)
            ).fetchall()
        except sqlite3.Error:
            break
        number = begin + MANY
        yield from map(dict, stretch)
    while number < (highest if highest is not None else max(found, at_least) + BEYOND):
        number += 1
        try:
            row = source.execute(f"SELECT * FROM {table} WHERE id = ?", (number,)).fetchone()
        except sqlite3.Error as error:
            if "no such table" in str(error) or "not a database" in str(error):
                return
            errors += 1
            if errors > BEYOND and not found:
                return
            continue
        if row is not None:
            found = number
            yield dict(row)


def _merge(into: sqlite3.Connection, rows: dict[str, list[dict[str, Any]]]) -> int:
    into.execute("PRAGMA defer_foreign_keys = ON")
    for table in ("folder", "preset"):
        for row in rows[table]:
            with suppress(sqlite3.IntegrityError):
                _insert(into, table, row)
    touched: dict[int, dict[str, Any]] = {}
    for row in rows["conversation"]:
        if _known(into, "conversation", row) is None:
            if _taken(into, "conversation", row["id"]):
                continue
            if row.get("folder") is not None and not _taken(into, "folder", row["folder"]):
                row["folder"] = None
            _insert(into, "conversation", {**row, "shown_root": None})
        touched[row["id"]] = row
    added: dict[int, dict[str, Any]] = {}
    there = {row[0]: (row[1], row[2]) for row in into.execute("SELECT id, created, text FROM message")}
    for row in rows["message"]:
        if there.get(row["id"]) == (row["created"], row["text"]):
            continue
        known = _known(into, "message", row)
        if known is not None:
            # An answer that was still being written when the backup was made has more text now.
            if known["text"] != row["text"] and len(row["text"]) >= len(known["text"]):
                into.execute(
                    "UPDATE message SET text = ?, state = ?, timings = ? WHERE id = ?",
                    (row["text"], row["state"], row["timings"], row["id"]),
                )
                added[row["id"]] = row
            continue
        if _taken(into, "message", row["id"]):
            continue
        if not _taken(into, "conversation", row["conversation"]):
            _insert(into, "conversation", _lost_conversation(row))
            touched[row["conversation"]] = {"shown_root": None}
        if row["parent"] is not None and not _taken(into, "message", row["parent"]):
            before = into.execute(
                "SELECT max(id) FROM message WHERE conversation = ? AND id < ?", (row["conversation"], row["id"])
            ).fetchone()[0]
            row["parent"] = before
        _insert(into, "message", {**row, "shown_child": None})
        added[row["id"]] = row
    for row in added.values():  # the newest of what came is shown, as it was
        if row["parent"] is not None:
            into.execute("UPDATE message SET shown_child = ? WHERE id = ?", (row["id"], row["parent"]))
    for number, row in touched.items():
        shown = row.get("shown_root")
        if shown is None or not _taken(into, "message", shown):
            shown = into.execute(
                "SELECT max(id) FROM message WHERE conversation = ? AND parent IS NULL", (number,)
            ).fetchone()[0]
        into.execute("UPDATE conversation SET shown_root = ? WHERE id = ?", (shown, number))
    for row in rows["attachment"]:
        if row["message"] in added and not _taken(into, "attachment", row["id"]):
            _insert(into, "attachment", row)
    return len(added)


def _insert(into: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    columns = {column[1] for column in into.execute(f"PRAGMA table_info({table})")} & set(row)
    names = sorted(columns)
    into.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        [row[name] for name in names],
    )


def _known(into: sqlite3.Connection, table: str, row: dict[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = into.execute(
        f"SELECT * FROM {table} WHERE id = ? AND created = ?", (row["id"], row["created"])
    ).fetchone()
    return found


def _taken(into: sqlite3.Connection, table: str, number: object) -> bool:
    return into.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone() is not None


def _lost_conversation(message: dict[str, Any]) -> dict[str, Any]:
    """Its own row could not be read, a message of it could."""
    from app.history.messages import title_from

    return {
        "id": message["conversation"], "title": title_from(message["text"]), "model": message["model"],
        "created": message["created"], "updated": message["created"], "place": message["created"],
    }


def _highest(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM conversation WHERE deleted IS NULL").fetchone()[0])


def _good(backup: Path) -> bool:
    try:
        with closing(sqlite3.connect(backup)) as connection:
            check_whole(connection, backup)
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            return 0 < version <= len(MIGRATIONS)
    except (sqlite3.Error, StorageError):
        return False


def _told(aside: str, made: float, restored: int, total: int, added: int) -> str:
    facts = {
        "name": aside, "restored": restored, "total": total, "added": added,
        "time": time.strftime("%Y-%m-%d %H:%M", time.localtime(made)),
    }
    if made and added:
        return tr(
            "The file with your conversations was damaged. The backup of {time} with {restored} conversations was "
            "restored, and {added} later messages could still be read from the damaged file: {total} conversations "
            "now. The damaged file is kept as {name}."
        ).format(**facts)
    if made:
        return tr(
            "The file with your conversations was damaged. The backup of {time} with {restored} conversations was "
            "restored; messages written after it may be missing. The damaged file is kept as {name}."
        ).format(**facts)
    if total:
        return tr(
            "The file with your conversations was damaged and there was no backup yet. {total} conversations with "
            "{added} messages could still be read from it. The damaged file is kept as {name}."
        ).format(**facts)
    return tr(
        "The file with your conversations was damaged, there was no backup yet, and nothing could be read from it. "
        "It is kept as {name}; a new one was begun."
    ).format(**facts)
