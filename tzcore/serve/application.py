"""The routes of the server and what each does."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import tzcore
from tzcore.engine.kv_choice import AUTO
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.request import Request as EngineRequest
from tzcore.engine.snapshots import Snapshots
from tzcore.errors import RequestError, TernaryZeroError
from tzcore.hub.library import InstalledModel
from tzcore.keyvalues import format_named
from tzcore.progress import Progress
from tzcore.serve import admin, failures, generation_request, plan_form, request_body
from tzcore.serve.failures import FieldError
from tzcore.serve.generation_response import SSE_HEADERS, GenerationResponse, sse
from tzcore.serve.guard import Guard
from tzcore.serve.listener import Listener
from tzcore.serve.pool import HostedModel, Pool


def build(
    pool: Pool,
    host: str,
    token: str | None = None,
    origins: tuple[str, ...] = (),
    others: Listener | None = None,
) -> Starlette:
    """The ASGI application that serves ``pool`` when bound to ``host``.  ``others``: it governs this listener."""
    routes = Routes(pool)
    middleware = [Middleware(Guard, host=host, token=token, origins=origins)]
    if origins:
        cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
        middleware.append(cors)
    return Starlette(
        routes=[
            *routes.public(),
            Route("/v1/load", routes.load, methods=["POST"]),
            Route("/v1/unload", routes.unload, methods=["POST"]),
            Route("/v1/forget", routes.forget, methods=["POST"]),
            *(admin.routes(others) if others is not None else ()),
        ],
        middleware=middleware,
        exception_handlers={TernaryZeroError: _failed, HTTPException: _not_found, Exception: _failed},
    )


def build_public(pool: Pool, host: str, token: str | None) -> Starlette:
    """What other programs than the window get: answers, but no say in what is in memory or kept on the disk."""
    routes = Routes(pool)
    return Starlette(
        routes=routes.public(),
        middleware=[Middleware(Guard, host=host, token=token)],
        exception_handlers={TernaryZeroError: _failed, HTTPException: _not_found, Exception: _failed},
    )


async def _failed(_: Request, error: Exception) -> Response:
    return failures.response(error)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path} does not exist here"
    content = failures.body("invalid_request_error", "unknown_url", message)
    return JSONResponse(content, error.status_code, error.headers)


class Routes:
    """The handlers, with the pool that they serve from."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def public(self) -> list[Route]:
        """What every program may ask for."""
        return [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/models/{model:path}", self.model),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completion, methods=["POST"]),
            Route("/v1/tokenize", self.tokenize, methods=["POST"]),
            Route("/v1/plan", self.plan),
        ]

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": tzcore.__version__, "models": self._pool.describe()})

    async def models(self, _: Request) -> Response:
        available = await self._pool.available()
        return JSONResponse({"object": "list", "data": [self._model(model) for model in available]})

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._model(await self._pool.find(request.path_params["model"])))

    async def chat(self, request: Request) -> Response:
        asked = generation_request.chat(await request_body.read(request))
        return GenerationResponse(self._pool, asked, chat=True)

    async def completion(self, request: Request) -> Response:
        asked = generation_request.completion(await request_body.read(request))
        return GenerationResponse(self._pool, asked, chat=False)

    async def tokenize(self, request: Request) -> Response:
        """Count the tokens of a conversation in the model's template, or of bare text; loads no weights."""
        fields = await request_body.read(request)
        if (fields.get("messages") is None) == (fields.get("text") is None):
            raise FieldError("messages", "give either messages or text")
        counted: EngineRequest | None = None  # the empty text
        if fields.get("messages") is not None:
            variables = fields.mapping("chat_template_kwargs")
            counted = EngineRequest(
                messages=generation_request.messages(fields),
                template_variables=variables,
                summary=fields.text("context_summary"),
                open_answer=generation_request.open_answer(fields),
            )
        elif text := fields.text("text"):
            counted = EngineRequest(prompt=text)
        installed = await self._pool.find(fields.text("model"))
        hosted = next((h for h in self._pool.hosted if h.id == installed.id), None)
        tokens = await asyncio.to_thread(_count, installed, hosted, counted)
        return JSONResponse({"tokens": tokens, "context": hosted.engine.context if hosted else None})

    async def plan(self, request: Request) -> Response:
        """What a model would take of the memory at so many tokens of context, in each format; nothing is loaded."""
        asked = request.query_params.get("context")
        if asked is not None and not (asked.isascii() and asked.isdigit() and int(asked)):
            raise FieldError("context", f"context must be a whole number from 1 on, not {asked[:40]!r}")
        installed = await self._pool.find(request.query_params.get("model"))
        made = await asyncio.to_thread(self._pool.costs, installed, None if asked is None else int(asked))
        return JSONResponse(plan_form.form(installed.id, made))

    async def load(self, request: Request) -> Response:
        """Open a model; with ``"stream": true`` or an Accept of ``text/event-stream`` its progress is streamed."""
        fields = await request_body.read(request)
        name, context = fields.text("model"), fields.whole("context")
        if context is not None and context < 1:
            raise FieldError("context", f"context must be at least 1, not {context}")
        kv = fields.text("kv")
        if kv not in (None, AUTO):
            try:
                kv = format_named(kv).name
            except RequestError as error:
                raise FieldError("kv", f"{error}, and auto") from None
        if not (fields.flag("stream") or "text/event-stream" in request.headers.get("accept", "")):
            return JSONResponse(_loaded(*await self._pool.load(name, context, kv=kv)))
        await self._pool.find(name)  # an unknown model is an HTTP error

        async def events() -> Any:
            loop = asyncio.get_running_loop()
            reports: asyncio.Queue[Progress | None] = asyncio.Queue()

            def report(progress: Progress) -> None:
                loop.call_soon_threadsafe(reports.put_nowait, progress)

            loading = asyncio.ensure_future(self._pool.load(name, context, report, kv))
            loading.add_done_callback(lambda _: reports.put_nowait(None))
            while (progress := await reports.get()) is not None:
                yield sse(progress.as_event())
            try:
                yield sse(_loaded(*loading.result()))
            except Exception as error:
                yield sse({"event": "error", **failures.describe(error)[1]})
            yield b"data: [DONE]\n\n"

        headers = {name.decode(): value.decode() for name, value in SSE_HEADERS}
        return StreamingResponse(events(), headers=headers)

    async def unload(self, request: Request) -> Response:
        fields = await request_body.read(request)
        return JSONResponse({"model": await self._pool.unload(fields.text("model"), fields.flag("force"))})

    async def forget(self, request: Request) -> Response:
        """Let go of what was kept of a conversation: in memory, and on disk in all forms; loads no weights."""
        fields = await request_body.read(request)
        said = generation_request.messages(fields)
        installed = await self._pool.find(fields.text("model"))
        hosted = next((h for h in self._pool.hosted if h.id == installed.id), None)
        summary = fields.text("context_summary")
        removed = 0 if hosted is None else await hosted.do(lambda engine: engine.forget(said, summary))
        removed += await asyncio.to_thread(_forget, installed, said, summary)
        return JSONResponse({"model": installed.id, "pieces": removed})

    def _model(self, model: InstalledModel) -> dict[str, Any]:
        hosted = next((h for h in self._pool.hosted if h.id == model.id), None)
        return {
            "id": model.id,
            "object": "model",
            "created": _seconds(model.created),
            "owned_by": "ternary-zero",
            "source": model.source,
            "encoding": model.encoding,
            "bytes": model.bytes,
            "loaded": hosted is not None,
            "context": hosted.engine.context if hosted else None,
        }


