"""atom and red: read, change and write as one step; threads take turns by their number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.access import everywhere
from tests.ptx.operands import Context, Run, read, write
from tests.ptx.registry import exact, instruction
from tests.ptx.scalars import Array
from tests.ptx.spaces import Space
from tests.ptx.state import State
from tests.ptx.syntax import Instruction, Sink

Change = Callable[..., Array]


def _increment(old: Array, limit: Array) -> Array:
    return np.where(old >= limit, old.dtype.type(0), old + old.dtype.type(1))


def _decrement(old: Array, limit: Array) -> Array:
    return np.where((old == 0) | (old > limit), limit, old - old.dtype.type(1))


def _exchange(old: Array, compare: Array, new: Array) -> Array:
    return np.where(old == compare, new, old)


_CHANGES: dict[str, Change] = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "exch": lambda old, new: new, "inc": _increment, "dec": _decrement,
    "cas": _exchange,
}  # fmt: skip


@instruction("atom", "red")
def _atom(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    change = _CHANGES.get(ins.pick(*_CHANGES))
    if change is None or ins.has("noftz") or scalar.name.endswith("x2"):
        raise ins.error("unknown atomic operation")
    operands = ins.operands if ins.opcode == "atom" else (Sink(), *ins.operands)
    visit = everywhere(context, ins, operands[1])
    values = [read(context, ins, operand, scalar) for operand in operands[2:]]
    store = write(ins, operands[0], scalar)

    def run(s: State) -> None:
        def act(space: Space, places: Array) -> None:
            index = space.place(s, ins, places, scalar.size, reads=True, writes=True)
            memory = space.memory(s).view(scalar.dtype)
            given = [np.broadcast_to(value(s), index.shape) for value in values]
            store(s, _turns(memory, index, change, given))

        visit(s, act)

    return exact(run)


def _turns(memory: Array, index: Array, change: Change, values: list[Array]) -> Array:
    """Old values of ``memory`` at ``index``; lanes of one place follow each other, one a round."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    starts = np.flatnonzero(first)
    turn = np.empty(index.size, np.intp)
    turn[order] = np.arange(index.size) - starts[np.cumsum(first) - 1]
    old = np.empty(index.size, memory.dtype)
    last = int(turn.max())
    for number in range(last + 1):
        lanes = np.flatnonzero(turn == number) if last else slice(None)
        place = index[lanes]
        old[lanes] = memory[place]
        memory[place] = change(old[lanes], *[value[lanes] for value in values])
    return old
