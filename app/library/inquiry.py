"""One question to ``tz``, answered by JSON lines of a child: a plan, a model's page, what deleting would free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.child import TZ, Child
from app.translation import tr
from tzcore import paths

TIMEOUT = 90.0
"""Seconds after which nobody waits for an answer any more: the hub's own tries end before."""


class Inquiry(QObject):
    """Begins when :meth:`start` is called; ends with ``done`` or ``failed``, unless it is cancelled."""

    partial = Signal(dict)
    """What is known so far: a JSON object that is not the last."""
    done = Signal(object)
    """The answer: the object whose ``event`` is ``done``, or a JSON array."""
    failed = Signal(str)
    """One sentence for the user."""

    def __init__(
        self, arguments: Sequence[str], command: Sequence[str] = TZ, parent: QObject | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(parent)
        self._answer: Any = None
        self._error = ""
        self._child: Child | None = Child(arguments, command, paths.logs() / "library.log", self)
        self._child.said.connect(self._on_said)
        self._child.finished.connect(self._on_finished)
        self._patience = QTimer(self, singleShot=True, interval=round(timeout * 1000))
        self._patience.timeout.connect(self._give_up)

    @property
    def running(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        if self._child is not None:
            self._child.start()
            self._patience.start()

    def cancel(self) -> None:
        """Nobody waits for it any more; no signal follows."""
        child, self._child = self._child, None
        self._patience.stop()
        if child is not None:
            child.blockSignals(True)
            child.stop_now(0.2)
        self.deleteLater()

    def _on_said(self, value: object) -> None:
        if isinstance(value, list):
            self._answer = value
        elif isinstance(value, dict):
            kind = value.get("event")
            if kind == "done":
                self._answer = value
            elif kind == "error":
                self._error = str(value.get("message", ""))
            else:
                self.partial.emit(value)

    def _on_finished(self, code: int) -> None:
        child, self._child = self._child, None
        self._patience.stop()
        if child is None:
            return
        child.deleteLater()
        if code == 0 and self._answer is not None:
            self.done.emit(self._answer)
        else:
            words = self._error or child.last_words.removeprefix("tz: ")
            self.failed.emit(words or tr("tz ended with exit code {code}.").format(code=code))
        self.deleteLater()

    def _give_up(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.blockSignals(True)
            child.kill()
            self.failed.emit(tr("There was no answer in time. Is this computer connected to the internet?"))
            self.deleteLater()
