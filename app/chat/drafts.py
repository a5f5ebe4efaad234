"""What was written and not sent, kept for each conversation until it is.

In ``drafts/`` under :func:`tzcore.paths.home`: ``ID.txt`` the text, ``ID.files`` the files with it (a line of JSON
with what is known of each and how many bytes its text has, then the texts); ``new`` for a conversation that is not
there yet.  Written by a thread, as texts can be long and disks slow.  A draft that cannot be kept is no reason to
disturb who writes it.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.history.history import Attachment
from tzcore import atomic, paths
from tzcore.errors import StorageError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class Drafts:
    """Writes only what has changed."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or paths.home() / "drafts"
        self._writer: ThreadPoolExecutor | None = None
        self._known: dict[str, tuple[str, list[Attachment]]] = {}

    def read(self, conversation_id: int | None) -> tuple[str, list[Attachment]]:
        """Text and files; empty where there is no draft."""
        key = _key(conversation_id)
        if key not in self._known:
            self._known[key] = self._text(key), self._attachments(key)
        text, attachments = self._known[key]
        return text, list(attachments)

    def keep(self, conversation_id: int | None, text: str, attachments: list[Attachment]) -> None:
        """Replace the draft; an empty one leaves no trace."""
        before, files_before = self.read(conversation_id)
        key = _key(conversation_id)
        self._known[key] = text, list(attachments)
        if text != before:
            self._write(self._folder / f"{key}.txt", text.encode("utf-8", "replace"))
        if attachments != files_before:
            self._write(self._folder / f"{key}.files", _packed(attachments) if attachments else b"")

    def finish(self) -> None:
        """Wait until all is on the disk."""
        if self._writer is not None:
            self._writer.submit(int).result()

    def _write(self, path: Path, content: bytes) -> None:
        if self._writer is None:
            from concurrent.futures import ThreadPoolExecutor  # not at the window's start

            self._writer = ThreadPoolExecutor(1, "drafts")
        self._writer.submit(_write, path, content)

    def _text(self, key: str) -> str:
        try:
            return (self._folder / f"{key}.txt").read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""

    def _attachments(self, key: str) -> list[Attachment]:
        try:
            return _unpacked((self._folder / f"{key}.files").read_bytes())
        except (OSError, ValueError, TypeError, KeyError):
            return []


def _write(path: Path, content: bytes) -> None:
    with contextlib.suppress(StorageError, OSError):
        if content:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(path, [content])
        else:
            path.unlink(missing_ok=True)


def _packed(attachments: list[Attachment]) -> bytes:
    texts = [one.text.encode("utf-8", "replace") for one in attachments]
    known = [asdict(replace(one, text="")) for one in attachments]
    heads = [{**one, "length": len(text)} for one, text in zip(known, texts, strict=True)]
    return b"\n".join([json.dumps(heads).encode(), *texts])


def _unpacked(content: bytes) -> list[Attachment]:
    head, _, rest = content.partition(b"\n")
    found = []
    for one in json.loads(head):
        length = one.pop("length")
        found.append(Attachment(**{**one, "text": rest[:length].decode("utf-8", "replace")}))
        rest = rest[length + 1 :]
    return found


def _key(conversation_id: int | None) -> str:
    return "new" if conversation_id is None else str(conversation_id)
