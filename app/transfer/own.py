"""This program's own format, version 1: everything that is kept of conversations, as JSON.

``{"format": "ternary-zero-conversations", "version": 1, "exported": seconds, "presets": [...],
"conversations": [...]}``.  A preset has ``name`` and ``settings``.  A conversation has ``source`` (what it is
recognised by), ``title``, ``model``, ``created``, ``updated``, ``deleted`` (seconds, or null), ``pinned``, ``folder``
(its name, or ``""``), ``context_overflow``, ``settings``, ``shown_root`` and ``messages``.  A message has ``id`` (its
name within the file), ``parent``, ``role``, ``text``, ``model``, ``created``, ``state``, ``timings``,
``context_changes`` (their ``through`` names a message), ``shown_child`` and ``attachments`` with ``name``, ``kind``,
``bytes``, ``text``, ``tokens``.  What a reader does not know it leaves out; a higher ``version`` it refuses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from app.history.history import History
from app.history.records import ROLES, STATES, Attachment, Message
from app.transfer.conversation import Said, Talk, UnreadableError
from app.transfer.fields import in_order, mapping, moment, sequence, text

FORMAT = "ternary-zero-conversations"
VERSION = 1


def head(history: History, *, presets: bool) -> str:
    """The beginning of a file, up to the conversations; after the last one comes :data:`TAIL`."""
    kept = [{"name": preset.name, "settings": dict(preset.settings)} for preset in history.presets()] if presets else []
    start = {"format": FORMAT, "version": VERSION, "exported": time.time(), "presets": kept}
    return json.dumps(start, ensure_ascii=False)[:-1] + ', "conversations": [\n'


TAIL = "\n]}\n"


def to_json(history: History, conversation_id: int) -> str:
    """One conversation."""
    row = history.whole(conversation_id)
    messages = history.tree(conversation_id)
    shown = history.shown_children(conversation_id)
    return json.dumps({
        **row,
        "source": row["source"] or f"tz:{row['created']!r}",
        "settings": dict(json.loads(row["settings"])),
        "pinned": bool(row["pinned"]),
        "shown_root": _name(row["shown_root"]),
        "messages": [_message(message, shown.get(message.id)) for message in messages],
    }, ensure_ascii=False)


def read(document: Mapping[str, Any]) -> tuple[Iterator[Talk | UnreadableError], int, list[tuple[str, dict[str, Any]]]]:
    """The conversations (or what is wrong with one), how many, and the presets."""
    version = document.get("version")
    if not isinstance(version, int) or version < 1:
        raise UnreadableError("wrong", "version")
    if version > VERSION:
        raise UnreadableError("newer")
    every = sequence(document.get("conversations"), "conversations")
    presets = []
    for preset in document.get("presets") or []:
        if isinstance(preset, dict) and isinstance(preset.get("settings"), dict) and text(preset.get("name")):
            presets.append((text(preset["name"]), preset["settings"]))

    def talks() -> Iterator[Talk | UnreadableError]:
        for one in every:
            try:
                yield _talk(mapping(one, "conversation"))
            except UnreadableError as error:
                yield error

    return talks(), len(every), presets


def _talk(one: dict[str, Any]) -> Talk:
    created = moment(one.get("created"))
    talk = Talk(
        source=text(one.get("source")), title=text(one.get("title")), model=text(one.get("model")), created=created,
        updated=moment(one.get("updated"), created), shown_root=_key(one.get("shown_root")),
        folder=text(one.get("folder")), pinned=one.get("pinned") is True,
        deleted=moment(one.get("deleted")) or None, context_overflow=text(one.get("context_overflow")),
        settings=one["settings"] if isinstance(one.get("settings"), dict) else {},
    )
    found = [_said(mapping(each, "message")) for each in sequence(one.get("messages"), "messages")]
    if len({said.key for said in found}) != len(found):
        raise UnreadableError("wrong", "two messages with one id")
    talk.messages = in_order(found)
    return talk


def _said(one: dict[str, Any]) -> Said:
    key = _key(one.get("id"))
    role, state = one.get("role"), one.get("state", "done")
    if key is None or role not in ROLES or state not in STATES:
        raise UnreadableError("wrong", f"message {key}")
    attachments = [
        Attachment(0, text(each.get("name")), text(each.get("kind")), _whole(each.get("bytes")),
                   text(each.get("text")), _whole(each.get("tokens")))
        for each in one.get("attachments") or [] if isinstance(each, dict)
    ]
    changes = [dict(each) for each in one.get("context_changes") or [] if isinstance(each, dict)]
    for change in changes:
        change["through"] = _key(change.get("through"))
    timings = one.get("timings")
    return Said(
        key, _key(one.get("parent")), role, text(one.get("text")), text(one.get("model")), moment(one.get("created")),
        "interrupted" if state == "streaming" else state, timings if isinstance(timings, dict) else None, changes,
        attachments, _key(one.get("shown_child")),
    )


def _message(message: Message, shown: int | None) -> dict[str, Any]:
    return {
        "id": _name(message.id), "parent": _name(message.parent), "role": message.role, "text": message.text,
        "model": message.model, "created": message.created, "state": message.state,
        "timings": None if message.timings is None else dict(message.timings),
        "context_changes": [{**change, "through": _name(change.get("through"))} for change in message.context_changes],
        "shown_child": _name(shown),
        "attachments": [
            {"name": one.name, "kind": one.kind, "bytes": one.bytes, "text": one.text, "tokens": one.tokens}
            for one in message.attachments
        ],
    }


def _name(number: object) -> str | None:
    return None if number is None else str(number)


def _key(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else 0
