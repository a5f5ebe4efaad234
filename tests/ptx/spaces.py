"""Where an address of a space lies: bounds, alignment, what has been written, who else was there."""

from __future__ import annotations

import numpy as np

from tests.ptx.memory import Arena
from tests.ptx.report import KernelFault
from tests.ptx.scalars import Array
from tests.ptx.state import State
from tests.ptx.syntax import Instruction
from tests.ptx.traffic import count_global, count_shared

# Generic addresses of shared and local memory: far above the arena.
WINDOWS = {"shared": 1 << 50, "local": 1 << 51}
FULL = {1: 0x01, 2: 0x0101, 4: 0x01010101, 8: 0x0101010101010101}


def _misaligned(s: State, ins: Instruction, addresses: Array, size: int) -> None:
    if size > 1 and (addresses & (size - 1)).any():
        bad = int(np.flatnonzero(addresses & (size - 1))[0])
        _stop(s, ins, f"address {int(addresses[bad]):#x} is no multiple of {size}", bad)


def _stop(s: State, ins: Instruction, reason: str, position: int) -> None:
    """There is no going on from here, whatever the checks say."""
    lane = int(s.active()[position])
    raise KernelFault(f"{s.kernel}, line {ins.line}: {ins.text}: {reason}, {s.where(lane)}")


def rows(array: Array, unit: int, count: int) -> Array:
    """A byte array as [places, count] of ``unit`` bytes, or [places] for a count of 1."""
    view = array.view(f"u{unit}")
    return view if count == 1 else view.reshape(-1, count)


class Global:
    """The arena; also constants, which lie in it."""

    name = "global"

    def place(self, s: State, ins: Instruction, addresses: Array, size: int, reads: bool, writes: bool) -> Array:
        """Index of each access in units of ``size`` bytes, after all checks."""
        arena = s.arena
        _misaligned(s, ins, addresses, size)
        low, high = int(addresses.min()), int(addresses.max())
        found = arena.find(low, 1)
        index = addresses >> (size.bit_length() - 1)
        if s.checks.counters:
            count_global(s, ins, addresses, size)
        if found is None or high + size > found.end:
            self._search(s, ins, arena, addresses, size)
            whole = False
        else:
            whole = found.whole
        if not whole:
            if reads and s.checks.uninitialised:
                self._written(s, ins, arena, index, addresses, size)
            if writes:
                self._mark(arena, index, size)
        return index

    def memory(self, s: State) -> Array:
        return s.arena.bytes

    def _search(self, s: State, ins: Instruction, arena: Arena, addresses: Array, size: int) -> None:
        starts = np.asarray(arena.starts, np.int64)
        if not starts.size:
            _stop(s, ins, f"nothing is allocated at {int(addresses[0]):#x}", 0)
        ends = np.asarray([arena.allocations[start].end for start in arena.starts], np.int64)
        place = np.searchsorted(starts, addresses, "right") - 1
        bad = (place < 0) | (addresses + size > ends[place])
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            address = int(addresses[at])
            _stop(s, ins, f"{size} bytes at {address:#x} are out of bounds{_nearest(arena, address)}", at)

    def _written(self, s: State, ins: Instruction, arena: Arena, index: Array, addresses: Array, size: int) -> None:
        unit = min(size, 8)
        marks = rows(arena.written, unit, size // unit)[index]
        good = marks == marks.dtype.type(FULL[unit])
        if not good.all():
            bad = ~good if size <= 8 else ~good.all(-1)
            at = int(np.flatnonzero(bad)[0])
            s.fault(ins, f"reads {size} bytes at {int(addresses[at]):#x} that nothing wrote", int(s.active()[at]))

    def _mark(self, arena: Arena, index: Array, size: int) -> None:
        unit = min(size, 8)
        rows(arena.written, unit, size // unit)[index] = FULL[unit]


def _nearest(arena: Arena, address: int) -> str:
    below = [start for start in arena.starts if start <= address]
    if not below:
        return ""
    found = arena.allocations[below[-1]]
    return f" ({address - found.end} bytes beyond an allocation of {found.end - found.start} bytes)"


class Local:
    """Each thread's own bytes."""

    name = "local"

    def place(self, s: State, ins: Instruction, addresses: Array, size: int, reads: bool, writes: bool) -> Array:
        _misaligned(s, ins, addresses, size)
        bad = (addresses < 0) | (addresses + size > s.local_bytes)
        if bad.any():
            _stop(s, ins, "out of the bounds of local memory", int(np.flatnonzero(bad)[0]))
        return (s.local_base[s.active()] + addresses) >> (size.bit_length() - 1)

    def memory(self, s: State) -> Array:
        return s.local


class Shared:
    """The bytes of each block."""

    name = "shared"

    def place(self, s: State, ins: Instruction, addresses: Array, size: int, reads: bool, writes: bool) -> Array:
        _misaligned(s, ins, addresses, size)
        if int(addresses.min()) < 0 or int(addresses.max()) + size > s.shared_bytes:
            at = int(np.flatnonzero((addresses < 0) | (addresses + size > s.shared_bytes))[0])
            reason = f"{size} bytes at {int(addresses[at]):#x} are out of the {s.shared_bytes} bytes of shared memory"
            _stop(s, ins, reason, at)
        lanes = s.active()
        start = s.shared_base[lanes] + addresses
        index = start >> (size.bit_length() - 1)
        if s.checks.counters:
            count_shared(s, ins, addresses, size)
        if s.races is not None:
            if s.copies:
                self._landed(s, ins, index, addresses, size)
            s.races.note(s, ins, lanes, start, size, writes)
        if s.checks.uninitialised:
            if reads:
                self._written(s, ins, index, addresses, size)
            if writes:
                unit = min(size, 8)
                rows(s.shared_written, unit, size // unit)[index] = FULL[unit]
        return index

    def memory(self, s: State) -> Array:
        return s.shared

    def _landed(self, s: State, ins: Instruction, index: Array, addresses: Array, size: int) -> None:
        unit = min(size, 8)
        pending = rows(s.shared_pending, unit, size // unit)[index] != 0
        if pending.any() and ins.opcode != "cp":
            at = int(np.flatnonzero(pending if size <= 8 else pending.any(-1))[0])
            reason = f"byte {int(addresses[at])} of shared memory is still being copied to: no wait for cp.async"
            s.fault(ins, reason, int(s.active()[at]))

    def _written(self, s: State, ins: Instruction, index: Array, addresses: Array, size: int) -> None:
        unit = min(size, 8)
        marks = rows(s.shared_written, unit, size // unit)[index]
        good = marks == marks.dtype.type(FULL[unit])
        if not good.all():
            bad = ~good if size <= 8 else ~good.all(-1)
            at = int(np.flatnonzero(bad)[0])
            reason = f"reads {size} bytes of shared memory at {int(addresses[at])} that nothing wrote"
            s.fault(ins, reason, int(s.active()[at]))


Space = Global | Local | Shared
SPACES: dict[str, Space] = {"global": Global(), "const": Global(), "local": Local(), "shared": Shared()}
