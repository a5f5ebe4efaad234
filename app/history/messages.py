"""The tree of messages: reading the branch that is shown, adding to it, and the system prompt at its root."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.database import transaction
from app.history.records import ROLES, STATES, Attachment, Message, message_of
from app.history.store import Store, dump
from app.translation import tr
from tzcore.errors import StorageError

SHORT_WAIT, LONG_WAIT = 50, 5000
"""Milliseconds for which a write waits for another one."""
BRANCH = """
WITH RECURSIVE branch (id, depth) AS (
    SELECT shown_root, 0 FROM conversation WHERE id = ? AND shown_root IS NOT NULL
    UNION ALL
    SELECT message.shown_child, branch.depth + 1 FROM branch JOIN message ON message.id = branch.id
    WHERE message.shown_child IS NOT NULL
)
"""
AROUND = """
(SELECT count(*) FROM message AS other
 WHERE other.parent IS message.parent AND other.conversation = message.conversation) AS siblings,
(SELECT count(*) FROM message AS other
 WHERE other.parent IS message.parent AND other.conversation = message.conversation AND other.id < message.id)
 AS position
"""


@dataclass(frozen=True)
class Unsaved:
    """What :meth:`Messages.update` was given and could not write."""

    text: str
    state: str
    timings: Mapping[str, Any] | None


class Messages(Store):
    """The messages of conversations."""

    on_trouble: Callable[[str], None] | None = None
    """Told once when an answer cannot be written, and ``""`` when all is written again."""
    _told = False

    def __init__(self) -> None:
        self._unsaved: dict[int, Unsaved] = {}

    def messages(self, conversation_id: int) -> list[Message]:
        """The active branch, root first."""
        self._conversation_row(conversation_id, "id")
        return self._with_attachments(self._all(
            f"{BRANCH} SELECT message.*, {AROUND} FROM branch JOIN message ON message.id = branch.id "
            "ORDER BY branch.depth", conversation_id,
        ))

    def message(self, message_id: int) -> Message:
        """One message."""
        row = self._message_row(message_id, f"*, {AROUND}")
        return self._with_attachments([row])[0]

    def siblings(self, message_id: int) -> list[Message]:
        """All children of this message's parent, oldest first, itself included."""
        row = self._message_row(message_id, "conversation, parent")
        return self._with_attachments(self._all(
            f"SELECT *, {AROUND} FROM message WHERE parent IS ? AND conversation = ? ORDER BY id",
            row["parent"], row["conversation"],
        ))

    def tree(self, conversation_id: int) -> list[Message]:
        """All messages of all branches, each after its parent."""
        self._conversation_row(conversation_id, "id")
        rows = self._all(f"SELECT *, {AROUND} FROM message WHERE conversation = ? ORDER BY id", conversation_id)
        children: dict[int | None, list[Message]] = {}
        for message in self._with_attachments(rows):
            children.setdefault(message.parent, []).append(message)
        ordered = []
        waiting = children.get(None, [])[::-1]
        while waiting:
            message = waiting.pop()
            ordered.append(message)
            waiting.extend(reversed(children.get(message.id, [])))
        return ordered

    def append(
        self,
        conversation_id: int,
        parent: int | None,
        role: str,
        text: str,
        model: str = "",
        state: str = "done",
        timings: Mapping[str, Any] | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Message:
        """Add a child of ``parent`` (``None``: a root) and make it the shown one.

        The ``attachments`` get ids of their own, so those of another message can be given as they are.
        ValueError for an unknown role or state, or a parent in another conversation.
        """
        _check(role, ROLES)
        _check(state, STATES)
        titled = self._conversation_row(conversation_id, "title")["title"]
        if parent is not None and self._message_row(parent, "conversation")["conversation"] != conversation_id:
            raise ValueError(f"message {parent} is not in conversation {conversation_id}")
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO message (conversation, parent, role, text, model, created, state, timings) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation_id, parent, role, text, model, time.time(), state, None if timings is None else
                 dump(timings)),
            )
            message_id = int(cursor.lastrowid or 0)
            add_attachments(self._db, message_id, attachments)
            if not titled and role == "user":
                title = title_from(text) or next((one.name for one in attachments), "")
                self._db.execute("UPDATE conversation SET title = ? WHERE id = ?", (title, conversation_id))
            self._touch(conversation_id)
            self._show(message_id)
        if self._backups.armed:
            self._backups.start_when_due()
        return self.message(message_id)

    def update(self, message_id: int, text: str, state: str, timings: Mapping[str, Any] | None = None) -> Message:
        """Replace a message's text and state: a streaming answer, about once a second and at its end.

        ``timings`` of ``None`` leaves those that are there.  Where it cannot be written (a full disk) it is kept
        in memory, :attr:`on_trouble` is told once, and every later call of this or :meth:`save_again` tries
        again; without :attr:`on_trouble` it is a StorageError.
        """
        _check(state, STATES)
        self._message_row(message_id, "id")
        waiting = self._unsaved.get(message_id)
        if timings is None and waiting is not None:
            timings = waiting.timings
        self._unsaved[message_id] = Unsaved(text, state, timings)
        if state != "streaming":
            self.save_again()
        else:  # an import may be writing: what is saved every second need not wait for it
            self._db.execute(f"PRAGMA busy_timeout = {SHORT_WAIT}")
            try:
                self.save_again()
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {LONG_WAIT}")
        return self.message(message_id)

    @property
    def unsaved(self) -> bool:
        """Whether something is kept in memory that could not be written."""
        return bool(self._unsaved)

    def save_again(self) -> bool:
        """Write what could not be written; whether all is written now."""
        try:
            with transaction(self._db):
                for message_id, new in self._unsaved.items():
                    self._db.execute(
                        "UPDATE message SET text = ?, state = ?, timings = coalesce(?, timings) WHERE id = ?",
                        (new.text, new.state, None if new.timings is None else dump(new.timings), message_id),
                    )
                    self._touch_of(message_id)
        except StorageError as error:
            self._suspect(error.__cause__)
            if getattr(error.__cause__, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY and all(
                new.state == "streaming" for new in self._unsaved.values()
            ):
                return False
            if self.on_trouble is None:
                raise
            if not self._told:
                self._told = True
                self.on_trouble(tr(
                    "The answer cannot be saved now. It is kept in memory, and saved as soon as that works: please "
                    "make room on the disk before you close the window. {reason}"
                ).format(reason=error))
            return False
        self._unsaved.clear()
        if self._told and self.on_trouble is not None:
            self.on_trouble("")
        self._told = False
        return True

    def set_context_changes(self, message_id: int, changes: Sequence[Mapping[str, Any]]) -> Message:
        """What the model did not read any more for this answer."""
        self._message_row(message_id, "id")
        with transaction(self._db):
            text = json.dumps([dict(change) for change in changes], ensure_ascii=False)
            self._db.execute("UPDATE message SET context_changes = ? WHERE id = ?", (text, message_id))
        return self.message(message_id)

    def activate(self, message_id: int) -> None:
        """Show this message's branch: every message on the way from the root to it becomes the shown one."""
        self._message_row(message_id, "id")
        with transaction(self._db):
            self._show(message_id)

    def system(self, conversation_id: int) -> str:
        """The conversation's system prompt, or ``""``."""
        root = self._shown_root(conversation_id)
        return "" if root is None or root["role"] != "system" else str(root["text"])

    def set_system(self, conversation_id: int, text: str) -> None:
        """Change the system prompt in place, put one before all branches, or with ``""`` take it away."""
        root = self._shown_root(conversation_id)
        if root is not None and root["role"] == "system":
            if text:
                with transaction(self._db):
                    self._db.execute("UPDATE message SET text = ? WHERE id = ?", (text, root["id"]))
            else:
                self._remove_system(conversation_id, root["id"])
        elif text:
            self._add_system(conversation_id, text, None if root is None else root["id"])

    def _add_system(self, conversation_id: int, text: str, shown: int | None) -> None:
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO message (conversation, parent, role, text, model, created, state, shown_child) "
                "VALUES (?, NULL, 'system', ?, '', ?, 'done', ?)", (conversation_id, text, time.time(), shown),
            )
            self._db.execute(
                "UPDATE message SET parent = ?1 WHERE conversation = ?2 AND parent IS NULL AND role != 'system'",
                (cursor.lastrowid, conversation_id),
            )
            self._db.execute(
                "UPDATE conversation SET shown_root = ? WHERE id = ?", (cursor.lastrowid, conversation_id)
            )

    def _remove_system(self, conversation_id: int, root: int) -> None:
        with transaction(self._db):
            self._db.execute(
                "UPDATE conversation SET shown_root = (SELECT shown_child FROM message WHERE id = ?) WHERE id = ?",
                (root, conversation_id),
            )
            self._db.execute("UPDATE message SET parent = NULL WHERE parent = ?", (root,))
            self._db.execute("DELETE FROM message WHERE id = ?", (root,))

    def _shown_root(self, conversation_id: int) -> sqlite3.Row | None:
        shown = self._conversation_row(conversation_id, "shown_root")["shown_root"]
        return None if shown is None else self._message_row(shown, "id, role, text")

    def _with_attachments(self, rows: list[sqlite3.Row]) -> list[Message]:
        found: dict[int, list[Attachment]] = {}
        for row in self._all(
            "SELECT * FROM attachment WHERE message IN (SELECT value FROM json_each(?)) ORDER BY id",
            json.dumps([row["id"] for row in rows]),
        ):
            found.setdefault(row["message"], []).append(Attachment(
                row["id"], row["name"], row["kind"], row["bytes"], row["text"], row["tokens"]
            ))
        messages = [message_of(row, tuple(found.get(row["id"], ()))) for row in rows]
        return [self._as_last_said(message) for message in messages] if self._unsaved else messages

    def _as_last_said(self, message: Message) -> Message:
        new = self._unsaved.get(message.id)
        if new is None:
            return message
        timings = message.timings if new.timings is None else new.timings
        return replace(message, text=new.text, state=new.state, timings=timings)

    def _touch_of(self, message_id: int) -> None:
        for row in self._all("SELECT conversation FROM message WHERE id = ?", message_id):
            self._touch(row["conversation"])

    def _show(self, message_id: int) -> None:
        """Mark the way from the root down to the message; what was shown below it stays as it was."""
        while True:
            row = self._message_row(message_id, "conversation, parent")
            if row["parent"] is None:
                self._db.execute(
                    "UPDATE conversation SET shown_root = ? WHERE id = ?", (message_id, row["conversation"])
                )
                return
            self._db.execute(
                "UPDATE message SET shown_child = ?1 WHERE id = ?2 AND shown_child IS NOT ?1",
                (message_id, row["parent"]),
            )
            message_id = row["parent"]


def add_attachments(connection: sqlite3.Connection, message_id: int, attachments: Iterable[Attachment]) -> None:
    """Keep these with the message.  Within a transaction."""
    connection.executemany(
        "INSERT INTO attachment (message, name, kind, bytes, text, tokens) VALUES (?, ?, ?, ?, ?, ?)",
        [(message_id, one.name, one.kind, one.bytes, one.text, one.tokens) for one in attachments],
    )


def title_from(text: str, longest: int = 60) -> str:
    """A title from the first line that has text, cut between words."""
    line = next((line.strip(" #>*-`\t") for line in text.splitlines() if line.strip(" #>*-`\t")), "")
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    words = cut.rsplit(" ", 1)[0]
    return (words if len(words) > longest // 2 else cut).rstrip(" ,;:.") + "…"


def _check(value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
