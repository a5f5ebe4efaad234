"""An answer: its thinking, its text, how it ended and what can be done then."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.chat.context_change import OVERFLOWS, sentence
from app.history.history import Message
from app.text.thinking import split_thinking
from app.theme import Theme
from app.translation import mark, tr
from app.views.chat.message_body import MessageBody
from app.views.chat.message_view import MessageView
from app.views.chat.thinking_view import ThinkingView
from app.views.controls.controls import Button, frame, label, set_property
from app.wording import short_model

ENDINGS = {
    "interrupted": mark("The answer was interrupted before it was finished."),
    "failed": mark("There is no answer."),
    "stopped": mark("Stopped."),
}


class AnswerMessage(MessageView):
    """Over the whole width of the column; grows while it is written."""

    overflow_chosen = Signal(int, str)
    """Message id, and what is to happen with a conversation that does not fit; ``"larger"``: another context."""

    def __init__(self, theme: Theme, message: Message) -> None:
        super().__init__(theme, message, MessageBody(theme, lazy=True), spacing=8)
        self._raw, self._shown = "", ""
        self._thinking: ThinkingView | None = None
        self._waiting = label("", "muted")
        self._waiting.hide()
        self._ending_frame: QFrame | None = None
        for widget in (self.body, self._waiting, self.actions_row):
            self.add(widget)
        self.show_message(message)

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
        self.show_actions()
        self.updateGeometry()

    def feed(self, delta: str) -> None:
        """More of the answer; call at most thirty times a second."""
        self.set_waiting("")
        self._feed_to(self._raw + delta, final=False)

    def set_waiting(self, text: str) -> None:
        """What is going on before the first word."""
        if text != self._waiting.text() or self._waiting.isHidden() == bool(text):
            self._waiting.setText(text)
            self._waiting.setVisible(bool(text))
            self.updateGeometry()

    def show_text(self, visible: bool) -> None:
        super().show_text(visible)
        if self._thinking is not None:
            self._thinking.setVisible(visible)

    def restyle(self) -> None:
        super().restyle()
        if self._thinking is not None:
            self._thinking.restyle()

    def _feed_to(self, raw: str, final: bool) -> None:
        growing = bool(self._raw) or not final
        self._raw = raw
        answer = split_thinking(raw)
        if answer.thinking or answer.thinking_open:
            self._think(answer.thinking, answer.thinking_open and not final)
        if not growing:
            self.body.set_text(answer.text)
        else:
            if not answer.text.startswith(self._shown):  # what looked like the answer was thinking
                self.body.set_text("")
                self._shown = ""
            if delta := answer.text[len(self._shown) :]:
                self.body.feed(delta)
            if final:
                self.body.finish()
        self._shown = answer.text

    def _think(self, text: str, still: bool) -> None:
        if self._thinking is None:
            self._thinking = ThinkingView(self.theme)
            self.add(self._thinking, 0)
        self._thinking.show_thinking(text, still)

    # How it ended

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
        if not text and self._ending_frame is None:
            return
        if self._ending_frame is None:
            self._make_ending()
        assert self._ending_frame is not None
        tones = {"interrupted": "warning", "failed": "warning" if full else "danger"}
        set_property(self._ending, "role", "" if message.state in tones else "small")
        set_property(self._ending_frame, "role", "notice" if message.state in tones else "plain")
        set_property(self._ending_frame, "tone", tones.get(message.state, ""))
        self._ending.setText(text)
        self._again.setVisible(message.state in tones and not full)
        self._go_on.setVisible(self.can_continue)
        for choice, way in self.ways_out.items():  # where leaving out was not enough, only a larger context is
            way.setVisible(full and (choice == "larger" or timings.get("overflow") == "stop"))
        self._ending_frame.setVisible(bool(text))

    def _make_ending(self) -> None:
        self._ending = label("", wrap=True)
        self._go_on = Button(self.theme, tr("Continue"), self._continue, icon_name="continue")
        self._again = Button(self.theme, tr("Regenerate"), self._regenerate, icon_name="refresh")
        ending = QHBoxLayout()
        ending.setContentsMargins(0, 0, 0, 0)
        ending.setSpacing(10)
        ending.addWidget(self._ending, 1)
        ending.addWidget(self._go_on)
        ending.addWidget(self._again)
        self._ending_frame = frame("notice")
        self.ways_out: dict[str, Button] = {}
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways_out = [(value, name) for value, name, _ in OVERFLOWS[1:]]
        for value, name in [*ways_out, ("larger", mark("Larger context…"))]:
            way = Button(self.theme, tr(name), partial(self._choose_overflow, value))
            self.ways_out[value] = way
            ways.addWidget(way)
        ways.addStretch()
        whole = QVBoxLayout(self._ending_frame)
        whole.setSpacing(8)
        whole.addLayout(ending)
        whole.addLayout(ways)
        whole.setContentsMargins(12, 8, 8, 8)
        self.add(self._ending_frame, self._children.index(self.actions_row))

    def _choose_overflow(self, choice: str) -> None:
        self.overflow_chosen.emit(self.message.id, choice)

    def _regenerate(self) -> None:
        self.regenerate.emit(self.message.id)

    def _continue(self) -> None:
        self.continue_wanted.emit(self.message.id)
