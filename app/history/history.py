"""Conversations: a tree of messages in SQLite (WAL), full-text search, soft delete.

A message's children are the ways the conversation went on from it.  Editing or regenerating
adds a sibling; nothing is overwritten.  Each message remembers which child is shown, so
the *active branch* is the walk from the conversation's shown root down to a leaf.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.database import open_database, transaction
from app.translation import mark, tr
from tzcore import paths

ROLES = ("system", "user", "assistant")
STATES = ("streaming", "done", "stopped", "interrupted", "failed")
ENDED_EARLY = {"stopped": mark("stopped"), "interrupted": mark("interrupted"), "failed": mark("failed")}

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        deleted REAL,
        shown_root INTEGER REFERENCES message (id)
    );
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        parent INTEGER REFERENCES message (id),
        role TEXT NOT NULL,
        text TEXT NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        state TEXT NOT NULL,
        timings TEXT,
        shown_child INTEGER REFERENCES message (id)
    );
    CREATE INDEX message_by_conversation ON message (conversation, id);
    """,
    """
    CREATE VIRTUAL TABLE message_search USING fts5 (
        text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
        INSERT INTO message_search (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_changed AFTER UPDATE OF text ON message BEGIN
        INSERT INTO message_search (message_search, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO message_search (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
        INSERT INTO message_search (message_search, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE VIRTUAL TABLE title_search USING fts5 (
        title, content = 'conversation', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER conversation_added AFTER INSERT ON conversation BEGIN
        INSERT INTO title_search (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_changed AFTER UPDATE OF title ON conversation BEGIN
        INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO title_search (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_gone AFTER DELETE ON conversation BEGIN
        INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    INSERT INTO message_search (message_search) VALUES ('rebuild');
    INSERT INTO title_search (title_search) VALUES ('rebuild');
    """,
    """
    ALTER TABLE message ADD COLUMN context_changes TEXT;
    ALTER TABLE conversation ADD COLUMN context_overflow TEXT NOT NULL DEFAULT '';
    """,
)
"""The schema's versions, in order; only ever appended to."""


@dataclass(frozen=True)
class ConversationSummary:
    """One line of the list.  ``updated`` is in seconds since the epoch.  ``snippet`` shows where a
    search matched (plain text), empty without a search."""

    id: int
    title: str
    model: str
    updated: float
    snippet: str = ""


@dataclass(frozen=True)
class Message:
    """``role``: system, user or assistant.  ``state``: ``"done"``, ``"streaming"``, ``"stopped"`` (by the
    user), ``"interrupted"`` (the program or the engine went down) or ``"failed"``.  ``timings`` holds
    whatever was measured (JSON).  ``siblings`` is how many ways there are at this place (1 = no
    branch) and ``position`` which of them this is, from 0.  ``context_changes`` are what the model did not
    read any more for this answer, as :mod:`app.chat.context_change` writes them."""

    id: int
    conversation: int
    parent: int | None
    role: str
    text: str
    model: str
    created: float
    state: str
    timings: Mapping[str, Any] | None
    siblings: int = 1
    position: int = 0
    context_changes: tuple[Mapping[str, Any], ...] = ()


