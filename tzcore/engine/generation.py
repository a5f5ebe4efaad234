"""The engine: one open model that answers requests, token by token.

Owns the order of work, and how an answer ends; the work itself is done in :mod:`tzcore.engine.steps`.  What was
read is kept between calls (:mod:`tzcore.engine.texts`) and, where that is asked for, on disk
(:mod:`tzcore.engine.keeper`), so that it need not be read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tzcore.architecture import registry
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import LoadedModel
from tzcore.backend.cuda.device import LostDeviceError
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.drafting import Tally
from tzcore.engine.keeper import Keeper
from tzcore.engine.kv_choice import AUTO
from tzcore.engine.open_answer import as_written
from tzcore.engine.overflow import Overflow
from tzcore.engine.placement import Neighbours, place
from tzcore.engine.plan import MemoryPlan
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.reach import beyond
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
from tzcore.engine.steps import Steps
from tzcore.engine.stopping import StopFilter
from tzcore.engine.template import Message
from tzcore.engine.texts import Texts, shared
from tzcore.engine.tokenizer import IncrementalDecoder, read_json
from tzcore.errors import BackendError, ContextFullError, RequestError
from tzcore.keyvalues import F16, KeyValueFormat
from tzcore.progress import Progress, Report, ignore

__all__ = ["Engine", "EngineInfo", "Event", "Finished", "PrefillProgress", "Request", "Sampling", "TextDelta"]


@dataclass(frozen=True)
class EngineInfo:
    """What was opened and how.  ``backend_reason`` says why that backend was taken, and why keys and values are
    stored as ``kv``."""

    path: Path
    family: str
    context: int
    backend: str
    backend_description: str
    backend_reason: str
    memory: MemoryPlan | None
    notices: tuple[str, ...]
    kv: KeyValueFormat = F16


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
        self.info = replace(info, notices=(*info.notices, *prompts.notices))  # the line above may add one
        self.lost = False  # whether the card with the model failed, so that it must be opened again
        self._closed = False
        self._texts = Texts(model, info.context, info.kv)
        self._keeper: Keeper | None = None
        if snapshots is not None:
            tree = snapshots.open(info.path, model.spec, model.cache_form(info.kv))
            self._keeper = Keeper(self._texts, tree, snapshots)
        self._steps = Steps(model, self._texts, self._keeper, info.context, speculation)
        self._overflow = Overflow(info.context, self._prompt)

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
        kv: str = AUTO,
        snapshots: Snapshots | None = None,
    ) -> Engine:
        """Open the model folder ``path``.

        ``context`` None: see :func:`tzcore.engine.plan.plan`; ``kv`` is a format of keys and values, or
        ``auto`` (:func:`tzcore.engine.kv_choice.choose_kv`); ``neighbours`` are the models that are open
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
            placed = place(folder, spec, backend, context, neighbours, kv)
            chosen, reason, memory = placed.backend, placed.reason, placed.memory
            too_far = beyond(spec, memory.context)
            spec = registry.spec_of(folder, memory.context)  # some rotary scalings depend on the context
            prompts = PromptBuilder.open(path)
            total = folder.bytes()
            report(Progress("load", 0, total, "bytes", f"{chosen.describe()} ({reason})"))
            model = chosen.load(folder, spec, threads)
            report(Progress("load", total, total, "bytes", "weights are loaded"))
            sampling = Sampling.from_generation_config(read_json(path / "generation_config.json"))
            notices = () if too_far is None else (too_far,)
            info = EngineInfo(
                path, spec.family, memory.context, chosen.name, chosen.describe(), reason, memory, notices, placed.kv
            )
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
        self._overflow.forget(messages, summary)
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

    def _prompt(self, request: Request) -> list[int]:
        """The request's tokens.  An answer that goes on is taken as it was written where it is still kept: the
        tokenizer may divide the same text otherwise, which would be read again and could go on otherwise."""
        if request.open_answer and request.messages is not None:
            before, answer = self.prompts.before_answer(request), request.messages[-1]["content"]
            for written in self._texts.continuing(before):
                count = as_written(self.prompts.tokenizer, written, answer)
                if count is not None:
                    return before + written[:count]
        return self.prompts.tokens(request)

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
        if request.open_answer:  # penalties know what was written of it
            for written_before in prompt[shared(prompt, self.prompts.before_answer(request)) :]:
                sampler.write(written_before)
        read = yield from self._steps.read(prompt, sampler, cancel)
        cached, speed = read.cached, read.speed
        if read.token is None:
            yield Finished("cancelled", Usage(len(prompt), 0, cached), Timings(speed, 0.0, None))
            return

        continues = prompt if request.messages is None or request.open_answer else []
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

    def _going_on(
        self, request: Request, token: int, sampler: Sampler, tally: Tally, cancel: threading.Event
    ) -> Generator[int | Event, None, None]:
        """The answer's tokens from ``token`` on; where the context is full, what happens then between
        them.  Ends by itself only where it is cancelled while it reads."""
        made = 0
        while True:
            left = None if request.max_tokens is None else request.max_tokens - made
            with closing(self._steps.write(token, sampler, left, tally)) as tokens:
                for token in tokens:
                    made += 1
                    yield token
                    if len(self._held) >= self.context:
                        break
            kept, changed = self._overflow.window(request, [*self._held, token])
            yield changed
            read = yield from self._steps.read(kept, sampler, cancel)
            if read.token is None:
                return
            token = read.token

    @property
    def _held(self) -> list[int]:
        """The tokens of the running text."""
        return self._texts.running.tokens

    def _keep(self) -> None:
        """Have the running text saved."""
        if self._keeper is not None:
            self._keeper.keep()
