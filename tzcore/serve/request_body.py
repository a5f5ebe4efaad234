"""The bodies of requests: JSON read with limits, and its fields checked one by one."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.requests import Request

from tzcore.serve.failures import FieldError, RefusedError

MAX_BYTES = 64 << 20  # ten million words; no context holds more


async def read(request: Request) -> Fields:
    """The JSON object that the request carries."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise RefusedError(413, "body_too_large", f"The request is larger than {MAX_BYTES >> 20} MiB")
        chunks.append(chunk)
    try:
        value = json.loads(b"".join(chunks), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FieldError(None, f"The request's body is not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise FieldError(None, "The request's body must be a JSON object")
    return Fields(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class Fields:
    """The fields of a JSON object.  ``null`` counts as absent; a wrong type is a FieldError that names the field."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        return self._typed(name, str, "text")

    def flag(self, name: str) -> bool:
        return bool(self._typed(name, bool, "true or false"))

    def mapping(self, name: str) -> dict[str, Any]:
        return self._typed(name, dict, "an object") or {}

    def whole(self, name: str) -> int | None:
        return self._typed(name, int, "a whole number")

    def number(self, name: str) -> float | None:
        return self._typed(name, (int, float), "a number")

    def _typed(self, name: str, kind: Any, words: str) -> Any:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FieldError(name, f"{name} must be {words}, not {shown(value)}")
        return value


def shown(value: object) -> str:
    """A value in an error message: its beginning."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"
