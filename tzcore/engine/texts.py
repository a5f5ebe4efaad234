"""The texts whose keys and values an engine keeps, so that what comes back is not read again.

All of them are forked from one memory and share what they have in common.  A prompt goes on with the text that
has the most of it: in place where that text ends there, else on a fork, so that the other branch stays for who
comes back to it: a message that is edited or answered again, a second conversation.  When room is short, the
texts that were not used for longest are let go.

Models with sliding windows can go back only as far as their windows reach; of their texts the state at the end of
each prompt is kept as a text of its own.  A backend may also want some tokens before the point read again
(:meth:`tzcore.backend.base.Sequence.resumable`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tzcore.backend.base import LoadedModel, Sequence
from tzcore.engine.lookup import Lookup
from tzcore.errors import ContextFullError
from tzcore.keyvalues import F16, KeyValueFormat

MOST = 16
"""Texts that are kept at most; each costs a little memory beyond what it shares."""
NEEDLESS = 8
"""Tokens behind the common beginning that are not worth a branch: they are read again in a step or two."""
_STRIDE = 256  # tokens that are compared at once


@dataclass(eq=False)
class Text:
    """Tokens, and the sequence that holds them.  ``used`` numbers the last use; a ``lent`` text is being saved,
    and is only ever closed here."""

    sequence: Sequence
    tokens: list[int]
    used: int = 0
    lent: bool = False
    closed: bool = False
    lookup: Lookup = field(init=False)

    def __post_init__(self) -> None:
        self.forget_pairs()

    def forget_pairs(self) -> None:
        """Begin the lookup anew, which costs memory where drafts are proposed from it."""
        self.lookup = Lookup(self.tokens)

    def cut(self, length: int) -> None:
        """Forget all tokens from position ``length`` on."""
        if length < len(self.tokens):
            self.sequence.truncate(length)
            self.lookup.shorten(length)
            del self.tokens[length:]


class Texts:
    """Every use of the sequences is under ``lock``, as texts that are saved are read by another thread."""

    def __init__(self, model: LoadedModel, capacity: int, stored: KeyValueFormat = F16) -> None:
        """Takes a memory of ``capacity`` tokens; BackendError where there is none."""
        self.lock = threading.RLock()
        self._root = model.new_sequence(capacity, stored)
        self._windows = any(layer.window is not None and layer.window < capacity for layer in model.spec.layers)
        self._clock = 0
        self._kept: list[Text] = []
        self.running = self._add(self._root.fork(0), [])

    def reach(self, prompt: list[int]) -> int:
        """Tokens at the beginning of ``prompt`` that need not be read again; the last one always is."""
        with self.lock:
            return self._nearest(prompt)[1]

    def continuing(self, beginning: list[int]) -> list[list[int]]:
        """What follows ``beginning`` in the texts that begin so, the latest used first."""
        with self.lock:
            texts = sorted(self._kept, key=lambda text: text.used, reverse=True)
            end = len(beginning)
            return [text.tokens[end:] for text in texts if text.tokens[:end] == beginning]

    def begin(self, prompt: list[int]) -> int:
        """Make ``running`` a text that has the beginning of ``prompt``; the tokens of it that it has."""
        with self.lock:
            found, length = self._nearest(prompt)
            if found is None:
                found = self._empty()
            elif len(found.tokens) - shared(found.tokens, prompt) > NEEDLESS:
                found = self._branch(found, length)
            found.cut(length)
            self._run(found)
            return length

    def begin_empty(self) -> Text:
        """Make ``running`` a new text."""
        with self.lock:
            self._run(self._empty())
            return self.running

    @contextmanager
    def appending(self, count: int) -> Iterator[Sequence]:
        """The running sequence, with room for ``count`` more tokens, and nobody else at work on the memory.

        Its tokens are to be entered by the caller, who knows them.
        """
        with self.lock:
            self.make_room(count)
            yield self.running.sequence

    def mark(self, prompt: list[int]) -> None:
        """The running text is at the end of ``prompt``: where one could not come back here later, keep the place."""
        with self.lock:
            end = len(prompt) - 1  # the last token will be read again
            sequence = self.running.sequence
            if self._windows and len(self.running.tokens) == len(prompt) and sequence.resumable(end) == end:
                self._fork(self.running, end)

    def lend(self) -> Text | None:
        """A fork of the running text for another thread, which gives it back; None where there is no room."""
        with self.lock:
            made = self._fork(self.running, len(self.running.tokens))
            if made is not None:
                made.lent = True
            return made

    def close_text(self, text: Text) -> None:
        """Let go of a text; more than once does no harm."""
        with self.lock:
            if not text.closed:
                text.closed = True
                self._kept.remove(text)
                text.sequence.close()

    def forget(self, beginning: list[int]) -> None:
        """Let go of every text that begins so."""
        with self.lock:
            for text in [t for t in self._kept if t.tokens[: len(beginning)] == beginning]:
                if text is self.running:
                    text.cut(0)
                else:
                    self.close_text(text)

    def make_room(self, count: int) -> None:
        """Close texts, those unused for longest first, until ``count`` tokens can follow the running one."""
        with self.lock:
            while self.running.sequence.room < count and self._close_one(but=self.running):
                pass

    def close(self) -> None:
        """Let go of everything."""
        with self.lock:
            for text in list(self._kept):
                self.close_text(text)
            self._root.close()

    def _nearest(self, prompt: list[int]) -> tuple[Text | None, int]:
        """The text that can go on with most of ``prompt``, and how much of it."""
        wanted = prompt[:-1]
        best: tuple[int, bool, int] = (0, False, 0)
        found: Text | None = None
        for text in self._kept:
            if text.lent:
                continue
            common = shared(text.tokens, wanted)
            length = text.sequence.resumable(common)
            rank = (length, len(text.tokens) - common <= NEEDLESS, text.used)
            if length and rank > best:
                found, best = text, rank
        return found, best[0]

    def _run(self, text: Text) -> None:
        if text is not self.running:
            self.running.forget_pairs()
            if not self.running.tokens:
                self.close_text(self.running)
            self.running = text
        self._use(text)

    def _use(self, text: Text) -> None:
        self._clock += 1
        text.used = self._clock

    def _empty(self) -> Text:
        if not self.running.tokens:
            return self.running
        return self._add(self._root.fork(0), [])

    def _branch(self, text: Text, length: int) -> Text:
        """A fork of ``text``, or where no room can be made for one, ``text`` itself."""
        return self._fork(text, length) or text

    def _fork(self, text: Text, length: int) -> Text | None:
        self._use(text)
        while True:
            try:
                return self._add(text.sequence.fork(length), text.tokens[:length])
            except ContextFullError:
                if not self._close_one(but=text):
                    return None

    def _add(self, sequence: Sequence, tokens: list[int]) -> Text:
        made = Text(sequence, tokens)
        self._use(made)
        self._kept.append(made)
        if len(self._kept) > MOST:
            self._close_one(but=made)
        return made

    def _close_one(self, but: Text) -> bool:
        """Close the text that was not used for longest; False where there is none but ``but``."""
        idle = [text for text in self._kept if text is not but]
        if idle:
            self.close_text(min(idle, key=lambda text: text.used))
        return bool(idle)


def shared(one: list[int], other: list[int]) -> int:
    """How many tokens at the beginning are the same."""
    at, limit = 0, min(len(one), len(other))
    while at < limit and one[at : at + _STRIDE] == other[at : at + _STRIDE]:
        at += _STRIDE
    while at < limit and one[at] == other[at]:
        at += 1
    return min(at, limit)
