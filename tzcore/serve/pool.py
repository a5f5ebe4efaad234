"""The models that the server holds, and the order in which requests to each are served.

Each open model has one thread of its own: loading, every answer and closing run on it, one
after the other in the order of arrival, so that nobody waits behind a later request.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tzcore.engine.costs import Costs, costs
from tzcore.engine.generation import Engine
from tzcore.engine.kv_choice import AUTO
from tzcore.engine.placement import Neighbours
from tzcore.errors import DoesNotFitError
from tzcore.hub import library
from tzcore.hub.library import InstalledModel
from tzcore.progress import Report, ignore
from tzcore.serve.failures import RefusedError

logger = logging.getLogger("tzcore.serve")

MAX_WAITING = 64  # requests to one model; more would time out anyway


class Opener(Protocol):
    """How a model folder becomes an engine beside the ``neighbours`` that are open."""

    def __call__(
        self, path: Path, *, context: int | None, kv: str, report: Report, neighbours: Neighbours
    ) -> Engine: ...


@dataclass(eq=False)
class Job:
    """One answer, from its place in the queue to its end.  ``stopped`` says why the server ended it."""

    cancel: threading.Event = field(default_factory=threading.Event)
    stopped: str | None = None

    def stop(self, reason: str) -> None:
        self.stopped = reason
        self.cancel.set()


class HostedModel:
    """An open model and its thread.  All methods are for the event loop's thread."""

    def __init__(self, installed: InstalledModel) -> None:
        self.id = installed.id
        self.installed = installed
        self.engine: Engine
        self.jobs: set[Job] = set()
        self.used = 0  # number of the last use, for the choice of what to release
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{installed.id}")

    async def open(self, opener: Opener, context: int | None, kv: str, report: Report, neighbours: Neighbours) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.engine = await loop.run_in_executor(
                self._thread,
                lambda: opener(self.installed.path, context=context, kv=kv, report=report, neighbours=neighbours),
            )
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    def submit(self, job: Job, work: Callable[[Engine], None]) -> None:
        """Queue ``work`` for the model's thread."""
        if len(self.jobs) >= MAX_WAITING:
            raise RefusedError(503, "queue_full", f"{MAX_WAITING} requests are waiting for {self.id}: try again later")
        loop = asyncio.get_running_loop()
        self.jobs.add(job)
        future = self._thread.submit(lambda: work(self.engine))
        future.add_done_callback(lambda _: _call(loop, self.ended, job))

    async def do(self, work: Callable[[Engine], int]) -> int:
        """Do ``work`` on the model's thread, after the answers that wait there."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self.engine))

    def ended(self, job: Job) -> None:
        """The model is not in use by ``job`` any more: a client who has its answer may unload the model."""
        self.jobs.discard(job)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self.engine.close)
        self._thread.shutdown(wait=False)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call on the loop's thread; a loop that is closed needs no more calls."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        logger.debug("the loop is closed")


class Pool:
    """All open models.  Models of the library are opened when they are asked for.

    ``given`` are models that may lie anywhere (named on the command line); over HTTP nothing else
    outside the library can be opened.  ``kv`` is the format of keys and values where nobody says another.
    """

    def __init__(
        self, opener: Opener, given: tuple[InstalledModel, ...] = (), backend: str = "auto", kv: str = AUTO
    ) -> None:
        self._opener = opener
        self._backend, self._kv = backend, kv
        self._given = {model.id: model for model in given}
        self._hosted: dict[str, HostedModel] = {}
        self._loading = asyncio.Lock()
        self._clock = 0
        self._closed: str | None = None

    @property
    def hosted(self) -> list[HostedModel]:
        return list(self._hosted.values())

    async def available(self) -> list[InstalledModel]:
        """Every model that can be asked for."""
        found = {model.id: model for model in await asyncio.to_thread(library.installed)}
        return list((found | self._given | {h.id: h.installed for h in self.hosted}).values())

    async def find(self, name: str | None) -> InstalledModel:
        """The model that a request means; RefusedError 404 for one that is not there."""
        if not name:
            if len(self._hosted) == 1:
                return self.hosted[0].installed
            raise RefusedError(400, "model_missing", "model is missing: name one of /v1/models")
        if name in self._hosted:
            return self._hosted[name].installed
        if name in self._given:
            return self._given[name]
        found = await asyncio.to_thread(_in_library, name)
        if found is None:
            known = ", ".join(sorted(model.id for model in await self.available())) or "none"
            raise RefusedError(404, "model_not_found", f"No model is called {name[:100]!r}; installed are: {known}")
        return found

    async def get(self, name: str | None) -> HostedModel:
        """The model, opened if need be."""
        return (await self.load(name))[0]

    async def load(
        self, name: str | None, context: int | None = None, report: Report = ignore, kv: str | None = None
    ) -> tuple[HostedModel, list[str]]:
        """Open a model, and the ids of those that had to be released for it.

        One that is open stays as it is unless another ``context`` or format ``kv`` is wanted.  Loading goes on
        when the caller is cancelled, as half-loaded weights are of no use to anybody.
        """
        installed = await self.find(name)
        return await asyncio.shield(asyncio.ensure_future(self._load(installed, context, report, kv)))

    async def _load(
        self, installed: InstalledModel, context: int | None, report: Report, kv: str | None
    ) -> tuple[HostedModel, list[str]]:
        released: list[str] = []
        async with self._loading:
            if self._closed:
                raise RefusedError(503, "shutting_down", self._closed)
            hosted = self._hosted.get(installed.id)
            if hosted is not None and hosted.engine.lost:
                await self._release(hosted, "", force=True)
                hosted = None
            if hosted is not None and context not in (None, hosted.engine.context):
                await self._release(hosted, f"{hosted.id} is in use, so its context cannot be changed now")
                hosted = None
            if hosted is not None and kv not in (None, AUTO, hosted.engine.info.kv.name):
                await self._release(hosted, f"{hosted.id} is in use, so its KV format cannot be changed now")
                hosted = None
            while hosted is None:
                opening = HostedModel(installed)
                try:
                    await opening.open(self._opener, context, kv or self._kv, report, self._neighbours())
                    hosted = self._hosted[installed.id] = opening
                except DoesNotFitError as error:
                    idle = min(self._unused(error.card), key=lambda h: h.used, default=None)
                    if idle is None:
                        raise
                    logger.warning("%s is released to make room for %s", idle.id, installed.id)
                    await self._release(idle, "")
                    released.append(idle.id)
            self._clock += 1
            hosted.used = self._clock
            return hosted, released

    async def unload(self, name: str | None, force: bool = False) -> str:
        """Release a model; RefusedError 409 while it is in use, unless ``force`` stops its answers."""
        installed = await self.find(name)
        async with self._loading:
            hosted = self._hosted.get(installed.id)
            if hosted is None:
                raise RefusedError(409, "not_loaded", f"{installed.id} is not loaded")
            if force:
                for job in hosted.jobs:
                    job.stop("The model was unloaded")
            await self._release(hosted, f"{hosted.id} is in use", force)
            return hosted.id

    def stop(self, reason: str) -> None:
        """End all answers, running and waiting, and load nothing more."""
        self._closed = reason
        for hosted in self.hosted:
            for job in hosted.jobs:
                job.stop(reason)

    async def close(self) -> None:
        """Release all models."""
        async with self._loading:
            for hosted in self.hosted:
                await self._release(hosted, "", force=True)

    async def _release(self, hosted: HostedModel, busy: str, force: bool = False) -> None:
        if hosted.jobs and not force:
            raise RefusedError(409, "model_busy", f"{busy}; wait for {len(hosted.jobs)} answers, or stop them")
        del self._hosted[hosted.id]
        await hosted.close()

    def _unused(self, card: str) -> list[HostedModel]:
        """The models that nobody uses and that are in the memory that is short: a card's, or main memory."""
        unused = [hosted for hosted in self.hosted if not hosted.jobs]
        return [h for h in unused if h.engine.info.memory is None or h.engine.info.memory.card == card]

    def _neighbours(self, but: str = "") -> Neighbours:
        """What the open models (``but`` one) hold: mapped files, which the system counts as free memory, and of a card
        what comes free when those that nobody uses are released."""
        occupied = reclaimable = 0
        for hosted in self.hosted:
            plan = hosted.engine.info.memory if hosted.id != but else None
            if plan is not None and not plan.card:
                occupied += plan.weights
            elif plan is not None and not hosted.jobs:
                reclaimable += plan.total
        return Neighbours(occupied, reclaimable)

    def costs(self, installed: InstalledModel, context: int | None) -> Costs:
        """What ``installed`` would take of the memory; what it holds now would be given back first."""
        own = self._hosted.get(installed.id)
        held = own.engine.info.memory if own is not None else None
        return costs(installed.path, self._backend, context, self._neighbours(installed.id), held)

    def describe(self) -> list[dict[str, Any]]:
        """The open models, for ``/health``."""
        return [
            {
                "id": hosted.id,
                "context": hosted.engine.context,
                "kv": hosted.engine.info.kv.name,
                "backend": hosted.engine.info.backend,
                "busy": bool(hosted.jobs),
                "requests": len(hosted.jobs),
            }
            for hosted in self.hosted
        ]


def _in_library(name: str) -> InstalledModel | None:
    """An installed model by its id or its original's; never a path of the caller's choice."""
    try:
        found = library.resolve(name)
    except (OSError, ValueError):  # a text that cannot even be a file's name
        return None
    return found if found is not None and library.in_library(found.path) else None
