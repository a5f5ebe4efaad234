"""What is asked of the engine, and the events it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tzcore.engine.sampler import Sampling
from tzcore.engine.template import Message
from tzcore.errors import RequestError

MAX_STOPS = 16
FinishReason = Literal["stop", "length", "cancelled", "context"]
Overflow = Literal["stop", "slide", "compact"]
OVERFLOWS: tuple[Overflow, ...] = ("stop", "slide", "compact")


@dataclass(frozen=True)
class Request:
    """Either a conversation (``messages``: dictionaries with ``role`` and ``content``) or bare
    text or token ids to continue (``prompt``).

    ``sampling`` None takes the model's defaults.  ``max_tokens`` None goes on to the end of the
    context.  ``template_variables`` go to the chat template (``enable_thinking`` and the like).
    ``overflow`` is what happens where the context does not suffice (:mod:`tzcore.engine.overflow`).
    ``summary`` stands for what was said before ``messages``; the model reads it in the system message.
    ``open_answer``: the last message is the beginning of the answer, which goes on where it ends
    (:mod:`tzcore.engine.open_answer`).
    """

    messages: Sequence[Message] | None = None
    prompt: str | Sequence[int] | None = None
    sampling: Sampling | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    template_variables: Mapping[str, Any] = field(default_factory=dict)
    overflow: Overflow = "stop"
    summary: str | None = None
    open_answer: bool = False

    def __post_init__(self) -> None:
        if (self.messages is None) == (self.prompt is None):
            raise RequestError("A request has either messages or a prompt")
        if self.messages is not None:
            if not self.messages:
                raise RequestError("The conversation is empty: give at least one message")
            for message in self.messages:
                if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str):
                    raise RequestError("Each message needs a role and a content, both text")
        if self.open_answer and (self.messages is None or self.messages[-1]["role"] != "assistant"):
            raise RequestError("Only an answer can be continued: the last message must be the assistant's")
        if self.open_answer and self.messages is not None and not self.messages[-1]["content"]:
            raise RequestError("There is nothing to continue: the last message is empty; ask for an answer instead")
        if self.prompt is not None and not self.prompt:
            raise RequestError("The prompt is empty")
        if self.overflow not in OVERFLOWS:
            raise RequestError(f"overflow must be one of {', '.join(OVERFLOWS)}, not {self.overflow!r}")
        if self.messages is None and self.overflow == "compact":
            raise RequestError("Only a conversation can be compacted: let a bare prompt slide or stop")
        if self.messages is None and self.summary:
            raise RequestError("A summary belongs to a conversation, not to a bare prompt")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise RequestError(f"max_tokens must be at least 1, not {self.max_tokens}")
        if len(self.stop) > MAX_STOPS:
            raise RequestError(f"At most {MAX_STOPS} stop strings are possible, not {len(self.stop)}")
        if not all(self.stop):
            raise RequestError("A stop string is empty")


@dataclass(frozen=True)
class PrefillProgress:
    """``done`` of ``total`` prompt tokens are read (those kept from the last call count as done).

    ``seconds_left`` is None until the speed is known.
    """

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class SummaryProgress:
    """The model sums up what is to be left out: ``done`` of ``total`` tokens to read are read, of the summary
    ``written`` tokens are there, at most ``longest`` will be."""

    done: int
    total: int
    written: int
    longest: int


@dataclass(frozen=True)
class ContextChanged:
    """From here on the model does not see all of the text any more.  Comes before the text that is written so.

    ``kind`` "slide": the oldest ``messages_left_out`` messages after the system message, ``tokens_left_out``
    tokens, are left out; "compact": ``summary`` stands for them.  Without a message left out, tokens in the
    middle of a text were: the oldest after its very first ones.  ``tokens_kept`` are what the model reads.
    """

    kind: Literal["slide", "compact"]
    messages_left_out: int
    tokens_left_out: int
    tokens_kept: int
    summary: str | None = None


@dataclass(frozen=True)
class TextDelta:
    """The next piece of the answer, never empty; ``tokens`` were made so far in all."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Usage:
    """Tokens of the prompt, of the answer (its end-of-text token included), and of the prompt
    those that did not have to be read again.

    ``drafted_tokens`` were guessed and checked several at a time (:mod:`tzcore.engine.lookup`);
    ``accepted_tokens`` of them are what the model chose as well.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True)
class Timings:
    """Tokens a second of reading the prompt (without cached ones) and of writing; 0 where there was nothing to time."""

    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    time_to_first_token: float | None


@dataclass(frozen=True)
class Finished:
    """Always the last event.  ``reason``: ``"stop"`` (the model ended its text, or ``stop_string``
    was met), ``"length"`` (max_tokens), ``"context"`` (no room is left), ``"cancelled"``."""

    reason: FinishReason
    usage: Usage
    timings: Timings
    stop_string: str | None = None


Event = SummaryProgress | ContextChanged | PrefillProgress | TextDelta | Finished
