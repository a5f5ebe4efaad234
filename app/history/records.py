"""What the history hands out: one line of the list, a message, a folder, a preset, an attachment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.translation import mark

ROLES = ("system", "user", "assistant")
STATES = ("streaming", "done", "stopped", "interrupted", "failed")
ENDED_EARLY = {"stopped": mark("stopped"), "interrupted": mark("interrupted"), "failed": mark("failed")}


class ConversationSummary(NamedTuple):
    """One line of the list.  ``updated`` and ``deleted`` are in seconds since the epoch.  ``snippet`` shows
    where a search matched (plain text; what matched stands between :data:`HIT` and :data:`HIT_END`), empty
    without a search.  A tuple: thousands of them are made at once."""

    id: int
    title: str
    model: str
    updated: float
    snippet: str = ""
    folder: int | None = None
    pinned: bool = False
    deleted: float | None = None


HIT, HIT_END = "\x02", "\x03"
"""Around the words of a snippet that matched; no text that is shown contains them."""


@dataclass(frozen=True)
class Folder:
    """A folder of the sidebar.  ``closed``: what it holds is not shown."""

    id: int
    name: str
    closed: bool = False


class Hit(NamedTuple):
    """Where a search matched in a conversation: a row of ``message`` or ``attachment``; ``table`` is empty where
    it was the title."""

    table: str = ""
    row: int = 0


@dataclass(frozen=True)
class Preset:
    """Settings under a name: ``system`` and those of sampling."""

    id: int
    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Attachment:
    """A file that was given with a message.  ``bytes`` is how large the file was, ``text`` what was read from
    it, ``tokens`` how many that text takes (0: not counted).  ``id`` 0: not in the history yet."""

    id: int
    name: str
    kind: str
    bytes: int
    text: str
    tokens: int


@dataclass(frozen=True)
class Message:
    """``role``: system, user or assistant.  ``state``: ``"done"``, ``"streaming"``, ``"stopped"`` (by the
    user), ``"interrupted"`` (the program or the engine went down) or ``"failed"``.  ``timings`` holds
    whatever was measured (JSON).  ``siblings`` is how many ways there are at this place (1 = no
    branch) and ``position`` which of them this is, from 0.  ``context_changes`` are what the model did not
    read any more for this answer, as :mod:`app.chat.context_change` writes them.  ``text`` is what was
    written; what the ``attachments`` hold stands in them alone."""

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
    attachments: tuple[Attachment, ...] = ()


def message_of(row: sqlite3.Row, attachments: tuple[Attachment, ...] = ()) -> Message:
    """A row of the message table, with ``siblings`` and ``position``."""
    timings = json.loads(row["timings"]) if row["timings"] else None
    changes = tuple(json.loads(row["context_changes"])) if row["context_changes"] else ()
    return Message(
        row["id"], row["conversation"], row["parent"], row["role"], row["text"], row["model"],
        row["created"], row["state"], timings, row["siblings"], row["position"], changes, attachments,
    )
