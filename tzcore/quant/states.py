"""Activations of the calibration windows, kept in files so that memory does not grow with the text.

A file is mapped, not read: pages that fit stay in the system's cache, the others are on the
disk.  States at block boundaries outlive a kill; those inside a block are made again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tzcore import atomic

if TYPE_CHECKING:
    import torch


class States:
    """``[windows, tokens, width]`` float32 in a file.  ``batch`` windows are worked on at a time."""

    def __init__(self, path: Path, shape: tuple[int, int, int], batch: int, *, create: bool) -> None:
        self.path, self.shape, self.batch = path, shape, batch
        with atomic.storage_errors(path):
            if create:
                with open(path, "wb") as file:
                    _reserve(file.fileno(), 4 * int(np.prod(shape)))
            self._map = np.memmap(path, np.float32, "r+", shape=shape)

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, start: int, stop: int) -> torch.Tensor:
        """Windows ``start … stop−1``, to read: on the session's device, on the CPU shared with the file."""
        import torch

        return torch.as_tensor(np.asarray(self._map[start:stop]))

    def put(self, start: int, stop: int, values: torch.Tensor) -> None:
        """Write windows ``start … stop−1``, from any device."""
        self._map[start:stop] = values.detach().cpu().numpy()

    def batches(self, count: int | None = None) -> Iterator[tuple[int, int]]:
        """Where the batches of the first ``count`` windows (default: all) start and stop."""
        end = len(self) if count is None else count
        for start in range(0, end, self.batch):
            yield start, min(start + self.batch, end)

    def windows(self, which: list[int]) -> torch.Tensor:
        """Some windows, a copy."""
        import torch

        return torch.as_tensor(self._map[which])

    def rows(self, tokens: torch.Tensor) -> torch.Tensor:
        """Some tokens, counted through all windows: ``[len(tokens), width]``, a copy."""
        import torch

        return torch.as_tensor(self._map.reshape(-1, self.shape[2])[tokens.cpu().numpy()])

    def add_rows(self, tokens: torch.Tensor, values: torch.Tensor) -> None:
        """Add ``values`` to the states of ``tokens``, no token twice."""
        self._map.reshape(-1, self.shape[2])[tokens.cpu().numpy()] += values.cpu().numpy()

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
    for start, stop in inputs[0].batches():
        part = function(*(states.part(start, stop) for states in inputs))
        if out is None:
            shape = (len(inputs[0]), part.shape[1], part.shape[2])
            out = States(path, shape, inputs[0].batch, create=True)
        out.put(start, stop, part)
    assert out is not None
    return out


def existing(path: Path, shape: tuple[int, int, int], batch: int) -> States | None:
    """States kept earlier, if the file is there and whole."""
    if not path.exists() or path.stat().st_size != 4 * int(np.prod(shape)):
        return None
    return States(path, shape, batch, create=False)
