"""Texts that models have read, kept on disk: where they lie, and how much of them is kept.

``contexts/MODEL-FORM/`` is a tree of pieces (:mod:`tzcore.engine.piece_tree`): MODEL is a hash of what the model
folder is, FORM of how the backend stores keys and values, and of the rotary frequencies, which can depend on the
context that was asked for.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tzcore import paths
from tzcore.architecture.spec import ModelSpec
from tzcore.atomic import storage_errors
from tzcore.checkpoint.reader import INDEX
from tzcore.engine.piece import ROOT, VERSION, PieceName
from tzcore.engine.piece_tree import PieceTree
from tzcore.errors import CheckpointError, StorageError

QUOTA = 8 << 30
"""Bytes that all snapshots may take."""
_SHARE_OF_FREE = 10  # they take at most this part of what is free on their disk
_REST_AFTER_EVICTION = 7 / 8  # of the quota, so that not every piece needs an eviction


@dataclass
class Snapshots:
    """``root`` holds them all, at most ``quota`` bytes."""

    quota: int = QUOTA
    root: Path = field(default_factory=paths.contexts)
    _unseen: int = field(default=0, init=False)  # bytes that may be written until the disk is looked at again

    def open(self, model: Path, spec: ModelSpec, form: str) -> PieceTree:
        """The texts of the model folder ``model`` whose keys and values have the form ``form``."""
        return PieceTree(self.root / f"{model_key(model)}-{_form_key(spec, form)}")

    def clean(self) -> None:
        """Remove what a process that was killed has left half-written."""
        for file in self.root.glob("*/*.tmp"):
            with suppress(OSError, ValueError):
                if _abandoned(file):
                    file.unlink()

    def make_room(self, size: int) -> None:
        """Before ``size`` bytes are written: remove the pieces unused for longest where they would be too many.

        StorageError where not even that leaves room for them, or the folder cannot be made.
        """
        self._unseen -= size
        if self._unseen >= 0:
            return
        pieces = self._pieces()
        held = sum(piece.bytes for piece in pieces)
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            limit = min(self.quota, (shutil.disk_usage(self.root).free + held) // _SHARE_OF_FREE)
        if size > limit:
            raise StorageError(f"{limit:,} bytes for snapshots in {self.root} are not enough for one of {size:,}")
        if held + size > limit:
            held -= _evict(pieces, held + size - int(limit * _REST_AFTER_EVICTION))
        # Other processes may write too, so that the whole rest is never one's own.
        self._unseen = max(limit - held - size, 0) // 2

    def bytes(self) -> int:
        """What all of them take now."""
        return sum(piece.bytes for piece in self._pieces())

    def forget(self, model: Path, beginning: list[int]) -> int:
        """Remove the texts of a model that begin so, in all forms; the pieces that were removed."""
        folders = self.root.glob(f"{model_key(model)}-*")
        return sum(PieceTree(folder).forget(beginning) for folder in folders)

    def bytes_of(self, model: Path) -> int:
        """Bytes that all texts of a model take."""
        folders = set(self.root.glob(f"{model_key(model)}-*"))
        return sum(piece.bytes for piece in self._pieces() if piece.folder in folders)

    def remove(self, model: Path) -> int:
        """Remove all texts of a model; the bytes they took."""
        freed = self.bytes_of(model)
        for folder in self.root.glob(f"{model_key(model)}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        return freed

    def _pieces(self) -> list[_Piece]:
        found = []
        for folder in self.root.glob("*/"):
            with suppress(OSError), os.scandir(folder) as files:
                for file in files:
                    if (name := PieceName.parse(file.name)) is not None:
                        with suppress(OSError):
                            status = file.stat()
                            found.append(_Piece(status.st_mtime_ns, folder, name, status.st_size))
        return found


def _abandoned(temporary: Path) -> bool:
    """Whether the process that began this file, whose number is in its name, is gone; another may have the number."""
    try:
        process = psutil.Process(int(temporary.name.split(".")[-2]))
        return temporary.stat().st_mtime < process.create_time()
    except psutil.Error:
        return True


@dataclass(frozen=True, order=True)
class _Piece:
    used: int
    folder: Path
    name: PieceName = field(compare=False)
    bytes: int = field(compare=False)


def _evict(pieces: list[_Piece], wanted: int) -> int:
    """Remove ``wanted`` bytes of pieces, or all there are: the oldest first, none before those that need it."""
    known = {(piece.folder, piece.name.own): piece for piece in pieces}
    children = Counter((piece.folder, piece.name.parent) for piece in pieces)
    leaves = [piece for piece in pieces if not children[piece.folder, piece.name.own]]
    heapq.heapify(leaves)
    freed = 0
    while leaves and freed < wanted:
        piece = heapq.heappop(leaves)
        with suppress(OSError):
            (piece.folder / str(piece.name)).unlink()
        freed += piece.bytes
        above = (piece.folder, piece.name.parent)
        children[above] -= 1
        if not children[above] and piece.name.parent != ROOT and above in known:
            heapq.heappush(leaves, known[above])
    return freed


def model_key(model: Path) -> str:
    """What tells one conversion of a model from another, without reading its weights.  CheckpointError where a
    file is missing."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("config.json", "receipt.json", INDEX):
        try:
            content = (model / name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"cannot read {model / name}: {error.strerror or error}") from None
        if name == "receipt.json":
            content = _unmeasured(content)
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _unmeasured(receipt: bytes) -> bytes:
    """A receipt without what was measured later: the model is the same one."""
    try:
        value = json.loads(receipt)
    except (ValueError, RecursionError):
        return receipt
    if not isinstance(value, dict):
        return receipt
    return json.dumps({name: part for name, part in value.items() if name != "quality"}).encode()


def _form_key(spec: ModelSpec, form: str) -> str:
    digest = hashlib.blake2b(f"{VERSION} {form}".encode(), digest_size=16)
    for rope in spec.ropes:
        digest.update(f"{rope.scale!r}".encode() + rope.inverse_frequencies.tobytes())
    return digest.hexdigest()
