"""The engine: one open model that answers requests, token by token.

Owns the order of work (prompt, prefill in chunks, decoding), the sequence that is kept between
calls so that a conversation's beginning is read only once, and the places where a running
answer can be stopped.

Where it wins, a step of decoding checks drafts: tokens that a lookup in the text proposes are
appended together with the last one, the sampler chooses token after token from the rows of
logits as it would have done one by one, and the drafts from the first wrong one on are cut off.
Models whose logits do not depend on the tokens beside give exactly the same answer either way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tzcore.architecture import registry
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import ChoosingModel, LoadedModel, Sequence
from tzcore.backend.cuda.device import LostDeviceError
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.drafting import MOST_DRAFTS, Drafting, Tally
from tzcore.engine.lookup import Lookup
from tzcore.engine.overflow import Overflow
from tzcore.engine.placement import Neighbours, place
from tzcore.engine.plan import LARGEST_CHUNK, MemoryPlan
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.request import (
    Event,
    Finished,
    FinishReason,
    PrefillProgress,
    Request,
    TextDelta,
    Timings,
    Usage,
)
from tzcore.engine.sampler import Sampler, Sampling
from tzcore.engine.stopping import StopFilter
from tzcore.engine.tokenizer import IncrementalDecoder, read_json
from tzcore.errors import BackendError, ContextFullError, RequestError
from tzcore.progress import Progress, Report, ignore

__all__ = ["Engine", "EngineInfo", "Event", "Finished", "PrefillProgress", "Request", "Sampling", "TextDelta"]

# Tokens of one prefill call, which cannot be interrupted, while Stop is to take at most 0.1 s.
# Every call reads all weights once; under 16 tokens that reading would cost more than a tenth
# of the speed, so machines slower than 16 tokens in 0.1 s stop after one such chunk instead.
_LEAST_CHUNK = 16
_CHUNK_SECONDS = 0.06


@dataclass(frozen=True)
class EngineInfo:
    """What was opened and how.  ``backend_reason`` says why that backend was taken."""

    path: Path
    family: str
    context: int
    backend: str
    backend_description: str
    backend_reason: str
    memory: MemoryPlan | None
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """How a prompt was read: tokens that were there already, the token that follows (None where it was cancelled),
    and tokens a second."""

    cached: int
    token: int | None
    speed: float


class Engine:
    """One model, ready to answer.  Requests from several threads run one after the other."""

    def __init__(
        self,
        model: LoadedModel,
        prompts: PromptBuilder,
        info: EngineInfo,
        sampling: Sampling | None = None,
        folder: ModelFolder | None = None,
        speculation: bool = True,
    ) -> None:
        """Takes over ``model``, ``prompts`` and ``folder`` and closes them.  Most callers use :meth:`open`."""
        self.prompts = prompts
        self.context = info.context
        self.default_sampling = sampling or Sampling()
        self._model = model
        self._folder = folder
        self._lock = threading.Lock()
        self._ends = prompts.end_tokens()
        self.info = replace(info, notices=tuple(prompts.notices))  # the line above may add one
        self.lost = False  # whether the card with the model failed, so that it must be opened again
        self._held: list[int] = []  # the tokens that the sequence holds
        self._lookup = Lookup(self._held)
        # A ChoosingModel hands out one token in place of rows of logits, and draws with one random number: to check
        # drafts it would need a choice for every row.  Where bits depend on the chunk, so would the answer.
        self._choosing = model if isinstance(model, ChoosingModel) else None
        exact = speculation and model.exact_chunks and self._choosing is None
        self._drafting = Drafting() if exact else None
        self._chunk = _LEAST_CHUNK
        self._overflow = Overflow(info.context, prompts.tokens)
        self._sequence: Sequence | None = model.new_sequence(info.context)

    @classmethod
    def open(
        cls,
        path: Path,
        backend: str = "auto",
        context: int | None = None,
        threads: int | None = None,
        report: Report = ignore,
        neighbours: Neighbours | None = None,
        speculation: bool = True,
    ) -> Engine:
        """Open the model folder ``path``.

        ``context`` None: see :func:`tzcore.engine.plan.plan`; ``neighbours`` are the models that are open
        beside.  With ``speculation`` several guessed tokens may be checked in one step, where the model gives
        the same answer for it, only sooner (:mod:`tzcore.engine.drafting`).  What is wrong with the folder is a
        CheckpointError; no memory or no backend a BackendError, raised before the weights are touched.
        """
        path = Path(path)
        folder = ModelFolder.open(path)
        prompts: PromptBuilder | None = None
        model: LoadedModel | None = None
        try:
            spec = registry.spec_of(folder)
            placed = place(folder, spec, backend, context, neighbours)
            chosen, reason, memory = placed.backend, placed.reason, placed.memory
            spec = registry.spec_of(folder, memory.context)  # some rotary scalings depend on the context
            prompts = PromptBuilder.open(path)
            total = folder.bytes()
            report(Progress("load", 0, total, "bytes", f"{chosen.describe()} ({reason})"))
            model = chosen.load(folder, spec, threads)
            report(Progress("load", total, total, "bytes", "weights are loaded"))
            sampling = Sampling.from_generation_config(read_json(path / "generation_config.json"))
            info = EngineInfo(path, spec.family, memory.context, chosen.name, chosen.describe(), reason, memory, ())
            return cls(model, prompts, info, sampling, folder, speculation)
        except BaseException:
            if model is not None:
                model.close()
            if prompts is not None:
                prompts.close()
            folder.close()
            raise

    @property
    def spec(self) -> ModelSpec:
        return self._model.spec

    def generate(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """Answer ``request``: progress of the prefill, pieces of text, and one :class:`Finished`.

        Setting ``cancel`` ends it with the reason ``"cancelled"``: between two tokens, or two
        chunks of the prompt.  Closing the iterator does the same without an event.  A prompt that
        does not fit into the context is a ContextFullError before any work, or what the request's
        ``overflow`` makes of it (:mod:`tzcore.engine.overflow`).
        """
        cancel = cancel or threading.Event()
        began = time.perf_counter()
        fitted = yield from self._overflow.fit(request, lambda asked, read: self._generate(asked, read, cancel, began))
        if isinstance(fitted, Finished):
            yield fitted
            return
        if fitted.changed is not None:
            yield fitted.changed
        yield from self._generate(fitted.request, fitted.prompt, cancel, began)

    def _generate(
        self, request: Request, prompt: list[int], cancel: threading.Event, began: float
    ) -> Generator[Event, None, None]:
        """Answer ``prompt``, which is the request's, once no other answer is being written."""
        self._check(prompt)
        while not self._lock.acquire(timeout=0.02):
            if cancel.is_set():
                yield Finished("cancelled", Usage(len(prompt), 0, 0), Timings(0.0, 0.0, None))
                return
        try:
            yield from self._answer(request, prompt, cancel, began)
        except LostDeviceError:
            self.lost = True
            raise
        finally:
            self._lock.release()

    def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt, whether or not they fit."""
        return len(self.prompts.tokens(request))

    def close(self) -> None:
        """Release weights, cache and helpers, once a running answer has ended."""
        with self._lock:
            if self._sequence is not None:
                self._sequence.close()
                self._sequence = None
                self._model.close()
                self.prompts.close()
                if self._folder is not None:
                    self._folder.close()

    def _check(self, prompt: list[int]) -> None:
        if len(prompt) >= self.context:
            raise ContextFullError(
                f"The prompt has {len(prompt):,} tokens and the context holds {self.context:,}, of which the answer "
                "needs at least one: shorten the conversation, or open the model with a larger context"
            )
        if max(prompt) >= self.spec.vocabulary or min(prompt) < 0:
            wrong = max(prompt) if min(prompt) >= 0 else min(prompt)
            raise RequestError(f"Token {wrong} is outside the model's vocabulary of {self.spec.vocabulary:,}")

    def _answer(self, request: Request, prompt: list[int], cancel: threading.Event, began: float) -> Iterator[Event]:
        if self._sequence is None:
            raise BackendError("The model was closed")
        sampling = request.sampling or self.default_sampling
        # Rows of the head beyond the tokenizer are padding: they stand for no text.
        sampler = Sampler(sampling, min(self.spec.vocabulary, self.prompts.tokenizer.size))
        read = yield from self._read(prompt, sampler, cancel)
        cached, speed = read.cached, read.speed
        if read.token is None:
            yield Finished("cancelled", Usage(len(prompt), 0, cached), Timings(speed, 0.0, None))
            return

        continues = prompt if request.messages is None else []
        decoder = IncrementalDecoder(self.prompts.tokenizer, continues)
        stops = StopFilter(self.prompts.stops(request))
        made, tally, decoding = 0, Tally(), time.perf_counter()
        first = decoding - began
        reason: FinishReason
        with closing(self._going_on(request, read.token, sampler, tally, cancel)) as written:
            for token in written:
                if not isinstance(token, int):
                    yield token
                    continue
                made += 1
                if token in self._ends:
                    reason = "stop"
                    break
                if text := stops.push(decoder.push(token)):
                    yield TextDelta(text, made)
                if stops.found is not None:
                    reason = "stop"
                elif request.max_tokens is not None and made >= request.max_tokens:
                    reason = "length"
                elif len(self._held) >= self.context and request.overflow == "stop":
                    reason = "context"
                elif cancel.is_set():
                    reason = "cancelled"
                else:
                    continue
                break
            else:
                reason = "cancelled"  # while the text that stays was read again
        # What the decoder and the filter still hold; a stop string may only now be complete.
        rest = stops.push(decoder.finish())
        if stops.found is None:
            rest += stops.finish()
        if rest:
            yield TextDelta(rest, made)
        decoded = time.perf_counter() - decoding
        timings = Timings(speed, (made - 1) / decoded if made > 1 and decoded else 0.0, first)
        usage = Usage(len(prompt), made, cached, tally.drafted, tally.accepted)
        yield Finished(reason, usage, timings, stops.found)

    def _read(
        self, prompt: list[int], sampler: Sampler, cancel: threading.Event
    ) -> Generator[PrefillProgress, None, _Read]:
        """Bring the sequence to ``prompt``, and choose what follows it."""
        cached = self._reuse(prompt)
        done, seconds_taken = cached, 0.0
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
        speed = (done - cached) / seconds_taken if seconds_taken else 0.0
        return _Read(cached, None if cancel.is_set() else token, speed)

    def _going_on(
        self, request: Request, token: int, sampler: Sampler, tally: Tally, cancel: threading.Event
    ) -> Generator[int | Event, None, None]:
        """The answer's tokens from ``token`` on; where the context is full, what happens then between
        them.  Ends by itself only where it is cancelled while it reads."""
        made = 0
        while True:
            left = None if request.max_tokens is None else request.max_tokens - made
            with closing(self._write(token, sampler, left, tally)) as tokens:
                for token in tokens:
                    made += 1
                    yield token
                    if len(self._held) >= self.context:
                        break
            kept, changed = self._overflow.window(request, [*self._held, token])
            yield changed
            read = yield from self._read(kept, sampler, cancel)
            if read.token is None:
                return
            token = read.token

    def _write(self, token: int, sampler: Sampler, wanted: int | None, tally: Tally) -> Generator[int, None, None]:
        """The answer's tokens from ``token`` on, without an end; at most ``wanted`` will be taken.

        When one is given out, ``_held`` has those before it, as if each had been appended alone; once this is
        closed, the sequence too.
        """
        drafting, sequence = self._drafting, self._sequence
        assert sequence is not None
        yield token
        made = 1
        while drafting is None:
            _, next_token = self._forward([token], sampler)
            assert next_token is not None
            token = next_token
            yield token
        while True:
            # Drafts must fit beside the token, and one more token than they are comes of the step.
            room = min(MOST_DRAFTS, self.context - len(self._held) - 1)
            if wanted is not None:
                room = min(room, wanted - made - 1)
            proposal = self._lookup.propose(token, room)
            proposed, matched = (proposal.tokens, proposal.matched) if proposal else ([], 0)
            drafts = proposed[: drafting.length(matched, len(proposed))] if proposed else []
            began = time.perf_counter()
            ids = np.asarray([token, *drafts], np.int32)
            rows = self._model.forward(sequence, ids, "all" if drafts else "last")
            drafting.took(len(drafts), time.perf_counter() - began)
            tally.drafted += len(drafts)
            self._held.append(token)
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
                    self._held.append(token)
            finally:
                if drafts:
                    sequence.truncate(len(self._held))

    def _reuse(self, prompt: list[int]) -> int:
        """Cut the sequence back to what it shares with ``prompt``; the last token is read anew for its logits."""
        assert self._sequence is not None
        limit = min(len(self._held), len(prompt) - 1)
        held, wanted = np.asarray(self._held[:limit]), np.asarray(prompt[:limit])
        different = np.flatnonzero(held != wanted)
        common = int(different[0]) if different.size else limit
        if common < len(self._held):
            self._lookup.shorten(common)
            self._sequence.truncate(common)
            del self._held[common:]
        return common

    def _forward(self, tokens: list[int], sampler: Sampler | None) -> tuple[float, int | None]:
        """Append ``tokens``; the seconds that took, and what ``sampler`` chooses to follow them."""
        assert self._sequence is not None
        began = time.perf_counter()
        ids, token = np.asarray(tokens, dtype=np.int32), None
        try:
            if sampler is not None and self._choosing is not None:
                token = self._choosing.choose(self._sequence, ids, sampler.choice())
                sampler.write(token)
            elif sampler is not None:
                logits = self._model.forward(self._sequence, ids, "last")
                token = sampler.pick(logits[0, : sampler.vocabulary])
            else:
                self._model.forward(self._sequence, ids, "none")
        finally:  # where the choice failed, the tokens had been appended already
            self._held.extend(tokens[: self._sequence.length - len(self._held)])
        return time.perf_counter() - began, token

    def _adapt(self, tokens: int, seconds: float) -> None:
        """Choose the next chunk: the largest power of two that stays within the time of one call."""
        if tokens < self._chunk:
            return  # the end of a prompt says little about the speed of a full chunk
        fitting = int(tokens * _CHUNK_SECONDS / max(seconds, 1e-9))
        fitting = 1 << max(fitting, 1).bit_length() - 1
        self._chunk = max(_LEAST_CHUNK, min(fitting, 2 * self._chunk, LARGEST_CHUNK))
