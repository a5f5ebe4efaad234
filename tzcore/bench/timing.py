"""Time on a card: by events, over work captured once, in turns, so that what is compared meets the same clocks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.backend.cuda.device import Device, Graph, Stream

SPAN = 2 << 30
"""Bytes that a captured piece of work moves, about: half a millisecond, beside which its beginning does not count."""
BEYOND = 4
"""Work rotates over this many times the second-level cache, so that everything comes from memory."""
_BLOCK = 16 << 20


class Timer:
    """Captures and times on a stream of its own."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.stream: Stream = device.stream()
        self._first, self._second = device.event(), device.event()

    def capture(self, work: Callable[[], object]) -> Graph:
        """What ``work`` queues on :attr:`stream`, with everything that it needs fetched before."""
        self.device.begin_capture(self.stream)
        try:
            work()
        except BaseException:
            self.device.end_capture(self.stream).close()
            raise
        return self.device.end_capture(self.stream)

    def once(self, graph: Graph) -> float:
        """Seconds of one run."""
        self.device.record(self._first, self.stream)
        graph.launch(self.stream)
        self.device.record(self._second, self.stream)
        return self.device.elapsed(self._first, self._second)

    def turns(self, graphs: Sequence[Graph], repeat: int) -> list[list[float]]:
        """Seconds of each graph in each of ``repeat`` rounds, all graphs once a round, after one round that is
        not counted."""
        for graph in graphs:
            self.once(graph)
        rounds = [[self.once(graph) for graph in graphs] for _ in range(repeat)]
        return [list(column) for column in zip(*rounds, strict=True)]

    def median(self, graph: Graph, repeat: int) -> float:
        """The middle of ``repeat`` runs."""
        return statistics.median(self.turns([graph], repeat)[0])


def rotation(size: int, l2_bytes: int) -> int:
    """Copies of ``size`` bytes that a cache of ``l2_bytes`` cannot serve."""
    return max(2, -(-BEYOND * l2_bytes // max(1, size)))


def launches(size: int, copies: int, span: int = SPAN) -> int:
    """Launches over ``copies`` in turn that read about ``span`` bytes: whole rounds."""
    return copies * max(1, round(span / (size * copies)))


def fill(device: Device, address: int, size: int, block: npt.NDArray[Any]) -> None:
    """Fill ``size`` bytes of the card with ``block``, over and over."""
    flat = block.reshape(-1).view(np.uint8)
    done = min(size, flat.nbytes)
    device.copy_in(address, flat[:done])
    while done < size:
        step = min(done, size - done)
        device.copy_within(address + done, address, step)
        done += step


def copy_bandwidth(timer: Timer, room: int, repeat: int) -> float:
    """Bytes a second, read and written, of copies within the card: the ceiling that memory sets.

    ``room`` bytes are taken for it, half to copy from and half to copy to.
    """
    device, half = timer.device, room // 2 // 256 * 256
    address = device.allocate(2 * half)
    try:
        fill(device, address, half, random_block(half))
        graph = timer.capture(lambda: device.copy_within(address + half, address, half, timer.stream))
        try:
            return 2 * half / timer.median(graph, repeat)
        finally:
            graph.close()
    finally:
        device.free(address)


def host_bandwidth(timer: Timer, size: int, repeat: int) -> float:
    """Bytes a second from pinned main memory to the card: what loading cannot exceed."""
    device = timer.device
    buffer, address = device.allocate_host(size), device.allocate(size)
    try:
        buffer.array[:] = np.resize(random_block(size), size)
        graph = timer.capture(lambda: device.copy_in(address, buffer.array, timer.stream))
        try:
            return size / timer.median(graph, repeat)
        finally:
            graph.close()
    finally:
        device.free_host(buffer)
        device.free(address)


def random_block(size: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """At most ``size`` random bytes, enough to be repeated: equal data would be read with less power."""
    return np.random.default_rng(seed).integers(0, 256, max(1, min(size, _BLOCK)), np.uint8)
