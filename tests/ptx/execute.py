"""Running a kernel: blocks in batches, threads that part and meet again, barriers.

Groups of threads are kept by the instruction they stand before; the group that stands earliest in the text runs until
it branches, ends or reaches an instruction where others wait. So threads meet again where their paths join.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.ptx import access, arithmetic, atomics, bits, compare, conversions, copies, floats, integers, matrix, warp
from tests.ptx.memory import Arena
from tests.ptx.operands import Context, Read, Run
from tests.ptx.registry import decode
from tests.ptx.report import Checks, KernelFault, Report
from tests.ptx.state import WARP, State
from tests.ptx.syntax import Immediate, Instruction, KernelText, Register
from tests.ptx.types import Array, PtxError

_LOADED = (access, arithmetic, atomics, bits, compare, conversions, copies, floats, integers, matrix, warp)
LANES = 16384  # threads of a batch: registers of a kernel then lie in the cache
LIMIT = 200_000_000  # basic blocks run, before a kernel counts as endless


@dataclass
class Block:
    """Instructions ``start``..``end`` of straight code, and the one that ends it, if any."""

    start: int
    runs: list[Run]
    last: Instruction | None
    next: int
    meets: Read | None = None
    count: int = 0


class Program:
    """A kernel decoded."""

    def __init__(self, text: KernelText, symbols: dict[str, tuple[str, int]]) -> None:
        self.text = text
        spaces = dict(symbols)
        self.shared, self.local = _layout(text, spaces)
        self.dynamic = next((address for name, (space, address) in spaces.items() if space == "dynamic"), self.shared)
        context = Context(text, {n: ("shared" if s == "dynamic" else s, a) for n, (s, a) in spaces.items()})
        context.parameters = {p.name: p.offset for p in text.parameters}
        self.context = context
        self.blocks = self._blocks(context)
        self.states: dict[tuple[int, int, int], State] = {}

    def _blocks(self, context: Context) -> dict[int, Block]:
        code = self.text.instructions
        starts = {0} | {ins.target for ins in code if ins.target is not None}
        meets = {}
        for place, ins in enumerate(code):
            if _ends(ins):
                starts.add(place + 1)
            mask = warp.membermask(context, ins)
            if mask is not None:
                starts.add(place)
                meets[place] = mask
        order = sorted(start for start in starts if start < len(code))
        blocks = {}
        for start, end in zip(order, [*order[1:], len(code)], strict=True):
            last = code[end - 1] if _ends(code[end - 1]) else None
            body = code[start : end - 1] if last else code[start:end]
            runs = [_barrier_of_warp(ins) if ins.opcode == "bar" else decode(context, ins) for ins in body]
            blocks[start] = Block(start, runs, last, end, meets.get(start))
        return blocks

    def state(self, blocks: int, threads: int, shared: int) -> State:
        key = (blocks, threads, shared)
        if key not in self.states:
            if len(self.states) > 2:
                self.states.clear()
            self.states[key] = State(self.text.registers, blocks, threads, shared, self.local)
        return self.states[key]


def _layout(text: KernelText, symbols: dict[str, tuple[str, int]]) -> tuple[int, int]:
    """Puts the kernel's variables into ``symbols``; bytes of static shared and of local memory."""
    ends = {"shared": 0, "local": 0}
    for variable in text.variables:
        start = -(-ends[variable.space] // variable.align) * variable.align
        symbols[variable.name] = (variable.space, start)
        ends[variable.space] = start + variable.size
    for name, (space, align) in list(symbols.items()):
        if space == "dynamic":
            symbols[name] = ("dynamic", -(-ends["shared"] // max(16, align)) * max(16, align))
    return ends["shared"], ends["local"]


def _ends(ins: Instruction) -> bool:
    if ins.opcode in ("bra", "ret", "exit", "trap", "brkpt"):
        return True
    return ins.opcode in ("bar", "barrier") and not ins.has("warp")


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
        self.waiting: list[tuple[Instruction, int, Array]] = []  # threads before a barrier

    def run(self) -> None:
        s, blocks = self.s, self.program.blocks
        steps = 0
        while True:
            if not self.groups:
                if self.waiting:
                    self._stuck()
                if self.parked:
                    place = min(self.parked)
                    ins = self.program.text.instructions[place]
                    raise KernelFault(
                        f"{s.kernel}, line {ins.line}: {ins.text}: threads that its mask names never come here, "
                        + s.where(int(self.parked[place][0]))
                    )
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
            self._straight(block)
            self._end(block)
            steps += 1
            if steps > LIMIT:
                raise KernelFault(f"{s.kernel}: no end after {LIMIT} steps")

    def _straight(self, block: Block) -> None:
        s = self.s
        number = block.start
        try:
            for number, run in enumerate(block.runs, block.start):
                run(s)
        except (KernelFault, PtxError):
            raise
        except Exception as error:
            ins = self.program.text.instructions[number]
            raise PtxError(f"{s.kernel}, line {ins.line}: {ins.text}: {error!r}") from error

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
        return bool(s.idx.size)

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
            assert ins.target is not None
            self._push(ins.target, lanes)
        elif ins.opcode in ("ret", "exit"):
            self._leave(lanes)
        elif ins.opcode in ("bar", "barrier"):
            self._barrier(ins, block, lanes)
        else:
            s = self.s
            raise KernelFault(f"{s.kernel}, line {ins.line}: {ins.text}: reached, {s.where(int(s.active()[0]))}")

    def _leave(self, lanes: Array | None) -> None:
        s = self.s
        gone = (s.lane if s.live is None else s.live) if lanes is None else lanes
        s.alive[gone] = False
        s.alive_count -= gone.size
        s.live = np.flatnonzero(s.alive)
        if self.waiting:
            self._release()

    def _barrier(self, ins: Instruction, block: Block, lanes: Array | None) -> None:
        s = self.s
        if not ins.has("sync") or ins.has("red"):
            raise ins.error("only bar.sync is supported")
        if lanes is None and len(ins.operands) == 1:
            s.epoch += 1
            s.order += 1
            self._push(block.next, None)
            return
        self.waiting.append((ins, block.next, s.active() if lanes is None else lanes))
        self._release()

    def _release(self) -> None:
        """Lets go the blocks all of whose living threads wait, or as many as the barrier asks for."""
        s = self.s
        alive = np.bincount(s.block[s.alive], minlength=s.blocks)
        by_barrier: dict[tuple[int, int], list[tuple[Instruction, int, Array]]] = {}
        for ins, place, lanes in self.waiting:
            by_barrier.setdefault(_barrier_numbers(ins), []).append((ins, place, lanes))
        self.waiting = []
        for (_, count), entries in by_barrier.items():
            here = sum(np.bincount(s.block[lanes], minlength=s.blocks) for _, _, lanes in entries)
            ready = (here == (count or alive)) & (here > 0)
            for ins, place, lanes in entries:
                free = ready[s.block[lanes]]
                if free.any():
                    self._divergent(ins, entries, ready)
                    going = lanes[free]
                    s.epoch[going] += 1
                    s.order[going] += 1
                    self._push(place, going)
                if not free.all():
                    self.waiting.append((ins, place, lanes[~free]))

    def _divergent(self, ins: Instruction, entries: list[tuple[Instruction, int, Array]], ready: Array) -> None:
        s = self.s
        for other, _, lanes in entries:
            if other is not ins:
                both = lanes[ready[s.block[lanes]]]
                if both.size:
                    s.fault(ins, f"threads of one block wait at different barriers, also in line {other.line}", int(both[0]))

    def _stuck(self) -> None:
        ins, _, lanes = self.waiting[0]
        s = self.s
        raise KernelFault(
            f"{s.kernel}, line {ins.line}: {ins.text}: not all threads of the block reach this barrier, {s.where(int(lanes[0]))}"
        )


def _barrier_numbers(ins: Instruction) -> tuple[int, int]:
    """Number of the barrier, and how many threads it is for (0: all)."""
    values = []
    for operand in ins.operands:
        if isinstance(operand, Register) or not isinstance(operand, Immediate):
            raise ins.error("a barrier's number is no constant")
        values.append(int(operand.value))
    return (values or [0])[0], values[1] if len(values) > 1 else 0


def launch(
    program: Program, arena: Arena, parameters: Array, grid: Sequence[int], block: int, shared: int,
    checks: Checks, report: Report,
) -> None:  # fmt: skip
    """Runs all blocks of the grid, as many at once as make up ``LANES`` threads."""
    gx, gy, gz = grid
    total = gx * gy * gz
    width = -(-block // WARP) * WARP
    at_once = max(1, min(total, LANES // width))
    bytes_ = max(program.shared, program.dynamic) + shared if shared else program.shared
    report.launches[program.text.name] += 1
    with np.errstate(all="ignore"):
        for first in range(0, total, at_once):
            count = min(at_once, total - first)
            state = program.state(count, block, bytes_)
            state.parameters, state.arena, state.checks, state.report = parameters, arena, checks, report
            state.kernel = program.text.name
            state.start(first, (gx, gy, gz), (block, 1, 1))
            _Execution(program, state).run()
            _finish(state, program)


def _finish(state: State, program: Program) -> None:
    """Adds up what ran."""
    for block in program.blocks.values():
        if block.count:
            for ins in program.text.instructions[block.start : block.next]:
                state.report.instructions[ins.opcode] += block.count
            block.count = 0


Hook = Callable[[State], None]
