"""ld, st and fences: data between registers and memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.operands import Context, Read, Run, Write, address, read, write
from tests.ptx.registry import exact, instruction
from tests.ptx.spaces import SPACES, WINDOWS, Space, rows
from tests.ptx.state import State
from tests.ptx.syntax import Immediate, Instruction, Memory, Operand, Register, Symbol, Vector
from tests.ptx.types import TYPES, Array, Type

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
    register = read(context, ins, base, TYPES["s64" if base.bits == 64 else "u32"])
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


def everywhere(context: Context, ins: Instruction, operand: Operand) -> Callable[[State, Callable[[Space, Array], None]], None]:
    """A function that calls ``act(space, addresses)`` with the running lanes set to those of that space."""
    where = addresses(context, ins, operand)
    name = ins.pick(*_SPACES)
    if not name and isinstance(operand, Memory) and isinstance(operand.base, Symbol):
        name = context.symbols[operand.base.name][0]
    if name:
        space = SPACES[name]
        return lambda s, act: act(space, where(s))
    return lambda s, act: split(s, ins, where(s), act)


def _parts(operand: Operand, ins: Instruction) -> list[Operand]:
    count = 4 if ins.has("v4") else 2 if ins.has("v2") else 1
    found = list(operand.parts) if isinstance(operand, Vector) else [operand]
    if len(found) != count:
        raise ins.error(f"{count} registers are needed")
    return found


@instruction("ld", "ldu")
def _ld(context: Context, ins: Instruction) -> Run:
    type = ins.type
    stores = [write(ins, part, type) for part in _parts(ins.operands[0], ins)]
    if ins.has("param"):
        return _parameter(context, ins, type, stores)
    visit = everywhere(context, ins, ins.operands[1])
    count, size = len(stores), type.size * len(stores)

    def run(s: State) -> None:
        def act(space: Space, places: Array) -> None:
            index = space.place(s, ins, places, size, reads=True, writes=False)
            data = rows(space.memory(s), type.size, count).take(index, 0)
            if count == 1:
                stores[0](s, data.view(type.dtype))
            else:
                for k, store in enumerate(stores):
                    store(s, data[:, k].view(type.dtype))

        visit(s, act)

    return exact(run)


def _parameter(context: Context, ins: Instruction, type: Type, stores: list[Write]) -> Run:
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
            at = start + k * type.size
            store(s, s.parameters[at : at + type.size].view(type.dtype)[0])

    return run


@instruction("st")
def _st(context: Context, ins: Instruction) -> Run:
    type = ins.type
    values = [read(context, ins, part, type) for part in _parts(ins.operands[1], ins)]
    visit = everywhere(context, ins, ins.operands[0])
    count, size = len(values), type.size * len(values)
    unit = np.dtype(f"u{type.size}")

    def run(s: State) -> None:
        def act(space: Space, places: Array) -> None:
            index = space.place(s, ins, places, size, reads=False, writes=True)
            memory = rows(space.memory(s), type.size, count)
            if count == 1:
                memory[index] = np.asarray(values[0](s)).view(unit)
            else:
                data = np.empty((index.size, count), unit)
                for k, value in enumerate(values):
                    data[:, k] = np.asarray(value(s)).view(unit)
                memory[index] = data

        visit(s, act)

    return exact(run)


@instruction("membar", "fence", "prefetch", "prefetchu", "applypriority", "discard", "nanosleep", "pragma")
def _nothing(context: Context, ins: Instruction) -> Run:
    """What only orders or hints: threads here see each other's writes at once."""
    return lambda s: None


@instruction("isspacep")
def _isspacep(context: Context, ins: Instruction) -> Run:
    """Whether a generic address lies in a space."""
    source = read(context, ins, ins.operands[1], TYPES["s64"])
    store = write(ins, ins.operands[0], TYPES["pred"])
    kind = ("global", "shared", "local").index(ins.pick("global", "shared", "local"))
    shared, local = WINDOWS["shared"], WINDOWS["local"]

    def run(s: State) -> None:
        a = np.asarray(source(s))
        store(s, np.where(a < shared, 0, np.where(a < local, 1, 2)) == kind)

    return run


def base_register(operand: Operand) -> Register | None:
    """The register that an address starts from."""
    return operand.base if isinstance(operand, Memory) and isinstance(operand.base, Register) else None
