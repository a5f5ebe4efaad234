"""ld, st and fences: data between registers and memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.operands import Context, Read, Run, Write, address, read, write
from tests.ptx.registry import exact, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.spaces import SPACES, WINDOWS, Space, rows
from tests.ptx.state import State
from tests.ptx.syntax import Immediate, Instruction, Memory, Operand, Symbol, Vector

Act = Callable[[Space, Array], None]
_SPACES = ("global", "shared", "const", "local", "param")


def addresses(context: Context, ins: Instruction, operand: Operand) -> Read:
    """Addresses of ``[base + offset]`` over the running lanes as int64."""
    if not isinstance(operand, Memory):
        raise ins.error("an address in brackets is needed")
    base, offset = operand.base, operand.offset
    if isinstance(base, Symbol | Immediate):
        value = int(base.value) if isinstance(base, Immediate) else address(context, ins, base)
        fixed = np.int64(value + offset)
        return lambda s: np.full(s.active().size, fixed)
    register = read(context, ins, base, SCALARS["s64" if base.bits == 64 else "u32"])
    if base.bits == 64:
        return register if not offset else lambda s: register(s) + np.int64(offset)
    return lambda s: register(s).astype(np.int64) + np.int64(offset)


def split(s: State, ins: Instruction, places: Array, act: Callable[[Space, Array], None]) -> None:
    """``act`` on the lanes of each space that generic addresses ``places`` fall into."""
    shared, local = WINDOWS["shared"], WINDOWS["local"]
    if int(places.max()) < shared:
        act(SPACES["global"], places)
        return
    lanes, before = s.active(), s.idx
    kinds = np.where(places < shared, 0, np.where(places < local, 1, 2))
    for kind, name in enumerate(("global", "shared", "local")):
        chosen = kinds == kind
        if chosen.any():
            s.idx = lanes[chosen]
            try:
                act(SPACES[name], places[chosen] - WINDOWS.get(name, 0))
            finally:
                s.idx = before


def everywhere(context: Context, ins: Instruction, operand: Operand) -> Callable[[State, Act], None]:
    """A function that calls ``act(space, addresses)`` with the running lanes set to those of that space."""
    name = ins.pick(*_SPACES)
    if name == "param":
        raise ins.error("parameters of calls are not supported; inline the function")
    where = addresses(context, ins, operand)
    if not name and isinstance(operand, Memory) and isinstance(operand.base, Symbol):
        name = context.symbols[operand.base.name][0]
    if name:
        space = SPACES[name]
        return lambda s, act: act(space, where(s))
    return lambda s, act: split(s, ins, where(s), act)


def _parts(operand: Operand, ins: Instruction) -> list[Operand]:
    count = 4 if ins.has("v4") else 2 if ins.has("v2") else 1
    found: list[Operand] = list(operand.parts) if isinstance(operand, Vector) else [operand]
    if len(found) != count:
        raise ins.error(f"{count} registers are needed")
    return found


@instruction("ld", "ldu")
def _ld(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    stores = [write(ins, part, scalar) for part in _parts(ins.operands[0], ins)]
    if ins.has("param"):
        return _parameter(context, ins, scalar, stores)
    visit = everywhere(context, ins, ins.operands[1])
    count, size = len(stores), scalar.size * len(stores)

    def run(s: State) -> None:
        def act(space: Space, places: Array) -> None:
            index = space.place(s, ins, places, size, reads=True, writes=False)
            data = rows(space.memory(s), scalar.size, count).take(index, 0)
            if count == 1:
                stores[0](s, data.view(scalar.dtype))
            else:
                for k, store in enumerate(stores):
                    store(s, data[:, k].view(scalar.dtype))

        visit(s, act)

    return exact(run)


def _parameter(context: Context, ins: Instruction, scalar: Scalar, stores: list[Write]) -> Run:
    """ld.param: the same value in every thread."""
    operand = ins.operands[1]
    if not isinstance(operand, Memory) or not isinstance(operand.base, Symbol):
        raise ins.error("a parameter is read by its name")
    name = operand.base.name
    if name not in context.parameters:
        raise ins.error(f"no parameter {name}")
    start = context.parameters[name] + operand.offset + operand.base.offset

    def run(s: State) -> None:
        for k, store in enumerate(stores):
            at = start + k * scalar.size
            store(s, s.parameters[at : at + scalar.size].view(scalar.dtype)[0])

    return run


@instruction("st")
def _st(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    values = [read(context, ins, part, scalar) for part in _parts(ins.operands[1], ins)]
    visit = everywhere(context, ins, ins.operands[0])
    count, size = len(values), scalar.size * len(values)
    unit = np.dtype(f"u{scalar.size}")

    def run(s: State) -> None:
        def act(space: Space, places: Array) -> None:
            index = space.place(s, ins, places, size, reads=False, writes=True)
            memory = rows(space.memory(s), scalar.size, count)
            if count == 1:
                data = s.full(np.asarray(values[0](s)).view(unit))
                memory[index] = data
            else:
                data = np.empty((index.size, count), unit)
                for k, value in enumerate(values):
                    data[:, k] = np.asarray(value(s)).view(unit)
                memory[index] = data
            if s.checks.races:
                _agree(s, ins, memory[index], data)

        visit(s, act)

    return exact(run)


def _agree(s: State, ins: Instruction, stored: Array, given: Array) -> None:
    """Two threads that write one place with one instruction must write the same value."""
    if not np.array_equal(stored, given):
        differ = stored != given
        lane = s.active()[np.flatnonzero(differ if differ.ndim == 1 else differ.any(1))[0]]
        s.fault(ins, "races: another thread writes another value to the same place with this instruction", int(lane))


@instruction("membar", "fence", "prefetch", "prefetchu", "applypriority", "discard", "nanosleep", "pragma")
def _nothing(context: Context, ins: Instruction) -> Run:
    """What only orders or hints: threads here see each other's writes at once."""
    return lambda s: None


@instruction("isspacep")
def _isspacep(context: Context, ins: Instruction) -> Run:
    """Whether a generic address lies in a space."""
    source = read(context, ins, ins.operands[1], SCALARS["s64"])
    store = write(ins, ins.operands[0], SCALARS["pred"])
    kind = ("global", "shared", "local").index(ins.pick("global", "shared", "local"))
    shared, local = WINDOWS["shared"], WINDOWS["local"]

    def run(s: State) -> None:
        a = np.asarray(source(s))
        store(s, np.where(a < shared, 0, np.where(a < local, 1, 2)) == kind)

    return run


@instruction("call")
def _call(context: Context, ins: Instruction) -> Run:
    raise ins.error("calls are not supported; inline the function")
