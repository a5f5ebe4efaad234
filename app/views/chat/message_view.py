"""One message of a conversation: what the user said, or an answer."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app.chat.context_change import OVERFLOWS, Change, sentence
from app.history.history import Message
from app.text.thinking import split_thinking
from app.theme import Theme
from app.translation import mark, tr
from app.views.chat.context_marker import ContextMarker
from app.views.chat.message_actions import MessageActions
from app.views.chat.message_body import MessageBody
from app.views.chat.rich_text import RichText
from app.views.chat.thinking_view import ThinkingView
from app.views.controls.controls import Button, discard, frame, label, set_property
from app.wording import short_model

BUBBLE = 600
"""Widest bubble of a user's message, in pixels."""

ENDINGS = {
    "interrupted": mark("The answer was interrupted before it was finished."),
    "failed": mark("There is no answer."),
    "stopped": mark("Stopped."),
}


class MessageView(QWidget):
    """Common to both: focus by keyboard, actions that appear under the pointer or on focus."""

    step = Signal(int, int)
    """Message id and which way: show the version beside this one."""

    def __init__(self, theme: Theme, message: Message, *, of_user: bool) -> None:
        super().__init__()
        self.message = message
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.actions_row = MessageActions(theme, of_user=of_user)
        self.actions_row.step.connect(lambda step: self.step.emit(self.message.id, step))
        self.always_show_actions = False
        self._hovered = False
        self.marker: ContextMarker | None = None

    def set_marker(self, theme: Theme, change: Change | None) -> None:
        """Show below this message what the model does not read any more, or nothing."""
        if (self.marker.change if self.marker else None) == change:
            return
        if self.marker is not None:
            discard(self.marker)
            self.marker = None
        layout = self.layout()
        if change is not None and layout is not None:
            self.marker = ContextMarker(theme, change)
            layout.addWidget(self.marker)

    def set_always_show_actions(self, always: bool) -> None:
        """The last answer keeps its actions in view."""
        self.always_show_actions = always
        self.show_actions()

    def show_actions(self) -> None:
        focus = self.window().focusWidget() if self.isVisible() else None
        focused = focus is not None and (focus is self or self.isAncestorOf(focus))
        visible = self.message.state != "streaming" and (self.always_show_actions or self._hovered or focused)
        self.actions_row.setVisible(visible)

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802
        self._hovered = True
        self.show_actions()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._hovered = False
        self.show_actions()
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.show_actions()

    def restyle(self) -> None:
        if self.marker is not None:
            self.marker.restyle()


class UserMessage(MessageView):
    """A bubble on the right; editing it happens in place."""

    edited = Signal(int, str)

    def __init__(self, theme: Theme, message: Message) -> None:
        super().__init__(theme, message, of_user=True)
        self._theme = theme
        self.setAccessibleName(tr("You: {text}").format(text=message.text[:300]))
        self._text = RichText(theme)
        self._text.setAccessibleName(tr("Your message"))
        self._text.set_plain(message.text)
        self._natural = self._text.natural_width()
        self._bubble = frame("user")
        self._bubble.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        inner = QVBoxLayout(self._bubble)
        inner.setContentsMargins(16, 10, 16, 11)
        inner.addWidget(self._text)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self._bubble)
        self._column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self.actions_row)
        self.actions_row.change.connect(self.begin_edit)
        self.actions_row.show_message(message, message.text)
        self._editor: _Editor | None = None
        self.show_actions()

    def begin_edit(self) -> None:
        """Put an editor in the bubble's place."""
        if self._editor is None:
            self._editor = _Editor(self._theme, self.message.text)
            self._editor.accepted.connect(self._accept)
            self._editor.rejected.connect(self._end_edit)
            self._bubble.hide()
            self.actions_row.setVisible(False)
            self._column.insertWidget(0, self._editor)
            self._editor.take_focus()

    def _accept(self, text: str) -> None:
        self._end_edit()
        if text.strip() and text != self.message.text:
            self.edited.emit(self.message.id, text.strip())

    def _end_edit(self) -> None:
        if self._editor is not None:
            discard(self._editor)
            self._editor = None
            self._bubble.show()
            self.show_actions()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        room = min(BUBBLE, int(event.size().width() * 0.86)) - 32
        self._text.setFixedWidth(max(24, min(self._natural, room)))

    def restyle(self) -> None:
        super().restyle()
        self._text.restyle()


