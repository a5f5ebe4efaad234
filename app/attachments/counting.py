"""The tokens of a long text, counted piece by piece: nothing is held up, and nobody counts a book that cannot fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from app.engine.client import Reply

PIECE = 200_000
"""Characters that are counted at once: a few milliseconds to send, a few hundred to count."""


class Counting(QObject):
    """One text.  A piece ends with a line where it has one, so the sum is that of the whole but for a token or so
    at each seam."""

    done = Signal(int, bool)
    """The tokens; True where there are more than these, as counting ended at ``enough``."""
    failed = Signal()

    def __init__(self, text: str, count: Callable[[str], Reply | None], enough: int) -> None:
        """Begins at once; ``enough`` tokens end it (0: never)."""
        super().__init__()
        self._text, self._count, self._enough = text, count, enough
        self._at = self._tokens = 0
        self._reply: Reply | None = None

    def start(self) -> bool:
        """Count the next piece; False where no engine can say now."""
        end = min(len(self._text), self._at + PIECE)
        if end < len(self._text):
            line = self._text.rfind("\n", self._at, end)
            end = line + 1 if line > self._at else end
        reply = self._reply = self._count(self._text[self._at : end])
        if reply is None:
            return False
        self._at = end
        reply.done.connect(self._on_counted)
        reply.failed.connect(lambda _: self.failed.emit())
        return True

    def drop(self) -> None:
        """The outcome is not wanted any more."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.done.disconnect(self._on_counted)

    def _on_counted(self, tokens: object) -> None:
        self._tokens += int(str(tokens))
        more = self._at < len(self._text)
        if more and not (self._enough and self._tokens > self._enough):
            if not self.start():
                self.failed.emit()
        else:
            self._reply = None
            self.done.emit(self._tokens, more)
