"""Two models on one prompt: each answers in a conversation of its own, side by side.

Where both fit into the memory, they answer at once.  Where they do not (the engine's plan says so beforehand), the
second answers when the first has ended, and the engine releases the one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app import wording
from app.chat.conversation import Conversation
from app.history.history import Attachment
from app.translation import tr

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import Reply

LINK = "compared_with"
"""The key of a conversation's settings that names the other one."""
AUTOMATIC = ("f16", "k8v8", "k6v5", "k4v4")
"""Formats of keys and values that the engine takes by itself."""


class Comparison(QObject):
    """``together``: None while it is not known."""

    changed = Signal()
    """It is known whether both fit, or the second waits, or does no longer."""
    busy_changed = Signal(bool)

    def __init__(self, services: Services, first: Conversation, second: Conversation) -> None:
        super().__init__()
        self._services = services
        self.first, self.second = first, second
        self.together: bool | None = None
        self._waiting: tuple[str, Sequence[Attachment]] | None = None
        self._plan: Reply | None = None
        for one in (first, second):
            one.busy_changed.connect(self._on_busy)
            one.created.connect(self._link)
        self._link()

    @property
    def busy(self) -> bool:
        return self.first.busy or self.second.busy or self.waiting

    @property
    def waiting(self) -> bool:
        """The second has a question, and answers it when the first has ended."""
        return self._waiting is not None

    def plan(self, first_is_loaded: bool) -> None:
        """Find out whether the second fits beside the first, once that is loaded."""
        loaded = self._services.client.loaded
        if self.second.model == self.first.model or {self.first.model, self.second.model} <= set(loaded):
            self._know(True)
        elif first_is_loaded and self.together is None and self._plan is None:
            self._plan = self._services.client.plan(self.second.model)
            self._plan.done.connect(self._on_plan)
            self._plan.failed.connect(lambda _: self._know(False))

    def send(self, text: str, attachments: Sequence[Attachment]) -> None:
        """Ask both."""
        self.first.send(text, attachments)
        if self.together:
            self.second.send(text, attachments)
        else:
            self._waiting = text, attachments
            self.changed.emit()

    def stop(self) -> None:
        """End both answers; the second question is still asked, so that both conversations have it, unless it is
        being waited for: then it is dropped."""
        self._waiting = None
        self.first.stop()
        self.second.stop()
        self.changed.emit()

    def close(self) -> None:
        """They go their own ways."""
        self._waiting = None
        for one in (self.first, self.second):
            one.busy_changed.disconnect(self._on_busy)
            one.created.disconnect(self._link)
        if self._plan is not None:
            self._plan.done.disconnect(self._on_plan)

    def _on_plan(self, plan: dict[str, Any]) -> None:
        self._know(any(one["fits"] for one in plan["formats"] if one["kv"] in AUTOMATIC))

    def _know(self, together: bool) -> None:
        self._plan = None
        self.together = together
        self.changed.emit()

    def _on_busy(self, _busy: bool) -> None:
        if self._waiting is not None and not self.first.busy:
            (text, attachments), self._waiting = self._waiting, None
            self.second.send(text, attachments)
            self.changed.emit()
        self.busy_changed.emit(self.busy)

    def _link(self, _id: object = None) -> None:
        if self.first.id is not None and self.second.id is not None:
            self.first.set_overrides({**self.first.overrides, LINK: self.second.id})
            self.second.set_overrides({**self.second.overrides, LINK: self.first.id})
            history = self._services.history  # in the list the two must be told apart
            title, model = history.conversation(self.first.id).title, wording.short_model(self.second.model)
            history.rename(self.second.id, tr("{title} · {model}").format(title=title, model=model))


def sentence(comparison: Comparison, first: str, second: str) -> str:
    """What to expect of the memory, in words."""
    if comparison.together is None:
        return tr("Whether both models fit into the memory is known when the first one is loaded.")
    if comparison.together:
        return tr("Both models fit into the memory and answer at the same time.")
    text = tr("{first} and {second} do not fit into the memory together: they answer one after the other.")
    return text.format(first=first, second=second)


def copied(services: Services, conversation: Conversation, model: str) -> Conversation:
    """A conversation with another model that has the branch of ``conversation`` so far, and its settings."""
    made = Conversation(services, None, model)
    if conversation.messages:
        history = services.history
        title = history.conversation(conversation.id).title if conversation.id is not None else ""
        number = history.create(model, title)
        parent: int | None = None
        for message in conversation.messages:
            if message.state == "streaming":
                break
            parent = history.append(
                number, parent, message.role, message.text, message.model, message.state, message.timings,
                message.attachments,
            ).id
        made = Conversation(services, number, model)
    made.set_overrides({key: value for key, value in conversation.overrides.items() if key != LINK})
    if made.id is None:
        made.set_system(conversation.system)
    return made
