"""What the user said: a bubble at the end of the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QMargins, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QGuiApplication
from PySide6.QtWidgets import QWidget

from app import wording
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_body import MessageBody
from app.views.chat.message_view import MessageView
from app.views.chat.rich_text import READING_SCALE
from app.views.chat.stack import Stack
from app.views.controls.controls import Button, discard

if TYPE_CHECKING:
    from app.views.chat.attachment_chips import AttachmentChips

BUBBLE = 600
"""Widest bubble of a user's message, in pixels."""
FOLD = 6000
"""Characters beyond which a message is folded: who pastes a book does not want to scroll past it for ever."""
FOLDED_LINES = 24


class UserMessage(MessageView):
    """Shown as it was typed; what is very long is folded until asked for."""

    def __init__(self, theme: Theme, message: Message) -> None:
        super().__init__(theme, message, MessageBody(theme, lazy=True, plain=True), spacing=3)
        self.setAccessibleName(tr("You: {text}").format(text=message.text[:300]))
        self._row = _BubbleRow(self.body)
        self.add(self._row)
        self.add(self.actions_row)
        text = message.text
        beginning = "\n".join(text[: FOLD // 2].split("\n")[:FOLDED_LINES])
        self._show_all: Button | None = None
        if len(text) > FOLD:
            size = wording.size(len(text.encode("utf-8", "replace")))
            self._show_all = Button(theme, tr("Show all ({size})").format(size=size), self.unfold, kind="fold")
            self._row.bubble.add(self._show_all)
            text = beginning.rstrip() + " …"
        self.body.set_text(text)
        self._row.natural = _natural_width(text)
        self.chips: AttachmentChips | None = None
        if message.attachments:
            from app.views.chat.attachment_chips import AttachmentChips

            self.chips = AttachmentChips(theme, message.attachments)
            self._row.bubble.add(self.chips, 0)
            self._row.natural = max(self._row.natural, self.chips.natural_width() + 4)
        self.show_actions()

    def restyle(self) -> None:
        super().restyle()
        if self._row.natural < BUBBLE:  # in another size of text it may be wider
            self._row.natural = _natural_width(self.message.text)
            if self.chips is not None:
                self._row.natural = max(self._row.natural, self.chips.natural_width() + 4)
            self.updateGeometry()

    @property
    def folded(self) -> bool:
        """Whether only the beginning is shown."""
        return self._show_all is not None

    def unfold(self) -> None:
        """Show the whole text; it is laid out where it comes into view."""
        if self._show_all is not None:
            self._row.bubble.take(self._show_all)
            discard(self._show_all)
            self._show_all = None
            self.body.set_text(self.message.text)
            self._row.natural = BUBBLE
            self.updateGeometry()

    def show_text(self, visible: bool) -> None:
        self._row.setVisible(visible)


class _BubbleRow(QWidget):
    """Holds the bubble at the end of the line, no wider than its text."""

    def __init__(self, body: MessageBody) -> None:
        super().__init__()
        self.natural = 100
        self.bubble = Stack(6, QMargins(16, 10, 16, 11))
        self.bubble.setProperty("role", "user")
        self.bubble.add(body)
        self.bubble.setParent(self)

    def fit(self, width: int) -> int:
        """The height at ``width``."""
        room = min(BUBBLE, int(width * 0.86))
        wide = max(56, min(self.natural + 32, room))
        height = self.bubble.fit(wide)
        left = 0 if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else width - wide
        self.bubble.setGeometry(left, 0, wide, height)
        return height

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(BUBBLE, self.bubble.sizeHint().height())


def _natural_width(text: str) -> int:
    """The width that would hold every line unbroken, as far as that matters."""
    font = QGuiApplication.font()
    font.setPointSizeF(font.pointSizeF() * READING_SCALE)
    metrics = QFontMetricsF(font)
    longest = 0.0
    for line in text[:4000].split("\n"):
        longest = max(longest, metrics.horizontalAdvance(line[:200]))
        if longest > BUBBLE:
            break
    return int(longest) + 4
