"""What a conversion has written so far, read back as torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tzcore import trits
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.checkpoint.writer import FolderWriter
from tzcore.quant import rotation, solver
from tzcore.trits import Codes, Halves

if TYPE_CHECKING:
    import torch


def codes_and_scales(writer: FolderWriter, name: str) -> tuple[MatrixEntry, Codes, Halves]:
    """Codes ``[rows, cols]`` and scales ``[rows, groups]`` of a matrix that has both."""
    entry, packed, tiled = writer.read_matrix(name)
    assert tiled is not None
    return entry, trits.unpack(packed, entry.format, entry.rows, entry.cols), trits.unpack_scales(tiled, entry.rows)


def signs_of(writer: FolderWriter, entry: MatrixEntry) -> torch.Tensor | None:
    """The signs of a matrix's transform, int8."""
    import torch

    return torch.as_tensor(writer.read_tensor(entry.transform.signs)) if entry.transform else None


def matrix(writer: FolderWriter, name: str) -> torch.Tensor:
    """The matrix as the engine multiplies by it, float32 in the basis of the original."""
    import torch

    entry = writer.entry(name)
    if entry.format.packing == "half":
        _, packed, _ = writer.read_matrix(name)
        return torch.tensor(trits.unpack_half(packed, entry.rows, entry.cols))
    entry, codes, scales = codes_and_scales(writer, name)
    stored = solver.dequantised(codes, scales, entry.group)
    signs = signs_of(writer, entry)
    if entry.transform and signs is not None:
        stored = rotation.unrotate(stored, signs, entry.transform.block)
    return stored

