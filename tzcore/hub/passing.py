"""A hub repository whose weights pass through: shards are fetched as they are read, and deleted when used up.

Shards lie in our own folder, never in the Hugging Face cache; one that is complete in that cache
is read there and left alone.  The small files (configuration, tokenizer) are kept in the cache.
Headers come first, by range requests, so that names and shapes are known without the weights.  A shard
is verified when it comes, and then what was read of it before, for which there is no checksum.
"""

from __future__ import annotations

import builtins
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tzcore import atomic, paths
from tzcore.errors import SourceError
from tzcore.hub import download, repository
from tzcore.hub.cache import CachedRepository
from tzcore.hub.formats.safetensors_folder import carried_files, check_index, read_config
from tzcore.hub.formats.safetensors_values import (
    StoredTensor,
    decode,
    parse_header,
    read_bytes,
    read_header,
    read_tensor,
)
from tzcore.hub.ranges import read_range
from tzcore.hub.repository import Repository, RepositoryFile
from tzcore.hub.shards import IN_USE, Shards
from tzcore.hub.storage import as_storage_error, write_atomically
from tzcore.hub.transport import Moved, RemoteFile, fetch
from tzcore.progress import Progress, Report

if TYPE_CHECKING:
    from filelock import FileLock

_FIRST = 1 << 17
"""Bytes asked for at first; most headers are shorter."""
_LONGEST = 100 << 20


class PassingRepository:
    """The repository as a weight source, and as a :class:`~tzcore.checkpoint.source.PassingSource`.

    A tensor that is not expected is read by itself, without its shard.  What is left to read of a shard, but
    only long after the others (a head that is the embedding as well), is set aside in files of its own,
    so that the shard can go.  Raises SourceError where another process is at the same repository in this way.
    """

    def __init__(self, known: Repository, snapshot: Path, source_id: str, report: Report, token: str | None) -> None:
        self.id, self.revision, self.licence = source_id, known.commit, known.licence
        self.config: dict[str, Any] = read_config(snapshot)
        self.files: dict[str, Path] = carried_files(snapshot)
        self._repository, self._token = known, token
        self._folder = _folder_of(known.id, known.commit)
        self._tensors: dict[str, StoredTensor] = {}
        self._expected: dict[str, None] = {}
        self._read_alone: dict[str, builtins.bytes] = {}  # SHA-256
        self._checked: set[str] = set()
        cache = CachedRepository.of(known.id)
        weights = download.needed(known)[1]
        self._passing = {file.name: file for file in weights if not cache.has(known.commit, file)}
        self._shards = Shards(self._folder, {name: f.size for name, f in self._passing.items()}, self._bring, report)
        self._lock = _only_one(known.id)
        try:
            for at, file in enumerate(weights):
                report(Progress("resolve", at, len(weights), "files", f"header of {file.name}"))
                cached = file.name not in self._passing
                self._add(read_header(cache.pointer(known.commit, file.name)) if cached else self._header(file))
            check_index(snapshot, self._tensors)
            copies = ((name, self._copy_of(tensor)) for name, tensor in self._tensors.items())
            self._aside = {name: copy for name, copy in copies if copy.file.is_file()}
        except BaseException as error:
            if isinstance(error, SourceError):  # perhaps a header that was damaged on the way
                self._forget(self._passing)
            self.close()
            raise

    def _add(self, tensors: dict[str, StoredTensor]) -> None:
        for name, tensor in tensors.items():
            if name in self._tensors:
                raise SourceError(f"{name} is stored twice: in {self._tensors[name].file.name} and {tensor.file.name}")
            self._tensors[name] = tensor

    # --- a weight source -----------------------------------------------------------------------

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def _stored(self, name: str) -> StoredTensor:
        try:
            return self._aside.get(name) or self._tensors[name]
        except KeyError:
            raise SourceError(f"{self.id} has no tensor {name}; its files are incomplete") from None

    def shape(self, name: str) -> tuple[int, ...]:
        return self._stored(name).shape

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        stored = self._stored(name)
        file = self._passing.get(stored.file.name)
        if file is not None:
            if name not in self._expected and not self._shards.has(file.name):
                raw = self._range(file, stored.start, stored.start + stored.length)
                self._read_alone[name] = hashlib.sha256(raw).digest()
                return decode(stored, raw)
            self._shards.obtain(file.name)
            self._check(file.name)
        return read_tensor(stored)

    def bytes(self) -> int:
        return sum(tensor.length for tensor in self._tensors.values())

    def close(self) -> None:
        """Stop fetching; what is on the disk stays there for the next time."""
        self._shards.close()
        self._lock.release()

    # --- that passes through -------------------------------------------------------------------

    def expect(self, names: Sequence[str]) -> None:
        """As in :class:`~tzcore.checkpoint.source.PassingSource`."""
        self._expected = dict.fromkeys(names)
        self._settle()

    def release(self, names: Iterable[str]) -> None:
        """As in :class:`~tzcore.checkpoint.source.PassingSource`."""
        for name in names:
            self._expected.pop(name, None)
        self._settle()
        self._shards.look_ahead()

    def dispose(self) -> None:
        """As in :class:`~tzcore.checkpoint.source.PassingSource`."""
        self.expect(())
        shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _settle(self) -> None:
        """Keep no more on the disk than what is expected needs."""
        for shard in self._order()[IN_USE:]:
            if self._shards.has(shard):
                self._set_aside(shard)
        for name in self._aside.keys() - self._expected.keys():
            with as_storage_error(self._folder):
                self._aside.pop(name).file.unlink(missing_ok=True)
        self._shards.need(self._order())

    def _set_aside(self, shard: str) -> None:
        """Copy what is left to read of ``shard``, unless that is all of it."""
        held = [tensor for tensor in self._tensors.values() if tensor.file.name == shard]
        left = [tensor for tensor in held if tensor.name in self._expected and tensor.name not in self._aside]
        if len(left) < len(held):
            self._check(shard)
            for tensor in left:
                copy = self._copy_of(tensor)
                atomic.write(copy.file, [read_bytes(tensor)])
                self._aside[tensor.name] = copy

    def _copy_of(self, tensor: StoredTensor) -> StoredTensor:
        """Where the tensor lies if it was set aside; not under its name, which may be no file's."""
        name = hashlib.sha256(tensor.name.encode()).hexdigest()
        return replace(tensor, file=self._folder / f"{name}.tensor", start=0)

    def _order(self) -> list[str]:
        """The shards that hold what is expected, by what is read first of each."""
        shards = dict.fromkeys(self._stored(name).file.name for name in self._expected)
        return [name for name in shards if name in self._passing]

    @property
    def shards(self) -> list[RepositoryFile]:
        """Those that pass through; the others lie in the Hugging Face cache."""
        return list(self._passing.values())

    # --- fetching ------------------------------------------------------------------------------

    def _check(self, shard: str) -> None:
        """SourceError unless what was read of the shard before it came agrees with it."""
        if shard in self._checked:
            return
        path = self._shards.path(shard)
        here = {name: tensor for name, tensor in self._tensors.items() if tensor.file == path}
        alone = here.keys() & self._read_alone.keys()
        if read_header(path) != here or any(
            hashlib.sha256(read_bytes(here[name])).digest() != self._read_alone[name] for name in alone
        ):
            self._forget([shard])
            raise SourceError(
                f"what was read of {shard} of {self._repository.id} before it came whole was damaged on the way; "
                "start again"
            )
        self._checked.add(shard)

    def _note_of(self, shard: str) -> Path:
        """Where the header that was read of the shard is kept."""
        return self._folder / f"{shard}.header"

    def _forget(self, shards: Iterable[str]) -> None:
        """Headers are read again the next time."""
        for shard in shards:
            self._note_of(shard).unlink(missing_ok=True)

    def _bring(self, shard: str, target: Path, moved: Moved) -> None:
        remote, lock = self._remote(self._passing[shard]), target.with_name(f"{shard}.lock")
        with download.access_explained(self._repository, self._token):
            fetch(remote, target, moved, lock, download.PATIENCE)

    def _range(self, file: RepositoryFile, start: int, stop: int) -> builtins.bytes:
        remote = self._remote(file)
        with download.access_explained(self._repository, self._token):
            return read_range(remote, start, stop, download.PATIENCE)

    def _remote(self, file: RepositoryFile) -> RemoteFile:
        if repository.offline():
            raise repository.is_offline(self._repository.id)
        return download.remote_file(self._repository, file, self._token)

    def _header(self, file: RepositoryFile) -> dict[str, StoredTensor]:
        """Of a shard that need not be here; what was read once is kept."""
        path, note = self._shards.path(file.name), self._note_of(file.name)
        if note.is_file():
            with suppress(SourceError):  # damaged: read it again
                return parse_header(path, note.read_bytes(), file.size)
        start = self._range(file, 0, min(file.size, _FIRST))
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 or length > min(_LONGEST, file.size - 8):
            raise SourceError(f"{file.name} of {self._repository.id} is not a safetensors file")
        raw = start[8 : 8 + length]
        if len(raw) < length:
            raw += self._range(file, 8 + len(raw), 8 + length)
        tensors = parse_header(path, raw, file.size)
        write_atomically(note, raw)
        return tensors


