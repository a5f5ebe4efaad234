"""Reading other people's JSON: every value is checked before it is believed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.transfer.conversation import Said, UnreadableError


def mapping(value: object, what: str) -> dict[str, Any]:
    """``value`` if it is an object."""
    if not isinstance(value, dict):
        raise UnreadableError("wrong", f"{what} is no object")
    return value


def sequence(value: object, what: str) -> list[Any]:
    """``value`` if it is a list."""
    if not isinstance(value, list):
        raise UnreadableError("wrong", f"{what} is no list")
    return value


def text(value: object) -> str:
    """A string as it can be kept: without lone surrogates and NUL."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def moment(value: object, otherwise: float = 0.0) -> float:
    """Seconds since the epoch: from seconds, milliseconds, microseconds, nanoseconds or ISO 8601."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError, OSError):
            return otherwise
    if not isinstance(value, int | float) or isinstance(value, bool):
        return otherwise
    try:
        number = float(value)
    except OverflowError:
        return otherwise
    if not math.isfinite(number) or number <= 0:
        return otherwise
    while number > 3e10:  # beyond the year 2900 in seconds: a smaller unit
        number /= 1000
    return number


def in_order(messages: Iterable[Said]) -> list[Said]:
    """Each after its parent, siblings in the order in which they came.  A parent that is not there makes a root;
    UnreadableError for a circle."""
    every = list(messages)
    by_key = {said.key: said for said in every}
    children: dict[str | None, list[Said]] = {}
    for said in every:
        if said.parent is not None and (said.parent not in by_key or said.parent == said.key):
            if said.parent == said.key:
                raise UnreadableError("circle")
            said.parent = None
        children.setdefault(said.parent, []).append(said)
    ordered: list[Said] = []
    waiting = children.get(None, [])[::-1]
    while waiting:
        said = waiting.pop()
        ordered.append(said)
        waiting.extend(reversed(children.get(said.key, [])))
    if len(ordered) != len(by_key):
        raise UnreadableError("circle")
    return ordered