class _Editor(QWidget):
    accepted = Signal(str)
    rejected = Signal()

    def __init__(self, theme: Theme, text: str) -> None:
        super().__init__()
        self._edit = QPlainTextEdit(text)
        self._edit.setProperty("role", "field")
        self._edit.setAccessibleName(tr("Edit your message"))
        lines = min(12, max(3, text.count("\n") + 1 + len(text) // 80))
        self._edit.setFixedHeight(lines * self._edit.fontMetrics().lineSpacing() + 24)
        self._edit.installEventFilter(self)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(Button(theme, tr("Cancel"), self.rejected.emit))
        buttons.addWidget(Button(theme, tr("Send"), self._accept, kind="primary"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit)
        layout.addLayout(buttons)

    def take_focus(self) -> None:
        self._edit.setFocus()
        self._edit.moveCursor(self._edit.textCursor().MoveOperation.End)

    def _accept(self) -> None:
        self.accepted.emit(self._edit.toPlainText())

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802
        if watched is self._edit and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            plain = not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
                self._accept()
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.rejected.emit()
                return True
        return False


class AnswerMessage(MessageView):
    """An answer over the whole width of the column; grows while it is written."""

    regenerate = Signal(int)
    overflow_chosen = Signal(int, str)
    """Message id, and what is to happen with a conversation that does not fit; ``"larger"``: another context."""

    def __init__(self, theme: Theme, message: Message) -> None:
        super().__init__(theme, message, of_user=False)
        self._raw, self._shown = "", ""
        self._theme = theme
        self._thinking: ThinkingView | None = None
        self._body = MessageBody(theme)
        self._waiting = label("", "muted")
        self._ending = label("", wrap=True)
        self._again = Button(theme, tr("Regenerate"), self._regenerate, icon_name="refresh")
        ending = QHBoxLayout()
        ending.setContentsMargins(0, 0, 0, 0)
        ending.setSpacing(10)
        ending.addWidget(self._ending, 1)
        ending.addWidget(self._again)
        self._ending_frame = frame("notice")
        self.ways_out: dict[str, Button] = {}
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways_out = [(value, name) for value, name, _ in OVERFLOWS[1:]]
        for value, name in [*ways_out, ("larger", mark("Larger context…"))]:
            way = Button(theme, tr(name), partial(self._choose_overflow, value))
            self.ways_out[value] = way
            ways.addWidget(way)
        ways.addStretch()
        whole = QVBoxLayout(self._ending_frame)
        whole.setSpacing(8)
        whole.addLayout(ending)
        whole.addLayout(ways)
        whole.setContentsMargins(12, 8, 8, 8)
        self._column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self._body, self._waiting, self._ending_frame, self.actions_row):
            layout.addWidget(widget)
        self.actions_row.change.connect(self._regenerate)
        self.show_message(message)

    @property
    def body(self) -> MessageBody:
        return self._body

    def show_message(self, message: Message) -> None:
        """Show the message in the state that it has."""
        self.message = message
        name = short_model(message.model) or tr("the model")
        self.setAccessibleName(tr("Answer of {name}: {text}").format(name=name, text=message.text[:300]))
        if message.state == "streaming":
            self._feed_to(message.text, final=False)
            if not message.text:
                self.set_waiting("…")
        else:
            self._feed_to(message.text, final=True)
            self.set_waiting("")
        self._show_ending()
        self.actions_row.show_message(message, split_thinking(message.text).text.strip())
        self.show_actions()

    def feed(self, delta: str) -> None:
        """More of the answer; call at most thirty times a second."""
        self.set_waiting("")
        self._feed_to(self._raw + delta, final=False)

    def set_waiting(self, text: str) -> None:
        """What is going on before the first word."""
        self._waiting.setText(text)
        self._waiting.setVisible(bool(text))

    def restyle(self) -> None:
        super().restyle()
        self._body.restyle()
        if self._thinking is not None:
            self._thinking.restyle()

    def _feed_to(self, raw: str, final: bool) -> None:
        growing = bool(self._raw) or not final
        self._raw = raw
        answer = split_thinking(raw)
        if answer.thinking or answer.thinking_open:
            self._think(answer.thinking, answer.thinking_open and not final)
        if not growing:
            self._body.set_text(answer.text)
        else:
            if not answer.text.startswith(self._shown):  # what looked like the answer was thinking
                self._body.set_text("")
                self._shown = ""
            if delta := answer.text[len(self._shown) :]:
                self._body.feed(delta)
            if final:
                self._body.finish()
        self._shown = answer.text

    def _think(self, text: str, still: bool) -> None:
        if self._thinking is None:
            self._thinking = ThinkingView(self._theme)
            self._column.insertWidget(0, self._thinking)
        self._thinking.show_thinking(text, still)

    def _show_ending(self) -> None:
        message = self.message
        timings = message.timings or {}
        text = tr(ENDINGS[message.state]) if message.state in ENDINGS else ""
        if message.state in ("interrupted", "failed") and timings.get("error"):
            text = f"{text} {timings['error']}"
        full = message.state == "failed" and timings.get("code") == "context_length_exceeded"
        if full:
            text = tr("The conversation does not fit into the context. {reason}.").format(reason=timings["error"])
        if message.state == "done" and timings.get("reason") == "length":
            full_now = timings.get("stop_reason") == "context"
            text = tr("The answer ends here because it reached the length limit.")
            if full_now:
                text = tr(
                    "The answer ends here because the context is full. The gauge below can let the next one go on."
                )
        slid = [change for change in message.context_changes if change.get("through") is None]
        text = "\n".join(filter(None, [*map(sentence, slid), text]))
        if message.state == "done" and not message.text.strip():
            text = tr("The model ended its answer without saying anything.")
        tones = {"interrupted": "warning", "failed": "warning" if full else "danger"}
        set_property(self._ending, "role", "" if message.state in tones else "small")
        set_property(self._ending_frame, "role", "notice" if message.state in tones else "plain")
        set_property(self._ending_frame, "tone", tones.get(message.state, ""))
        self._ending.setText(text)
        self._again.setVisible(message.state in tones and not full)
        for choice, way in self.ways_out.items():  # where leaving out was not enough, only a larger context is
            way.setVisible(full and (choice == "larger" or timings.get("overflow") == "stop"))
        self._ending_frame.setVisible(bool(text))

    def _choose_overflow(self, choice: str) -> None:
        self.overflow_chosen.emit(self.message.id, choice)

    def _regenerate(self) -> None:
        self.regenerate.emit(self.message.id)
