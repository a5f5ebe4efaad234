"""Opens a model folder: validated, memory-mapped, nothing copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.checkpoint.schema import MatrixEntry, Quantization


@dataclass(frozen=True)
class StoredMatrix:
    """One quantised matrix as it lies on disk: zero-copy views of the map."""

    entry: MatrixEntry
    codes: npt.NDArray[Any]  # uint8 [tiles, tile_bytes], or float16 [tiles, padded cols, 16]
    scales: npt.NDArray[np.float16] | None  # [tiles, groups, 16]
    signs: npt.NDArray[np.int8] | None  # [cols], +1 or -1


class ModelFolder:
    """A model folder, open.  Interface only; see the methods."""

    path: Path
    config: dict[str, Any]
    quantization: Quantization
    receipt: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        raise NotImplementedError

    def matrix(self, name: str) -> StoredMatrix:
        raise NotImplementedError

    def vector(self, name: str) -> npt.NDArray[np.float32]:
        raise NotImplementedError

    def verify(self) -> None:
        raise NotImplementedError

    def bytes(self) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
