"""One conversation as the window works with it: the branch that is shown, and the answer being written.

The history is the truth; an answer in progress is saved to it once a second and at its end, so that
nothing is lost when the engine or the program goes down.  An answer goes on while another
conversation is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.chat import sampling
from app.chat.attached import composed
from app.chat.context_change import placed, summary_in_force
from app.history.history import Attachment, Message
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
    settings_changed = Signal()
    """The system prompt or a value of :attr:`overrides` is another."""
    branching_changed = Signal()
    """Whether the next message begins another branch is otherwise than before."""

    def __init__(self, services: Services, conversation_id: int | None, model: str) -> None:
        super().__init__()
        self._services = services
        self._stream: ChatStream | None = None
        self._pieces: list[str] = []
        self._sent_ids: list[int] = []
        self._overflow = ""
        self._overrides: dict[str, Any] = {}
        self._system: str | None = None
        self._went_on = 0
        self._end_of_branch: int | None = None
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
            self._overrides = services.history.conversation_settings(conversation_id)

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
    def overrides(self) -> dict[str, Any]:
        """What is set otherwise here than in the settings."""
        return dict(self._overrides)

    def set_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Replace them; for a new conversation they are kept with the first message."""
        if overrides == self._overrides:
            return
        self._overrides = dict(overrides)
        if self.id is not None:
            self._services.history.set_conversation_settings(self.id, self._overrides)
        self.settings_changed.emit()

    @property
    def system(self) -> str:
        """What the model is told before everything else; of a new conversation what the settings say."""
        if self.id is not None:
            return next((message.text for message in self.messages if message.role == "system"), "")
        return str(self._services.settings.get("system_prompt") or "") if self._system is None else self._system

    def set_system(self, text: str) -> None:
        """Tell the model something else from the next answer on."""
        if text == self.system:
            return
        if self.id is None:
            self._system = text
        else:
            self._services.history.set_system(self.id, text)
            shown, last = {message.id for message in self.messages}, self.messages[-1:]
            read = self._services.history.messages(self.id)
            self.messages = [message for message in read if message.role == "system" or message.id in shown]
            if self.busy:  # there is more of it than the history has
                self.messages[-1:] = last
        self.settings_changed.emit()

    def options(self) -> dict[str, Any]:
        """What the engine is asked for beside the messages."""
        options: dict[str, Any] = sampling.effective(self._services.settings.sampling(), self._overrides)
        options["context_overflow"] = self.overflow
        if self.summary:
            options["context_summary"] = self.summary
        return options

    @property
    def summary(self) -> str:
        """What stands for the messages that :meth:`prompt` does not begin with any more."""
        change = summary_in_force(self.messages)
        return str(change["summary"]) if change else ""

    def prompt(self, draft: str = "", attachments: Sequence[Attachment] = ()) -> list[dict[str, str]]:
        """What the model is sent: the branch, from its last summary on, without thinking and empty answers, then
        ``draft``."""
        rows = [(role, text) for _, role, text in self._sent()]
        if self.id is None and (system := self.system.strip()):
            rows = [("system", system)]
        if written := composed(draft, attachments):
            rows.append(("user", written))
        return [{"role": role, "content": text} for role, text in rows]

    def beginnings(self) -> list[tuple[list[dict[str, str]], str]]:
        """Everything that the model was ever sent of this branch: messages, and the summary that they came with."""
        said = [{"role": role, "content": text} for _, role, text in self._sent(whole=True)]
        summaries = [change["summary"] for message in self.messages for change in message.context_changes]
        return [(said, summary) for summary in dict.fromkeys(["", *filter(None, summaries)])] if said else []

    def _sent(self, messages: list[Message] | None = None, whole: bool = False) -> list[tuple[int, str, str]]:
        """Id, role and text of what the model is sent of ``messages``, the branch, or of the ``whole`` branch."""
        messages = self.messages if messages is None else messages
        change = None if whole else summary_in_force(messages)
        places = [place for place, message in enumerate(messages) if change and message.id == change["through"]]
        begin = places[0] + 1 if places else 0
        kept = [message for place, message in enumerate(messages) if place >= begin or message.role == "system"]
        rows = [
            (message.id, message.role, split_thinking(message.text).text.strip())
            if message.role == "assistant"
            else (message.id, message.role, composed(message.text, message.attachments))
            for message in kept
        ]
        return [row for row in rows if row[2]]

    def send(self, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Append the user's message and ask for an answer."""
        history = self._services.history
        if self.id is None:
            system = self.system
            self.id = history.create(self.model)
            if self._overflow:
                history.set_context_overflow(self.id, self._overflow)
            if self._overrides:
                history.set_conversation_settings(self.id, self._overrides)
            if system := system.strip():
                self.messages.append(history.append(self.id, None, "system", system))
            first = True
        else:
            first = False
        parent = self.messages[-1].id if self.messages else None
        message = history.append(self.id, parent, "user", text, attachments=attachments)
        self.messages.append(message)
        self._end_branching()
        if first:
            self.created.emit(self.id)
        self.appended.emit(message)
        self._answer()

    def edit(self, message_id: int, text: str) -> None:
        """Other words instead of a message: a new branch beside the old one.  What the user says is answered; an
        answer stands as it was edited."""
        assert self.id is not None
        history, old = self._services.history, self._services.history.message(message_id)
        if old.role == "user":
            history.append(self.id, old.parent, "user", text, attachments=old.attachments)
        else:
            history.append(self.id, old.parent, old.role, text, old.model, timings={"edited": True})
        self._read()
        if old.role == "user":
            self._answer()

    def branch_from(self, message_id: int) -> None:
        """Go on from an answer, or beside a message of the user: what is said next begins another branch, and what
        is there stays.  Until then nothing is changed."""
        index = self._place(message_id)
        self.messages = self.messages[: index + (self.messages[index].role != "user")]
        self._end_of_branch = message_id
        self.reset.emit()
        self.branching_changed.emit()

    @property
    def branching(self) -> bool:
        """Whether the next message begins another branch."""
        return self._end_of_branch is not None

    def stay(self) -> None:
        """No other branch after all."""
        if self.branching:
            self._end_of_branch = None
            self._read()
            self.branching_changed.emit()

    def continue_answer(self, message_id: int) -> None:
        """Let an answer go on where it ends.  One that is not the last stays as it is: a copy of it goes on."""
        assert self.id is not None
        index = self._place(message_id)
        old = self.messages[index]
        begun = old.text.rstrip("\ufffd")  # it ended inside a character
        if not begun.strip():
            self.regenerate(message_id)
            return
        history = self._services.history
        if index < len(self.messages) - 1:
            old = history.append(self.id, old.parent, "assistant", begun, old.model, timings=old.timings)
            self._read()
        prompt = self._prompt_before(self.messages[:-1])
        prompt.append({"role": "assistant", "content": begun})
        saved = history.update(old.id, begun, "streaming")
        self.messages[-1] = replace(saved, siblings=old.siblings, position=old.position)
        self._went_on = _completion_tokens(old)
        self.replaced.emit(self.messages[-1])
        self._begin(prompt, {**self.options(), "continue_final_message": True}, begun)

    def regenerate(self, message_id: int) -> None:
        """Another answer beside an answer that is there."""
        assert self.id is not None
        index = self._place(message_id)
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

    def _place(self, message_id: int) -> int:
        return next(place for place, message in enumerate(self.messages) if message.id == message_id)

    def _end_branching(self) -> None:
        if self.branching:
            self._end_of_branch = None
            self.branching_changed.emit()

    def _read(self) -> None:
        assert self.id is not None
        self.messages = self._services.history.messages(self.id)
        self.reset.emit()

    def _answer(self) -> None:
        assert self.id is not None
        self._end_branching()
        prompt = self._prompt_before(self.messages)
        options = self.options()
        message = self._services.history.append(
            self.id, self.messages[-1].id, "assistant", "", model=self.model, state="streaming"
        )
        self.messages.append(message)
        self._went_on = 0
        self.appended.emit(message)
        self._begin(prompt, options, "")

    def _prompt_before(self, messages: list[Message]) -> list[dict[str, str]]:
        """What the model is sent of ``messages``, all there is of the branch before an answer."""
        rows = self._sent(messages)
        self._sent_ids = [number for number, role, _ in rows if role != "system"]
        return [{"role": role, "content": text} for _, role, text in rows]

    def _begin(self, prompt: list[dict[str, str]], options: dict[str, Any], begun: str) -> None:
        self._pieces = [begun] if begun else []
        stream = self._services.client.chat(self.model, prompt, options)
        self._stream = stream
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
        if self._went_on:  # the number of tokens is that of the whole answer
            usage = {**usage, "completion_tokens": self._went_on + int(usage.get("completion_tokens") or 0)}
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


def _completion_tokens(message: Message) -> int:
    usage = (message.timings or {}).get("usage")
    return int(usage.get("completion_tokens") or 0) if isinstance(usage, Mapping) else 0
