"""The messages of a conversation in a column of readable width; follows the end only while it is in view."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent

from app.chat.context_change import Change, markers
from app.history.history import Message
from app.idle_collection import moving
from app.theme import Theme
from app.translation import tr
from app.views.chat.answer_message import AnswerMessage
from app.views.chat.find_bar import FindBar
from app.views.chat.message_column import COLUMN, MessageColumn
from app.views.chat.message_focus import go_on
from app.views.chat.message_view import MessageView
from app.views.chat.user_message import UserMessage

__all__ = ["COLUMN", "MessageList"]

FLUSH = 33
"""Milliseconds between two updates of an answer that is being written: at most thirty a second."""


class MessageList(MessageColumn):
    """Shows any number of messages."""

    regenerate = Signal(int)
    edited = Signal(int, str)
    step = Signal(int, int)
    overflow_chosen = Signal(int, str)
    continue_wanted = Signal(int)
    """Id of an answer that broke off: it is to be written on from where it ends."""
    branch_wanted = Signal(int)
    """Id of a message from which on another branch is to begin with what is said next."""
    changed = Signal()
    """Other messages are shown, or one of them says something else."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._markers: dict[int, Change] = {}
        self._pending: list[str] = []
        self._busy = False
        self.setAccessibleName(tr("Messages"))
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH)
        self._timer.timeout.connect(self.flush)
        self.find_bar = FindBar(theme, self)
        QTimer.singleShot(1800, self, _warm)

    # What is shown

    def show_messages(self, messages: list[Message]) -> None:
        """Show another branch or conversation, from its end; what is shown already stays."""
        self._pending.clear()
        self._timer.stop()
        old = {message.id: message for message in self._messages}
        kept = {message.id for message in messages if old.get(message.id) == message}
        for number in [number for number in self._views if number not in kept]:
            self._drop(number)
        self._heights = {number: height for number, height in self._heights.items() if number in kept}
        self._messages = list(messages)
        self._markers = markers(self._messages)
        self._follow = True
        self._arrange()
        self.changed.emit()

    def append(self, message: Message) -> None:
        """One message more; sending something always brings the end into view."""
        self._messages.append(message)
        self._follow = True
        self._arrange()
        self.changed.emit()

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
        if last := self._last_answer():
            last.feed(text)
            self._refit()
            moving()

    def replace_last(self, message: Message) -> None:
        """The last answer is finished."""
        self._timer.stop()
        self._pending.clear()
        if last := self._last_answer():
            self._messages[-1] = message
            self._markers = markers(self._messages)
            last.actions_row.set_enabled(not self._busy)
            last.show_message(message)
            self._mark_context()
            self._refit()
            self._fill(0.0)
            self.changed.emit()

    def set_waiting(self, text: str) -> None:
        """What is going on before the first word of the last answer."""
        last = self._last_answer()
        if last and last.message.state == "streaming":
            last.set_waiting(text)

    def set_busy(self, busy: bool) -> None:
        """While an answer is being written nothing may branch."""
        self._busy = busy
        for view in self._views.values():
            view.actions_row.set_enabled(not busy)

    def show_context(self, messages: list[Message]) -> None:
        """The same messages; what the model does not read of them is another part."""
        self._messages = list(messages)
        self._markers = markers(self._messages)
        self._mark_context()

    def _last_answer(self) -> AnswerMessage | None:
        if not self._messages:
            return None
        last = self._views.get(self._messages[-1].id)
        return last if isinstance(last, AnswerMessage) else None

    # Widgets

    def _make_view(self, message: Message) -> MessageView:
        view: MessageView
        if message.role == "user":
            view = UserMessage(self._theme, message)
        else:
            view = answer = AnswerMessage(self._theme, message)
            answer.overflow_chosen.connect(self.overflow_chosen)
        view.regenerate.connect(self.regenerate)
        view.continue_wanted.connect(self.continue_wanted)
        view.branch_wanted.connect(self.branch_wanted)
        view.edited.connect(self.edited)
        view.step.connect(self.step)
        view.travel.connect(lambda places, view=view: self._travel(view, places))
        view.actions_row.set_enabled(not self._busy)
        view.set_marker(self._theme, self._markers.get(message.id))
        return view

    def _arrange(self) -> None:
        """The messages are others: place them, and make the widgets that are in view."""
        if self._messages:
            self._tops = []
            last = self._view(len(self._messages) - 1)
            for view in self._views.values():
                view.set_always_show_actions(view is last and isinstance(view, AnswerMessage))
        self._mark_context()
        self._refit()
        self.scroll_to_end()
        self._slices.start()

    # Keeping up

    def _mark_context(self) -> None:
        for number, view in self._views.items():
            view.set_marker(self._theme, self._markers.get(number))

    def _travel(self, view: MessageView, places: int) -> None:
        """Move the focus from message to message."""
        index = self.index_of(view) + places
        if 0 <= index < len(self._messages):
            self.reveal(index).setFocus(Qt.FocusReason.OtherFocusReason)

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802
        """Through the messages as they are read, whatever order their widgets were made in."""
        return go_on(self, forward) or super().focusNextPrevChild(forward)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.find_bar.place()


def _warm() -> None:
    """What the first formula needs, fetched while nothing else is going on."""
    from app.views.chat import formula_text

    formula_text.warm()
