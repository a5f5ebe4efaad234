"""What other programs ask of the server: who is connected, what runs, what ran.  Never what was said.

Kept in memory only, the last :data:`KEPT` requests.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tzcore.engine.request import Event, Finished, TextDelta

KEPT = 200
ROUTES = ("/health", "/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/tokenize", "/v1/plan")
NOTE = "ternary_zero.request"
"""Where the scope of a watched request has its :class:`Request`."""

Address = tuple[str, int]


@dataclass
class Request:
    """One request.  ``status`` 0: none was sent yet, or the client went away before."""

    id: int
    client: Address
    method: str
    route: str
    began: float = field(default_factory=time.monotonic)
    time: float = field(default_factory=time.time)
    model: str = ""
    status: int = 0
    seconds: float | None = None
    prompt_tokens: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
    process: str = ""
    first: float | None = None

    def heard(self, event: Event) -> None:
        """The engine said something about it."""
        if isinstance(event, TextDelta):
            self.tokens = event.tokens
            self.first = self.first or time.monotonic()
        elif isinstance(event, Finished):
            self.prompt_tokens, self.tokens = event.usage.prompt_tokens, event.usage.completion_tokens
            self.tokens_per_second = event.timings.decode_tokens_per_second

    def end(self) -> None:
        """Its answer is complete, or was broken off; said twice, the first counts."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self.began

    def form(self) -> dict[str, Any]:
        """As JSON."""
        running = self.seconds is None
        speed = self.tokens_per_second
        if running and self.first is not None:
            speed = self.tokens / max(time.monotonic() - self.first, 0.05)
        return {
            "id": self.id,
            "time": round(self.time, 3),
            "client": _written(self.client),
            "process": self.process,
            "method": self.method,
            "route": self.route,
            "model": self.model,
            "status": self.status,
            "running": running,
            "seconds": round(time.monotonic() - self.began if self.seconds is None else self.seconds, 3),
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "tokens_per_second": round(speed, 1),
        }


class Activity:
    """The requests of one listener, newest last."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque(maxlen=KEPT)
        self._count = 0
        self._processes: dict[Address, str] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def begin(self, scope: Scope) -> Request:
        """A request has come in."""
        self._count += 1
        client: Address = tuple(scope.get("client") or ("", 0))
        path = str(scope.get("path", ""))
        route = next((known for known in ROUTES if path == known or path.startswith(known + "/")), "other")
        made = Request(self._count, client, str(scope["method"])[:10], route)
        self.requests.append(made)
        if client in self._processes:
            made.process = self._processes[client]
        else:
            task = asyncio.create_task(self._name(made))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return made

    def form(self, connected: list[Address]) -> dict[str, Any]:
        """Connections and requests as JSON, newest first."""
        self._processes = {address: name for address, name in self._processes.items() if address in connected}
        connections = []
        for address in connected:
            own = [request for request in self.requests if request.client == address]
            last = own[-1] if own else None
            connections.append(
                {
                    "client": _written(address),
                    "process": self._processes.get(address, last.process if last else ""),
                    "model": last.model if last else "",
                    "requests": len(own),
                    "running": sum(request.seconds is None for request in own),
                    "tokens_per_second": last.form()["tokens_per_second"] if last else 0.0,
                }
            )
        return {"connections": connections, "requests": [request.form() for request in reversed(self.requests)]}

    async def _name(self, request: Request) -> None:
        """Which program is at the other end: known only for programs of this machine that this user may see."""
        request.process = self._processes[request.client] = await asyncio.to_thread(process_at, request.client)


class Watched:
    """ASGI middleware: writes requests down in an :class:`Activity`."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = scope[NOTE] = self._activity.begin(scope)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                noted.status = int(message["status"])
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                noted.end()  # before it is sent: whoever has read the answer sees a request that has ended
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            noted.end()


def process_at(address: Address) -> str:
    """The name of the program that has this end of a connection open, ``""`` where it cannot be known."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.pid and connection.laddr and tuple(connection.laddr) == tuple(address):
                return str(psutil.Process(connection.pid).name())
    except (psutil.Error, OSError):
        pass
    return ""


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
