"""Barriers of a block: who waits, who may go, and what bar.red makes of the threads' predicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tests.ptx.operands import Context, read, write
from tests.ptx.report import KernelFault
from tests.ptx.scalars import SCALARS, Array
from tests.ptx.state import State
from tests.ptx.syntax import Immediate, Instruction

Reduce = Callable[[State, Array], None]


@dataclass(frozen=True)
class Barrier:
    """A barrier instruction: its number, how many threads it is for (0: all), and what it gives them."""

    ins: Instruction
    number: int
    count: int
    reduce: Reduce | None


def barrier(context: Context, ins: Instruction) -> Barrier:
    reduces = ins.has("red")
    if not (ins.has("sync") or reduces):
        raise ins.error("only bar.sync and bar.red are supported")
    operands = ins.operands[1:-1] if reduces else ins.operands
    numbers = [int(operand.value) for operand in operands if isinstance(operand, Immediate)]
    if not 1 <= len(numbers) <= 2 or len(numbers) != len(operands):
        raise ins.error("a barrier's number and count are constants")
    return Barrier(ins, numbers[0], (*numbers, 0)[1], _reduce(context, ins) if reduces else None)


def _reduce(context: Context, ins: Instruction) -> Reduce:
    """bar.red: how many of the threads that met, all or any of them have a true predicate."""
    kind = ins.pick("popc", "and", "or")
    source = read(context, ins, ins.operands[-1], SCALARS["pred"])
    store = write(ins, ins.operands[0], SCALARS["u32"] if kind == "popc" else SCALARS["pred"])

    def run(s: State, lanes: Array) -> None:
        before, s.idx = s.idx, lanes
        block = s.block[lanes]
        yes = np.bincount(block, np.broadcast_to(source(s), lanes.shape), minlength=s.blocks).astype(np.int64)
        out = {"popc": yes, "and": yes == np.bincount(block, minlength=s.blocks), "or": yes > 0}[kind]
        store(s, out[block])
        s.idx = before

    return run


@dataclass
class _Entry:
    """``lanes`` wait before ``place``."""

    barrier: Barrier
    place: int
    lanes: Array


class Barriers:
    """Those of one batch; ``push`` takes the threads that may go on."""

    def __init__(self, s: State, push: Callable[[int, Array | None], None]) -> None:
        self.s, self.push = s, push
        self.waiting: list[_Entry] = []

    def arrive(self, met: Barrier, place: int, lanes: Array | None) -> None:
        """``lanes`` (None: all alive) wait until their blocks are complete, then go to ``place``."""
        s = self.s
        if lanes is None and not met.count:
            if met.reduce is not None:
                met.reduce(s, s.active())
            s.epoch += 1
            s.order += 1
            self.push(place, None)
            return
        self.waiting.append(_Entry(met, place, s.active() if lanes is None else lanes))
        self.release()

    def release(self) -> None:
        """Lets go the blocks all of whose living threads wait, or as many as the barrier is for."""
        s = self.s
        alive = np.bincount(s.block[s.alive], minlength=s.blocks)
        groups: dict[tuple[int, int], list[_Entry]] = {}
        for entry in self.waiting:
            groups.setdefault((entry.barrier.number, entry.barrier.count), []).append(entry)
        self.waiting = []
        for (_, count), entries in groups.items():
            here = np.bincount(s.block[np.concatenate([entry.lanes for entry in entries])], minlength=s.blocks)
            ready = (here == (count or alive)) & (here > 0)
            self._let_go(entries, ready)
            for entry in entries:
                rest = entry.lanes[~ready[s.block[entry.lanes]]]
                if rest.size:
                    self.waiting.append(_Entry(entry.barrier, entry.place, rest))

    def _let_go(self, entries: list[_Entry], ready: Array) -> None:
        s = self.s
        going: dict[int, tuple[Barrier, list[Array]]] = {}
        for entry in entries:
            lanes = entry.lanes[ready[s.block[entry.lanes]]]
            if lanes.size:
                going.setdefault(entry.place, (entry.barrier, []))[1].append(lanes)
        self._divergent([(met.ins, np.concatenate(lanes)) for met, lanes in going.values()])
        for place, (met, parts) in going.items():
            lanes = np.sort(np.concatenate(parts))
            if met.reduce is not None:
                met.reduce(s, lanes)
            s.epoch[lanes] += 1
            s.order[lanes] += 1
            self.push(place, lanes)

    def _divergent(self, groups: list[tuple[Instruction, Array]]) -> None:
        """Threads of a block that meet at different instructions."""
        s = self.s
        for (first, lanes), (second, others) in pairwise(groups):
            both = np.intersect1d(s.block[lanes], s.block[others])
            if both.size:
                lane = int(lanes[s.block[lanes] == both[0]][0])
                s.fault(first, f"threads of one block wait at different barriers, also in line {second.line}", lane)

    def stuck(self) -> KernelFault:
        """The fault of threads that wait while nobody runs."""
        entry, s = self.waiting[0], self.s
        ins = entry.barrier.ins
        reason = "not all threads of the block reach this barrier"
        return KernelFault(f"{s.kernel}, line {ins.line}: {ins.text}: {reason}, {s.where(int(entry.lanes[0]))}")
