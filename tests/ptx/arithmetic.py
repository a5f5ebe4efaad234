"""Opcodes that integers and floats share, sent to the one or the other."""

from __future__ import annotations

from tests.ptx import floats, integers
from tests.ptx.operands import Context, Run
from tests.ptx.registry import instruction
from tests.ptx.syntax import Instruction


@instruction("add", "sub", "mul", "mad", "div", "min", "max", "abs", "neg")
def _shared(context: Context, ins: Instruction) -> Run:
    is_float = ins.scalar.kind == "f" or ins.scalar.name in ("f16x2", "bf16", "bf16x2")
    return floats.arithmetic(context, ins) if is_float else integers.arithmetic(context, ins)


@instruction("rem")
def _rem(context: Context, ins: Instruction) -> Run:
    return integers.arithmetic(context, ins)


@instruction("fma")
def _fma(context: Context, ins: Instruction) -> Run:
    return floats.arithmetic(context, ins)
