"""Running a kernel: blocks in batches, threads that part and meet again, barriers.

Groups of threads are kept by the instruction they stand before; the group that stands earliest in the text runs until
it branches, ends or reaches an instruction where others wait. So threads meet again where their paths join.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.ptx import (
    access,
    arithmetic,
    atomics,
    bits,
    compare,
    conversions,
    copies,
    floats,
    flow,
    integers,
    matrix,
    warp,
)  # fmt: skip
from tests.ptx.barriers import Barrier, Barriers, barrier
from tests.ptx.layout import layout
from tests.ptx.memory import Arena
from tests.ptx.operands import Context, Read, Run, read
from tests.ptx.races import RaceLog
from tests.ptx.registry import decode
from tests.ptx.report import Checks, KernelFault, Report
from tests.ptx.scalars import SCALARS, Array, PtxError
from tests.ptx.spaces import SPACES
from tests.ptx.state import WARP, State
from tests.ptx.syntax import Immediate, Instruction, KernelText, Variable

_LOADED = (access, arithmetic, atomics, bits, compare, conversions, copies, floats, integers, matrix, warp)
LANES = 32768  # threads of a batch: registers of a kernel then lie in the cache
KEEP = 256 << 20  # bytes of states kept for the next launch
SHARED = 16 << 20  # bytes of shared memory of a batch
LIMIT = 5_000_000  # basic blocks run, before a kernel counts as endless


@dataclass
class Block:
    """Instructions ``start``..``end`` of straight code, and the one that ends it, if any."""

    start: int
    runs: list[Run]
    last: Instruction | None
    next: int
    meets: Read | None = None
    barrier: Barrier | None = None
    index: Read | None = None
    labels: Counter[str] = field(default_factory=Counter)
    count: int = 0
    issued: int = 0


class Program:
    """A kernel decoded."""

    def __init__(self, text: KernelText, symbols: Mapping[str, tuple[str, int]], shared: Sequence[Variable]) -> None:
        """``symbols`` the module's variables in the arena, ``shared`` those that each block has of its own."""
        self.text = text
        self.layout = layout(text, shared)
        self.context = context = Context(text, {**symbols, **self.layout.symbols})
        context.parameters = {p.name: p.offset for p in text.parameters}
        self.unit = _least_access(text.instructions)
        self.blocks = self._blocks(context)

    def _blocks(self, context: Context) -> dict[int, Block]:
        code = self.text.instructions
        starts = {0} | {target for ins in code for target in ins.targets}
        for place, ins in enumerate(code):
            if _ends(ins):
                starts.add(place + 1)
            if warp.meets(ins):
                starts.add(place)
        order = sorted(start for start in starts if start < len(code))
        spans = dict(zip(order, [*order[1:], len(code)], strict=True))
        context.watch = flow.doubtful(code, spans)
        known = flow.constants(code, context.watch)
        code = [flow.simplified(ins, known) for ins in code]
        blocks = {}
        for start, end in spans.items():
            last = code[end - 1] if _ends(code[end - 1]) else None
            body = code[start : end - 1] if last else code[start:end]
            runs = [_barrier_of_warp(ins) if ins.opcode == "bar" else decode(context, ins) for ins in body]
            mask = warp.membermask(context, code[start]) if warp.meets(code[start]) else None
            met = barrier(context, last) if last and last.opcode in ("bar", "barrier") else None
            index = read(context, last, last.operands[0], SCALARS["u32"]) if last and last.opcode == "brx" else None
            labels = Counter(ins.label for ins in code[start:end])
            blocks[start] = Block(start, runs, last, end, mask, met, index, labels)
        return blocks

    def state(self, blocks: int, threads: int, shared: int) -> State:
        """A state of that size, kept from an earlier launch if there is one."""
        key = (id(self), blocks, threads, shared)
        state = _KEPT.pop(key, None) or State(self.text.registers, blocks, threads, shared, self.layout.local)
        state.program = self
        _KEPT[key] = state
        while len(_KEPT) > 1 and sum(each.bytes for each in _KEPT.values()) > KEEP:
            del _KEPT[next(iter(_KEPT))]
        return state


