"""Conversations: a tree of messages in SQLite (WAL), full-text search, soft delete.  No Qt.

A message's children are the ways the conversation went on from it.  Editing or regenerating
adds a sibling; nothing is overwritten.  Each message remembers which child is shown, so
the *active branch* is the walk from the conversation's shown root down to a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
    branch) and ``position`` which of them this is, from 0."""

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


class History:
    """Not thread-safe: one object, one thread.  Every method is one transaction."""

    def __init__(self, path: Path | None = None) -> None:
        """``path`` defaults to ``history.sqlite`` under :func:`tzcore.paths.home`.  Migrates an older file
        (after copying it to ``….before-vN``); StorageError for one from a newer program or a broken one.
        Answers left ``"streaming"`` by a crash become ``"interrupted"``."""
        raise NotImplementedError

    def conversations(self, query: str = "") -> list[ConversationSummary]:
        """Those not deleted, newest first; with ``query`` those whose title or any message has all its words
        (the last one as a prefix)."""
        raise NotImplementedError

    def deleted(self) -> list[ConversationSummary]:
        """The soft-deleted ones, newest first."""
        raise NotImplementedError

    def create(self, model: str, title: str = "") -> int:
        """A new conversation's id.  Without a title it takes one from the first user message."""
        raise NotImplementedError

    def conversation(self, conversation_id: int) -> ConversationSummary:
        """KeyError if there is none."""
        raise NotImplementedError

    def messages(self, conversation_id: int) -> list[Message]:
        """The active branch, root first."""
        raise NotImplementedError

    def message(self, message_id: int) -> Message:
        """KeyError if there is none."""
        raise NotImplementedError

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
        """Add a child of ``parent`` (``None``: a root) and make it the shown one."""
        raise NotImplementedError

    def update(self, message_id: int, text: str, state: str, timings: Mapping[str, Any] | None = None) -> Message:
        """Replace a message's text and state: a streaming answer, about once a second and at its end."""
        raise NotImplementedError

    def siblings(self, message_id: int) -> list[Message]:
        """All children of this message's parent, oldest first, itself included."""
        raise NotImplementedError

    def activate(self, message_id: int) -> None:
        """Show this message's branch: every message on the way from the root to it becomes the shown one."""
        raise NotImplementedError

    def rename(self, conversation_id: int, title: str) -> None:
        raise NotImplementedError

    def set_model(self, conversation_id: int, model: str) -> None:
        """The model that the conversation goes on with."""
        raise NotImplementedError

    def delete(self, conversation_id: int) -> None:
        """Soft: out of the list until :meth:`restore`."""
        raise NotImplementedError

    def restore(self, conversation_id: int) -> None:
        raise NotImplementedError

    def export_markdown(self, conversation_id: int) -> str:
        """The active branch as a Markdown document."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
