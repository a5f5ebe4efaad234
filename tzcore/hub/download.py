"""Brings a model repository's needed files, and no others, into the Hugging Face cache."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzcore.errors import AccessError, SourceError, StorageError
from tzcore.hub import repository as hub_repository
from tzcore.hub.cache import CachedRepository
from tzcore.hub.repository import Repository, RepositoryFile
from tzcore.hub.storage import free_bytes, human_bytes
from tzcore.hub.transport import Patience, RemoteFile, fetch
from tzcore.progress import Progress, Report, ignore

INDEX = "model.safetensors.index.json"
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
"""What is taken beside the weights, where the repository has it."""
_REQUIRED = ("config.json", "tokenizer.json")
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_PICKLE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
PATIENCE = Patience()
_REPORT_EVERY = 0.1


@dataclass(frozen=True)
class Snapshot:
    """A repository whose needed files all lie in ``folder``."""

    folder: Path
    repository: Repository


def obtain(
    repo: str,
    revision: str | None,
    report: Report = ignore,
    token: str | None = None,
    refresh: bool = False,
    examine: Callable[[dict[str, Any]], None] = lambda config: None,
) -> Snapshot:
    """The needed files of ``org/name``, downloaded where they are not in the cache already.

    What is complete in the cache is used without any request; ``refresh`` asks whether the
    branch has moved on.  ``examine`` is shown the ``config.json`` before any weights are fetched
    and may raise.  Errors as in :mod:`tzcore.hub.repository` and :func:`transport.fetch`.
    """
    cache = CachedRepository.of(repo)
    if not refresh or hub_repository.offline():
        if complete := cached(repo, revision):
            examine(_read_config(cache, complete.repository))
            return complete
        if hub_repository.offline():
            raise hub_repository.is_offline(repo)
    report(Progress("resolve", 0, 0, "bytes", repo))
    repository = hub_repository.look_up(repo, revision, token)
    small, weights = needed(repository)
    cache.remember(revision, repository)
    order = [*small, *weights]
    _demand_space(cache, repository, order)
    have = {file.name: file.size - _missing(cache, repository, file) for file in order}
    tally = _Tally(report, have, sum(file.size for file in order))
    for file in order:  # config.json comes first
        _bring(cache, repository, file, token, tally)
        if file.name == "config.json":
            examine(_read_config(cache, repository))
        if file.name == INDEX:
            _check_index(cache.pointer(repository.commit, INDEX), repository)
    return Snapshot(cache.snapshot(repository.commit), repository)


def cached(repo: str, revision: str | None) -> Snapshot | None:
    """The snapshot if everything needed is in the cache; no request is made."""
    cache = CachedRepository.of(repo)
    commit = cache.commit_of(revision)
    if commit is None:
        return None
    known = cache.recall(commit)
    if known is None:
        known = cache.fetched_by_others(commit)
        return Snapshot(cache.snapshot(commit), known) if known else None
    complete = all(cache.has(commit, file) for group in needed(known) for file in group)
    return Snapshot(cache.snapshot(commit), known) if complete else None


def obtain_small(repository: Repository, token: str | None, examine: Callable[[dict[str, Any]], None]) -> Path:
    """The snapshot's folder with all needed files but the weights; ``examine`` as in :func:`obtain`."""
    cache = CachedRepository.of(repository.id)
    small = needed(repository)[0]
    tally = _Tally(ignore, dict.fromkeys((file.name for file in small), 0), 0)
    for file in small:
        _bring(cache, repository, file, token, tally)
        if file.name == "config.json":
            examine(_read_config(cache, repository))
        if file.name == INDEX:
            _check_index(cache.pointer(repository.commit, INDEX), repository)
    return cache.snapshot(repository.commit)


def missing_bytes(repository: Repository) -> int:
    """Bytes that :func:`obtain` would still fetch."""
    cache = CachedRepository.of(repository.id)
    return sum(_missing(cache, repository, file) for group in needed(repository) for file in group)


def needed(repository: Repository) -> tuple[list[RepositoryFile], list[RepositoryFile]]:
    """The small files and the weights to fetch.  SourceError says why a repository is of no use."""
    by_name = {file.name: file for file in repository.files}
    small = [by_name[name] for name in SMALL_FILES if name in by_name]
    if INDEX in by_name:
        small.append(by_name[INDEX])
        weights = sorted((f for f in repository.files if _SHARD.fullmatch(f.name)), key=lambda file: file.name)
    else:
        weights = [by_name["model.safetensors"]] if "model.safetensors" in by_name else []
    if not weights:
        raise _no_weights(repository)
    for name in _REQUIRED:
        if name not in by_name:
            raise SourceError(f"{repository.id} has no {name}, so it cannot be used; look for a complete version of it")
    return small, weights


