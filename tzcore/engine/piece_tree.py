"""A folder of pieces: the texts of one model in one form of keys and values, as a tree by their beginnings."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tzcore import atomic
from tzcore.backend.base import PIECE
from tzcore.engine.piece import ROOT, PieceError, PieceName, read_payload, read_tokens, written
from tzcore.engine.texts import shared

logger = logging.getLogger("tzcore.engine")

_AHEAD = 2  # pieces that are read and checked while another is taken in


@dataclass(frozen=True)
class Found:
    """The pieces that hold the first ``length`` tokens of a text; the last may hold more."""

    length: int
    pieces: list[PieceName]


class PieceTree:
    """The pieces in ``path``, whose name is their key.  Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = hashlib.blake2b(path.name.encode(), digest_size=16).digest()

    def find(self, tokens: list[int]) -> Found:
        """The longest beginning of ``tokens`` that is stored."""
        children = self._children()
        parent, at, pieces = ROOT, 0, list[PieceName]()
        while at < len(tokens):
            wanted = tokens[at : at + PIECE]
            name = PieceName.of(parent, wanted)
            common = len(wanted)
            if name not in children.get(parent, ()):
                ranked = [(shared(held, wanted), other) for other, held in self._held(children.get(parent, []))]
                common, name = max(ranked, key=lambda pair: pair[0], default=(0, name))
            if common:
                pieces.append(name)
                at += common
            if common < PIECE:
                break
            parent = name.own
        return Found(at, pieces)

    def payloads(self, pieces: Sequence[PieceName]) -> Iterator[bytes]:
        """Their keys and values, in turn.  One that is damaged is removed, and ends it with a PieceError."""
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="snapshot") as pool:
            waiting: deque[tuple[PieceName, Future[bytes]]] = deque()
            try:
                for name in pieces:
                    waiting.append((name, pool.submit(read_payload, self._at(name), self._key)))
                    if len(waiting) > _AHEAD:
                        yield self._taken(*waiting.popleft())
                while waiting:
                    yield self._taken(*waiting.popleft())
            finally:
                for _, future in waiting:
                    future.cancel()

    def has(self, parent: str, tokens: list[int]) -> bool:
        """Whether a piece holds ``tokens`` after ``parent``, and perhaps more; it counts as used then."""
        name = PieceName.of(parent, tokens)
        if not self.there(name):
            if len(tokens) == PIECE:
                return False
            siblings = self._held(self._children().get(parent, []))
            longer = next((other for other, held in siblings if held[: len(tokens)] == tokens), None)
            if longer is None:
                return False
            name = longer
        self.touch([name])
        return True

    def there(self, name: PieceName) -> bool:
        """Whether the piece is still stored."""
        return self._at(name).exists()

    def put(self, parent: str, tokens: list[int], payload: bytes) -> int:
        """Store a piece, in place of shorter ones that it contains; the bytes it takes.

        StorageError where the disk is full or cannot be written.
        """
        name = PieceName.of(parent, tokens)
        parts = written(self._key, name, tokens, payload)
        atomic.write(self._at(name), parts, temporary=self.path / f"{name}.{os.getpid()}.tmp")
        siblings = [other for other in self._children().get(parent, []) if other != name]
        for other, held in self._held(siblings):
            if len(held) < len(tokens) and tokens[: len(held)] == held:
                self._remove(other)
        return sum(map(len, parts))

    def touch(self, pieces: Sequence[PieceName]) -> None:
        """They were used just now, the last of them first."""
        for name in reversed(pieces):
            with suppress(OSError):
                os.utime(self._at(name))

    def forget(self, beginning: list[int]) -> int:
        """Remove all that begins so, and what is left of the way to it without another text on it; the pieces
        that were removed."""
        children = self._children()
        path = self._path(children, beginning)
        removed = 0
        for depth in reversed(range(len(path))):
            parent = path[depth - 1].own if depth else ROOT
            rest = beginning[depth * PIECE :]
            for name, held in self._held(children.get(parent, [])):
                # The last of the way holds the beginning's end, or less of it; the others lead to it.
                if held[: len(rest)] == rest or (rest[: len(held)] == held and not children.get(name.own)):
                    removed += self._remove_below(children, name)
        return removed

    def _path(self, children: dict[str, list[PieceName]], beginning: list[int]) -> list[PieceName]:
        """The names of the pieces of ``beginning``, down to the first that is not stored as it is."""
        path: list[PieceName] = []
        for at in range(0, len(beginning), PIECE):
            path.append(PieceName.of(path[-1].own if path else ROOT, beginning[at : at + PIECE]))
            if path[-1] not in children.get(path[-1].parent, ()):
                break
        return path

    def _remove_below(self, children: dict[str, list[PieceName]], name: PieceName) -> int:
        removed, waiting = 0, [name]
        while waiting:
            one = waiting.pop()
            waiting += children.get(one.own, [])
            self._remove(one)
            removed += 1
        siblings = children[name.parent]
        siblings.remove(name)
        return removed

    def _children(self) -> dict[str, list[PieceName]]:
        """The pieces there are, by their parents."""
        children: dict[str, list[PieceName]] = {}
        with suppress(OSError):
            for file in os.listdir(self.path):
                if (name := PieceName.parse(file)) is not None:
                    children.setdefault(name.parent, []).append(name)
        return children

    def _held(self, names: Sequence[PieceName]) -> list[tuple[PieceName, list[int]]]:
        """The pieces with their tokens; damaged ones are removed."""
        found = []
        for name in names:
            try:
                found.append((name, read_tokens(self._at(name), self._key)))
            except PieceError as error:
                self._drop(name, error)
        return found

    def _taken(self, name: PieceName, future: Future[bytes]) -> bytes:
        try:
            return future.result()
        except PieceError as error:
            self._drop(name, error)
            raise

    def _drop(self, name: PieceName, error: PieceError) -> None:
        if self.there(name):  # else another process removed it
            logger.warning("%s; it is removed, and the text is read again from there", error)
            self._remove(name)

    def _remove(self, name: PieceName) -> None:
        with suppress(OSError):
            self._at(name).unlink()

    def _at(self, name: PieceName) -> Path:
        return self.path / str(name)
