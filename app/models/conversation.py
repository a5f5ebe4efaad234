"""One conversation as the window works with it: the branch that is shown, and the answer being written.

The history is the truth; an answer in progress is saved to it once a second and at its end, so that
nothing is lost when the engine or the program goes down.  An answer goes on while another
conversation is shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.history import Message
from app.thinking import split_thinking

if TYPE_CHECKING:
    from app.application import Services
    from app.engine_client import ChatStream

SAVE_EVERY = 1000
"""Milliseconds between saves of an answer that is being written."""


class Conversation(QObject):
    """``id`` is ``None`` until the first message is sent: an empty conversation leaves no trace."""

    created = Signal(int)
    """The first message was sent: the conversation is in the history now."""
    reset = Signal()
    """Another branch is shown: take :attr:`messages` afresh."""
    appended = Signal(object)
    """A :class:`app.history.Message` more at the end."""
    delta = Signal(str)
    """More text of the answer being written, the last message."""
    replaced = Signal(object)
    """The last message in its final form."""
    prompt_progress = Signal(int, int, float)
    busy_changed = Signal(bool)

    def __init__(self, services: Services, conversation_id: int | None, model: str) -> None:
        super().__init__()
        self._services = services
        self._stream: ChatStream | None = None
        self._pieces: list[str] = []
        self.id = conversation_id
        self.model = model
        self.messages: list[Message] = []
        self._save_timer = QTimer(self)
        self._save_timer.setInterval(SAVE_EVERY)
        self._save_timer.timeout.connect(self._save)
        if conversation_id is not None:
            self.model = services.history.conversation(conversation_id).model or model
            self.messages = services.history.messages(conversation_id)

    @property
    def busy(self) -> bool:
        return self._stream is not None

    @property
    def visible(self) -> list[Message]:
        """The messages without the system prompt."""
        return [message for message in self.messages if message.role != "system"]

    def set_model(self, model: str) -> None:
        """Go on with another model."""
        self.model = model
        if self.id is not None:
            self._services.history.set_model(self.id, model)

    def prompt(self, draft: str = "") -> list[dict[str, str]]:
        """What the model is sent: the branch without thinking and empty answers, then ``draft``."""
        rows = [(message.role, message.text) for message in self.messages]
        if not rows and (system := str(self._services.settings.get("system_prompt") or "").strip()):
            rows = [("system", system)]
        rows = [(role, split_thinking(text).text.strip() if role == "assistant" else text) for role, text in rows]
        if draft:
            rows.append(("user", draft))
        return [{"role": role, "content": text} for role, text in rows if text]

    def send(self, text: str) -> None:
        """Append the user's message and ask for an answer."""
        history = self._services.history
        if self.id is None:
            self.id = history.create(self.model)
            system = str(self._services.settings.get("system_prompt") or "").strip()
            if system:
                self.messages.append(history.append(self.id, None, "system", system))
            first = True
        else:
            first = False
        parent = self.messages[-1].id if self.messages else None
        message = history.append(self.id, parent, "user", text)
        self.messages.append(message)
        if first:
            self.created.emit(self.id)
        self.appended.emit(message)
        self._answer()

    def edit(self, message_id: int, text: str) -> None:
        """Say something else instead of a user message: a new branch beside the old one."""
        assert self.id is not None
        old = self._services.history.message(message_id)
        self._services.history.append(self.id, old.parent, "user", text)
        self._read()
        self._answer()

    def regenerate(self, message_id: int) -> None:
        """Another answer beside an answer that is there."""
        assert self.id is not None
        index = next(i for i, message in enumerate(self.messages) if message.id == message_id)
        self.messages = self.messages[:index]
        self.reset.emit()
        self._answer()

    def show_sibling(self, message_id: int, step: int) -> None:
        """Show the branch ``step`` places beside a message."""
        siblings = self._services.history.siblings(message_id)
        at = next(i for i, message in enumerate(siblings) if message.id == message_id) + step
        if 0 <= at < len(siblings):
            self._services.history.activate(siblings[at].id)
            self._read()

    def stop(self) -> None:
        """End the answer here; what is written stays."""
        if self._stream is not None:
            self._stream.cancel()

    def _read(self) -> None:
        assert self.id is not None
        self.messages = self._services.history.messages(self.id)
        self.reset.emit()

    def _answer(self) -> None:
        assert self.id is not None
        prompt = self.prompt()
        message = self._services.history.append(
            self.id, self.messages[-1].id, "assistant", "", model=self.model, state="streaming"
        )
        self.messages.append(message)
        self._pieces = []
        stream = self._services.client.chat(self.model, prompt, self._services.settings.sampling())
        self._stream = stream
        self.appended.emit(message)
        self.busy_changed.emit(True)
        stream.progress.connect(self.prompt_progress)
        stream.delta.connect(self._on_delta)
        stream.finished.connect(self._on_finished)
        stream.failed.connect(self._on_failed)
        self._save_timer.start()

    def _on_delta(self, text: str) -> None:
        self._pieces.append(text)
        self.delta.emit(text)

    def _on_finished(self, reason: str, usage: dict[str, Any], timings: dict[str, Any]) -> None:
        self._end("stopped" if reason == "cancelled" else "done", {**timings, "usage": usage, "reason": reason})

    def _on_failed(self, message: str) -> None:
        self._end("interrupted" if self._pieces else "failed", {"error": message})

    def _end(self, state: str, timings: dict[str, Any]) -> None:
        self._save_timer.stop()
        self._stream = None
        last = self.messages[-1]
        final = self._services.history.update(last.id, "".join(self._pieces), state, timings)
        self.messages[-1] = replace(final, siblings=last.siblings, position=last.position)
        self.replaced.emit(self.messages[-1])
        self.busy_changed.emit(False)

    def _save(self) -> None:
        text = "".join(self._pieces)
        last = self.messages[-1]
        if text and text != last.text:
            self.messages[-1] = replace(last, text=text)
            self._services.history.update(last.id, text, "streaming")

    def current_text(self) -> str:
        """The answer being written, as far as it has come."""
        return "".join(self._pieces)
