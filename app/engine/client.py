"""Requests to the engine on Qt's own network stack: loopback only, no proxy, nothing blocks.

Calls made while the engine is starting or restarting wait for it; a call to an engine that has
given up starts it afresh.  Every call returns at once with an object whose signals tell the
outcome; exactly one of its last signals is emitted, never before control is back in the event
loop.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, QUrl, QUrlQuery

from app.engine.exchange import CANCELLED, ChatStream, Exchange, Reply
from app.engine.loopback import LoopbackManager
from app.engine.process import EngineProcess
from app.translation import mark, tr

__all__ = ["ChatStream", "EngineClient", "Reply"]

CLOSING = mark("The program was closed while this was under way.")


class EngineClient(QObject):
    """Speaks to the server of ``engine``."""

    def __init__(self, engine: EngineProcess, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._waiting: list[Exchange] = []
        self._underway: set[Exchange] = set()
        self._loaded: dict[str, int | None] = {}
        self._sizes: dict[str, int] = {}
        self._wanted: dict[str, tuple[int | None, str]] = {}
        self._loading: dict[str, Reply] = {}
        self._manager = LoopbackManager(self)
        engine.ready.connect(self._on_ready)
        engine.failed.connect(self._on_failed)

    @property
    def loaded(self) -> dict[str, int | None]:
        """Models that this engine child has loaded at our request, and the context asked for."""
        return dict(self._loaded)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes that those of :attr:`loaded` take of the memory, as planned: what unloading gives back."""
        return {model: size for model, size in self._sizes.items() if model in self._loaded}

    def health(self) -> Reply:
        return self._get("/health")

    def models(self) -> Reply:
        """``{"data": [{"id", …}]}``: the models that the engine has loaded or can load."""
        return self._get("/v1/models")

    def load(self, model_id: str, context: int | None = None, kv: str = "auto") -> Reply:
        """Bring a model into memory, with so many tokens of context kept in the precision ``kv``.  ``done`` gives
        ``{"model", "context", "backend", "memory", …}``: see the route ``/v1/load`` of
        :mod:`tzcore.serve.application`."""
        self._wanted[model_id] = context, kv
        reply = Reply(self, "POST", "/v1/load", {"model": model_id, "context": context, "kv": kv, "stream": True})
        reply.done.connect(lambda answer: self._on_loaded(model_id, context, answer))
        self._loading[model_id] = reply
        self._begin(reply)
        return reply

    def unload(self, model_id: str) -> Reply:
        """Release a model's memory."""
        reply = Reply(self, "POST", "/v1/unload", {"model": model_id})
        reply.done.connect(lambda _: self._loaded.pop(model_id, None))
        self._begin(reply)
        return reply

    def plan(self, model_id: str, context: int | None = None) -> Reply:
        """What a context would cost (``done`` gives a dict): see :mod:`tzcore.serve.plan_form`.  Loads nothing."""
        query = QUrlQuery()
        query.addQueryItem("model", bytes(QUrl.toPercentEncoding(model_id).data()).decode())
        if context is not None:
            query.addQueryItem("context", str(context))
        return self._get("/v1/plan?" + query.toString(QUrl.ComponentFormattingOption.FullyEncoded))

    def listen(self, port: int, host: str, token: str) -> Reply:
        """Open the engine's second address, for other programs; ``done`` gives ``{"listening": {"url", …}}``."""
        reply = Reply(self, "POST", "/v1/admin/listen", {"port": port, "host": host, "token": token or None})
        self._begin(reply)
        return reply

    def stop_listening(self) -> Reply:
        """Close it; what runs there is broken off."""
        reply = Reply(self, "POST", "/v1/admin/listen", {"stop": True})
        self._begin(reply)
        return reply

    def activity(self) -> Reply:
        """Who is connected there and what was asked: see :mod:`tzcore.serve.activity`."""
        return self._get("/v1/admin/activity")

    def forget_text(self, model_id: str, messages: list[dict[str, str]], summary: str = "") -> Reply:
        """Let go of what the engine keeps of a conversation, in memory and on the disk."""
        body = {"model": model_id, "messages": messages, "context_summary": summary or None}
        reply = Reply(self, "POST", "/v1/forget", body)
        self._begin(reply)
        return reply

    def count_tokens(self, model_id: str, messages: list[dict[str, str]], summary: str = "") -> Reply:
        """Tokens of the conversation in the model's chat template (``done`` gives an int); ``summary`` stands for
        what was said before."""
        body = {"model": model_id, "messages": messages, "context_summary": summary or None}
        reply = Reply(self, "POST", "/v1/tokenize", body, lambda answer: int(answer["tokens"]))
        self._begin(reply)
        return reply

    def count_text(self, model_id: str, text: str) -> Reply:
        """Tokens of bare text (``done`` gives an int)."""
        body = {"model": model_id, "text": text}
        reply = Reply(self, "POST", "/v1/tokenize", body, lambda answer: int(answer["tokens"]))
        self._begin(reply)
        return reply

    def chat(self, model_id: str, messages: list[dict[str, str]], options: dict[str, Any]) -> ChatStream:
        """Ask for an answer, loading the model first where this engine child does not have it (after a restart).

        ``messages``: ``[{"role", "content"}]``; ``options``: temperature, top_p, top_k, min_p, max_tokens, seed,
        stop, context_overflow, context_summary, continue_final_message and others of
        :mod:`tzcore.serve.generation_request` (absent or ``None``: the server's default).
        """
        body = {"model": model_id, "messages": messages, "stream": True}
        body |= {"stream_options": {"include_usage": True}, "return_progress": True}
        body |= {key: value for key, value in options.items() if value is not None}
        stream = ChatStream(self, body)
        self._begin(stream)
        return stream

    def shutdown(self) -> None:
        """End every exchange, so that what is written so far is kept.  For the end of the program."""
        for exchange in list(self._underway):
            exchange.fail(tr(CLOSING))

    def forget(self, exchange: Exchange) -> None:
        """It is over; it lives on until control is back in the event loop, for slots that read it."""
        QTimer.singleShot(0, self, lambda: self._underway.discard(exchange))

    def _get(self, path: str) -> Reply:
        reply = Reply(self, "GET", path)
        self._begin(reply)
        return reply

    def _begin(self, exchange: Exchange) -> None:
        self._underway.add(exchange)
        QTimer.singleShot(0, self, lambda: self._dispatch(exchange))

    def _dispatch(self, exchange: Exchange) -> None:
        if not self._engine.url:
            self._waiting.append(exchange)
            self._engine.start()
        elif isinstance(exchange, ChatStream) and exchange.model not in self._loaded:
            self._load_first(exchange)
        else:
            exchange.send(self._manager, self._engine.url, self._engine.token)

    def _load_first(self, stream: ChatStream) -> None:
        if not stream.active:
            return
        load = self._loading.get(stream.model)
        if load is None or not load.active:
            load = self.load(stream.model, *self._wanted.get(stream.model, (None, "auto")))
        load.progress.connect(stream.loading)
        load.failed.connect(lambda message: self._on_load_failed(stream, message))
        load.done.connect(lambda _: self._dispatch(stream))

    def _on_loaded(self, model_id: str, context: int | None, answer: object) -> None:
        self._loaded[model_id] = context
        if isinstance(answer, dict):
            self._sizes[model_id] = int((answer.get("memory") or {}).get("total") or 0)
            for released in answer.get("released") or ():  # to make room
                self._loaded.pop(str(released), None)

    def _on_load_failed(self, stream: ChatStream, message: str) -> None:
        if message == CANCELLED:  # by who asked for it, perhaps to load it with another context
            self._dispatch(stream)
        else:
            stream.fail(message)

    def _on_ready(self, _: str) -> None:
        self._loaded.clear()  # this is another child
        waiting, self._waiting = self._waiting, []
        for exchange in waiting:
            self._dispatch(exchange)

    def _on_failed(self, message: str) -> None:
        waiting, self._waiting = self._waiting, []
        for exchange in waiting:
            exchange.fail(message)
