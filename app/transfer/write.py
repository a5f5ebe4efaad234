"""Imported conversations into the database: all of a file or nothing, while the window goes on writing.

Conversations come in small transactions, so that nobody waits for long, and stay out of sight (``deleted`` below 0)
until the last one is there; then one transaction shows them all.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.database import transaction
from app.history.messages import add_attachments, title_from
from app.transfer.conversation import Said, Talk, UnreadableError
from app.transfer.source import Source

ARRIVING = -1.0
A_TIME = 0.05
"""Seconds of writing in one transaction, and about what everyone else may have to wait."""
PAUSE = 0.002
NAMED = 20
"""Conversations that could not be imported are named up to here; all are counted."""


@dataclass
class Outcome:
    """What came of an import."""

    program: str = ""
    conversations: int = 0
    messages: int = 0
    known: int = 0
    """Conversations that were there already."""
    empty: int = 0
    replaced: int = 0
    """Pictures and the like that could only be named."""
    failed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def write(path: Path, source: Source, progress: Callable[[int, int], None]) -> Outcome:
    """Import all.  UnreadableError when the database does not take it; nothing of it is kept then."""
    outcome = Outcome(program=source.program)
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            clear(connection)
            try:
                _write(connection, source, outcome, progress)
            except BaseException:
                clear(connection)
                raise
    except sqlite3.Error as error:
        raise UnreadableError("not_written", str(error)) from error
    return outcome


def left_over(path: Path) -> bool:
    """Whether an import lies there that did not come to its end."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT 1 FROM conversation WHERE deleted < 0 LIMIT 1").fetchone() is not None


def clear(connection: sqlite3.Connection) -> None:
    """Take away what an import left that did not come to its end."""
    numbers = [row[0] for row in connection.execute("SELECT id FROM conversation WHERE deleted < 0")]
    for begin in range(0, len(numbers), 50):
        with transaction(connection):
            connection.executemany("DELETE FROM conversation WHERE id = ?",
                                   [(number,) for number in numbers[begin : begin + 50]])


def _write(
    connection: sqlite3.Connection, source: Source, outcome: Outcome, progress: Callable[[int, int], None]
) -> None:
    known = {row[0] for row in connection.execute("SELECT source FROM conversation WHERE source != ''")}
    known |= {f"tz:{row[0]!r}" for row in connection.execute("SELECT created FROM conversation")}
    trashed: dict[int, float] = {}
    folders: dict[int, str] = {}
    done = 0
    talks = iter(source.talks)
    over = False
    while not over:
        began = time.monotonic()
        with transaction(connection):
            while time.monotonic() - began < A_TIME:
                talk = next(talks, None)
                if talk is None:
                    over = True
                    break
                done += 1
                if isinstance(talk, UnreadableError):
                    _note(outcome, talk)
                elif talk.source and talk.source in known:
                    outcome.known += 1
                else:
                    number = _insert(connection, talk)
                    known.add(talk.source)
                    outcome.conversations += 1
                    outcome.messages += len(talk.messages)
                    outcome.replaced += talk.replaced
                    if talk.deleted:
                        trashed[number] = talk.deleted
                    if talk.folder:
                        folders[number] = talk.folder
        progress(done, source.count)
        time.sleep(PAUSE)
    with transaction(connection):
        ids = {row["name"]: row["id"] for row in connection.execute("SELECT id, name FROM folder ORDER BY id DESC")}
        for name in dict.fromkeys(folders.values()):
            if name not in ids:
                ids[name] = connection.execute("INSERT INTO folder (name) VALUES (?)", (name,)).lastrowid
        for number, name in folders.items():
            connection.execute("UPDATE conversation SET folder = ? WHERE id = ?", (ids[name], number))
        for number, deleted in trashed.items():
            connection.execute("UPDATE conversation SET deleted = ? WHERE id = ?", (deleted, number))
        connection.execute("UPDATE conversation SET deleted = NULL WHERE deleted < 0")
        for name, settings in source.presets:
            connection.execute("INSERT INTO preset (name, settings) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                               (name, json.dumps(settings)))


def _note(outcome: Outcome, error: UnreadableError) -> None:
    if error.reason == "empty":
        outcome.empty += 1
        return
    outcome.failed += 1
    if len(outcome.failures) < NAMED:
        title = str(error.args[0])[:80] if error.args else ""
        outcome.failures.append({"title": title, "reason": error.reason, "detail": error.detail[:200]})


def _insert(connection: sqlite3.Connection, talk: Talk) -> int:
    now = time.time()
    created = talk.created or now
    updated = min(talk.updated or created, now)
    title = talk.title or title_from(next((said.text for said in talk.messages if said.role == "user"), ""))
    number = int(connection.execute(
        "INSERT INTO conversation (title, model, created, updated, deleted, pinned, settings, context_overflow, "
        "source, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (title, talk.model, created, updated, ARRIVING, int(talk.pinned), json.dumps(dict(talk.settings)),
         talk.context_overflow, talk.source, updated),
    ).lastrowid or 0)
    ids: dict[str, int] = {}
    for said in talk.messages:
        ids[said.key] = _insert_said(connection, number, said, ids, created)
    parents = {said.key: said.parent for said in talk.messages}
    connection.executemany(
        "UPDATE message SET shown_child = ? WHERE id = ?",
        [(ids[said.shown_child], ids[said.key]) for said in talk.messages
         if said.shown_child is not None and parents.get(said.shown_child) == said.key],
    )
    roots = [said.key for said in talk.messages if said.parent is None]
    root = talk.shown_root if talk.shown_root in roots else (roots[-1] if roots else None)
    connection.execute("UPDATE conversation SET shown_root = ? WHERE id = ?",
                       (None if root is None else ids[root], number))
    return number


def _insert_said(
    connection: sqlite3.Connection, conversation: int, said: Said, ids: dict[str, int], created: float
) -> int:
    changes = [{**change, "through": ids.get(str(change.get("through")))} for change in said.context_changes]
    number = int(connection.execute(
        "INSERT INTO message (conversation, parent, role, text, model, created, state, timings, context_changes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation, None if said.parent is None else ids[said.parent], said.role, said.text, said.model,
         said.created or created, said.state,
         None if said.timings is None else json.dumps(dict(said.timings)),
         json.dumps(changes) if changes else None),
    ).lastrowid or 0)
    add_attachments(connection, number, said.attachments)
    return number