def fetch_config(repository: Repository, token: str | None) -> dict[str, Any] | None:
    """The repository's ``config.json``, by way of the cache; ``None`` if it has none."""
    file = next((file for file in repository.files if file.name == "config.json"), None)
    if file is None:
        return None
    cache = CachedRepository.of(repository.id)
    _bring(cache, repository, file, token, _Tally(ignore, {file.name: 0}, file.size))
    return _read_config(cache, repository)


def _read_config(cache: CachedRepository, repository: Repository) -> dict[str, Any]:
    try:
        config = json.loads(cache.pointer(repository.commit, "config.json").read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise SourceError(f"the config.json of {repository.id} is not valid JSON")
    return config


def _no_weights(repository: Repository) -> SourceError:
    names = [file.name for file in repository.files]
    repo = repository.id
    if any(name.startswith("adapter_") for name in names):
        return SourceError(f"{repo} is an adapter (LoRA), not a whole model; take one that it was merged into")
    if ggufs := sorted(name for name in names if name.endswith(".gguf")):
        return SourceError(
            f"{repo} holds GGUF files only ({', '.join(ggufs[:3])}{', ...' if len(ggufs) > 3 else ''}); "
            "download one of them and give its path, or take the original model's id"
        )
    if any(name.endswith(_PICKLE) for name in names):
        return SourceError(
            f"{repo} holds pickle weights only, which can run code when opened, so they are never loaded; "
            "look for a version with safetensors"
        )
    if any(name.endswith(".safetensors") for name in names):
        return SourceError(f"{repo} has safetensors files, but no model.safetensors or {INDEX}: not a language model")
    return SourceError(f"{repo} has no weights as safetensors")


def _check_index(path: Path, repository: Repository) -> None:
    """Every shard that the index names must be in the repository (and so among those fetched)."""
    try:
        named = set(json.loads(path.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(f"the {INDEX} of {repository.id} is damaged") from None
    fetched = {file.name for file in needed(repository)[1]}
    if lost := sorted(str(name) for name in named - fetched):
        raise SourceError(f"{repository.id} lacks {', '.join(lost[:3])}, which its {INDEX} names")


class _Tally:
    """Adds up the files' progress into one, beginning with what is there already."""

    def __init__(self, report: Report, have: dict[str, int], total: int) -> None:
        self.report, self.have, self.total = report, have, total
        self.last = 0.0

    def moved(self, name: str, count: int) -> None:
        """``count`` bytes of the file ``name`` are there; told on often enough for an eye and not more."""
        self.have[name] = max(self.have[name], count)
        shown = sum(self.have.values())
        if (now := time.monotonic()) - self.last >= _REPORT_EVERY or shown == self.total:
            self.last = now
            self.report(Progress("download", shown, self.total, "bytes", name))


def _bring(
    cache: CachedRepository, repository: Repository, file: RepositoryFile, token: str | None, tally: _Tally
) -> None:
    if not cache.has(repository.commit, file):
        remote = remote_file(repository, file, token)
        with access_explained(repository, token):
            fetch(remote, cache.blob(file), lambda count: tally.moved(file.name, count), cache.lock(file), PATIENCE)
        cache.publish(repository.commit, file)
    tally.moved(file.name, file.size)


def remote_file(repository: Repository, file: RepositoryFile, token: str | None) -> RemoteFile:
    """Where the Hub has the file, and what it must be."""
    from huggingface_hub import constants, hf_hub_url

    return RemoteFile(
        hf_hub_url(repository.id, file.name, revision=repository.commit, endpoint=constants.ENDPOINT),
        f"{file.name} of {repository.id}",
        file.size,
        sha256=file.sha256,
        git_sha1=None if file.sha256 else file.blob,
        headers=hub_repository.headers(token),
    )


@contextmanager
def access_explained(repository: Repository, token: str | None) -> Iterator[None]:
    """A refusal within says what to do about a gated repository."""
    try:
        yield
    except AccessError as error:
        if repository.gated:
            raise hub_repository.gated(repository.id, token) from error
        raise


def _missing(cache: CachedRepository, repository: Repository, file: RepositoryFile) -> int:
    if cache.has(repository.commit, file):
        return 0
    blob = cache.blob(file)
    if blob.is_file() and blob.stat().st_size == file.size:
        return 0
    part = blob.with_name(blob.name + ".part")
    return file.size - min(file.size, part.stat().st_size) if part.is_file() else file.size


def _demand_space(cache: CachedRepository, repository: Repository, files: list[RepositoryFile]) -> None:
    missing = sum(_missing(cache, repository, file) for file in files)
    free = free_bytes(cache.root)
    if free < missing:
        raise StorageError(
            f"not enough room for {repository.id}: {human_bytes(missing)} to download, {human_bytes(free)} free "
            f"in {cache.root.parent}; free some space, or set HF_HOME to a larger disk"
        )
