"""What happened to one job, for a person: a file of lines with the time, beside what its child says on stderr."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TAIL_BYTES = 200_000
"""As much of a log is shown."""


def write(path: Path, text: str) -> None:
    """Add a line.  No log is no reason to stop the work."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")


def tail(path: Path) -> str:
    """The end of the log, from the beginning of a line; ``""`` where there is none yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read()
    except OSError:
        return ""
    text = data.decode("utf-8", "replace")
    return text if size <= TAIL_BYTES else text.partition("\n")[2]
