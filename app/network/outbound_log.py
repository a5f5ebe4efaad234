"""Reads what :mod:`tzcore.outbound` has written down: every request that ever went out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path

from app.translation import mark, tr
from tzcore import paths
from tzcore.errors import StorageError

NAME = "outbound.jsonl"
PURPOSES = {
    "file of a model": mark("File of a model"),
    "part of a file of a model": mark("Part of a file of a model"),
    "facts about a model": mark("Facts about a model"),
    "search for models": mark("Search for models"),
    "package with a model": mark("Package with a model"),
    "check of the token": mark("Check of the token"),
    "test of the connection": mark("Test of the connection"),
}
MOST = 2_000
"""Requests that are shown; older ones stay in the files, and are exported with them."""


@dataclass(frozen=True)
class Request:
    """One request.  ``time`` is in this machine's zone, ``None`` where the line does not say it."""

    time: datetime | None
    program: str
    method: str
    host: str
    path: str
    purpose: str

    @property
    def purpose_words(self) -> str:
        """In the user's language, where it is one that we know."""
        return tr(PURPOSES[self.purpose]) if self.purpose in PURPOSES else self.purpose

    def has(self, words: Iterable[str]) -> bool:
        """Whether all ``words`` (lower case) occur in it."""
        text = f"{self.program} {self.method} {self.host} {self.path} {self.purpose} {self.purpose_words}".lower()
        return all(word in text for word in words)


def files() -> list[Path]:
    """The files with requests, oldest first, the one being written last."""
    folder = paths.logs()
    aside = sorted(folder.glob("outbound-*.jsonl"), key=lambda path: (len(path.name), path.name))
    current = folder / NAME
    return [*aside, *([current] if current.exists() else [])]


def read(most: int | None = MOST) -> list[Request]:
    """The requests, newest first, at most so many.  Lines that are damaged are left out."""
    found: list[Request] = []
    for path in reversed(files()):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # cleared meanwhile
            continue
        for line in reversed(lines):
            if (request := _request(line)) is not None:
                found.append(request)
                if most is not None and len(found) >= most:
                    return found
    return found


def _request(line: str) -> Request | None:
    try:
        raw = json.loads(line)
        text = {name: str(raw.get(name, "")) for name in ("program", "method", "host", "path", "purpose")}
    except (ValueError, AttributeError):
        return None
    try:
        time = datetime.fromisoformat(str(raw.get("time", ""))).astimezone()
    except ValueError:
        time = None
    return Request(time=time, **text)


def as_csv(requests: Iterable[Request]) -> str:
    """For a spreadsheet; a value that such a program would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([field.name for field in fields(Request)])
    for request in requests:
        time, *rest = astuple(request)
        row = [time.isoformat(timespec="seconds") if time else "", *rest]
        writer.writerow(["'" + text if text[:1] in ("=", "+", "-", "@") else text for text in row])
    return out.getvalue()


def clear() -> None:
    """Delete what was written down.  StorageError where that cannot be done."""
    for path in files():
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            text = tr("{file} cannot be deleted: {reason}.")
            raise StorageError(text.format(file=path, reason=error.strerror)) from None
