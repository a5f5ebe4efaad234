"""What happens when a text does not fit into the context: the rules, and the work of summing up.

``stop``: a prompt that does not fit is a ContextFullError, an answer that fills the context ends there.
``slide``: the oldest whole exchanges after the system message are left out.
``compact``: a summary that the model writes stands for them, in the system message.
With both an answer that fills the context goes on with the first tokens and the latest half of what there is.

A change leaves a quarter of the context free where it can, so that not every turn is another change, and is
announced by a :class:`ContextChanged` before the text that is written so.  Clients send the whole conversation
every time: which messages were left out, and what stands for them, is kept under their hash, so that the next
turn begins with the same tokens and nothing is summed up twice.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tzcore.engine.request import (
    OVERFLOWS,
    ContextChanged,
    Event,
    Finished,
    PrefillProgress,
    Request,
    SummaryProgress,
    TextDelta,
)
from tzcore.engine.sampler import Sampling
from tzcore.engine.template import Message
from tzcore.errors import ContextFullError

SINKS = 64  # tokens at the beginning of a text that stay, at least: models lean on the very first ones
LONGEST_SUMMARY = 512  # tokens
_HEADING = 24  # tokens that a summary's heading and its place in a system message take, at most
_KEPT = 256  # conversations whose cut is remembered
_INSTRUCTION = (
    "Sum up our conversation so far in at most {words} words, so that you can go on from the summary alone. "
    "Keep names, numbers, decisions, open questions and what I asked for. Write only the summary."
)


@dataclass(frozen=True)
class Cut:
    """``messages`` of the oldest ones are left out, and ``summary`` stands for them (``slide``: nothing does)."""

    messages: int
    summary: str | None


class Cuts:
    """The cuts made lately, by the messages left out.  Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, str | None] = OrderedDict()

    def find(self, request: Request, messages: Sequence[Message], places: Sequence[int]) -> Cut | None:
        """The longest one known of ``places``, numbers of messages from the oldest on."""
        with self._lock:
            for key, place in reversed(list(zip(_keys(request, messages, places), places, strict=True))):
                if key in self._known:
                    self._known.move_to_end(key)
                    return Cut(place, self._known[key])
        return None

    def keep(self, request: Request, messages: Sequence[Message], cut: Cut) -> None:
        [key] = _keys(request, messages, [cut.messages])
        with self._lock:
            self._known[key] = cut.summary
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)

    def forget(self, messages: Sequence[Message], summary: str | None) -> None:
        """Let go of all cuts of ``messages`` that were sent with ``summary``."""
        with self._lock:
            for overflow in OVERFLOWS[1:]:
                request = Request(messages=messages, overflow=overflow, summary=summary)
                for key in _keys(request, messages, range(1, len(messages) + 1)):
                    self._known.pop(key, None)


def _keys(request: Request, messages: Sequence[Message], places: Sequence[int]) -> list[bytes]:
    """A name for each beginning of ``messages`` that ends at one of ``places``, in growing order."""
    digest, keys, done = hashlib.sha256(), [], 0
    digest.update(json.dumps([request.overflow, request.summary]).encode())
    for place in places:
        for message in messages[done:place]:
            digest.update(json.dumps([message["role"], message["content"]]).encode())
        done = place
        keys.append(digest.copy().digest())
    return keys


@dataclass(frozen=True)
class Fitted:
    """What the engine is to answer: the request, its prompt's tokens, and what had to be changed for it."""

    request: Request
    prompt: list[int]
    changed: ContextChanged | None = None


Answer = Callable[[Request, list[int]], Iterator[Event]]
"""How the model answers a request, whose prompt is the second argument."""


