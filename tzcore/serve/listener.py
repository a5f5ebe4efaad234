"""A second address of the same server, for other programs: opened and closed while it runs.

The window's engine is spoken to under a token that nobody else has.  Other programs get an address of their own,
with a token of the user's choice, fewer routes and a list of what they do; the models in memory are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from tzcore.errors import RequestError
from tzcore.serve import guard
from tzcore.serve.activity import Activity, Watched
from tzcore.serve.address import in_url, listening_socket

GRACE = 1  # seconds for open connections to end

MakeApp = Callable[[str, str | None], ASGIApp]
"""The application to serve, for a host and a token."""


class Listener:
    """At most one open address."""

    def __init__(self, make_app: MakeApp) -> None:
        self._make_app = make_app
        self._server: _Quiet | None = None
        self._serving: asyncio.Task[None] | None = None
        self._address: dict[str, Any] | None = None
        self._changing = asyncio.Lock()
        self.activity = Activity()

    async def open(self, host: str, port: int, token: str | None) -> dict[str, Any]:
        """Listen there, and no longer where it listened before; ``{"host", "port", "url"}``.

        AddressError says what is in the way; RequestError where other machines would get in without a token.
        """
        if not guard.is_loopback(host) and not token:
            raise RequestError("Letting other machines in needs a token")
        async with self._changing:
            if self._address is not None and port == self._address["port"]:
                await self._close()
            listener = listening_socket(host, port)  # where that fails, it goes on at its old address
            await self._close()
            app = Watched(self._make_app(host, token), self.activity)
            server = self._server = _Quiet(app)
            self._serving = asyncio.create_task(server.serve([listener]))
            await asyncio.wait({asyncio.ensure_future(server.up.wait()), self._serving}, return_when="FIRST_COMPLETED")
            bound = int(listener.getsockname()[1])
            self._address = {"host": host, "port": bound, "url": f"http://{in_url(host)}:{bound}"}
            return self._address

    async def close(self) -> None:
        """End the connections of other programs, and listen no more."""
        async with self._changing:
            await self._close()

    def describe(self) -> dict[str, Any]:
        """Where it listens, who is connected, what was asked: see :class:`Activity`."""
        connected = [] if self._server is None else self._server.connected()
        return {"listening": self._address, **self.activity.form(connected)}

    async def _close(self) -> None:
        server, serving = self._server, self._serving
        self._server = self._serving = self._address = None
        if server is None or serving is None:
            return
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def configuration(app: ASGIApp, grace: int) -> uvicorn.Config:
    """How every address is served: plain HTTP, no log of requests, no word of the server's name; ``grace`` seconds for
    open connections to end."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
    )


class _Quiet(uvicorn.Server):
    """uvicorn's server beside another: signals are the other's business."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(configuration(app, GRACE))
        self.up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.up.set()

    def connected(self) -> list[tuple[str, int]]:
        """The other ends of the open connections."""
        clients = (getattr(connection, "client", None) for connection in self.server_state.connections)
        return sorted(tuple(client) for client in clients if client)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield
