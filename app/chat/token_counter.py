"""How many tokens the conversation takes with what is being written, as the engine counts them.

A short conversation is counted as a whole at every change.  Of a long one the whole is counted once for each state
of its branch; while the user types, only the message is sent, and what it has more than it had at that count is
added: messages stand between the special tokens of the template, so their tokens add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.history.history import Attachment

if TYPE_CHECKING:
    from app.chat.conversation import Conversation
    from app.engine.client import EngineClient, Reply

SHORT = 20_000
"""Characters up to which everything is counted at once."""

Rows = list[dict[str, str]]


@dataclass
class _Base:
    """A count of the whole, and of its last message alone."""

    key: object
    whole: int = -1
    alone: int = -1
    waiting: tuple[int, int] | None = None
    """A count of another message that came before these: with its question's number."""


class TokenCounter(QObject):
    """Ask with :meth:`count`; only the answer to the last question is told."""

    counted = Signal(int)

    def __init__(self, client: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._serial = 0
        self._base: _Base | None = None

    def drop(self) -> None:
        """No answer is wanted any more."""
        self._serial += 1

    def count(self, conversation: Conversation, draft: str, attachments: list[Attachment]) -> None:
        """Count ``conversation`` with a message that is not sent yet."""
        self._serial += 1
        prompt = conversation.prompt(draft, attachments)
        if not prompt:
            self.counted.emit(0)
            return
        model, summary, serial = conversation.model, conversation.summary, self._serial
        if not draft or sum(len(row["content"]) for row in prompt[:-1]) <= SHORT:
            self._ask(model, prompt, summary, lambda tokens: self._tell(serial, tokens))
            return
        last = conversation.messages[-1] if conversation.messages else None
        key = (
            id(conversation), model, summary, conversation.system, tuple(attachments),
            last and (last.id, len(last.text)), len(conversation.messages),
        )  # fmt: skip
        message = [prompt[-1]]
        if self._base is None or self._base.key != key:
            base = self._base = _Base(key)
            self._ask(model, prompt, summary, lambda tokens: self._keep(base, serial, whole=tokens))
            self._ask(model, message, "", lambda tokens: self._keep(base, serial, alone=tokens))
        else:
            base = self._base
            self._ask(model, message, "", lambda tokens: self._add(base, serial, tokens))

    def _ask(self, model: str, messages: Rows, summary: str, take: Callable[[int], None]) -> None:
        reply: Reply = self._client.count_tokens(model, messages, summary)
        reply.done.connect(lambda tokens: take(int(tokens)))

    def _tell(self, serial: int, tokens: int) -> None:
        if serial == self._serial:
            self.counted.emit(tokens)

    def _keep(self, base: _Base, serial: int, whole: int = -1, alone: int = -1) -> None:
        base.whole, base.alone = max(base.whole, whole), max(base.alone, alone)
        if whole >= 0:
            self._tell(serial, whole)
        if base.waiting is not None:
            self._add(base, *base.waiting)

    def _add(self, base: _Base, serial: int, alone: int) -> None:
        if base.whole >= 0 and base.alone >= 0:
            base.waiting = None
            self._tell(serial, base.whole - base.alone + alone)
        else:
            base.waiting = serial, alone
