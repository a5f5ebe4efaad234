"""Tokens: kept in the system's key ring, or where the user says, never among the settings.

Where a secret is kept is a setting (``secrets_kept``), the secret itself is in the key ring, in this process's
memory alone (``session``), or in ``secrets.json`` with mode 0600 (``file``).  Nobody is asked anything, and no key
ring is woken, before there is a secret.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.child import Child
from app.settings.settings import Settings
from app.translation import mark, tr
from tzcore import paths
from tzcore.errors import StorageError

KEY_RING, SESSION, FILE = "keyring", "session", "file"
NO_KEY_RING = mark("No key ring is available on this system.")
NO_ANSWER = mark("The key ring of this system cannot be used ({reason}).")
SILENT = mark("it does not answer")
PATIENCE = 60.0
"""Seconds that a key ring may take: it may be asking its user for a password."""
COMMAND: tuple[str, ...] = (sys.executable, "-m", "app.settings.key_ring")


@dataclass
class _Question:
    """What is to be done with the answer of one child."""

    done: Callable[[str], object]
    failed: Callable[[str], object]
    answer: dict[str, Any] = field(default_factory=dict)


class Secrets(QObject):
    """The secrets by name: ``hub_token``, ``server_token``."""

    changed = Signal(str)
    """The name whose value is now known or another."""
    kept = Signal(str)
    """The name that is now kept elsewhere: :meth:`where` says where."""
    unreadable = Signal(str, str)
    """Name, and why what is kept of it could not be read at the start."""
    no_key_ring = Signal(str, str)
    """Name, and why; the secret given is not kept yet: ask the user, then :meth:`keep`."""

    def __init__(
        self, settings: Settings, command: Sequence[str] = COMMAND, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._command = command
        self._values: dict[str, str] = {}
        self._running: dict[Child, _Question] = {}

    def get(self, name: str) -> str:
        """The secret, ``""`` where there is none or it is not read yet."""
        return self._values.get(name, "")

    def where(self, name: str) -> str:
        """``"keyring"``, ``"session"``, ``"file"`` or ``""``: where it is kept."""
        return self._kept().get(name, SESSION if name in self._values else "")

    def load(self) -> None:
        """Read what is kept; ``changed`` follows for each."""
        for name, where in self._kept().items():
            if where == FILE:
                self._on_read(name, self._read_file().get(name, ""))
            elif where == KEY_RING:
                self._ask({"do": "get", "name": name}, partial(self._on_read, name), partial(self._on_unread, name))

    def set(self, name: str, value: str, where: str = KEY_RING) -> None:
        """Use ``value`` from now on and keep it; ``""`` forgets it everywhere.

        StorageError where the file cannot be written.  Without a key ring: ``no_key_ring``, and the value holds
        for this session.
        """
        value = value.strip()
        old = self._kept().get(name, "")
        if not value or old != where:
            self._forget(name, old)
        if value and where == KEY_RING:
            self._take(name, value)
            self._ask(
                {"do": "set", "name": name, "value": value},
                lambda _: self._note(name, KEY_RING),
                partial(self._on_refused, name),
            )
            return
        if value and where == FILE:
            self._write_file({**self._read_file(), name: value})
            self._note(name, FILE)
        self._take(name, value)

    def keep(self, name: str, where: str) -> None:
        """Keep the secret that is in use in another place."""
        self.set(name, self.get(name), where)

    def shutdown(self) -> None:
        """Wait for what is being written, a moment."""
        for child in list(self._running):
            child.stop_now()

    def known(self) -> list[str]:
        """The values in use, for whoever takes secrets out of a text."""
        return [value for value in self._values.values() if value]

    def _take(self, name: str, value: str) -> None:
        if value != self._values.get(name, ""):
            self._values[name] = value
            self.changed.emit(name)

    def _on_read(self, name: str, value: str) -> None:
        if value:
            self._take(name, value)
        else:  # somebody has taken it out
            self._note(name, "")
            self.changed.emit(name)

    def _on_refused(self, name: str, reason: str) -> None:
        none = reason == "no key ring"
        self.no_key_ring.emit(name, tr(NO_KEY_RING) if none else tr(NO_ANSWER).format(reason=reason))

    def _on_unread(self, name: str, reason: str) -> None:
        self.unreadable.emit(name, tr(reason))

    def _forget(self, name: str, old: str) -> None:
        if old == KEY_RING:
            self._ask({"do": "delete", "name": name}, lambda _: None, lambda _: None)
        elif old == FILE:
            rest = {key: value for key, value in self._read_file().items() if key != name}
            self._write_file(rest)
        if old:
            self._note(name, "")

    def _kept(self) -> dict[str, str]:
        try:
            raw = json.loads(str(self._settings.get("secrets_kept") or "{}"))
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, dict) else {}

    def _note(self, name: str, where: str) -> None:
        kept = {**self._kept(), name: where}
        kept = {key: value for key, value in kept.items() if value}
        self._settings.set("secrets_kept", json.dumps(kept, sort_keys=True) if kept else "")
        self.kept.emit(name)

    # --- the file ----------------------------------------------------------------------------

    def _file(self) -> Path:
        return paths.home() / "secrets.json"

    def _read_file(self) -> dict[str, str]:
        try:
            raw = json.loads(self._file().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, dict) else {}

    def _write_file(self, values: dict[str, str]) -> None:
        path = self._file()
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            if not values:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # never readable in between
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(values, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            text = tr("The token cannot be saved in {path}: {reason}")
            raise StorageError(text.format(path=path, reason=error.strerror)) from error

    # --- the key ring ------------------------------------------------------------------------

    def _ask(
        self, question: dict[str, str], done: Callable[[str], object], failed: Callable[[str], object]
    ) -> None:
        child = Child([], self._command, parent=self, hub=False, stdin=json.dumps(question).encode())
        self._running[child] = _Question(done, failed)
        child.said.connect(self._on_said)
        child.finished.connect(self._on_finished)
        QTimer.singleShot(round(PATIENCE * 1000), child, child.kill)
        child.start()

    def _on_said(self, value: object) -> None:
        child = self.sender()
        if isinstance(child, Child) and child in self._running and isinstance(value, dict):
            self._running[child].answer = value

    def _on_finished(self, _: int) -> None:
        child = self.sender()
        if not isinstance(child, Child) or child not in self._running:
            return
        question = self._running.pop(child)
        child.deleteLater()
        if "value" in question.answer:
            question.done(str(question.answer["value"]))
        else:
            question.failed(str(question.answer.get("error") or tr(SILENT)))