_KEPT: dict[tuple[int, int, int, int], State] = {}


def _ends(ins: Instruction) -> bool:
    if ins.opcode in ("bra", "brx", "ret", "exit", "trap", "brkpt"):
        return True
    return ins.opcode in ("bar", "barrier") and not ins.has("warp")


def _least_access(code: Sequence[Instruction]) -> int:
    """Bytes of the smallest access to shared memory: the unit in which races are looked for."""
    sizes = [16]
    for ins in code:
        if ins.opcode in ("ld", "st", "atom", "red") and (ins.has("shared") or not ins.pick(*SPACES, "param")):
            sizes.append(ins.scalar.size * int((ins.pick("v2", "v4") or "v1")[1:]))
        if ins.opcode == "cp" and isinstance(size := (*ins.operands, None, None, None)[2], Immediate):
            sizes.append(int(size.value))
    return min(sizes)


def _barrier_of_warp(ins: Instruction) -> Run:
    def run(s: State) -> None:
        s.order[s.active()] += 1

    return run


class _Execution:
    """One batch of blocks on its way through a program."""

    def __init__(self, program: Program, state: State) -> None:
        self.program, self.s = program, state
        self.groups: dict[int, Array | None] = {0: None}
        self.parked: dict[int, Array] = {}  # threads that wait for others of their warp
        self.barriers = Barriers(state, self._push)

    def run(self) -> None:
        s, blocks = self.s, self.program.blocks
        steps = 0
        while True:
            if not self.groups:
                if self.parked:
                    self._wake()
                elif self.barriers.waiting:
                    raise self.barriers.stuck()
                else:
                    return
            place = min(self.groups)
            lanes = self.groups.pop(place)
            if lanes is not None and lanes.size == s.alive_count:
                lanes = None
            s.idx = lanes
            block = blocks.get(place)
            if block is None:
                raise KernelFault(f"{s.kernel}: threads run past the end")
            if block.meets is not None and lanes is not None and not self._meet(block, lanes):
                continue
            block.count += s.alive_count if s.idx is None else s.idx.size
            if s.checks.counters:
                block.issued += np.unique(s.active() // WARP).size
            self._straight(block)
            self._end(block)
            steps += 1
            if steps > LIMIT:
                raise KernelFault(f"{s.kernel}: no end after {LIMIT} steps")

    def _straight(self, block: Block) -> None:
        s = self.s
        number = block.start
        try:
            for run in block.runs:
                run(s)
                number += 1
        except (KernelFault, PtxError):
            raise
        except Exception as error:
            ins = self.program.text.instructions[number]
            raise PtxError(f"{s.kernel}, line {ins.line}: {ins.text}: {error!r}") from error

    def _wake(self) -> None:
        """Nobody runs: threads go on that wait for others which have left meanwhile."""
        s = self.s
        for place, lanes in list(self.parked.items()):
            s.idx = lanes
            mask = self.program.blocks[place].meets
            assert mask is not None
            if not warp.missing(s, mask(s)).all():
                self._push(place, self.parked.pop(place))
        if not self.groups:
            place = min(self.parked)
            ins = self.program.text.instructions[place]
            reason = "threads that its mask names never come here"
            lane = int(self.parked[place][0])
            raise KernelFault(f"{s.kernel}, line {ins.line}: {ins.text}: {reason}, {s.where(lane)}")

    def _meet(self, block: Block, lanes: Array) -> bool:
        """Whether any thread can go on; those that must wait for others of their warp are set aside."""
        s = self.s
        if block.start in self.parked:
            lanes = np.sort(np.concatenate([lanes, self.parked.pop(block.start)]))
            s.idx = lanes if lanes.size < s.alive_count else None
            if s.idx is None:
                return True
        assert block.meets is not None
        held = warp.missing(s, block.meets(s))
        if held.any():
            self.parked[block.start] = lanes[held]
            s.idx = lanes[~held]
        return not held.all()

    def _push(self, place: int, lanes: Array | None) -> None:
        other = self.groups.get(place)
        if place in self.groups and other is not None and lanes is not None:
            lanes = np.sort(np.concatenate([other, lanes]), kind="stable")
        self.groups[place] = lanes

    def _end(self, block: Block) -> None:
        ins, s = block.last, self.s
        if ins is None:
            self._push(block.next, s.idx)
            return
        if ins.guard is None:
            self._act(ins, block, s.idx)
            return
        if ins.guard in s.defined:
            flow.check(s, ins, ins.guard)
        row = s.rows["p"][ins.guard.index]
        lanes = s.active()
        met = row if lanes is s.lane else row.take(lanes)
        if ins.inverted:
            met = ~met
        count = int(np.count_nonzero(met))
        if count == lanes.size:
            self._act(ins, block, s.idx)
        elif count == 0:
            self._push(block.next, s.idx)
        else:
            self._push(block.next, lanes[~met])
            self._act(ins, block, lanes[met])

    def _act(self, ins: Instruction, block: Block, lanes: Array | None) -> None:
        if ins.opcode == "bra":
            self._push(ins.targets[0], lanes)
        elif block.index is not None:
            self._choose(ins, block.index, lanes)
        elif ins.opcode in ("ret", "exit"):
            self._leave(lanes)
        elif block.barrier is not None:
            self.barriers.arrive(block.barrier, block.next, lanes)
        else:
            s = self.s
            raise KernelFault(f"{s.kernel}, line {ins.line}: {ins.text}: reached, {s.where(int(s.active()[0]))}")

    def _choose(self, ins: Instruction, index: Read, lanes: Array | None) -> None:
        """brx.idx: each thread goes where its number says."""
        s = self.s
        s.idx = s.active() if lanes is None else lanes
        chosen, lanes = np.broadcast_to(index(s), s.idx.shape), s.idx
        for number in np.unique(chosen):
            if number >= len(ins.targets):
                s.fault(ins, f"number {number} of {len(ins.targets)} targets", int(lanes[chosen == number][0]))
            self._push(ins.targets[number], lanes[chosen == number])

    def _leave(self, lanes: Array | None) -> None:
        s = self.s
        gone = (s.lane if s.live is None else s.live) if lanes is None else lanes
        s.alive[gone] = False
        s.alive_count -= gone.size
        s.live = np.flatnonzero(s.alive)
        if self.barriers.waiting:
            self.barriers.release()


def launch(
    program: Program, arena: Arena, parameters: Array, grid: Sequence[int], block: int, shared: int,
    checks: Checks, report: Report,
) -> None:  # fmt: skip
    """Runs all blocks of the grid, as many at once as make up ``LANES`` threads."""
    gx, gy, gz = grid
    total = gx * gy * gz
    width = -(-block // WARP) * WARP
    at_once = max(1, min(total, LANES // width))
    bytes_ = program.layout.dynamic + shared if shared else program.layout.shared
    at_once = max(1, min(at_once, SHARED // max(1, bytes_)))
    report.launches[program.text.name] += 1
    with np.errstate(all="ignore"):
        for first in range(0, total, at_once):
            count = min(at_once, total - first)
            state = program.state(count, block, bytes_)
            state.parameters, state.arena, state.checks, state.report = parameters, arena, checks, report
            state.kernel = program.text.name
            state.start(first, (gx, gy, gz), (block, 1, 1))
            state.defined = {register: np.zeros(state.size, bool) for register in program.context.watch}
            if checks.races and state.shared_bytes:
                state.races = RaceLog(program.unit, state.shared.size)
            try:
                _Execution(program, state).run()
                if state.races is not None:
                    state.races.judge(state)
            finally:
                _finish(state, program)
                state.copies, state.races = [], None


def _finish(state: State, program: Program) -> None:
    """Adds up what ran."""
    instructions, issued = state.report.instructions, state.report.issued
    for block in program.blocks.values():
        if block.count:
            for label, times in block.labels.items():
                instructions[label] += times * block.count
                issued[label] += times * block.issued
            block.count = block.issued = 0

