"""A model's numbers on the card: matrices in the card's layout, vectors, and the embedding in pinned memory.

Matrices go from the mapped file through two pinned buffers to a staging place on the card and are
arranged there by a kernel, so that loading is as fast as the bus.  The staging place is memory of the
arena that is not in use before the first token.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import trits
from tzcore.architecture.spec import MatrixRef
from tzcore.backend.cuda.arena import Region, aligned
from tzcore.backend.cuda.device import Device, Event, HostBuffer, Stream
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.layout import Shape
from tzcore.checkpoint.reader import ModelFolder, StoredMatrix
from tzcore.errors import BackendError

BUFFER = 32 << 20
"""Bytes of each of the two pinned buffers."""
COPIERS = 4
"""Threads that fill them: one alone copies slower than the bus."""
THREADS = 256


@dataclass(frozen=True)
class Matrix:
    """A matrix on the card: its shape, and the addresses of its codes, scales and tiles' gains."""

    shape: Shape
    codes: int
    scales: int
    gains: int

    def part(self, start: int, rows: int) -> Matrix:
        """Rows ``start … start + rows − 1``; ``start`` is a multiple of 16."""
        tile, shape = start // trits.LANES, self.shape
        return Matrix(
            replace(shape, rows=rows),
            self.codes + tile * shape.tile_bytes,
            self.scales + tile * shape.groups * 32,
            self.gains + tile * 4,
        )


def shape_of(stored: StoredMatrix) -> Shape:
    """The shape on the card of a matrix on disk."""
    entry = stored.entry
    return Shape(entry.format, entry.rows, entry.cols, entry.group)


def runs(folder: ModelFolder, refs: Iterable[MatrixRef]) -> list[list[str]]:
    """The matrices of ``refs`` in lists of neighbours that one product can make as if they were one: whole
    matrices of the same packing, of whole tiles."""
    found: list[list[str]] = []
    kinds: list[object] = []
    for ref in refs:
        entry = folder.matrix(ref.name).entry
        if found and ref.name in found[-1]:
            continue
        whole = ref.start == 0 and ref.rows == entry.rows and entry.rows % trits.LANES == 0
        kind = (entry.format, entry.cols, entry.group, entry.transform) if whole else None
        if found and kind is not None and kinds[-1] == kind:
            found[-1].append(ref.name)
        else:
            found.append([ref.name])
            kinds.append(kind)
    return found


