"""What only the window may ask, under its own token: the second listener and what goes on there."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tzcore.serve import request_body
from tzcore.serve.address import AddressError
from tzcore.serve.failures import FieldError, RefusedError
from tzcore.serve.listener import Listener


def routes(listener: Listener) -> list[Route]:
    """The routes that govern ``listener``."""

    async def listen(request: Request) -> Response:
        """``{"port", "host", "token"}`` opens it there, ``{"stop": true}`` closes it."""
        fields = await request_body.read(request)
        if fields.flag("stop"):
            await listener.close()
            return JSONResponse({"listening": None})
        port = fields.whole("port")
        if port is None:
            raise FieldError("port", "which port?")
        try:
            opened = await listener.open(fields.text("host") or "127.0.0.1", port, fields.text("token") or None)
        except AddressError as error:
            raise RefusedError(409, "address_unusable", error.reason) from None
        return JSONResponse({"listening": opened})

    async def activity(_: Request) -> Response:
        return JSONResponse(listener.describe())

    return [
        Route("/v1/admin/listen", listen, methods=["POST"]),
        Route("/v1/admin/activity", activity),
    ]
