"""A file of conversations, whatever program wrote it.

It is read whole, in a process of its own, and what it claims is checked before it is believed: an archive is not
unpacked beyond a limit, nesting ends somewhere, and each conversation stands or falls alone.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.transfer import chatgpt, open_webui, own
from app.transfer.conversation import Talk, UnreadableError
from app.transfer.markdown import from_markdown

CONVERSATIONS = re.compile(r"conversations(-\d+)?\.json")
LARGEST = 2_000_000_000
"""Bytes of JSON that are read at most."""


@dataclass
class Source:
    """What a file holds.  ``talks`` gives each conversation, or what is wrong with it."""

    program: str
    count: int
    talks: Iterator[Talk | UnreadableError]
    presets: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def open_source(path: Path, largest: int = LARGEST) -> Source:
    """UnreadableError when nothing of it can be imported."""
    parts = _bytes(path, largest)
    if path.suffix.lower() in (".md", ".markdown"):
        document = parts[0].decode("utf-8-sig", "replace")
        return Source("Markdown", 1, iter([from_markdown(document, path.stat().st_mtime)]))
    parsed = _parsed(parts.pop(0))
    while parts:
        more = _parsed(parts.pop(0))
        if not isinstance(parsed, list) or not isinstance(more, list):
            raise UnreadableError("unknown")
        parsed += more
    if isinstance(parsed, dict) and parsed.get("format") == own.FORMAT:
        talks, count, presets = own.read(parsed)
        return Source("Ternary-Zero", count, talks, presets)
    if isinstance(parsed, dict):
        parsed = parsed.get("conversations") if isinstance(parsed.get("conversations"), list) else [parsed]
    if chatgpt.recognises(parsed):
        return Source("ChatGPT", len(parsed), _each(parsed, chatgpt.read))
    if open_webui.recognises(parsed):
        return Source("Open WebUI", len(parsed), _each(parsed, open_webui.read))
    raise UnreadableError("unknown")


def _each(every: list[Any], read: Callable[[Mapping[str, Any]], Talk]) -> Iterator[Talk | UnreadableError]:
    for one in every:
        try:
            if not isinstance(one, dict):
                raise UnreadableError("wrong", "a conversation is no object")
            yield read(one)
        except UnreadableError as error:
            error.detail = error.detail or ""
            error.args = (str(one.get("title") or "") if isinstance(one, dict) else "",)
            yield error


def _bytes(path: Path, largest: int) -> list[bytes]:
    """The file, or what an archive holds of conversations."""
    try:
        if zipfile.is_zipfile(path):
            return _unpacked(path, largest)
        if path.suffix.lower() == ".zip":
            raise UnreadableError("no_archive", path.name)
        if path.stat().st_size > largest:
            raise UnreadableError("too_large", f"{largest // 1_000_000} MB")
        return [path.read_bytes()]
    except OSError as error:
        raise UnreadableError("unreadable", error.strerror or str(error)) from error


def _unpacked(path: Path, largest: int) -> list[bytes]:
    """``conversations.json`` of an archive, or the several files that a large export is split into.

    What the archive says of its sizes is not believed."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if CONVERSATIONS.fullmatch(name.rpartition("/")[2])]
            if not names:
                raise UnreadableError("no_conversations")
            parts, room = [], largest + 1
            for name in sorted(names):
                with archive.open(name) as stream:
                    parts.append(stream.read(room))
                room -= len(parts[-1])
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableError("no_archive", str(error)) from error
    if room <= 0:
        raise UnreadableError("too_large", f"{largest // 1_000_000} MB")
    return parts


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise UnreadableError("too_deep") from error
    except (ValueError, MemoryError) as error:
        raise UnreadableError("no_json", str(error)[:200]) from error
