"""A column of the chat where two models answer: who answers, how fast, and the messages."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.chat.conversation import Conversation
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_actions import measured
from app.views.chat.message_list import MessageList
from app.views.chat.transcript import Transcript
from app.views.controls.controls import IconButton, frame, label


class ColumnHead(QWidget):
    """The model's name, what was measured of its last answer, and a button that closes the column."""

    closed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._name = label("", "heading", wrap=True)
        self._figures = label("", "small", wrap=True)
        self._close = IconButton(theme, "close", tr("Close this column"), self.closed.emit, size=15)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 6, 10, 6)
        row.setSpacing(10)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._name)
        words.addWidget(self._figures)
        row.addLayout(words, 1)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)

    @property
    def figures(self) -> str:
        return self._figures.text()

    def show_name(self, name: str) -> None:
        self._name.setText(name)
        self._close.set_name(tr("Close the column of {name}; the conversation stays in the list").format(name=name))

    def show_answer(self, message: Message | None) -> None:
        self._figures.setText(measured(message) if message is not None else "")

    def show_waiting(self, text: str) -> None:
        self._figures.setText(text)


class CompareColumn(QWidget):
    """The second column."""

    def __init__(self, theme: Theme, conversation: Conversation, name: str) -> None:
        super().__init__()
        self.head = ColumnHead(theme)
        self.head.show_name(name)
        self.messages = MessageList(theme)
        self.transcript = Transcript(self.messages)
        self.transcript.answered.connect(self.head.show_answer)
        self.conversation = conversation
        line = frame("rule")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.head)
        layout.addWidget(line)
        layout.addWidget(self.messages, 1)

    def begin(self) -> None:
        """Show the conversation, once the column has its size."""
        self.transcript.show(self.conversation)
