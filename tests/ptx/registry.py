"""Which function decodes which opcode, and the shapes that most instructions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ptx.flow import watched
from tests.ptx.operands import Context, Run, read, target, write
from tests.ptx.scalars import Array, Scalar
from tests.ptx.state import State
from tests.ptx.syntax import Instruction, Register

Decoder = Callable[[Context, Instruction], Run]
DECODERS: dict[str, Decoder] = {}


def instruction(*opcodes: str) -> Callable[[Decoder], Decoder]:
    """Enters a decoder for ``opcodes``."""

    def enter(decoder: Decoder) -> Decoder:
        for opcode in opcodes:
            DECODERS[opcode] = decoder
        return decoder

    return enter


def decode(context: Context, ins: Instruction) -> Run:
    """The instruction as a function of the state, its guard included."""
    decoder = DECODERS.get(ins.opcode)
    if decoder is None:
        raise ins.error("unknown instruction")
    run = decoder(context, ins)
    if context.watch:
        run = watched(run, ins, context.watch)
    return run if ins.guard is None else _guarded(run, ins.guard, ins.inverted)


def _guarded(run: Run, guard: Register, inverted: bool) -> Run:
    index = guard.index

    def guarded(s: State) -> None:
        before, lanes = s.idx, s.active()
        chosen = s.rows["p"][index]
        chosen = chosen if lanes is s.lane else chosen.take(lanes)
        taken = lanes[~chosen if inverted else chosen]
        if taken.size == lanes.size:
            run(s)
        elif taken.size:
            s.idx = taken
            try:
                run(s)
            finally:
                s.idx = before

    return guarded


def exact(run: Run) -> Run:
    """``run`` on lanes that are alive alone: for what touches memory or other threads."""

    def alive(s: State) -> None:
        if s.idx is None and s.live is not None:
            s.idx = s.live
            try:
                run(s)
            finally:
                s.idx = None
        else:
            run(s)

    return alive


def elementwise(
    context: Context, ins: Instruction, function: Callable[..., Any], result: Scalar, inputs: list[Scalar]
) -> Run:
    """``function`` of the operands after the first, element by element; a ufunc writes into the row at once."""
    if len(ins.operands) != len(inputs) + 1:
        raise ins.error(f"{len(inputs) + 1} operands are needed")
    reads = [read(context, ins, operand, scalar) for operand, scalar in zip(ins.operands[1:], inputs, strict=True)]
    if isinstance(function, np.ufunc) and isinstance(ins.operands[0], Register):
        return _direct(ins, function, result, reads)
    store = write(ins, ins.operands[0], result)
    if len(reads) == 1:
        (a,) = reads
        return lambda s: store(s, function(a(s)))
    if len(reads) == 2:
        a, b = reads
        return lambda s: store(s, function(a(s), b(s)))
    return lambda s: store(s, function(*[each(s) for each in reads]))


def _direct(ins: Instruction, function: np.ufunc, result: Scalar, reads: list[Callable[[State], Array]]) -> Run:
    name, index = target(ins, ins.operands[0], result)
    if len(reads) == 2:
        a, b = reads

        def two(s: State) -> None:
            row = s.rows[name][index]
            if s.idx is None:
                function(a(s), b(s), out=row)
            else:
                row[s.idx] = function(a(s), b(s))

        return two

    def any_number(s: State) -> None:
        row = s.rows[name][index]
        if s.idx is None:
            function(*[each(s) for each in reads], out=row)
        else:
            row[s.idx] = function(*[each(s) for each in reads])

    return any_number