class Overflow:
    """Fits requests into a context of ``context`` tokens.

    ``tokens`` gives a request's prompt.
    """

    def __init__(self, context: int, tokens: Callable[[Request], list[int]]) -> None:
        self._context, self._tokens = context, tokens
        self._cuts = Cuts()
        self._free = max(1, context // 4)  # what a change leaves free
        self._longest = max(16, min(LONGEST_SUMMARY, context // 8))

    def fit(self, request: Request, answer: Answer) -> Generator[Event, None, Fitted | Finished]:
        """The request as it fits, or the end of a summary that was cancelled; ``answer`` writes the summary.

        Yields the progress of a summary.  ContextFullError where the policy has nothing more to leave out.
        """
        prompt = self._tokens(request)
        if request.overflow == "stop" or self._fits(request, len(prompt)):
            return Fitted(request, prompt)
        if request.messages is None:
            return self._slid(request, prompt)
        return (yield from self._cut(request, prompt, answer))

    def forget(self, messages: Sequence[Message], summary: str | None = None) -> None:
        """Let go of the summaries of a conversation, which was sent with ``summary``."""
        self._cuts.forget(messages[_systems(messages) :], summary)

    def window(self, request: Request, text: list[int]) -> tuple[list[int], ContextChanged]:
        """What stays of a ``text`` that has filled the context while it is being written: its first tokens
        (the system message, as far as it takes no more than a quarter) and the latest half."""
        first, latest = self._first(request), self._context // 2
        kept = text[:first] + text[max(first, len(text) - latest) :]
        return kept, ContextChanged("slide", 0, len(text) - len(kept), len(kept))

    def _fits(self, request: Request, tokens: int) -> bool:
        """Whether a prompt leaves a sixteenth of the context for the answer, or as much as it may have."""
        share = max(1, self._context // 16)
        return tokens + min(share, request.max_tokens or share) <= self._context

    def _slid(self, request: Request, prompt: list[int]) -> Fitted:
        """Bare text: the least number of quarters after the first tokens, so that the next cut is the same one."""
        first = self._first(request)
        over = len(prompt) - (self._context - self._free)
        left_out = -(-over // self._free) * self._free
        kept = prompt[:first] + prompt[first + left_out :]
        return Fitted(request, kept, ContextChanged("slide", 0, left_out, len(kept)))

    def _first(self, request: Request) -> int:
        """How many tokens at the beginning of a text stay."""
        first = SINKS
        if request.messages is not None:
            system = list(request.messages[: _systems(request.messages)])
            one, other = (
                self._tokens(replace(request, messages=[*system, {"role": "user", "content": said}], open_answer=False))
                for said in ("A", "1")
            )
            common = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            first = max(first, next(common, 0))
        return min(first, self._free)

    def _cut(self, request: Request, prompt: list[int], answer: Answer) -> Generator[Event, None, Fitted | Finished]:
        assert request.messages is not None
        system = _systems(request.messages)
        said = request.messages[system:]
        places = _places(said)  # where an exchange ends, the last one not among them
        if (known := self._cuts.find(request, said, places)) is not None:
            fitted = self._made(request, prompt, known)
            if self._fits(request, len(fitted.prompt)):
                return fitted
        place = self._place(request, places)
        if request.overflow == "slide" or not place:
            cut = Cut(place, None)
        else:
            begun = known if known is not None and known.messages < place else Cut(0, request.summary)
            summary = yield from self._summary(request, [p for p in places if p <= place], begun, answer)
            if isinstance(summary, Finished):
                return summary
            cut = Cut(place, summary)
        fitted = self._made(request, prompt, cut)
        if len(fitted.prompt) >= self._context:
            raise ContextFullError(
                f"The last message alone needs {len(fitted.prompt):,} tokens with what must stay beside it, and the "
                f"context holds {self._context:,}, of which the answer needs at least one: shorten it, or open the "
                "model with a larger context"
            )
        if place:
            self._cuts.keep(request, said, cut)
        return fitted

    def _made(self, request: Request, prompt: list[int], cut: Cut) -> Fitted:
        if not cut.messages:
            return Fitted(request, prompt)
        without = _without(request, cut.messages)
        fitted = replace(without, summary=cut.summary or request.summary)
        kept = self._tokens(fitted)
        word_for_word = kept if fitted.summary == request.summary else self._tokens(without)
        left_out = max(0, len(prompt) - len(word_for_word))
        kind: Literal["slide", "compact"] = "slide" if request.overflow == "slide" else "compact"
        changed = ContextChanged(kind, cut.messages, left_out, len(kept), cut.summary)
        return Fitted(fitted, kept, changed)

    def _place(self, request: Request, places: Sequence[int]) -> int:
        """The earliest of ``places`` to cut at that leaves a quarter free, else the first that fits, else the last."""
        summary = self._longest + _HEADING if request.overflow == "compact" else 0

        def tokens(place: int) -> int:
            return len(self._tokens(_without(request, place))) + summary

        def first(enough: Callable[[int], bool]) -> int | None:
            low, high = 0, len(places)  # the later a cut, the fewer tokens
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if enough(places[middle]) else (middle + 1, high)
            return places[low] if low < len(places) else None

        if not places:
            return 0
        roomy = first(lambda place: tokens(place) <= self._context - self._free)
        fitting = roomy or first(lambda place: self._fits(request, tokens(place)))
        return fitting or places[-1]

    def _summary(
        self, request: Request, places: Sequence[int], begun: Cut, answer: Answer
    ) -> Generator[Event, None, str | Finished]:
        """A summary of the messages up to the last of ``places``, from the one that there is of the first ones.

        The conversation itself is followed by the wish for a summary, so its tokens need not be read again;
        where it is too long for that, it is summed up part by part.
        """
        done, summary = begun.messages, begun.summary
        while done < places[-1]:
            for place in reversed([place for place in places if place > done]):
                asked = self._asked(request, done, place, summary)
                prompt = self._tokens(asked)
                if len(prompt) + self._longest <= self._context:
                    break
            else:
                raise ContextFullError(
                    f"An exchange of the conversation is too long to be summed up in a context of {self._context:,} "
                    "tokens: let the context slide instead, or open the model with a larger one"
                )
            text = yield from self._written(answer(asked, prompt))
            if isinstance(text, Finished):
                return text
            summary, done = text, place
        assert summary is not None
        return summary

    def _asked(self, request: Request, begin: int, end: int, summary: str | None) -> Request:
        """The request for a summary of the messages from ``begin`` to ``end``, and of ``summary``."""
        assert request.messages is not None
        system = _systems(request.messages)
        said = request.messages[system:][begin:end]
        wish = {"role": "user", "content": _INSTRUCTION.format(words=self._longest // 2)}
        return Request(
            messages=[*request.messages[:system], *said, wish],
            sampling=Sampling(temperature=0.0),
            max_tokens=self._longest,
            template_variables={**request.template_variables, "enable_thinking": False},
            summary=summary,
        )

    def _written(self, events: Iterator[Event]) -> Generator[Event, None, str | Finished]:
        pieces: list[str] = []
        done = total = 0
        cut_short = False
        for event in events:
            if isinstance(event, PrefillProgress):
                done, total = event.done, event.total
                yield SummaryProgress(done, total, 0, self._longest)
            elif isinstance(event, TextDelta):
                pieces.append(event.text)
                yield SummaryProgress(done, total, event.tokens, self._longest)
            elif isinstance(event, Finished):
                if event.reason == "cancelled":
                    return event
                cut_short = event.reason == "length"
        summary = "".join(pieces).rpartition("</think>")[2].strip()
        if cut_short:  # half a sentence would be gone on with
            summary = max((summary[: summary.rfind(end) + 1] for end in ".!?。\n"), key=len) or summary
        if not summary:
            raise ContextFullError(
                "The context is full and the model wrote no summary of the conversation: let the context slide "
                "instead, or open the model with a larger one"
            )
        return summary


def _systems(messages: Sequence[Message]) -> int:
    """How many messages at the beginning are the system's."""
    return next((place for place, message in enumerate(messages) if message["role"] != "system"), len(messages))


def _places(said: Sequence[Message]) -> list[int]:
    """The numbers of messages after which a user's message begins another exchange."""
    return [place for place, message in enumerate(said) if place and message["role"] == "user"]


def _without(request: Request, place: int) -> Request:
    """The request without the oldest ``place`` messages after the system's."""
    assert request.messages is not None
    system = _systems(request.messages)
    return replace(request, messages=[*request.messages[:system], *request.messages[system + place :]])