class History:
    """Not thread-safe: one object, one thread.  Every method is one transaction.

    All methods raise StorageError when the file cannot be read or written, and KeyError for a
    conversation or message that does not exist.
    """

    def __init__(self, path: Path | None = None) -> None:
        """``path`` defaults to ``history.sqlite`` under :func:`tzcore.paths.home`.  Migrates an older file
        (after copying it to ``….before-vN``); StorageError for one from a newer program or a broken one.
        Answers left ``"streaming"`` by a crash become ``"interrupted"``."""
        self._db = open_database(path or paths.home() / "history.sqlite", MIGRATIONS)
        with transaction(self._db):
            self._db.execute("UPDATE message SET state = 'interrupted' WHERE state = 'streaming'")

    def conversations(self, query: str = "") -> list[ConversationSummary]:
        """Those not deleted, newest first; with ``query`` those whose title or any one message has all its
        words (the last one as a prefix).  Text in scripts without spaces between words is searched as it is."""
        if not query.strip():
            return self._summaries("deleted IS NULL")
        found = self._find(query.strip())
        return [
            ConversationSummary(one.id, one.title, one.model, one.updated, found[one.id])
            for one in self._summaries("deleted IS NULL")
            if one.id in found
        ]

    def deleted(self) -> list[ConversationSummary]:
        """The soft-deleted ones, newest first."""
        return self._summaries("deleted IS NOT NULL")

    def create(self, model: str, title: str = "") -> int:
        """A new conversation's id.  Without a title it takes one from the first user message."""
        now = time.time()
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO conversation (title, model, created, updated) VALUES (?, ?, ?, ?)",
                (title, model, now, now),
            )
        return int(cursor.lastrowid or 0)

    def conversation(self, conversation_id: int) -> ConversationSummary:
        """One, deleted or not."""
        for summary in self._summaries("id = ?", conversation_id):
            return summary
        raise KeyError(f"no conversation {conversation_id}")

    def messages(self, conversation_id: int) -> list[Message]:
        """The active branch, root first."""
        rows = {row["id"]: row for row in self._rows(conversation_id)}
        root = self._db.execute("SELECT shown_root FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        if root is None:
            raise KeyError(f"no conversation {conversation_id}")
        children: dict[int | None, list[int]] = {}
        for row in rows.values():
            children.setdefault(row["parent"], []).append(row["id"])
        branch = []
        shown = root["shown_root"]
        while shown is not None:
            row = rows[shown]
            around = children[row["parent"]]
            branch.append(_message(row, len(around), around.index(shown)))
            shown = row["shown_child"]
        return branch

    def message(self, message_id: int) -> Message:
        return next(one for one in self.siblings(message_id) if one.id == message_id)

    def append(
        self,
        conversation_id: int,
        parent: int | None,
        role: str,
        text: str,
        model: str = "",
        state: str = "done",
        timings: Mapping[str, Any] | None = None,
    ) -> Message:
        """Add a child of ``parent`` (``None``: a root) and make it the shown one.

        ValueError for an unknown role or state, or a parent in another conversation.
        """
        _check(role, ROLES)
        _check(state, STATES)
        conversation = self.conversation(conversation_id)
        if parent is not None and self._row(parent)["conversation"] != conversation_id:
            raise ValueError(f"message {parent} is not in conversation {conversation_id}")
        now = time.time()
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO message (conversation, parent, role, text, model, created, state, timings) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation_id, parent, role, text, model, now, state, _dump(timings)),
            )
            message_id = int(cursor.lastrowid or 0)
            title = conversation.title or (title_from(text) if role == "user" else "")
            self._db.execute(
                "UPDATE conversation SET updated = ?, title = ? WHERE id = ?", (now, title, conversation_id)
            )
            self._show(message_id)
        return self.message(message_id)

    def update(self, message_id: int, text: str, state: str, timings: Mapping[str, Any] | None = None) -> Message:
        """Replace a message's text and state: a streaming answer, about once a second and at its end.

        ``timings`` of ``None`` leaves those that are there.
        """
        _check(state, STATES)
        conversation = self._row(message_id)["conversation"]
        with transaction(self._db):
            self._db.execute(
                "UPDATE message SET text = ?, state = ?, timings = coalesce(?, timings) WHERE id = ?",
                (text, state, _dump(timings), message_id),
            )
            self._db.execute("UPDATE conversation SET updated = ? WHERE id = ?", (time.time(), conversation))
        return self.message(message_id)

    def set_context_changes(self, message_id: int, changes: Sequence[Mapping[str, Any]]) -> Message:
        """What the model did not read any more for this answer."""
        self._row(message_id)
        with transaction(self._db):
            text = json.dumps([dict(change) for change in changes], ensure_ascii=False)
            self._db.execute("UPDATE message SET context_changes = ? WHERE id = ?", (text, message_id))
        return self.message(message_id)

    def siblings(self, message_id: int) -> list[Message]:
        """All children of this message's parent, oldest first, itself included."""
        row = self._row(message_id)
        rows = [other for other in self._rows(row["conversation"]) if other["parent"] == row["parent"]]
        return [_message(other, len(rows), position) for position, other in enumerate(rows)]

    def activate(self, message_id: int) -> None:
        """Show this message's branch: every message on the way from the root to it becomes the shown one."""
        self._row(message_id)
        with transaction(self._db):
            self._show(message_id)

    def rename(self, conversation_id: int, title: str) -> None:
        self._set(conversation_id, "title", title)

    def set_model(self, conversation_id: int, model: str) -> None:
        """The model that the conversation goes on with."""
        self._set(conversation_id, "model", model)

    def context_overflow(self, conversation_id: int) -> str:
        """What happens in this conversation when the context is full; empty: what the settings say."""
        row = self._db.execute("SELECT context_overflow FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        if row is None:
            raise KeyError(f"no conversation {conversation_id}")
        return str(row["context_overflow"])

    def set_context_overflow(self, conversation_id: int, overflow: str) -> None:
        self._set(conversation_id, "context_overflow", overflow)

    def delete(self, conversation_id: int) -> None:
        """Soft: out of the list until :meth:`restore`."""
        self._set(conversation_id, "deleted", time.time())

    def restore(self, conversation_id: int) -> None:
        self._set(conversation_id, "deleted", None)

    def export_markdown(self, conversation_id: int) -> str:
        """The active branch as a Markdown document."""
        summary = self.conversation(conversation_id)
        parts = [f"# {summary.title or tr('Conversation')}"]
        for message in self.messages(conversation_id):
            name = {"system": tr("System"), "user": tr("You")}.get(message.role) or message.model or summary.model
            note = f" ({tr(ENDED_EARLY[message.state])})" if message.state in ENDED_EARLY else ""
            parts.append(f"## {name}{note}\n\n{message.text.strip()}")
        return "\n\n".join(parts) + "\n"

    def close(self) -> None:
        self._db.close()

    def _summaries(self, condition: str, *values: object) -> list[ConversationSummary]:
        rows = self._db.execute(
            f"SELECT id, title, model, updated FROM conversation WHERE {condition} ORDER BY updated DESC, id DESC",
            values,
        )
        return [ConversationSummary(row["id"], row["title"], row["model"], row["updated"]) for row in rows]

    def _find(self, query: str) -> dict[int, str]:
        """Conversation ids that match, each with a snippet (empty where only the title matches)."""
        words = re.findall(r"\w+", query)
        if not words or any(_spaceless(word) for word in words):
            pattern = "%" + re.sub(r"([%_\\])", r"\\\1", query) + "%"
            titles = self._db.execute("SELECT id FROM conversation WHERE title LIKE ? ESCAPE '\\'", (pattern,))
            messages = self._db.execute(
                "SELECT conversation, text FROM message WHERE text LIKE ? ESCAPE '\\' ORDER BY id", (pattern,)
            )
            found = {row["id"]: "" for row in titles}
            for row in messages:
                if not found.get(row["conversation"]):
                    found[row["conversation"]] = _around(row["text"], query)
            return found
        match = " ".join(f'"{word}"' for word in words) + "*"
        found = {
            row["rowid"]: ""
            for row in self._db.execute("SELECT rowid FROM title_search WHERE title_search MATCH ?", (match,))
        }
        for row in self._db.execute(
            "SELECT message.conversation, snippet(message_search, 0, '', '', '…', 14) AS snippet "
            "FROM message_search JOIN message ON message.id = message_search.rowid "
            "WHERE message_search MATCH ? ORDER BY rank",
            (match,),
        ):
            if not found.get(row["conversation"]):
                found[row["conversation"]] = " ".join(row["snippet"].split())
        return found

    def _rows(self, conversation_id: int) -> list[sqlite3.Row]:
        rows = self._db.execute("SELECT * FROM message WHERE conversation = ? ORDER BY id", (conversation_id,))
        return rows.fetchall()

    def _row(self, message_id: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM message WHERE id = ?", (message_id,)).fetchone()
        if row is None:
            raise KeyError(f"no message {message_id}")
        return row

    def _show(self, message_id: int) -> None:
        """Mark the way from the root down to the message; what was shown below it stays as it was."""
        while True:
            row = self._row(message_id)
            if row["parent"] is None:
                self._db.execute(
                    "UPDATE conversation SET shown_root = ? WHERE id = ?", (message_id, row["conversation"])
                )
                return
            self._db.execute("UPDATE message SET shown_child = ? WHERE id = ?", (message_id, row["parent"]))
            message_id = row["parent"]

    def _set(self, conversation_id: int, column: str, value: object) -> None:
        with transaction(self._db):
            cursor = self._db.execute(f"UPDATE conversation SET {column} = ? WHERE id = ?", (value, conversation_id))
            if cursor.rowcount == 0:
                raise KeyError(f"no conversation {conversation_id}")


def title_from(text: str, longest: int = 60) -> str:
    """A title from the first line that has text, cut between words."""
    line = next((line.strip(" #>*-`\t") for line in text.splitlines() if line.strip(" #>*-`\t")), "")
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    words = cut.rsplit(" ", 1)[0]
    return (words if len(words) > longest // 2 else cut).rstrip(" ,;:.") + "…"


def _message(row: sqlite3.Row, siblings: int, position: int) -> Message:
    timings = json.loads(row["timings"]) if row["timings"] else None
    return Message(
        row["id"], row["conversation"], row["parent"], row["role"], row["text"], row["model"],
        row["created"], row["state"], timings, siblings, position, tuple(json.loads(row["context_changes"] or "[]")),
    )


def _dump(timings: Mapping[str, Any] | None) -> str | None:
    return None if timings is None else json.dumps(dict(timings), ensure_ascii=False)


def _check(value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")


def _spaceless(word: str) -> bool:
    """Scripts that do not put spaces between words (Thai to Khmer, Chinese, Japanese): unicode61 makes a
    whole sentence one word of them."""
    return any("\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
               or "\u2e80" <= char <= "\u9fff" or char >= "\U00020000" for char in word)


def _around(text: str, query: str, width: int = 60) -> str:
    at = max(text.lower().find(query.lower()), 0)
    start, end = max(at - width // 2, 0), at + len(query) + width // 2
    return ("…" if start else "") + " ".join(text[start:end].split()) + ("…" if end < len(text) else "")
