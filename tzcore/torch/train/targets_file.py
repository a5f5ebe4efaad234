"""The original's likeliest tokens at every position of a text, in one file that can be stopped at any moment.

A header of :data:`HEADER` bytes, JSON padded with spaces, then a record a window: log probabilities (float16),
token ids (int32) ``[positions, k]``, the log probabilities of all other tokens and of the text's next token (float32)
``[positions]``, and the CRC-32 of these.  Records are written in order; what a killed run left torn has another sum,
and is made again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import atomic
from tzcore.errors import CheckpointError

HEADER = 4096
_MAGIC = "tz-targets-1"
Floats = npt.NDArray[np.float32]
Record = tuple[npt.NDArray[np.float16], npt.NDArray[np.int32], Floats, Floats]


class TargetsFile:
    """Records of ``windows`` windows with ``positions`` scored positions each, ``k`` tokens at each.

    ``made_from`` says of what original and text they are: a file of others at ``path`` is a CheckpointError.
    ``missing`` are the windows that have no record yet, or a damaged one.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], windows: int, positions: int, k: int) -> None:
        self.path = path
        self._positions, self._k = positions, k
        self._payload = positions * (6 * k + 8)
        self._record = -(-(self._payload + 4) // 8) * 8
        self._map: npt.NDArray[np.uint8] | None = None
        about = {"format": _MAGIC, "windows": windows, "positions": positions, "k": k, "made_from": made_from}
        self._header = json.dumps(about, sort_keys=True).encode()
        if len(self._header) >= HEADER:
            raise CheckpointError(f"{path}: too long a description of the original")
        if path.exists() and path.stat().st_size >= HEADER:
            self._check()
        else:  # nothing, or torn before the header was whole
            atomic.write(path, [self._header.ljust(HEADER - 1) + b"\n"])
        self.missing = [at for at in range(windows) if not self._whole(at)]

    def _check(self) -> None:
        with open(self.path, "rb") as file:
            found = file.read(HEADER).rstrip()
        if found != self._header:
            raise CheckpointError(
                f"{self.path} is damaged, or holds the predictions of another original or text: delete it, or begin "
                "anew"
            )

    def _raw(self, at: int) -> bytes:
        if self._map is None:
            self._map = np.memmap(self.path, np.uint8, "r")
        start = HEADER + at * self._record
        return self._map[start : start + self._record].tobytes()

    def _whole(self, at: int) -> bool:
        raw, end = self._raw(at), self._payload
        return len(raw) == self._record and raw[end : end + 4] == _sum(raw[:end])

    def read(self, at: int) -> Record:
        """Window ``at``: log probabilities, ids, and those of the rest and of the text.  CheckpointError if damaged."""
        if not self._whole(at):
            raise CheckpointError(f"{self.path} is damaged at window {at}: run the same command again")
        raw, size = self._raw(at), self._positions * self._k
        values = np.frombuffer(raw, np.float16, size).reshape(self._positions, self._k).copy()
        tokens = np.frombuffer(raw, np.int32, size, 2 * size).reshape(self._positions, self._k).copy()
        rest = np.frombuffer(raw, np.float32, 2 * self._positions, 6 * size).reshape(2, self._positions).copy()
        return values, tokens, rest[0], rest[1]

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Store the records of some windows; on disk when this returns.  StorageError where there is no room."""
        self._map = None
        with atomic.storage_errors(self.path), open(self.path, "r+b") as file:
            for at, (values, tokens, *others) in records:
                parts = (values.astype("<f2"), tokens.astype("<i4"), *(part.astype("<f4") for part in others))
                payload = b"".join(part.tobytes() for part in parts)
                if len(payload) != self._payload:
                    raise CheckpointError(f"{self.path}: a record of {len(payload)} bytes, expected {self._payload}")
                file.seek(HEADER + at * self._record)
                file.write((payload + _sum(payload)).ljust(self._record, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        done = {at for at, _ in records}
        self.missing = [at for at in self.missing if at not in done]


def _sum(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "little")
