"""The Hugging Face cache on disk: where files lie so that every other program finds them too.

The layout is huggingface_hub's (its guide "Understand caching"): ``models--org--name/`` with
``refs/BRANCH`` naming a commit, ``snapshots/COMMIT/FILE`` pointing into ``blobs/``; where
symbolic links are not possible the file itself lies in the snapshot.  Complete files are
used, whoever fetched them; nothing in the cache is ever changed, only added or, where a
blob has not the length its name stands for, replaced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzcore import paths
from tzcore.errors import SourceError
from tzcore.hub.repository import Repository, RepositoryFile, hub
from tzcore.hub.storage import as_storage_error, read_json, write_atomically, write_json

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class CachedRepository:
    """The cache folder of one model repository, which need not exist yet."""

    repo: str
    root: Path

    @classmethod
    def of(cls, repo: str) -> CachedRepository:
        """The folder for ``org/name`` in the cache that ``HF_HOME`` and ``HF_HUB_CACHE`` point to."""
        hub()
        from huggingface_hub import constants

        return cls(repo, Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}")

    def snapshot(self, commit: str) -> Path:
        """The folder with the repository's files at ``commit``."""
        return self.root / "snapshots" / commit

    def pointer(self, commit: str, file: str) -> Path:
        """Where ``file`` is to be found; a name that leads out of the snapshot is a SourceError."""
        parts = PurePosixPath(file).parts
        if not parts or ".." in parts or file.startswith("/") or "\\" in file or ":" in file:
            raise SourceError(f"{self.repo} has a file with the unusable name {file!r}")
        return self.snapshot(commit).joinpath(*parts)

    def blob(self, file: RepositoryFile) -> Path:
        """Where the content of ``file`` is stored."""
        if not re.fullmatch(r"[0-9a-zA-Z]{8,128}", file.blob):
            raise SourceError(f"{self.repo}: {file.name} has the unusable content id {file.blob!r}")
        return self.root / "blobs" / file.blob

    def lock(self, file: RepositoryFile) -> Path:
        """The lock that huggingface_hub itself takes for this blob."""
        return self.root.parent / ".locks" / self.root.name / f"{file.blob}.lock"

    def has(self, commit: str, file: RepositoryFile) -> bool:
        """Whether ``file`` lies complete in the snapshot."""
        pointer = self.pointer(commit, file.name)
        return pointer.is_file() and pointer.stat().st_size == file.size

    def publish(self, commit: str, file: RepositoryFile) -> Path:
        """Make the blob of ``file`` appear in the snapshot: a relative link, or the file itself."""
        from huggingface_hub import constants

        blob, pointer = self.blob(file), self.pointer(commit, file.name)
        with as_storage_error(pointer):
            if self.has(commit, file):
                return pointer
            pointer.parent.mkdir(parents=True, exist_ok=True)
            temporary = pointer.with_name(f".{pointer.name}.{uuid.uuid4().hex[:8]}.tmp")
            try:
                if constants.HF_HUB_DISABLE_SYMLINKS:
                    raise OSError("links are switched off")
                os.symlink(os.path.relpath(blob, pointer.parent), temporary)
            except (OSError, NotImplementedError):
                if self._used_elsewhere(blob):
                    shutil.copyfile(blob, temporary)
                else:
                    os.replace(blob, temporary)
            os.replace(temporary, pointer)
            return pointer

    def _used_elsewhere(self, blob: Path) -> bool:
        snapshots = self.root / "snapshots"
        links = (path for path in snapshots.rglob("*") if path.is_symlink()) if snapshots.is_dir() else ()
        return any(link.resolve() == blob.resolve() for link in links)

    # --- which commit, and what belongs to it --------------------------------------------------

    def commit_of(self, revision: str | None) -> str | None:
        """The commit that ``revision`` was known to be last; ``None`` if it was never looked up."""
        wanted = revision or "main"
        if COMMIT.fullmatch(wanted):
            return wanted
        try:
            commit = (self.root / "refs" / wanted).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return commit if COMMIT.fullmatch(commit) else None

    def remember(self, revision: str | None, repository: Repository) -> None:
        """Note what ``revision`` is, in the cache, and the list of its files, in our own folder."""
        wanted = revision or "main"
        if wanted != repository.commit and self.commit_of(wanted) != repository.commit:
            write_atomically(self.root / "refs" / wanted, repository.commit.encode())
        write_json(self._listing(repository.commit), repository.as_json())

    def recall(self, commit: str) -> Repository | None:
        """What :meth:`remember` noted about ``commit``; ``None`` if nothing usable."""
        raw = read_json(self._listing(commit))
        try:
            return Repository.from_json(raw) if raw else None
        except (KeyError, TypeError):
            return None

    def _listing(self, commit: str) -> Path:
        return paths.sources() / "hub" / self.root.name / f"{commit}.json"

    def fetched_by_others(self, commit: str) -> Repository | None:
        """The snapshot as a repository if all a conversion needs lies there, though we never saw its listing."""
        folder = self.snapshot(commit)
        try:
            names = {path.name for path in folder.iterdir() if path.is_file()}
            index = folder / "model.safetensors.index.json"
            shards = set(json.loads(index.read_bytes())["weight_map"].values()) if index.name in names else set()
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        if not shards and "model.safetensors" in names:
            shards = {"model.safetensors"}
        if not shards or not {"config.json", "tokenizer.json", *shards} <= names:
            return None
        files = tuple(RepositoryFile(name, (folder / name).stat().st_size, "", None) for name in sorted(names))
        return Repository(self.repo, commit, "unknown", False, None, None, files)
