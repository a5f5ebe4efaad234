"""One conversation as the window works with it: the branch that is shown, and the answer being written.

The history is the truth; an answer in progress is saved to it once a second and at its end, so that
nothing is lost when the engine or the program goes down.  An answer goes on while another
conversation is shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.chat.context_change import placed, summary_in_force
from app.history.history import Message
from app.text.thinking import split_thinking

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import ChatStream

SAVE_EVERY = 1000
"""Milliseconds between saves of an answer that is being written."""


class Conversation(QObject):
    """``id`` is ``None`` until the first message is sent: an empty conversation leaves no trace."""

    created = Signal(int)
    """The first message was sent: the conversation is in the history now."""
    reset = Signal()
    """Another branch is shown: take :attr:`messages` afresh."""
    appended = Signal(object)
    """A :class:`app.history.history.Message` more at the end."""
    delta = Signal(str)
    """More text of the answer being written, the last message."""
    replaced = Signal(object)
    """The last message in its final form."""
    prompt_progress = Signal(int, int, float)
    summarising = Signal(int, int)
    context_changed = Signal()
    """The model does not read all any more; :attr:`messages` say since where."""
    busy_changed = Signal(bool)

    def __init__(self, services: Services, conversation_id: int | None, model: str) -> None:
        super().__init__()
        self._services = services
        self._stream: ChatStream | None = None
        self._pieces: list[str] = []
        self._sent_ids: list[int] = []
        self._overflow = ""
        self.id = conversation_id
        self.model = model
        self.messages: list[Message] = []
        self._save_timer = QTimer(self)
        self._save_timer.setInterval(SAVE_EVERY)
        self._save_timer.timeout.connect(self._save)
        if conversation_id is not None:
            self.model = services.history.conversation(conversation_id).model or model
            self.messages = services.history.messages(conversation_id)
            self._overflow = services.history.context_overflow(conversation_id)

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

    @property
    def overflow(self) -> str:
        """What happens when the context is full: the choice made here, else that of the settings."""
        return self._overflow or str(self._services.settings.get("context_overflow"))

    def set_overflow(self, overflow: str) -> None:
        """Choose it for this conversation; for a new one it is kept with the first message."""
        self._overflow = overflow
        if self.id is not None:
            self._services.history.set_context_overflow(self.id, overflow)

    @property
    def summary(self) -> str:
        """What stands for the messages that :meth:`prompt` does not begin with any more."""
        change = summary_in_force(self.messages)
        return str(change["summary"]) if change else ""

    def prompt(self, draft: str = "") -> list[dict[str, str]]:
        """What the model is sent: the branch, from its last summary on, without thinking and empty answers, then
        ``draft``."""
        rows = [(role, text) for _, role, text in self._sent()]
        if not rows and (system := str(self._services.settings.get("system_prompt") or "").strip()):
            rows = [("system", system)]
        if draft:
            rows.append(("user", draft))
        return [{"role": role, "content": text} for role, text in rows]

    def beginnings(self) -> list[tuple[list[dict[str, str]], str]]:
        """Everything that the model was ever sent of this branch: messages, and the summary that they came with."""
        said = [{"role": role, "content": text} for _, role, text in self._sent(whole=True)]
        summaries = [change["summary"] for message in self.messages for change in message.context_changes]
        return [(said, summary) for summary in dict.fromkeys(["", *filter(None, summaries)])] if said else []

    def _sent(self, whole: bool = False) -> list[tuple[int, str, str]]:
        """Id, role and text of the messages that the model is sent, or of the ``whole`` branch."""
        change = None if whole else summary_in_force(self.messages)
        places = [place for place, message in enumerate(self.messages) if change and message.id == change["through"]]
        begin = places[0] + 1 if places else 0
        kept = [message for place, message in enumerate(self.messages) if place >= begin or message.role == "system"]
        rows = [
            (message.id, message.role, split_thinking(message.text).text.strip())
            if message.role == "assistant"
            else (message.id, message.role, message.text)
            for message in kept
        ]
        return [row for row in rows if row[2]]

    def send(self, text: str) -> None:
        """Append the user's message and ask for an answer."""
        history = self._services.history
        if self.id is None:
            self.id = history.create(self.model)
            if self._overflow:
                history.set_context_overflow(self.id, self._overflow)
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
        self._sent_ids = [number for number, role, _ in self._sent() if role != "system"]
        options: dict[str, Any] = {**self._services.settings.sampling(), "context_overflow": self.overflow}
        if self.summary:
            options["context_summary"] = self.summary
        message = self._services.history.append(
            self.id, self.messages[-1].id, "assistant", "", model=self.model, state="streaming"
        )
        self.messages.append(message)
        self._pieces = []
        stream = self._services.client.chat(self.model, prompt, options)
        self._stream = stream
        self.appended.emit(message)
        self.busy_changed.emit(True)
        stream.progress.connect(self.prompt_progress)
        stream.summarising.connect(self.summarising)
        stream.context_changed.connect(self._on_context_changed)
        stream.delta.connect(self._on_delta)
        stream.finished.connect(self._on_finished)
        stream.failed.connect(self._on_failed)
        self._save_timer.start()

    def _on_context_changed(self, event: dict[str, Any]) -> None:
        """Kept at once, so that no end of the program loses it."""
        last = self.messages[-1]
        sent = set(self._sent_ids)
        first = next((place for place, one in enumerate(self.messages) if one.id in sent), 0)
        before = [message.id for message in self.messages[:first] if message.role != "system"]
        changes = (*last.context_changes, placed(event, self._sent_ids, before))
        self._services.history.set_context_changes(last.id, changes)
        self.messages[-1] = replace(last, context_changes=changes)
        self.context_changed.emit()

    def _on_delta(self, text: str) -> None:
        self._pieces.append(text)
        self.delta.emit(text)

    def _on_finished(self, reason: str, usage: dict[str, Any], timings: dict[str, Any]) -> None:
        self._end("stopped" if reason == "cancelled" else "done", {**timings, "usage": usage, "reason": reason})

    def _on_failed(self, message: str) -> None:
        code = self._stream.code if self._stream is not None else ""
        why = {"error": message, "code": code, "overflow": self.overflow}
        self._end("interrupted" if self._pieces else "failed", why)

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
