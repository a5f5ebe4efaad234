"""What goes out to the network: every request is written down before it is made, or refused.

``logs/outbound.jsonl`` under :func:`tzcore.paths.home` has one JSON line for each: time, method, host, path
(without query, user and password), purpose and program.  Several processes append to it at once.  With
``TZ_OFFLINE=1`` nothing goes out and nothing is written: :class:`~tzcore.errors.OfflineError`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tzcore import paths
from tzcore.atomic import storage_errors
from tzcore.errors import OfflineError

LONGEST = 5_000_000
"""Bytes after which the file is put aside, under a name with the time, and a new one begun."""
PATH_SHOWN = 300
"""Characters of a path that are kept; signed addresses of storage servers are long."""


def offline() -> bool:
    """Whether the settings (through ``TZ_OFFLINE``) forbid every request."""
    return os.environ.get("TZ_OFFLINE", "").strip() not in ("", "0")


def log_file() -> Path:
    """Where requests are written down."""
    return paths.logs() / "outbound.jsonl"


def record(method: str, url: str, purpose: str) -> None:
    """Write down that a request is about to be made.

    OfflineError where none may be made; StorageError where it cannot be written down, for then it must not go out.
    """
    if offline():
        raise OfflineError(
            "Offline is switched on in the settings, so nothing was asked of the network. Switch it off to go on "
            "(on a command line: unset TZ_OFFLINE); installed models work without a network"
        )
    parts = urlsplit(url)
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z",
        "method": method.upper(),
        "host": _host(parts.hostname or "", _port(parts)),
        "path": parts.path[:PATH_SHOWN],
        "purpose": purpose,
        "program": program(),
        "pid": os.getpid(),
    }
    line = (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    path = log_file()
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _put_aside_when_long(path)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)  # one write: lines of several processes do not mix
        finally:
            os.close(handle)


def event_hooks(purpose: str | Callable[[str], str]) -> dict[str, list[Callable[[Any], None]]]:
    """Hooks for an HTTP client of httpx's kind that :func:`record` each request, redirected ones too.

    ``purpose``: the words, or what gives them for an address.
    """

    def before(request: Any) -> None:
        url = str(request.url)
        record(str(request.method), url, purpose if isinstance(purpose, str) else purpose(url))

    return {"request": [before]}


def program() -> str:
    """The command that runs in this process, without its arguments: ``tz search``."""
    words = sys.argv or [""]
    path = Path(words[0])
    name = "tz" if path.name == "__main__.py" and path.parent.name == "cli" else path.stem or "python"
    verb = next((word for word in words[1:] if not word.startswith("-")), "") if name == "tz" else ""
    return f"{name} {verb}".strip()


def _port(parts: Any) -> int | None:
    try:
        return int(parts.port) if parts.port is not None else None
    except ValueError:
        return None


def _host(name: str, port: int | None) -> str:
    name = f"[{name}]" if ":" in name else name
    return name if port is None else f"{name}:{port}"


def _put_aside_when_long(path: Path) -> None:
    """Whoever holds the lock renames; the others go on writing to the file that they find."""
    try:
        if path.stat().st_size < LONGEST:
            return
    except FileNotFoundError:
        return
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            if path.stat().st_size >= LONGEST:  # it may have been put aside since
                os.replace(path, path.with_name(f"outbound-{time.time_ns()}.jsonl"))
    except (Timeout, FileNotFoundError):
        return
