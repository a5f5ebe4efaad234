"""The disk as the downloads see it: room, errors in words, atomic small files, safe deletion."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tzcore.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def as_storage_error(path: Path) -> Iterator[None]:
    """Turn an OSError about files at or beside ``path`` into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in _FULL:
            raise StorageError(
                f"the disk is full ({path.parent}); free some space, then run the same command to go on"
            ) from error
        if error.errno in _FORBIDDEN:
            raise StorageError(
                f"cannot write {where}: {error.strerror}; make the folder writable, or choose another "
                "with TZ_HOME (our files) or HF_HOME (the Hugging Face cache)"
            ) from error
        raise StorageError(f"cannot use {where}: {error.strerror or error}") from error


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk of ``folder``, or of its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def human_bytes(count: float) -> str:
    """``1.5 GB``: decimal units, as shops and the Hub count."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by a file with ``content``; it is the old or the new one at any moment."""
    with as_storage_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """:func:`write_atomically` as JSON."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in ``path``; ``None`` where the file is missing or holds anything else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