def _seconds(created: str) -> int:
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        return 0


def _count(installed: InstalledModel, hosted: HostedModel | None, request: EngineRequest | None) -> int:
    if request is None:
        return 0
    if hosted is not None:
        return hosted.engine.count_tokens(request)
    prompts = PromptBuilder.open(installed.path)
    try:
        return len(prompts.tokens(request))
    finally:
        prompts.close()


def _forget(installed: InstalledModel, said: list[dict[str, str]], summary: str | None) -> int:
    """Remove from the disk, where another engine may have put it; the pieces that were there."""
    prompts = PromptBuilder.open(installed.path)
    try:
        store = Snapshots()
        beginnings = prompts.beginnings(said, summary)
        return sum(store.forget(installed.path, beginning) for beginning in beginnings)
    finally:
        prompts.close()


def _loaded(hosted: HostedModel, released: list[str]) -> dict[str, Any]:
    info = hosted.engine.info
    memory = info.memory
    return {
        "event": "done",
        "model": hosted.id,
        "context": info.context,
        "kv": info.kv.name,
        "family": info.family,
        "backend": info.backend,
        "backend_description": info.backend_description,
        "backend_reason": info.backend_reason,
        "notices": list(info.notices),
        "released": released,
        "sampling": asdict(hosted.engine.default_sampling),
        "memory": None
        if memory is None
        else {
            "weights": memory.weights,
            "kv": memory.kv,
            "workspace": memory.workspace,
            "total": memory.total,
            "largest_context": memory.largest_context,
            "card": memory.card,
        },
    }
