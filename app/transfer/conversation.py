"""A conversation outside the database: what every format is read into and written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.history.records import Attachment


class UnreadableError(Exception):
    """This cannot be imported.  ``reason`` is a key of :data:`app.transfer.reasons.REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass
class Said:
    """A message.  ``key`` is its name within the conversation, ``parent`` that of the message before it."""

    key: str
    parent: str | None
    role: str
    text: str
    model: str = ""
    created: float = 0.0
    state: str = "done"
    timings: Mapping[str, Any] | None = None
    context_changes: list[dict[str, Any]] = field(default_factory=list)
    """``through`` is a key here, not an id."""
    attachments: list[Attachment] = field(default_factory=list)
    shown_child: str | None = None


@dataclass
class Talk:
    """A conversation.  ``source`` is what it is recognised by when it comes again.  ``messages``: each after its
    parent.  ``replaced``: how many things in it could only be named (pictures and the like)."""

    source: str
    title: str
    model: str = ""
    created: float = 0.0
    updated: float = 0.0
    messages: list[Said] = field(default_factory=list)
    shown_root: str | None = None
    folder: str = ""
    pinned: bool = False
    deleted: float | None = None
    context_overflow: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    replaced: int = 0


def show_way_to(talk: Talk, leaf: str | None) -> None:
    """Let the branch that ends in ``leaf`` be the one that is shown; elsewhere the newest child."""
    by_key = {said.key: said for said in talk.messages}
    for said in talk.messages:
        if said.parent is not None:
            by_key[said.parent].shown_child = said.key
        else:
            talk.shown_root = said.key
    while leaf is not None and leaf in by_key:
        parent = by_key[leaf].parent
        if parent is None:
            talk.shown_root = leaf
            return
        by_key[parent].shown_child = leaf
        leaf = parent
