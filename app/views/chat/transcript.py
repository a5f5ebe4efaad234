"""A list of messages that shows a conversation: everything that goes on between the two."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, SignalInstance

from app import wording
from app.chat.conversation import Conversation
from app.history.history import Message
from app.translation import tr
from app.views.chat.message_list import MessageList


class Transcript(QObject):
    """Shows one conversation at a time; the others go on without it."""

    changed = Signal()
    """Messages are there that were not, or others."""
    answered = Signal(object)
    """An answer is over: its message."""
    reading = Signal(int)
    """Tokens of the prompt that is being read."""
    larger_wanted = Signal()
    """For what does not fit the user wants a larger context."""

    def __init__(self, messages: MessageList) -> None:
        super().__init__(messages)
        self.messages = messages
        self.conversation: Conversation | None = None

    @property
    def _there(self) -> Conversation:
        assert self.conversation is not None
        return self.conversation

    def show(self, conversation: Conversation) -> None:
        """Show another conversation."""
        self.leave()
        self.conversation = conversation
        for signal, slot in self._slots(conversation):
            signal.connect(slot)
        self._on_reset()
        self.messages.set_busy(conversation.busy)

    def leave(self) -> None:
        """Hear no more of the conversation."""
        if self.conversation is not None:
            for signal, slot in self._slots(self.conversation):
                signal.disconnect(slot)
            self.conversation = None

    def _slots(self, conversation: Conversation) -> list[tuple[SignalInstance, Callable[..., object]]]:
        messages = self.messages
        return [
            (messages.regenerate, conversation.regenerate),
            (messages.edited, conversation.edit),
            (messages.step, conversation.show_sibling),
            (messages.continue_wanted, conversation.continue_answer),
            (messages.branch_wanted, conversation.branch_from),
            (messages.overflow_chosen, self._take_way_out),
            (conversation.reset, self._on_reset),
            (conversation.appended, self._on_appended),
            (conversation.delta, self.messages.feed),
            (conversation.replaced, self._on_replaced),
            (conversation.prompt_progress, self._on_prompt_progress),
            (conversation.summarising, self._on_summarising),
            (conversation.context_changed, self._on_context_changed),
            (conversation.busy_changed, self.messages.set_busy),
        ]

    def _take_way_out(self, message_id: int, choice: str) -> None:
        """What the user chose for an answer that does not fit."""
        if choice == "larger":
            self.larger_wanted.emit()
            return
        self._there.set_overflow(choice)
        self._there.regenerate(message_id)

    def _on_reset(self) -> None:
        visible = self._there.visible
        self.messages.show_messages(visible)
        if self._there.busy and (text := self._there.current_text()):
            saved = visible[-1].text
            self.messages.feed(text[len(saved) :])
        self.changed.emit()

    def _on_appended(self, message: Message) -> None:
        self.messages.append(message)
        self.changed.emit()

    def _on_replaced(self, message: Message) -> None:
        self.messages.replace_last(message)
        if message.state != "streaming":
            self.answered.emit(message)

    def _on_prompt_progress(self, done: int, total: int, seconds_left: float) -> None:
        if total:
            self.messages.set_waiting(wording.reading(done, total, seconds_left))
            self.reading.emit(total)

    def _on_summarising(self, done: int, total: int) -> None:
        if total:
            percent = 100 * done // total
            self.messages.set_waiting(tr("Summarising the oldest messages · {percent} %").format(percent=percent))

    def _on_context_changed(self) -> None:
        self.messages.show_context(self._there.visible)
