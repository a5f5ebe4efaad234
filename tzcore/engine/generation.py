"""The engine: one open model that answers requests, token by token.

Owns the order of work (prompt, prefill in chunks, decoding), and the places where a running answer
can be stopped.  What was read is kept between calls (:mod:`tzcore.engine.texts`) and, where that is
asked for, on disk (:mod:`tzcore.engine.keeper`), so that it need not be read again.

Where it wins, a step of decoding checks drafts: tokens that a lookup in the text proposes are
appended together with the last one, the sampler chooses token after token from the rows of
logits as it would have done one by one, and the drafts from the first wrong one on are cut off.
Models whose logits do not depend on the tokens beside give exactly the same answer either way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tzcore.architecture import registry
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import ChoosingModel, LoadedModel
from tzcore.backend.cuda.device import LostDeviceError
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.drafting import MOST_DRAFTS, Drafting, Tally
from tzcore.engine.keeper import Keeper
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
from tzcore.engine.snapshots import Snapshots
from tzcore.engine.stopping import StopFilter
from tzcore.engine.template import Message
from tzcore.engine.texts import Texts
from tzcore.engine.tokenizer import IncrementalDecoder, read_json
from tzcore.errors import BackendError, ContextFullError, RequestError
from tzcore.keyvalues import F16, KeyValueFormat
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
    kv: KeyValueFormat = F16


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
        snapshots: Snapshots | None = None,
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
        # A ChoosingModel hands out one token in place of rows of logits, and draws with one random number: to check
        # drafts it would need a choice for every row.  Where bits depend on the chunk, so would the answer.
        self._choosing = model if isinstance(model, ChoosingModel) else None
        exact = speculation and model.exact_chunks and self._choosing is None
        self._drafting = Drafting() if exact else None
        self._chunk = _LEAST_CHUNK
        self._closed = False
        self._texts = Texts(model, info.context, info.kv)
        self._keeper: Keeper | None = None
        if snapshots is not None:
            tree = snapshots.open(info.path, model.spec, model.cache_form(info.kv))
            self._keeper = Keeper(self._texts, tree, snapshots)

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
        snapshots: Snapshots | None = None,
    ) -> Engine:
        """Open the model folder ``path``.

        ``context`` None: see :func:`tzcore.engine.plan.plan`; ``neighbours`` are the models that are open
        beside.  With ``speculation`` several guessed tokens may be checked in one step, where the model gives
        the same answer for it, only sooner (:mod:`tzcore.engine.drafting`).  With ``snapshots`` what was read is
        kept on disk too, and is there when the model is opened again.  What is wrong with the folder is a
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
            return cls(model, prompts, info, sampling, folder, speculation, snapshots)
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
        does not fit into the context is a ContextFullError before any work.
        """
        cancel = cancel or threading.Event()
        began = time.perf_counter()
        prompt = self.prompts.tokens(request)
        self._check(prompt)
        while not self._lock.acquire(timeout=0.02):
            if cancel.is_set():
                yield Finished("cancelled", Usage(len(prompt), 0, 0), Timings(0.0, 0.0, None))
                return
        try:
            yield from self._answer(request, prompt, cancel, began)
            self._keep()
        except GeneratorExit:
            self._keep()
            raise
        except LostDeviceError:
            self.lost = True
            raise
        finally:
            self._lock.release()

    def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt, whether or not they fit."""
        return len(self.prompts.tokens(request))

    def forget(self, messages: Sequence[Message], summary: str | None = None) -> int:
        """Let go of what was kept of a conversation, in memory and on disk, once a running answer has ended; the
        pieces that were removed from the disk.  With a ``summary`` it is what was read with that."""
        beginnings, removed = self.prompts.beginnings(messages, summary), 0
        with self._lock:
            for beginning in beginnings:
                self._texts.forget(beginning)
                if self._keeper is not None:
                    removed += self._keeper.forget(beginning)
        return removed

    def close(self) -> None:
        """Release weights, cache and helpers, once a running answer has ended."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if self._keeper is not None:
                    self._keeper.close()
                self._texts.close()
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
        if self._closed:
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
        with closing(self._write(read.token, sampler, request.max_tokens, tally)) as tokens:
            for made, token in enumerate(tokens, 1):
                if token in self._ends:
                    reason = "stop"
                    break
                if text := stops.push(decoder.push(token)):
                    yield TextDelta(text, made)
                if stops.found is not None:
                    reason = "stop"
                elif request.max_tokens is not None and made >= request.max_tokens:
                    reason = "length"
                elif len(self._held) >= self.context:
                    reason = "context"
                elif cancel.is_set():
                    reason = "cancelled"
                else:
                    continue
                break
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

    @property
    def _held(self) -> list[int]:
        """The tokens of the running text."""
        return self._texts.running.tokens

    def _read(
        self, prompt: list[int], sampler: Sampler, cancel: threading.Event
    ) -> Generator[PrefillProgress, None, _Read]:
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
        return _Read(cached, None if cancel.is_set() else token, speed)

    def _write(self, token: int, sampler: Sampler, wanted: int | None, tally: Tally) -> Generator[int, None, None]:
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
            room = min(MOST_DRAFTS, self.context - len(text.tokens) - 1)
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
                self._held.extend(tokens[: sequence.length - len(self._held)])
        return time.perf_counter() - began, token

    def _keep(self) -> None:
        """Have the running text saved."""
        if self._keeper is not None:
            self._keeper.keep()

    def _adapt(self, tokens: int, seconds: float) -> None:
        """Choose the next chunk: the largest power of two that stays within the time of one call."""
        if tokens < self._chunk:
            return  # the end of a prompt says little about the speed of a full chunk
        fitting = int(tokens * _CHUNK_SECONDS / max(seconds, 1e-9))
        fitting = 1 << max(fitting, 1).bit_length() - 1
        self._chunk = max(_LEAST_CHUNK, min(fitting, 2 * self._chunk, LARGEST_CHUNK))
