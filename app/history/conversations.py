"""The list of conversations: order, search, folders, pins, what each one is set to, and the trash."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from app.database import transaction
from app.history import search
from app.history.records import ConversationSummary, Folder, Hit
from app.history.store import Store, dump

SEARCH_MS = 25.0
"""Milliseconds that a search may keep the window waiting."""


class Conversations(Store):
    """Conversations as wholes."""

    def conversations(self, query: str = "") -> list[ConversationSummary]:
        """Those not deleted, newest first; with ``query`` those whose title or any one message has all its
        words (the last one as a prefix).  Text in scripts without spaces between words is searched as it is."""
        if not query.strip():
            return self._summaries("deleted IS NULL")
        found, _ = search.find(self._rows, query)
        return [one._replace(snippet=self.snippet(query, found[one.id])) for one in self._those(found)]

    def search(self, query: str, newest: int) -> tuple[list[ConversationSummary], dict[int, Hit], bool]:
        """As :meth:`conversations`, without snippets and with little work: only the ``newest`` messages that match
        and what is found within :data:`SEARCH_MS`; where each matched; and whether those were all."""
        until = time.perf_counter() + SEARCH_MS / 1000
        self._db.set_progress_handler(lambda: time.perf_counter() > until, 5000)
        try:
            found, complete = search.find(self._rows, query, newest)
        finally:
            self._db.set_progress_handler(None, 0)
        return self._those(found), found, complete

    def listed(self, found: Collection[int]) -> list[ConversationSummary]:
        """Of these ids the conversations that are not deleted, newest first."""
        return self._those(found)

    def snippet(self, query: str, hit: Hit) -> str:
        """The place where a search matched, with the words marked; empty for a title."""
        if not hit.table:
            return ""
        row = self._one(f"SELECT text FROM {hit.table} WHERE id = ?", hit.row)
        return "" if row is None else search.snippet(row["text"], query)

    def pinned(self) -> list[ConversationSummary]:
        """Those that are kept at the top, newest first."""
        return self._summaries("deleted IS NULL AND pinned = 1")

    def in_folder(self, folder_id: int) -> list[ConversationSummary]:
        """Those in a folder that are not pinned, newest first."""
        return self._summaries("deleted IS NULL AND folder = ? AND pinned = 0", folder_id)

    def count_in_folder(self, folder_id: int) -> int:
        """How many :meth:`in_folder` gives."""
        row = self._one(
            "SELECT count(*) FROM conversation WHERE deleted IS NULL AND folder = ? AND pinned = 0", folder_id
        )
        return 0 if row is None else int(row[0])

    def unfiled(self, limit: int, offset: int = 0) -> list[ConversationSummary]:
        """Of those that are neither pinned nor in a folder, newest first, ``limit`` after the first ``offset``."""
        condition = "deleted IS NULL AND +folder IS NULL AND pinned = 0"  # +: in order of place, not by folder
        return self._summaries(condition, limit, offset, end="LIMIT ? OFFSET ?")

    def deleted(self) -> list[ConversationSummary]:
        """The soft-deleted ones, newest first."""
        return self._summaries("deleted > 0")

    def create(self, model: str, title: str = "") -> int:
        """A new conversation's id.  Without a title it takes one from the first user message."""
        now = time.time()
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO conversation (title, model, created, updated) VALUES (?, ?, ?, ?)",
                (title, model, now, now),
            )
            self._touch(int(cursor.lastrowid or 0))
        return int(cursor.lastrowid or 0)

    def conversation(self, conversation_id: int) -> ConversationSummary:
        """One, deleted or not."""
        for summary in self._summaries("id = ?", conversation_id):
            return summary
        raise KeyError(f"no conversation {conversation_id}")

    def whole(self, conversation_id: int) -> dict[str, Any]:
        """Its own row, for an export; the folder by its name."""
        row = dict(self._conversation_row(
            conversation_id, "title, model, created, updated, deleted, pinned, folder, context_overflow, settings, "
            "source, shown_root",
        ))
        folder = self._one("SELECT name FROM folder WHERE id = ?", row["folder"])
        return {**row, "folder": "" if folder is None else folder["name"]}

    def shown_children(self, conversation_id: int) -> dict[int, int]:
        """Of each message the one that is shown after it."""
        rows = self._rows("SELECT id, shown_child FROM message WHERE conversation = ? AND shown_child IS NOT NULL",
                          conversation_id)
        return dict(rows)

    def rename(self, conversation_id: int, title: str) -> None:
        self._set(conversation_id, "title", title)

    def set_model(self, conversation_id: int, model: str) -> None:
        """The model that the conversation goes on with."""
        self._set(conversation_id, "model", model)

    def context_overflow(self, conversation_id: int) -> str:
        """What happens in this conversation when the context is full; empty: what the settings say."""
        return str(self._conversation_row(conversation_id, "context_overflow")["context_overflow"])

    def set_context_overflow(self, conversation_id: int, overflow: str) -> None:
        self._set(conversation_id, "context_overflow", overflow)

    def conversation_settings(self, conversation_id: int) -> dict[str, Any]:
        """What is set otherwise in this conversation than in the settings."""
        return dict(json.loads(self._conversation_row(conversation_id, "settings")["settings"]))

    def set_conversation_settings(self, conversation_id: int, settings: Mapping[str, Any]) -> None:
        """Replace all of them.  The values must be such as JSON holds."""
        self._set(conversation_id, "settings", dump(settings))

    def pin(self, conversation_id: int, on: bool) -> None:
        """Keep it at the top of the list."""
        self._set(conversation_id, "pinned", int(on))

    # Folders

    def folders(self) -> list[Folder]:
        """All folders by name."""
        rows = self._all("SELECT id, name, closed FROM folder")
        found = (Folder(row["id"], row["name"], bool(row["closed"])) for row in rows)
        return sorted(found, key=lambda one: (one.name.casefold(), one.id))

    def create_folder(self, name: str) -> int:
        with transaction(self._db):
            return int(self._db.execute("INSERT INTO folder (name) VALUES (?)", (name,)).lastrowid or 0)

    def rename_folder(self, folder_id: int, name: str) -> None:
        with transaction(self._db):
            if self._db.execute("UPDATE folder SET name = ? WHERE id = ?", (name, folder_id)).rowcount == 0:
                raise KeyError(f"no folder {folder_id}")

    def close_folder(self, folder_id: int, closed: bool) -> None:
        """Whether what it holds is shown."""
        with transaction(self._db):
            if self._db.execute("UPDATE folder SET closed = ? WHERE id = ?", (closed, folder_id)).rowcount == 0:
                raise KeyError(f"no folder {folder_id}")

    def delete_folder(self, folder_id: int) -> None:
        """Its conversations stay, in no folder."""
        with transaction(self._db):
            if self._db.execute("DELETE FROM folder WHERE id = ?", (folder_id,)).rowcount == 0:
                raise KeyError(f"no folder {folder_id}")

    def move(self, conversation_id: int, folder_id: int | None) -> None:
        """Into a folder; ``None``: out of it."""
        if folder_id is not None and self._one("SELECT 1 FROM folder WHERE id = ?", folder_id) is None:
            raise KeyError(f"no folder {folder_id}")
        self._set(conversation_id, "folder", folder_id)

    # Trash

    def delete(self, conversation_id: int) -> None:
        """Soft: out of the list until :meth:`restore`.  (Below 0: still being imported, in neither list.)"""
        self._set(conversation_id, "deleted", time.time())

    def restore(self, conversation_id: int) -> None:
        self._set(conversation_id, "deleted", None)

    def weight(self, conversations: Collection[int]) -> tuple[int, int]:
        """How many messages and attachments these have in all."""
        ids = json.dumps(list(conversations))
        inside = "message.conversation IN (SELECT value FROM json_each(?))"
        (messages,) = next(self._rows(f"SELECT count(*) FROM message WHERE {inside}", ids))
        (attachments,) = next(self._rows(
            f"SELECT count(*) FROM attachment JOIN message ON message.id = attachment.message WHERE {inside}", ids
        ))
        return messages, attachments

    def purge(self, conversation_id: int) -> None:
        """For ever, with all its messages and attachments; their place in the file is overwritten."""
        self._db.execute("PRAGMA secure_delete = ON")
        with transaction(self._db):
            if self._db.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,)).rowcount == 0:
                raise KeyError(f"no conversation {conversation_id}")

    def empty_trash(self, older_than: float | None = None) -> int:
        """Purge all that is deleted, or was before ``older_than`` (seconds since the epoch); how many."""
        self._db.execute("PRAGMA secure_delete = ON")
        with transaction(self._db):
            return self._db.execute(
                "DELETE FROM conversation WHERE deleted > 0 AND deleted < coalesce(?, deleted + 1)",
                (older_than,),
            ).rowcount

    def _those(self, found: Collection[int]) -> list[ConversationSummary]:
        return self._summaries("deleted IS NULL AND id IN (SELECT value FROM json_each(?))", json.dumps(list(found)))

    def _summaries(self, condition: str, *values: object, end: str = "") -> list[ConversationSummary]:
        rows = self._rows(
            f"SELECT id, title, model, updated, '', folder, pinned, deleted FROM conversation WHERE {condition} "
            f"ORDER BY place DESC, id DESC {end}", *values,
        )
        return [ConversationSummary._make(row) for row in rows]

    def _rows(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Plain tuples, one by one: there may be thousands."""
        cursor = self._db.cursor()
        cursor.row_factory = None
        try:
            yield from cursor.execute(sql, values)
        except sqlite3.Error as error:
            self._fail(error)
