"""The child that reads a file: ``python -m app.attachments.extract FILE`` writes JSON lines.

Files come from anywhere, and the libraries that read PDF and DOCX were never meant to be a wall: so this runs in a
process of its own, with limits of memory and processor time, and is killed when nobody wants the outcome any more.

``{"event": "kind", "kind", "bytes", "pages"}`` (``pages`` 0: not in pages), then for each page
``{"event": "text", "page", "text"}`` in pieces, and ``{"event": "progress", "done", "total"}``; at the end
``{"event": "done"}`` or ``{"event": "error", "message", "values"}``: see :class:`app.attachments.kinds.RefusedError`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from app.attachments import document, kinds
from app.attachments.document import BROKEN
from app.attachments.kinds import RefusedError
from app.translation import mark

MEMORY = 1 << 30
"""Bytes that the child may take."""
SECONDS = 120
"""Seconds of processor time."""
FILE_BYTES = 256 << 20
CHARACTERS = 6_000_000
"""About a million and a half tokens: more than any model reads."""
PIECE = 1 << 16
"""Characters in one line."""

EMPTY = mark("{name} is empty.")
LARGE = mark("{name} is too large: files of up to {most} MB can be attached.")
LONG = mark("{name} holds more text than any model reads at once: attach a part of it.")
UNREADABLE = mark("{name} cannot be read: {reason}.")
MISSING = mark("{name} is not there any more, or it is no file.")
FOLDER = mark("{name} is a folder: attach the files in it.")
MEMORY_FULL = mark("{name} takes too much memory to be read: it may be damaged; attach a part of it.")


def main(path: Path) -> int:
    """Read one file; 0 where it worked."""
    limit()
    try:
        for event in events(path):
            say(event)
        say({"event": "done"})
        return 0
    except RefusedError as error:
        refused = error
    except MemoryError:
        refused = RefusedError(MEMORY_FULL)
    except OSError as error:
        refused = RefusedError(UNREADABLE, reason=str(error.strerror or error))
    except Exception as error:  # a damaged file can make the libraries raise anything
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        refused = RefusedError(BROKEN)
    say({"event": "error", "message": str(refused), "values": refused.values})
    return 1


def events(path: Path) -> Iterator[dict[str, object]]:
    """What is found in the file, piece by piece."""
    if path.is_dir():
        raise RefusedError(FOLDER)
    if not path.is_file():  # a pipe or a device would be read for ever
        raise RefusedError(MISSING)
    size = path.stat().st_size
    if not size:
        raise RefusedError(EMPTY)
    if size > FILE_BYTES:
        raise RefusedError(LARGE, most=str(FILE_BYTES >> 20))
    with path.open("rb") as file:
        head = file.read(kinds.SAMPLE)
    kind = kinds.kind_of(path.name, head)
    if kind == "pdf":
        pages = document.pdf(path)
    elif kind == "zip":
        kind, pages = "docx", document.docx(path)
    else:
        pages = plain(path, head)
    characters, last, opened = 0, 0.0, False
    for number, total, text in pages:
        if not opened:
            opened = True
            yield {"event": "kind", "kind": kind, "bytes": size, "pages": total if kind == "pdf" else 0}
        characters += len(text)
        if characters > CHARACTERS:
            raise RefusedError(LONG)
        for at in range(0, len(text), PIECE):
            yield {"event": "text", "page": number, "text": text[at : at + PIECE]}
        if time.monotonic() - last > 0.1:
            last = time.monotonic()
            yield {"event": "progress", "done": number, "total": total}
    if not characters:
        raise RefusedError(EMPTY)


def plain(path: Path, head: bytes) -> document.Pages:
    """A file that is text already."""
    encoding = kinds.encoding_of(head) or "utf-8"
    if path.stat().st_size > 4 * CHARACTERS:
        raise RefusedError(LONG)
    data = path.read_bytes()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:  # what comes later is of another kind
        if b"\0" in data:
            raise RefusedError(kinds.NO_TEXT) from None
        text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise RefusedError(kinds.NO_TEXT)
    yield 1, 1, text.replace("\r\n", "\n").replace("\r", "\n")


def say(event: dict[str, object]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def limit() -> None:
    """No more memory and time than is right, however the file is made."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        return
    except (ImportError, OSError, ValueError):
        pass
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    """Where the system has no such limits."""
    import psutil

    process, began = psutil.Process(), time.monotonic()
    while process.memory_info().rss < MEMORY and time.monotonic() - began < SECONDS:
        time.sleep(0.1)
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
