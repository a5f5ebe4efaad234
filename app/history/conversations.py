"""The list of conversations: order, search, folders, pins, what each one is set to, and the trash."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from app.database import transaction
from app.history import search
from app.history.records import ConversationSummary, Folder
from app.history.store import Store, dump


class Conversations(Store):
    """Conversations as wholes."""

    def conversations(self, query: str = "") -> list[ConversationSummary]:
        """Those not deleted, newest first; with ``query`` those whose title or any one message has all its
        words (the last one as a prefix).  Text in scripts without spaces between words is searched as it is."""
        everything = self._summaries("deleted IS NULL")
        if not query.strip():
            return everything
        found = search.find(self._all, query.strip())
        return [one._replace(snippet=found[one.id]) for one in everything if one.id in found]

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
            self._touch(int(cursor.lastrowid or 0))
        return int(cursor.lastrowid or 0)

    def conversation(self, conversation_id: int) -> ConversationSummary:
        """One, deleted or not."""
        for summary in self._summaries("id = ?", conversation_id):
            return summary
        raise KeyError(f"no conversation {conversation_id}")

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
        rows = self._all("SELECT id, name FROM folder")
        return sorted((Folder(row["id"], row["name"]) for row in rows), key=lambda one: (one.name.casefold(), one.id))

    def create_folder(self, name: str) -> int:
        with transaction(self._db):
            return int(self._db.execute("INSERT INTO folder (name) VALUES (?)", (name,)).lastrowid or 0)

    def rename_folder(self, folder_id: int, name: str) -> None:
        with transaction(self._db):
            if self._db.execute("UPDATE folder SET name = ? WHERE id = ?", (name, folder_id)).rowcount == 0:
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
        """Soft: out of the list until :meth:`restore`."""
        self._set(conversation_id, "deleted", time.time())

    def restore(self, conversation_id: int) -> None:
        self._set(conversation_id, "deleted", None)

    def purge(self, conversation_id: int) -> None:
        """For ever, with all its messages and attachments."""
        with transaction(self._db):
            if self._db.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,)).rowcount == 0:
                raise KeyError(f"no conversation {conversation_id}")

    def empty_trash(self, older_than: float | None = None) -> int:
        """Purge all that is deleted, or was before ``older_than`` (seconds since the epoch); how many."""
        with transaction(self._db):
            return self._db.execute(
                "DELETE FROM conversation WHERE deleted IS NOT NULL AND deleted < coalesce(?, deleted + 1)",
                (older_than,),
            ).rowcount

    def _summaries(self, condition: str, *values: object) -> list[ConversationSummary]:
        rows = self._all(
            f"SELECT id, title, model, updated, '', folder, pinned, deleted FROM conversation WHERE {condition} "
            "ORDER BY place DESC, id DESC", *values,
        )
        return [ConversationSummary(*row) for row in rows]
