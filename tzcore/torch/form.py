"""What a matrix of codes is, without its contents."""

from __future__ import annotations

from dataclasses import dataclass

from tzcore.trits import Format


@dataclass(frozen=True)
class MatrixForm:
    """How a matrix is stored, as in :class:`tzcore.checkpoint.schema.MatrixEntry`; the rotation of its input goes by
    runs of ``block`` columns, 0 where there is none."""

    rows: int
    cols: int
    format: Format
    group: int
    block: int = 0
    gain: float = 1.0
    activations: str = "group"
