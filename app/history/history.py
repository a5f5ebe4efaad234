"""Conversations: a tree of messages in SQLite (WAL), full-text search, soft delete.

A message's children are the ways the conversation went on from it.  Editing or regenerating
adds a sibling; nothing is overwritten.  Each message remembers which child is shown, so
the *active branch* is the walk from the conversation's shown root down to a leaf.
"""

from __future__ import annotations

from pathlib import Path

from app.database import open_database, transaction
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
from app.translation import tr
from tzcore import paths

__all__ = [
    "ENDED_EARLY", "MIGRATIONS", "ROLES", "STATES", "Attachment", "ConversationSummary", "Folder", "History",
    "Message", "Preset", "title_from",
]


class History(Conversations, Messages, Presets):
    """Not thread-safe: one object, one thread.  Every method is one transaction.

    All methods raise StorageError when the file cannot be read or written, and KeyError for a
    conversation, message, folder or preset that does not exist.
    """

    def __init__(self, path: Path | None = None) -> None:
        """``path`` defaults to ``history.sqlite`` under :func:`tzcore.paths.home`.  Migrates an older file
        (after copying it to ``….before-vN``); StorageError for one from a newer program or a broken one.
        Answers left ``"streaming"`` by a crash become ``"interrupted"``."""
        self.notices: list[str] = []
        """What the user must be told of the opening, as whole sentences."""
        self._db = open_database(path or paths.home() / "history.sqlite", MIGRATIONS)
        with transaction(self._db):
            self._db.execute("UPDATE message SET state = 'interrupted' WHERE state = 'streaming'")

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