def arrange(
    kernels: Kernels, to: Matrix, count: int, codes: int, places: int, scales: int, stream: Stream = None
) -> None:
    """Bring the first ``count`` tiles of ``to`` from the model folder's layout to the card's.

    ``codes``, ``places`` (:func:`tzcore.trits.places`) and ``scales`` are addresses; halves have codes alone.
    """
    shape = to.shape

    def launch(name: str, threads: int, arguments: tuple[int, ...]) -> None:
        kernels.launch("arrange", (-(-threads // THREADS), 1, 1), THREADS, arguments, name=name, stream=stream)

    tile = trits.tile_bytes(shape.fmt, shape.cols)
    arguments = (codes, places, to.codes, tile, shape.cols, count, shape.steps, shape.tail)
    launch(f"arrange_{shape.kind.name}", count * shape.tile_bytes // 16, arguments)
    if shape.group:
        groups = trits.groups(shape.cols, shape.group)
        launch("arrange_scales", count * shape.groups * 8, (scales, to.scales, count, groups, shape.groups))


class Uploader:
    """Brings matrices to ``region``.  ``staging`` is free memory of the card of ``room`` bytes.

    Close it before the staging place is used.
    """

    def __init__(self, device: Device, kernels: Kernels, region: Region, staging: int, room: int) -> None:
        self._device, self._kernels, self._region = device, kernels, region
        self._stream = device.stream()
        half = min(BUFFER, room // 2) // 256 * 256
        self._size = half
        self._places = [staging, staging + half]
        self._buffers: list[HostBuffer] = []
        self._events: list[Event] = []
        self._busy = [False, False]
        self._turn = 0
        self._copiers = ThreadPoolExecutor(COPIERS, thread_name_prefix="upload")
        try:
            for _ in range(2):
                self._buffers.append(device.allocate_host(half))
                self._events.append(device.event())
        except BaseException:
            self.close()
            raise

    def run(self, stored: list[StoredMatrix], region: Region | None = None) -> dict[str, Matrix]:
        """Bring neighbours (see :func:`runs`) to one place; each by its name."""
        shapes = [shape_of(matrix) for matrix in stored]
        whole = replace(shapes[0], rows=sum(shape.rows for shape in shapes))
        codes = (region or self._region).take(whole.bytes, stored[0].entry.name)
        sizes = dict(whole.parts)
        matrix = Matrix(whole, codes, codes + sizes["codes"], codes + sizes["codes"] + sizes["scales"])
        found: dict[str, Matrix] = {}
        start = 0
        for one, shape in zip(stored, shapes, strict=True):
            found[one.entry.name] = part = matrix.part(start, shape.rows)
            self._upload(one, part)
            start += shape.rows
        return found

    def _upload(self, stored: StoredMatrix, to: Matrix) -> None:
        shape, device = to.shape, self._device
        device.copy_in(to.gains, np.full(shape.tiles, stored.entry.gain, np.float32))
        half = stored.scales is None
        places = np.zeros(0, np.uint32) if half else trits.places(shape.fmt, shape.cols)
        codes = stored.codes.reshape(shape.tiles, -1).view(np.uint8)
        scales = np.zeros((shape.tiles, 0), np.uint8)
        if stored.scales is not None:
            scales = stored.scales.reshape(shape.tiles, -1).view(np.uint8)
        head, tile = aligned(places.nbytes), codes.shape[1] + scales.shape[1]
        step = (self._size - head - 256) // tile
        if step < 1:
            raise BackendError(f"{stored.entry.name} is too wide to be brought to the card ({tile} bytes a tile)")
        for first in range(0, shape.tiles, step):
            last = min(first + step, shape.tiles)
            self._chunk(to.part(first * trits.LANES, shape.rows - first * trits.LANES), places, codes[first:last],
                        scales[first:last])  # fmt: skip

    def _chunk(self, to: Matrix, places: Any, codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.uint8]) -> None:
        turn, count = self._turn, len(codes)
        buffer, at = self._buffers[turn].array, self._places[turn]
        if self._busy[turn]:
            self._device.elapsed(self._events[turn], self._events[turn])  # waits until the buffer is free
        starts = [0, aligned(places.nbytes), aligned(places.nbytes) + aligned(codes.nbytes)]
        end = starts[2] + scales.nbytes
        for start, array in zip(starts, (places.view(np.uint8), codes, scales), strict=True):
            self._fill(buffer[start : start + array.nbytes], array)
        self._device.copy_in(at, buffer[:end], self._stream)
        arrange(self._kernels, to, count, at + starts[1], at, at + starts[2], self._stream)
        self._device.record(self._events[turn], self._stream)
        self._busy[turn] = True
        self._turn = 1 - turn

    def _fill(self, target: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
        """Copy by several threads, each some rows; NumPy lets them run side by side."""
        shaped = target.reshape(source.shape)
        if source.nbytes < 1 << 16:
            shaped[...] = source
            return
        cuts = [len(source) * i // COPIERS for i in range(COPIERS + 1)]
        jobs = [
            self._copiers.submit(np.copyto, shaped[a:b], source[a:b]) for a, b in pairwise(cuts)
        ]
        for job in jobs:
            job.result()

    def close(self) -> None:
        """Wait for what is under way and let go of the pinned buffers."""
        self._copiers.shutdown()
        self._device.synchronize(self._stream)
        for buffer in self._buffers:
            self._device.free_host(buffer)
        self._buffers.clear()


@dataclass(frozen=True)
class Embedding:
    """The embedding as the model folder holds it, in pinned memory, and its tables on the card."""

    buffer: HostBuffer
    stored: StoredMatrix
    scales: int
    places: int

    @classmethod
    def put(cls, device: Device, stored: StoredMatrix, tables: Region) -> Embedding:
        """Copy ``stored`` to pinned memory."""
        entry = stored.entry
        codes = stored.codes.reshape(-1).view(np.uint8)
        scales = np.zeros(0, np.uint8) if stored.scales is None else stored.scales.reshape(-1).view(np.uint8)
        buffer = device.allocate_host(aligned(codes.nbytes) + scales.nbytes)
        buffer.array[: codes.nbytes] = codes
        start = aligned(codes.nbytes)
        buffer.array[start : start + scales.nbytes] = scales
        places = 0
        if scales.size:
            places = put(device, tables, trits.places(entry.format, entry.cols), "places")
        return cls(buffer, stored, buffer.address + start, places)


def put(device: Device, region: Region, array: npt.NDArray[Any], what: str) -> int:
    """Copy a small array to ``region``; its address."""
    address = region.take(array.nbytes, what)
    device.copy_in(address, np.ascontiguousarray(array))
    return address
