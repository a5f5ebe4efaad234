"""SHA-256 of large local files, worked out once and remembered until the file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tzcore import paths
from tzcore.errors import SourceError
from tzcore.hub.storage import read_json, write_json
from tzcore.progress import Progress, Report, ignore

_BLOCK = 1 << 23


def sha256_of(files: Sequence[Path], report: Report = ignore) -> str:
    """The hash that stands for ``files``: of the content for one, of names and hashes for several.

    A file is known again by path, size and time of change.  Reports phase ``"resolve"``.
    """
    try:
        total = sum(path.stat().st_size for path in files)
        done, hashes = 0, {}
        for path in files:
            hashes[path.name] = _one(path, done, total, report)
            done += path.stat().st_size
    except OSError as error:
        raise SourceError(f"cannot read {error.filename}: {error.strerror}") from error
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    joined = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(joined.encode()).hexdigest()


def _one(path: Path, done: int, total: int, report: Report) -> str:
    real = path.resolve()
    stat = real.stat()
    mark = {"path": str(real), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    memory = paths.sources() / "hashes" / f"{hashlib.sha256(str(real).encode()).hexdigest()[:24]}.json"
    known = read_json(memory)
    if known and all(known.get(key) == value for key, value in mark.items()):
        return str(known["sha256"])
    digest = hashlib.sha256()
    with open(real, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            report(Progress("resolve", done, total, "bytes", f"reading {path.name}"))
    write_json(memory, {**mark, "sha256": digest.hexdigest()})
    return digest.hexdigest()
