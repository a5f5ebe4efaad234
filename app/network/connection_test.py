"""Whether the hub can be reached as the settings say: asked only when the user wants to know."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from app.child import TZ, Child
from app.translation import tr


class ConnectionTest(QObject):
    """One test at a time, in a child that has the proxy and the mirror of the settings."""

    finished = Signal(bool, str)
    """Whether it was reached, and a sentence."""

    def __init__(self, command: Sequence[str] = TZ, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._child: Child | None = None
        self._said: dict[str, object] = {}

    @property
    def running(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        """``finished`` follows."""
        if self._child is not None:
            return
        self._said = {}
        child = self._child = Child(["reach", "--json"], self._command, parent=self)
        child.said.connect(self._on_said)
        child.finished.connect(self._on_finished)
        child.start()

    def shutdown(self) -> None:
        if self._child is not None:
            self._child.stop_now(0.5)

    def _on_said(self, value: object) -> None:
        if isinstance(value, dict):
            self._said = value

    def _on_finished(self, code: int) -> None:
        child = self.sender()
        if not isinstance(child, Child) or child is not self._child:
            return
        self._child = None
        child.deleteLater()
        if code == 0 and "milliseconds" in self._said:
            text = tr("{host} answers, after {milliseconds} ms.")
            self.finished.emit(
                True, text.format(host=self._said.get("host", ""), milliseconds=self._said["milliseconds"])
            )
        else:
            unsaid = tr("tz ended with exit code {code}.").format(code=code)
            self.finished.emit(False, child.last_words.removeprefix("tz: ") or unsaid)
