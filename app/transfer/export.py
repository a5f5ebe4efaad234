"""Conversations into one file of this program's own format, in small steps: the window goes on meanwhile."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

from app.history.history import History
from app.transfer import own
from app.translation import tr
from tzcore.errors import StorageError


def everything(history: History) -> list[int]:
    """All conversations, those in the trash as well."""
    return [one.id for one in (*history.conversations(), *history.deleted())]


def export(history: History, conversations: Sequence[int], path: Path, *, presets: bool = False) -> Generator[int]:
    """Write the file step by step; each step gives how many conversations are done.  It appears under its name when
    it is complete; closing the generator before leaves nothing.  StorageError: it cannot be written."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(own.head(history, presets=presets))
            for number, conversation in enumerate(conversations):
                file.write((",\n" if number else "") + own.to_json(history, conversation))
                yield number + 1
            file.write(own.TAIL)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        text = tr("{file} cannot be written: {reason}.")
        raise StorageError(text.format(file=path, reason=error.strerror)) from error
    finally:
        fresh.unlink(missing_ok=True)
