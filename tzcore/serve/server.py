"""``tz serve``: binds the port, says when it is ready, and ends cleanly.

The process ends on Ctrl-C, on SIGTERM, and when the process that it serves (``parent_pid``) is
gone; each time running answers are stopped first, so that no computing goes on behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import psutil
import uvicorn

from tzcore.engine.generation import Engine
from tzcore.engine.kv_choice import AUTO
from tzcore.engine.snapshots import Snapshots
from tzcore.errors import RequestError, SourceError
from tzcore.hub import library
from tzcore.hub.library import InstalledModel
from tzcore.progress import Report, ignore
from tzcore.serve import application, guard
from tzcore.serve.address import AddressError, in_url, listening_socket
from tzcore.serve.listener import Listener, configuration
from tzcore.serve.pool import Opener, Pool

logger = logging.getLogger("tzcore.serve")

INTERRUPTED = 130
__all__ = ["AddressError", "Server", "listening_socket", "print_event", "serve"]

GRACE = 3  # seconds for open connections to end
PARENT_POLL = 0.5  # seconds


def print_event(event: dict[str, Any]) -> None:
    """One JSON line on standard output."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(event), flush=True)


def serve(
    models: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 8080,
    token: str | None = None,
    *,
    context: int | None = None,
    threads: int | None = None,
    backend: str = "auto",
    speculation: bool = True,
    kv: str = AUTO,
    snapshots: Snapshots | None = None,
    origins: Sequence[str] = (),
    parent_pid: int | None = None,
    announce: Callable[[dict[str, Any]], None] = print_event,
    report: Report = ignore,
    opener: Opener | None = None,
) -> int:
    """Serve until told to end; the exit code (130 after Ctrl-C, else 0).

    ``models`` (installed ids or folders) are loaded before the server says that it is ready, at
    ``context`` tokens; others are loaded when asked for.  ``port`` 0 takes a free one.  ``token``
    must then come with every request; ``"random"`` makes one up and announces it.  ``origins``
    are web pages that may use the server.  ``speculation``, ``kv`` and
    ``snapshots``: see :meth:`Engine.open`.
    ``announce`` gets ``{"event": "ready", "port", "url"}`` once.  A port in use, a host that is
    not this machine's, an unknown model: TernaryZeroError.
    """
    made_up = token == "random"
    if made_up:
        token = secrets.token_urlsafe(32)
    if not guard.is_loopback(host) and not token:
        raise RequestError(
            f"Serving on {host} lets other machines in, so it needs a token: --token random makes one up"
        )
    with listening_socket(host, port) as listener:
        given = tuple(_installed(name) for name in models)
        open_engine = opener or functools.partial(
            Engine.open, backend=backend, threads=threads, speculation=speculation, snapshots=snapshots
        )
        bound = int(listener.getsockname()[1])
        ready: dict[str, Any] = {"event": "ready", "port": bound, "url": f"http://{in_url(host)}:{bound}"}
        if made_up:
            ready["token"] = token

        async def main() -> int:
            pool = Pool(open_engine, given, backend, kv)
            others = None
            if parent_pid is not None and token:  # the window's engine: nobody else has this token
                others = Listener(functools.partial(application.build_public, pool))
            app = application.build(pool, host, token, tuple(origins), others)
            server = Server(app, pool, others)
            if parent_pid is not None:
                _follow(parent_pid, server)
            for model in given:
                await pool.load(model.id, context, report)
            server.on_started = lambda: announce(ready)
            await server.serve([listener])
            return INTERRUPTED if server.received == signal.SIGINT else 0

        return asyncio.run(main())


class Server(uvicorn.Server):
    """uvicorn's server, with an end that stops the engines, and exit codes instead of a re-raised signal."""

    def __init__(self, app: Any, pool: Pool, others: Listener | None = None) -> None:
        super().__init__(configuration(app, GRACE))
        self.received: int | None = None
        self.on_started: Callable[[], None] = lambda: None
        self._pool = pool
        self._others = others

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop all answers, let their connections end, release the models."""
        self._pool.stop("The server is shutting down")
        if self._others is not None:
            await self._others.close()
        await super().shutdown(sockets)
        await self._pool.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the server; a second Ctrl-C does not wait for connections."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
        before = {number: signal.signal(number, self.handle_exit) for number in (getattr(signal, n) for n in names)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember the signal and end at the next turn of the loop."""
        self.received = self.received or sig
        super().handle_exit(sig, frame)


def _installed(name: str) -> InstalledModel:
    found = library.resolve(name)
    if found is None:
        known = ", ".join(model.id for model in library.installed()) or "none"
        raise SourceError(f"No installed model is called {name!r}; installed: {known}")
    return found


def _follow(pid: int, server: Server) -> None:
    """End the server when the process ``pid`` does.

    A number can be given to a new process, so the start time is compared as well.  If the end
    takes long (a large model is being loaded), the process is ended without ceremony: nothing
    that it does must survive it.
    """
    try:
        parent = psutil.Process(pid)
        parent.create_time()
    except psutil.Error:
        raise RequestError(f"There is no process {pid} to follow (--parent-pid)") from None

    def alive() -> bool:
        try:
            return bool(parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True

    def watch() -> None:
        while alive():
            time.sleep(PARENT_POLL)
        logger.warning("the parent process %d is gone", pid)
        server.should_exit = True
        time.sleep(GRACE + 3)
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
