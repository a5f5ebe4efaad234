"""What was written and not sent, kept for each conversation until it is.

In ``drafts/`` under :func:`tzcore.paths.home`: ``ID.txt`` the text, ``ID.json`` the files with it; ``new`` for a
conversation that is not there yet.  A draft that cannot be kept is no reason to disturb who writes it.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from app.history.history import Attachment
from tzcore import atomic, paths
from tzcore.errors import StorageError


class Drafts:
    """Writes only what has changed."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or paths.home() / "drafts"
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
        with contextlib.suppress(StorageError, OSError):
            if text != before:
                self._write(self._folder / f"{key}.txt", text)
            if attachments != files_before:
                content = json.dumps([asdict(one) for one in attachments]) if attachments else ""
                self._write(self._folder / f"{key}.json", content)

    def _write(self, path: Path, content: str) -> None:
        if content:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(path, [content.encode("utf-8", "surrogatepass")])
        else:
            path.unlink(missing_ok=True)

    def _text(self, key: str) -> str:
        try:
            return (self._folder / f"{key}.txt").read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""

    def _attachments(self, key: str) -> list[Attachment]:
        try:
            return [Attachment(**one) for one in json.loads((self._folder / f"{key}.json").read_bytes())]
        except (OSError, ValueError, TypeError):
            return []


def _key(conversation_id: int | None) -> str:
    return "new" if conversation_id is None else str(conversation_id)
