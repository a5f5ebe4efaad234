"""Which registers may be read before anything was written to them.

A look at the text settles nearly all: a register that is written on every way to each of its reads needs no watch.
The rest is watched while the kernel runs, thread by thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tests.ptx.operands import Run
from tests.ptx.state import State
from tests.ptx.syntax import Immediate, Instruction, Inverted, Memory, Operand, Pair, Register, Vector

_NO_RESULT = {
    "st", "red", "bra", "brx", "bar", "barrier", "ret", "exit", "trap", "membar", "fence", "cp", "prefetch",
    "prefetchu", "nanosleep", "discard", "applypriority",
}  # fmt: skip


def _registers(operand: Operand) -> Iterator[Register]:
    if isinstance(operand, Register):
        yield operand
    elif isinstance(operand, Inverted):
        yield operand.register
    elif isinstance(operand, Memory):
        if isinstance(operand.base, Register):
            yield operand.base
    elif isinstance(operand, Vector):
        for part in operand.parts:
            yield from _registers(part)
    elif isinstance(operand, Pair):
        yield from _registers(operand.first)
        yield from _registers(operand.second)


def _results(ins: Instruction) -> int:
    """How many operands are results."""
    return int(bool(ins.operands) and (ins.opcode not in _NO_RESULT or ins.has("red")))


def written(ins: Instruction) -> list[Register]:
    if not _results(ins):
        return []
    return list(_registers(ins.operands[0]))


def needed(ins: Instruction) -> list[Register]:
    """What ``ins`` reads, its guard apart."""
    inputs = ins.operands[_results(ins) :]
    return [register for operand in inputs for register in _registers(operand)]


def constants(code: Sequence[Instruction], unsure: set[Register]) -> dict[Register, Immediate]:
    """Registers that one ``mov`` of a number alone writes, and no way leads past it."""
    writers: dict[Register, list[Instruction]] = {}
    for ins in code:
        for register in written(ins):
            writers.setdefault(register, []).append(ins)
    found = {}
    for register, (first, *others) in writers.items():
        if first.opcode == "mov" and not others and first.guard is None and register not in unsure:
            value = first.operands[1]
            if first.operands[0] == register and isinstance(value, Immediate):
                found[register] = value
    return found


def simplified(ins: Instruction, known: Mapping[Register, Immediate]) -> Instruction:
    """``ins`` with the registers of ``known`` replaced by their numbers among its plain inputs."""
    count = _results(ins)
    inputs = [known.get(x, x) if isinstance(x, Register) else x for x in ins.operands[count:]]
    if all(new is old for new, old in zip(inputs, ins.operands[count:], strict=True)):
        return ins
    return replace(ins, operands=(*ins.operands[:count], *inputs))


def _bit(register: Register) -> int:
    return 1 << register.index * 4 + {1: 0, 16: 1, 32: 2, 64: 3}[register.bits]


def doubtful(code: Sequence[Instruction], blocks: Mapping[int, int]) -> set[Register]:
    """Registers that some way through ``blocks`` (start → end) reads unwritten."""
    given: dict[int, int] = {}  # what each block surely writes
    for start, end in blocks.items():
        given[start] = 0
        for ins in code[start:end]:
            if ins.guard is None:
                for register in written(ins):
                    given[start] |= _bit(register)
    known = {0: 0}  # what is surely written when a block begins
    open_ = [0]
    while open_:
        start = open_.pop()
        after = known[start] | given[start]
        for follower in _followers(code, blocks[start]):
            if follower not in blocks:
                continue
            merged = after if follower not in known else known[follower] & after
            if known.get(follower) != merged:
                known[follower] = merged
                open_.append(follower)
    found = set()
    for start, sure in known.items():
        for ins in code[start : blocks[start]]:
            for register in [*needed(ins), *([ins.guard] if ins.guard else [])]:
                if not sure & _bit(register):
                    found.add(register)
            if ins.guard is None:
                for register in written(ins):
                    sure |= _bit(register)
    return found


def _followers(code: Sequence[Instruction], end: int) -> list[int]:
    last = code[end - 1]
    ways = [] if last.opcode in ("bra", "brx", "ret", "exit", "trap", "brkpt") and last.guard is None else [end]
    return [*ways, *last.targets]


def watched(run: Run, ins: Instruction, watch: set[Register]) -> Run:
    """``run`` with a look at the registers of ``watch`` that it reads, and a note of those it writes."""
    reads = [register for register in needed(ins) if register in watch]
    writes = [register for register in written(ins) if register in watch]
    if not reads and not writes:
        return run

    def watching(s: State) -> None:
        lanes = s.active()
        for register in reads:
            check(s, ins, register)
        run(s)
        for register in writes:
            s.defined[register][lanes] = True

    return watching


def check(s: State, ins: Instruction, register: Register) -> None:
    """A fault if a running lane has not written ``register``."""
    lanes = s.active()
    good = s.defined[register][lanes]
    if not good.all():
        s.fault(ins, f"reads {register.name}, which nothing wrote", int(lanes[~good][0]))
        s.defined[register][lanes] = True
