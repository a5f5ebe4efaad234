"""The answer to a completion request, whole or as server-sent events.

Owns the way from the engine's thread to the socket: the status is sent only once the engine
has begun (so that what is wrong with a request is still an HTTP error), a waiting client gets a
comment every few seconds, and a client that goes away ends the work behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tzcore.engine.generation import Engine
from tzcore.engine.request import ContextChanged, Event, Finished, PrefillProgress, SummaryProgress, TextDelta
from tzcore.serve import failures
from tzcore.serve.activity import NOTE
from tzcore.serve.activity import Request as Noted
from tzcore.serve.answer_form import AnswerForm
from tzcore.serve.failures import RefusedError
from tzcore.serve.generation_request import Asked
from tzcore.serve.pool import HostedModel, Job, Pool

KEEP_ALIVE = 2.0  # seconds of silence before a comment is sent

SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class GenerationResponse(Response):
    """Runs the request when it is sent.  ``chat`` chooses the form of the answer."""

    def __init__(self, pool: Pool, asked: Asked, chat: bool) -> None:
        super().__init__()
        self._pool = pool
        self._asked = asked
        self._chat = chat
        self._job = Job()
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self._form: AnswerForm
        self._hosted: HostedModel | None = None
        self._noted: Noted | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, until the answer is sent or the client is gone."""
        self._noted = scope.get(NOTE)
        producing = asyncio.create_task(self._produce())
        send_answer = self._stream if self._asked.stream else self._at_once
        sending = asyncio.create_task(send_answer(scope, receive, send))
        gone = asyncio.create_task(disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._job.cancel.set()
            for task in (producing, gone, *(() if sending.done() else (sending,))):
                task.cancel()
            await asyncio.gather(producing, gone, return_exceptions=True)
        if not sending.cancelled():
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _produce(self) -> None:
        """Find the model, take a place in its queue, and let its thread fill the queue of events."""
        loop = asyncio.get_running_loop()
        job, events = self._job, self._events

        def put(item: Event | Exception) -> None:
            # A loop that is closed has nobody to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(events.put_nowait, item)

        def work(engine: Engine) -> None:
            try:
                if job.cancel.is_set():  # while it waited for its turn
                    raise self._stopped()
                request = self._asked.for_model(engine.default_sampling)
                for event in engine.generate(request, job.cancel):
                    put(event)
            except Exception as error:
                put(error)

        try:
            hosted = await self._pool.get(self._asked.model)
            self._form = AnswerForm(self._chat, hosted.id)
            hosted.submit(job, work)
            self._hosted = hosted
            if self._noted is not None:
                self._noted.model = hosted.id
        except Exception as error:
            events.put_nowait(error)

    async def _next(self) -> Event:
        item = await self._events.get()
        if self._hosted is not None and isinstance(item, (Exception, Finished)):
            self._hosted.ended(self._job)
        if isinstance(item, Exception):
            raise item
        if self._noted is not None:
            self._noted.heard(item)
        if isinstance(item, Finished) and item.reason == "cancelled":
            raise self._stopped()
        return item

    def _stopped(self) -> RefusedError:
        return RefusedError(503, "stopped", self._job.stopped or "The answer was stopped")

    async def _at_once(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: list[str] = []
        changes: list[ContextChanged] = []
        try:
            while not isinstance(event := await self._next(), Finished):
                if isinstance(event, TextDelta):
                    pieces.append(event.text)
                elif isinstance(event, ContextChanged):
                    changes.append(event)
            response = JSONResponse(self._form.whole("".join(pieces), event, changes))
        except Exception as error:
            response = failures.response(error)
        await response(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def emit(data: bytes) -> None:
            nonlocal started
            if not started:
                started = True
                await send({"type": "http.response.start", "status": 200, "headers": SSE_HEADERS})
            await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            opened = False
            while True:
                try:
                    event = await asyncio.wait_for(self._next(), KEEP_ALIVE)
                except TimeoutError:
                    await emit(b": waiting\n\n")
                    continue
                if not opened and (first := self._form.first()):
                    await emit(sse(first))
                opened = True
                if isinstance(event, PrefillProgress):
                    await emit(sse(self._form.progress(event)))
                elif isinstance(event, SummaryProgress):
                    await emit(sse(self._form.summary_progress(event)))
                elif isinstance(event, ContextChanged):
                    await emit(sse(self._form.changed(event)))
                elif isinstance(event, TextDelta):
                    await emit(sse(self._form.delta(event.text)))
                else:
                    await emit(sse(self._form.last(event)))
                    if self._asked.include_usage:
                        await emit(sse(self._form.usage(event)))
                    break
        except Exception as error:
            if not started:
                await failures.response(error)(scope, receive, send)
                return
            await emit(sse(failures.describe(error)[1]))
        await emit(b"data: [DONE]\n\n")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def sse(content: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


async def disconnected(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
