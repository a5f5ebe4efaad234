"""One file of a snapshot: up to 256 tokens of a text, and their keys and values.

A piece is called by what it holds: ``PARENT-OWN.kv``, where OWN is a hash of PARENT and the piece's tokens, and
PARENT the OWN of the piece before it.  So a piece stands for the whole text up to its end, and texts with the same
beginning share its pieces.

Layout, little-endian: magic, version, number of tokens, length of the payload, the key of the folder it belongs to,
parent, own, BLAKE2b of the payload (16 bytes each), the tokens as int32, the payload.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tzcore.backend.base import PIECE
from tzcore.errors import StorageError

MAGIC = b"TZ-KV\r\n\0"
VERSION = 1
ROOT = "0" * 32
"""The parent of a text's first piece."""

_HEAD = struct.Struct("<8sIIQ16s16s16s16s")
_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})\.kv")


class PieceError(StorageError):
    """A file that is no piece of this folder: damaged, cut short, from another model or another version."""


@dataclass(frozen=True)
class PieceName:
    """Whose child a piece is, and its own hash."""

    parent: str
    own: str

    @classmethod
    def of(cls, parent: str, tokens: Sequence[int]) -> PieceName:
        content = bytes.fromhex(parent) + _bytes(tokens)
        return cls(parent, hashlib.blake2b(content, digest_size=16).hexdigest())

    @classmethod
    def parse(cls, name: str) -> PieceName | None:
        """From a file's name; None for other files."""
        found = _NAME.fullmatch(name)
        return None if found is None else cls(*found.groups())

    def __str__(self) -> str:
        return f"{self.parent}-{self.own}.kv"


def written(key: bytes, name: PieceName, tokens: Sequence[int], payload: bytes) -> list[bytes]:
    """What a piece's file holds, in parts."""
    head = _HEAD.pack(
        *(MAGIC, VERSION, len(tokens), len(payload), key, bytes.fromhex(name.parent), bytes.fromhex(name.own)),
        _digest(payload),
    )
    return [head, _bytes(tokens), payload]


def read_tokens(path: Path, key: bytes) -> list[int]:
    """The tokens alone; PieceError where the head is not what it should be."""
    with _opened(path) as file:
        return _read_head(file, path, key)[0]


def read_payload(path: Path, key: bytes) -> bytes:
    """The keys and values, checked."""
    with _opened(path) as file:
        _, digest = _read_head(file, path, key)
        payload = file.read()
    if _digest(payload) != digest:
        raise PieceError(f"{path} is damaged: its checksum is wrong")
    return payload


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise PieceError(f"cannot read {path}: {error.strerror or error}") from None


def _read_head(file: BinaryIO, path: Path, key: bytes) -> tuple[list[int], bytes]:
    """Tokens, and the payload's digest; the file stands at the payload then."""
    raw = file.read(_HEAD.size)
    if len(raw) < _HEAD.size:
        raise PieceError(f"{path} is cut short")
    magic, version, count, length, owner, parent, own, digest = _HEAD.unpack(raw)
    if magic != MAGIC:
        raise PieceError(f"{path} is no piece of a snapshot")
    if version != VERSION:
        raise PieceError(f"{path} has version {version}, this program reads {VERSION}")
    if owner != key:
        raise PieceError(f"{path} belongs to another model, or another form of keys and values")
    if not 0 < count <= PIECE or os.fstat(file.fileno()).st_size != _HEAD.size + 4 * count + length:
        raise PieceError(f"{path} is damaged: its length is wrong")
    tokens: list[int] = np.frombuffer(file.read(4 * count), "<i4").tolist()
    named = PieceName(parent.hex(), own.hex())
    if str(named) != path.name or PieceName.of(named.parent, tokens) != named:
        raise PieceError(f"{path} is damaged: its tokens are not those of its name")
    return tokens, digest


def _bytes(tokens: Sequence[int]) -> bytes:
    return np.asarray(tokens, "<i4").tobytes()


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