def _folder_of(repo: str, commit: str) -> Path:
    return paths.sources() / "passing" / CachedRepository.of(repo).root.name / commit


def _only_one(repo: str) -> FileLock:
    """The lock that keeps a second process from deleting what the first one reads."""
    from filelock import FileLock, Timeout

    folder = paths.sources() / "passing"
    with as_storage_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{CachedRepository.of(repo).root.name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise SourceError(
                f"{repo} is being converted with --discard-source by another process; wait until that is done"
            ) from None
    return lock


def open_passing(
    repo: str,
    revision: str | None,
    source_id: str,
    report: Report,
    token: str | None,
    examine: Callable[[dict[str, Any]], None],
) -> PassingRepository:
    """``org/name`` with its small files and its headers fetched, but no weights.

    A commit that was begun with is gone on with, wherever the branch is now.  Errors as in
    :func:`tzcore.hub.download.obtain`.
    """
    cache = CachedRepository.of(repo)
    commit = cache.commit_of(revision)
    known = cache.recall(commit) if commit and _folder_of(repo, commit).is_dir() else None
    if known is None:
        if repository.offline():
            raise repository.is_offline(repo)
        report(Progress("resolve", 0, 0, "bytes", repo))
        known = repository.look_up(repo, revision, token)
        cache.remember(revision, known)
    snapshot = download.obtain_small(known, token, examine)
    return PassingRepository(known, snapshot, source_id, report, token)
