"""Errors in the form that OpenAI's clients understand: a status and ``{"error": {...}}``."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import JSONResponse

from tzcore import errors

logger = logging.getLogger("tzcore.serve")


class FieldError(errors.RequestError):
    """A field of a request is malformed; ``field`` names it."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


class RefusedError(errors.TernaryZeroError):
    """A request that is refused for a reason of the protocol, with its HTTP status and code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def describe(error: BaseException) -> tuple[int, dict[str, Any]]:
    """The HTTP status of ``error`` and its body.  What no one foresaw is logged, and not shown in detail."""
    field = None
    match error:
        case RefusedError():
            status, code = error.status, error.code
        case FieldError():
            status, code, field = 400, "invalid_value", error.field
        case errors.ContextFullError():
            status, code = 400, "context_length_exceeded"
        case errors.TemplateError():
            status, code = 400, "chat_template_failed"
        case errors.RequestError():
            status, code = 400, "invalid_value"
        case errors.CheckpointError() | errors.UnsupportedModelError():
            status, code = 503, "model_unusable"
        case errors.BackendError():
            status, code = 503, "backend_failed"
        case errors.TernaryZeroError():
            status, code = 503, "unavailable"
        case _:
            logger.error("a request failed in a way that no one foresaw", exc_info=error)
            return 500, body("server_error", "internal_error", "The server met a bug; its log says more")
    kind = "invalid_request_error" if status < 500 else "server_error"
    return status, body(kind, code, str(error), field)


def body(kind: str, code: str, message: str, field: str | None = None) -> dict[str, Any]:
    """An error object."""
    return {"error": {"message": message, "type": kind, "param": field, "code": code}}


def response(error: BaseException) -> JSONResponse:
    """The whole answer to a request that failed."""
    status, content = describe(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(content, status_code=status, headers=headers)
