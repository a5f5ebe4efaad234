"""Activations of the calibration windows, kept in files so that memory does not grow with the text.

A file is mapped, not read: pages that fit stay in the system's cache, the others are on the
disk.  States at block boundaries outlive a kill; those inside a block are made again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tzcore import atomic

if TYPE_CHECKING:
    import torch

WINDOWS_AT_ONCE = 4
"""Windows in one pass through a stage; bounds the temporaries."""


class States:
    """``[windows, tokens, width]`` float32 in a file."""

    def __init__(self, path: Path, shape: tuple[int, int, int], *, create: bool) -> None:
        self.path, self.shape = path, shape
        with atomic.storage_errors(path):
            if create:
                with open(path, "wb") as file:
                    _reserve(file.fileno(), 4 * int(np.prod(shape)))
            self._map = np.memmap(path, np.float32, "r+", shape=shape)

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, start: int, count: int = WINDOWS_AT_ONCE) -> torch.Tensor:
        """Some windows, shared with the file."""
        import torch

        return torch.from_numpy(np.asarray(self._map[start : start + count]))

    def windows(self, which: list[int]) -> torch.Tensor:
        """Some windows, a copy."""
        import torch

        return torch.from_numpy(self._map[which])

    def rows(self, tokens: torch.Tensor) -> torch.Tensor:
        """Some tokens, counted through all windows: ``[len(tokens), width]``, a copy."""
        import torch

        return torch.from_numpy(self._map.reshape(-1, self.shape[2])[tokens.numpy()])

    def add_rows(self, tokens: torch.Tensor, values: torch.Tensor) -> None:
        """Add ``values`` to the states of ``tokens``, no token twice."""
        self._map.reshape(-1, self.shape[2])[tokens.numpy()] += values.numpy()

    def keep(self, final: Path) -> None:
        """Move to ``final``; on the disk when this returns."""
        with atomic.storage_errors(final):
            self._map.flush()
            os.replace(self.path, final)
            self.path = final
            atomic.sync_folder(final.parent)

    def remove(self) -> None:
        """Delete the file; the states stay readable until this object goes."""
        self.path.unlink(missing_ok=True)


def _reserve(handle: int, size: int) -> None:
    """Take the disk space now: a full disk is an error here, and not a crash in the middle of a page."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, max(size, 1))
    else:
        os.ftruncate(handle, size)


def mapped(function: Callable[..., torch.Tensor], path: Path, *inputs: States) -> States:
    """``function`` over a few windows of ``inputs`` at a time, the results in a new file ``path``."""
    out: States | None = None
    for start in range(0, len(inputs[0]), WINDOWS_AT_ONCE):
        part = function(*(states.part(start) for states in inputs))
        if out is None:
            out = States(path, (len(inputs[0]), part.shape[1], part.shape[2]), create=True)
        out.part(start).copy_(part)
    assert out is not None
    return out


def existing(path: Path, shape: tuple[int, int, int]) -> States | None:
    """States kept earlier, if the file is there and whole."""
    if not path.exists() or path.stat().st_size != 4 * int(np.prod(shape)):
        return None
    return States(path, shape, create=False)
