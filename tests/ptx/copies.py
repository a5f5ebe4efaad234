"""cp.async: bytes on their way from global to shared memory.

They are read when the instruction is issued and land when their thread waits for them; until then a read of their
place is a fault.
"""

from __future__ import annotations

import numpy as np

from tests.ptx.access import addresses
from tests.ptx.operands import Context, Run, read
from tests.ptx.registry import exact, instruction
from tests.ptx.scalars import SCALARS, Array
from tests.ptx.spaces import FULL, SPACES, rows
from tests.ptx.state import Copy, State
from tests.ptx.syntax import Immediate, Instruction


@instruction("cp")
def _cp(context: Context, ins: Instruction) -> Run:
    if ins.parts[:2] == ("async", "commit_group"):
        return exact(_commit)
    if ins.parts[:2] == ("async", "wait_group"):
        (left,) = ins.operands
        if not isinstance(left, Immediate):
            raise ins.error("the number of groups is no constant")
        groups = int(left.value)
        return exact(lambda s: _land(s, groups))
    if ins.parts[:2] == ("async", "wait_all"):
        return exact(lambda s: _land(s, -1))
    if ins.parts[0] != "async" or ins.pick("ca", "cg") == "" or not ins.has("shared") or not ins.has("global"):
        raise ins.error("unknown instruction")
    return _copy(context, ins)


def _copy(context: Context, ins: Instruction) -> Run:
    """``cp.async.ca.shared.global [target], [source], size, given``: beyond ``given`` bytes zeros."""
    target, source = (addresses(context, ins, operand) for operand in ins.operands[:2])
    size = ins.operands[2]
    if not isinstance(size, Immediate) or size.value not in (4, 8, 16) or (ins.has("cg") and size.value != 16):
        raise ins.error("4, 8 or 16 bytes (.cg: 16) can be copied")
    bytes_, unit = int(size.value), min(8, int(size.value))
    given = read(context, ins, ins.operands[3], SCALARS["u32"]) if len(ins.operands) > 3 else None

    def run(s: State) -> None:
        to, from_ = target(s), source(s)
        index = SPACES["shared"].place(s, ins, to, bytes_, reads=False, writes=True)
        if given is None:
            place = SPACES["global"].place(s, ins, from_, bytes_, reads=True, writes=False)
            data = rows(s.arena.bytes, unit, bytes_ // unit).take(place, 0)
        else:
            data = _partly(s, ins, from_, s.full(np.asarray(given(s))), bytes_).view(f"u{unit}")
            data = data.reshape(-1) if bytes_ == unit else data
        lanes = s.active()
        rows(s.shared_pending, unit, bytes_ // unit)[index] = 0xFF
        rows(s.shared_written, unit, bytes_ // unit)[index] = 0
        s.copies.append(Copy(ins, lanes, index, data, s.commits[lanes]))

    return exact(run)


def _partly(s: State, ins: Instruction, source: Array, given: Array, size: int) -> Array:
    """[lanes, size] bytes, the first ``given`` from ``source``."""
    data = np.zeros((source.size, size), np.uint8)
    lanes, before = s.active(), s.idx
    try:
        for count in np.unique(given):
            chosen = np.flatnonzero(given == count)
            if count > size:
                raise ins.error(f"{count} of {size} bytes")
            if count == 0:
                continue
            s.idx = lanes[chosen]
            space = SPACES["global"]
            if (source[chosen] & (size - 1)).any():
                space.place(s, ins, source[chosen], size, reads=True, writes=False)
            for k in range(int(count)):
                place = space.place(s, ins, source[chosen] + k, 1, reads=True, writes=False)
                data[chosen, k] = s.arena.bytes[place]
    finally:
        s.idx = before
    return data


def _commit(s: State) -> None:
    s.commits[s.active()] += 1


def _land(s: State, left: int) -> None:
    """All but the newest ``left`` groups of each running thread land; -1: all, committed or not."""
    if not s.copies:
        return
    running = np.zeros(s.size, bool)
    running[s.active()] = True
    kept = []
    for copy in s.copies:
        done = running[copy.lanes]
        if left >= 0:
            done = done & (copy.group < s.commits[copy.lanes] - left)
        if done.all():
            _arrive(s, copy)
        elif done.any():
            _arrive(s, copy.part(np.flatnonzero(done)))
            kept.append(copy.part(np.flatnonzero(~done)))
        else:
            kept.append(copy)
    s.copies = kept


def _arrive(s: State, copy: Copy) -> None:
    data = copy.data
    unit, count = data.dtype.itemsize, 1 if data.ndim == 1 else data.shape[1]
    rows(s.shared, unit, count)[copy.index] = data
    rows(s.shared_written, unit, count)[copy.index] = FULL[unit]
    rows(s.shared_pending, unit, count)[copy.index] = 0
    if s.races is not None:
        size = unit * count
        s.races.note(s, copy.ins, copy.lanes, copy.index * size, size, True)
