"""The messages of a conversation in a column of readable width; follows the end only while it is in view."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.chat.context_change import markers
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_view import AnswerMessage, MessageView, UserMessage
from app.views.controls.controls import Button, IconButton, discard

COLUMN = 760
"""Widest column of text, in pixels."""
PAGE = 24
"""Messages shown at first, and added each time earlier ones are asked for."""
FLUSH = 33
"""Milliseconds between two updates of an answer that is being written: at most thirty a second."""
NEAR = 40
"""Pixels from the end within which the view counts as being at the end."""


class MessageList(QScrollArea):
    """Widgets exist only for the last messages; a button brings earlier ones."""

    regenerate = Signal(int)
    edited = Signal(int, str)
    step = Signal(int, int)
    overflow_chosen = Signal(int, str)
    continue_wanted = Signal(int)
    """Id of an answer that broke off: it is to be written on from where it ends."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._messages: list[Message] = []
        self._views: list[MessageView] = []
        self._pending: list[str] = []
        self._follow = True
        self._busy = False
        self.setWidgetResizable(True)
        self.setFrameShape(self.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(tr("Messages"))

        self._column = QWidget()
        self._column.setMaximumWidth(COLUMN)
        self._layout = QVBoxLayout(self._column)
        self._layout.setContentsMargins(4, 26, 4, 18)
        self._layout.setSpacing(14)
        self._earlier = Button(theme, tr("Show earlier messages"), self._show_earlier, kind="fold")
        self._layout.addWidget(self._earlier, 0, Qt.AlignmentFlag.AlignHCenter)
        self._layout.addStretch(1)
        content = QWidget()
        content.setObjectName("column")
        row = QHBoxLayout(content)
        row.setContentsMargins(20, 0, 20, 0)
        row.addStretch(1)
        row.addWidget(self._column, 100)
        row.addStretch(1)
        self.setWidget(content)

        self._to_end = IconButton(
            theme, "arrow-down", tr("To the latest message"), self.scroll_to_end, kind="float", parent=self
        )
        self._to_end.hide()

        bar = self.verticalScrollBar()
        bar.setSingleStep(28)
        bar.rangeChanged.connect(self._on_range)
        bar.valueChanged.connect(self._on_scroll)
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH)
        self._timer.timeout.connect(self.flush)
        theme.changed.connect(self._restyle)

    @property
    def views(self) -> list[MessageView]:
        return self._views

    def show_messages(self, messages: list[Message]) -> None:
        """Show another branch or conversation, from its end; what is shown already stays."""
        self._pending.clear()
        self._timer.stop()
        same = 0
        shown = self._messages[len(self._messages) - len(self._views) :]
        first = len(self._messages) - len(self._views)
        wanted = messages[first:] if first <= len(messages) else []
        while same < min(len(shown), len(wanted)) and shown[same] == wanted[same]:
            same += 1
        if not same:
            first = max(0, len(messages) - PAGE)
        self._drop(same)
        self._messages = list(messages)
        for message in messages[first + same :]:
            self._add(message)
        self._earlier.setVisible(first > 0)
        self._mark_last()
        self._mark_context()
        self.scroll_to_end()

    def append(self, message: Message) -> None:
        """One message more; sending something always brings the end into view."""
        self._messages.append(message)
        self._add(message)
        self._mark_last()
        self.scroll_to_end()

    def feed(self, delta: str) -> None:
        """More of the last answer: shown at the next flush."""
        self._pending.append(delta)
        if not self._timer.isActive():
            self._timer.start()

    def flush(self) -> None:
        """Show what has arrived since the last flush."""
        if not self._pending:
            self._timer.stop()
            return
        text = "".join(self._pending)
        self._pending.clear()
        if self._views and isinstance(last := self._views[-1], AnswerMessage):
            last.feed(text)

    def replace_last(self, message: Message) -> None:
        """The last answer is finished."""
        self._timer.stop()
        self._pending.clear()
        if self._views and isinstance(last := self._views[-1], AnswerMessage):
            self._messages[-1] = message
            last.show_message(message)
            self._mark_context()
            last.actions_row.set_enabled(not self._busy)

    def set_waiting(self, text: str) -> None:
        """What is going on before the first word of the last answer."""
        if self._views and isinstance(last := self._views[-1], AnswerMessage) and last.message.state == "streaming":
            last.set_waiting(text)

    def set_busy(self, busy: bool) -> None:
        """While an answer is being written nothing may branch."""
        self._busy = busy
        for view in self._views:
            view.actions_row.set_enabled(not busy)

    def scroll_to_end(self) -> None:
        self._follow = True
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())
        self._to_end.hide()

    def _add(self, message: Message, at: int | None = None) -> None:
        view: MessageView
        if message.role == "user":
            view = UserMessage(self._theme, message)
            view.edited.connect(self.edited)
        else:
            view = AnswerMessage(self._theme, message)
            view.regenerate.connect(self.regenerate)
            view.overflow_chosen.connect(self.overflow_chosen)
        view.step.connect(self.step)
        view.actions_row.set_enabled(not self._busy)
        index = len(self._views) if at is None else at
        self._views.insert(index, view)
        self._layout.insertWidget(index + 1, view)  # the button for earlier ones comes first

    def _drop(self, keep: int) -> None:
        for view in self._views[keep:]:
            discard(view)
        del self._views[keep:]

    def _show_earlier(self) -> None:
        """Add a page above; what is being read stays where it is."""
        first = len(self._messages) - len(self._views)
        page = self._messages[max(0, first - PAGE) : first]
        anchor = self._views[0]
        before = anchor.y() - self.verticalScrollBar().value()
        self._follow = False
        for number, message in enumerate(page):
            self._add(message, at=number)
        self._mark_context()
        self._earlier.setVisible(first - len(page) > 0)
        self._column.adjustSize()
        QTimer.singleShot(0, lambda: self.verticalScrollBar().setValue(anchor.y() - before))

    def _mark_last(self) -> None:
        for view in self._views[-3:]:
            view.set_always_show_actions(view is self._views[-1] and isinstance(view, AnswerMessage))

    def show_context(self, messages: list[Message]) -> None:
        """The same messages; what the model does not read of them is another part."""
        self._messages = list(messages)
        self._mark_context()

    def _mark_context(self) -> None:
        lines = markers(self._messages)
        for view in self._views:
            view.set_marker(self._theme, lines.get(view.message.id))

    def _restyle(self) -> None:
        for view in self._views:
            view.restyle()

    def _on_range(self, _low: int, high: int) -> None:
        if self._follow:
            self.verticalScrollBar().setValue(high)
        self._place_button()

    def _on_scroll(self, value: int) -> None:
        self._follow = value >= self.verticalScrollBar().maximum() - NEAR
        self._place_button()

    def _place_button(self) -> None:
        self._to_end.setVisible(not self._follow)
        side = 34
        self._to_end.setGeometry((self.width() - side) // 2, self.height() - side - 10, side, side)
        self._to_end.raise_()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        follow = self._follow
        super().resizeEvent(event)
        if follow:
            self.scroll_to_end()
        self._place_button()
