"""Global memory: one reserved range of addresses, allocations in it, and which bytes have been written."""

from __future__ import annotations

import mmap
import sys
from bisect import bisect_right, insort
from dataclasses import dataclass

import numpy as np

from tests.ptx.scalars import Array, PtxError

BASE = 1 << 32  # addresses do not fit 32 bits, so that a cut pointer is found out
PAGE = 4096
SPAN = 64 << 30
_NO_RESERVE = 0x4000  # MAP_NORESERVE of Linux, which Python names from 3.12 on


def _reserve(size: int) -> Array:
    """``size`` zero bytes that cost nothing until touched (on Linux, where the interpreter's tests run)."""
    if sys.platform == "linux":
        return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE), np.uint8)
    return np.frombuffer(mmap.mmap(-1, size), np.uint8)


@dataclass
class Allocation:
    """``[start, end)``; ``whole`` once every byte is known to be written."""

    start: int
    end: int
    whole: bool = False


class Arena:
    """Allocations are pages apart and never take a place again, so that an access after free is found out."""

    def __init__(self, span: int = SPAN) -> None:
        while True:
            try:
                self.bytes, self.written = _reserve(BASE + span), _reserve(BASE + span)
                break
            except OSError:  # a machine that keeps account of what is only reserved
                span //= 2
                if span < 1 << 20:
                    raise
        self.end = BASE + span
        self.next = BASE
        self.starts: list[int] = []
        self.allocations: dict[int, Allocation] = {}

    def allocate(self, size: int, whole: bool = False) -> int:
        """Address of ``size`` new bytes, a multiple of 4096; their content is undefined (0xA5)."""
        size = max(1, size)
        if self.next + size + 2 * PAGE > self.end:
            raise PtxError(f"no room for {size} bytes in the interpreter's memory")
        start = self.next
        self.next = -(-(start + size) // PAGE) * PAGE + PAGE
        self.allocations[start] = Allocation(start, start + size, whole)
        insort(self.starts, start)
        self.bytes[start : start + size] = 0 if whole else 0xA5
        return start

    def free(self, address: int) -> None:
        allocation = self.allocations.pop(address, None)
        if allocation is None:
            raise PtxError(f"free of {address:#x}, which is no live allocation")
        self.starts.remove(address)

    def find(self, address: int, size: int) -> Allocation | None:
        """The live allocation that holds ``[address, address + size)``."""
        place = bisect_right(self.starts, address)
        if not place:
            return None
        found = self.allocations[self.starts[place - 1]]
        return found if address + size <= found.end else None

    def range(self, address: int, size: int) -> Allocation:
        found = self.find(address, size)
        if found is None:
            raise PtxError(f"{size} bytes at {address:#x} are not in one live allocation")
        return found

    def write(self, address: int, data: Array) -> None:
        found = self.range(address, data.size)
        self.bytes[address : address + data.size] = data
        self.mark(found, address, data.size)

    def mark(self, found: Allocation, address: int, size: int) -> None:
        """Those bytes are written."""
        if found.whole:
            return
        self.written[address : address + size] = 1
        found.whole = bool(self.written[found.start : found.end].all()) if size < found.end - found.start else True

    def read(self, address: int, size: int) -> Array:
        """A view of those bytes."""
        self.range(address, size)
        return self.bytes[address : address + size]

    def copy(self, target: int, source: int, size: int) -> None:
        """Bytes, and whether they are written, from ``source`` to ``target``."""
        from_, to = self.range(source, size), self.range(target, size)
        self.bytes[target : target + size] = self.bytes[source : source + size]
        if from_.whole:
            self.mark(to, target, size)
        elif not to.whole:
            self.written[target : target + size] = self.written[source : source + size]
