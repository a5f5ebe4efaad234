"""The model at work on the running text: a prompt read in chunks, an answer written token by token.

Where it wins, a step of decoding checks drafts: tokens that a lookup in the text proposes are
appended together with the last one, the sampler chooses token after token from the rows of
logits as it would have done one by one, and the drafts from the first wrong one on are cut off.
Models whose logits do not depend on the tokens beside give exactly the same answer either way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from tzcore.backend.base import ChoosingModel, LoadedModel
from tzcore.engine.drafting import MOST_DRAFTS, Drafting, Tally
from tzcore.engine.keeper import Keeper
from tzcore.engine.plan import LARGEST_CHUNK
from tzcore.engine.request import PrefillProgress
from tzcore.engine.sampler import Sampler
from tzcore.engine.texts import Texts

# Tokens of one prefill call, which cannot be interrupted, while Stop is to take at most 0.1 s.
# Every call reads all weights once; under 16 tokens that reading would cost more than a tenth
# of the speed, so machines slower than 16 tokens in 0.1 s stop after one such chunk instead.
_LEAST_CHUNK = 16
_CHUNK_SECONDS = 0.06


@dataclass(frozen=True)
class Read:
    """How a prompt was read: tokens that were there already, the token that follows (None where it was cancelled),
    and tokens a second."""

    cached: int
    token: int | None
    speed: float


class Steps:
    """Reads and writes ``texts`` of at most ``context`` tokens with ``model``; ``keeper`` has what was read before,
    where that is kept on disk."""

    def __init__(
        self, model: LoadedModel, texts: Texts, keeper: Keeper | None, context: int, speculation: bool
    ) -> None:
        self._model, self._texts, self._keeper, self._context = model, texts, keeper, context
        # A ChoosingModel hands out one token in place of rows of logits, and draws with one random number: to check
        # drafts it would need a choice for every row.  Where bits depend on the chunk, so would the answer.
        self._choosing = model if isinstance(model, ChoosingModel) else None
        exact = speculation and model.exact_chunks and self._choosing is None
        self._drafting = Drafting() if exact else None
        self._chunk = _LEAST_CHUNK

    def read(
        self, prompt: list[int], sampler: Sampler, cancel: threading.Event
    ) -> Generator[PrefillProgress, None, Read]:
        """Make the running text ``prompt``, and choose what follows it."""
        if self._keeper is not None:
            self._keeper.resume(prompt, cancel)
        done = cached = self._texts.begin(prompt)
        seconds_taken = 0.0
        token: int | None = None
        yield PrefillProgress(done, len(prompt), None)
        while done < len(prompt) and not cancel.is_set():
            chunk = prompt[done : done + self._chunk]
            last = done + len(chunk) == len(prompt)
            seconds, token = self._forward(chunk, sampler if last else None)
            seconds_taken += seconds
            self._adapt(len(chunk), seconds)
            done += len(chunk)
            yield PrefillProgress(done, len(prompt), seconds_taken / (done - cached) * (len(prompt) - done))
        self._texts.mark(prompt)
        speed = (done - cached) / seconds_taken if seconds_taken else 0.0
        return Read(cached, None if cancel.is_set() else token, speed)

    def write(self, token: int, sampler: Sampler, wanted: int | None, tally: Tally) -> Generator[int, None, None]:
        """The answer's tokens from ``token`` on, without an end; at most ``wanted`` will be taken.

        When one is given out, the running text has those before it, as if each had been appended alone; once this is
        closed, the sequence too.
        """
        drafting, text = self._drafting, self._texts.running
        yield token
        made = 1
        while drafting is None:
            _, next_token = self._forward([token], sampler)
            assert next_token is not None
            token = next_token
            yield token
        while True:
            # Drafts must fit beside the token, and one more token than they are comes of the step.
            room = min(MOST_DRAFTS, self._context - len(text.tokens) - 1)
            if wanted is not None:
                room = min(room, wanted - made - 1)
            proposal = text.lookup.propose(token, room)
            proposed, matched = (proposal.tokens, proposal.matched) if proposal else ([], 0)
            drafts = proposed[: drafting.length(matched, len(proposed))] if proposed else []
            began = time.perf_counter()
            ids = np.asarray([token, *drafts], np.int32)
            with self._texts.appending(len(ids)) as sequence:
                rows = self._model.forward(sequence, ids, "all" if drafts else "last")
            drafting.took(len(drafts), time.perf_counter() - began)
            tally.drafted += len(drafts)
            text.tokens.append(token)
            try:
                for place, row in enumerate(rows):
                    token = sampler.pick(row[: sampler.vocabulary])
                    right = place < len(proposed) and token == proposed[place]
                    if place < len(proposed):
                        drafting.checked(matched + place, right)
                    tally.accepted += right and place < len(drafts)
                    made += 1
                    yield token
                    if not right or place == len(drafts):
                        break
                    text.tokens.append(token)
            finally:
                if drafts:
                    with self._texts.lock:
                        sequence.truncate(len(text.tokens))

    def _forward(self, tokens: list[int], sampler: Sampler | None) -> tuple[float, int | None]:
        """Append ``tokens``; the seconds that took, and what ``sampler`` chooses to follow them."""
        ids, token = np.asarray(tokens, dtype=np.int32), None
        held = self._texts.running.tokens
        with self._texts.appending(len(tokens)) as sequence:
            began = time.perf_counter()
            try:
                if sampler is not None and self._choosing is not None:
                    token = self._choosing.choose(sequence, ids, sampler.choice())
                    sampler.write(token)
                elif sampler is not None:
                    logits = self._model.forward(sequence, ids, "last")
                    token = sampler.pick(logits[0, : sampler.vocabulary])
                else:
                    self._model.forward(sequence, ids, "none")
            finally:  # where the choice failed, the tokens had been appended already
                held.extend(tokens[: sequence.length - len(held)])
        return time.perf_counter() - began, token

    def _adapt(self, tokens: int, seconds: float) -> None:
        """Choose the next chunk: the largest power of two that stays within the time of one call."""
        if tokens < self._chunk:
            return  # the end of a prompt says little about the speed of a full chunk
        fitting = int(tokens * _CHUNK_SECONDS / max(seconds, 1e-9))
        fitting = 1 << max(fitting, 1).bit_length() - 1
        self._chunk = max(_LEAST_CHUNK, min(fitting, 2 * self._chunk, LARGEST_CHUNK))
