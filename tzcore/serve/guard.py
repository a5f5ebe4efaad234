"""Who may speak to the server: the token, and protection from web pages in the user's browser.

A page on the internet can send requests to a server on this machine.  It cannot read the
answers without CORS headers, but it could start work, and with DNS rebinding (a name of its own
that resolves to 127.0.0.1) it could read them too.  So the ``Host`` must be a name that a page
cannot have, and an ``Origin`` other than the server's own must be allowed by name.
"""

from __future__ import annotations

import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tzcore.serve import failures
from tzcore.serve.failures import RefusedError


class Guard:
    """ASGI middleware.  ``host`` is what the server is bound to; ``origins`` may use it from a browser."""

    def __init__(self, app: ASGIApp, host: str, token: str | None, origins: tuple[str, ...] = ()) -> None:
        self._app = app
        self._host = host.lower()
        self._token = token.encode() if token else None
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            try:
                self._check(Headers(scope=scope), scope["method"])
            except RefusedError as error:
                await failures.response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, method: str) -> None:
        host = headers.get("host", "")
        if not self._is_own(host):
            raise RefusedError(403, "wrong_host", f"This server does not answer to the name {host[:100]!r}")
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and origin != f"http://{host}":
            raise RefusedError(403, "wrong_origin", f"Pages of {origin[:100]!r} may not use this server")
        if method == "OPTIONS" and origin in self._origins:
            return  # a browser asks first, and without the token
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
                raise RefusedError(401, "invalid_api_key", "The token is missing or wrong (Authorization: Bearer …)")

    def _is_own(self, header: str) -> bool:
        name = host_name(header)
        if name is None:
            return False
        if name in (self._host, "localhost") or name.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Rebinding needs a name; an address that reaches a server bound to all of them is its own.
        return address.is_loopback or self._host in ("0.0.0.0", "::")


def host_name(header: str) -> str | None:
    """The name or address in a ``Host`` header, without its port; None where it is malformed."""
    name, _, port = header.strip().lower().rpartition(":")
    if not name or header.endswith("]"):  # no port at all
        name, port = header.strip().lower(), "80"
    if not port.isdigit():
        return None
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return None if ":" in name else name.rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
