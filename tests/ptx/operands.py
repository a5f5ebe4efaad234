"""Operands as functions of the state: how an instruction gets its inputs and leaves its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tests.ptx.scalars import SCALARS, Array, Scalar, view
from tests.ptx.state import State
from tests.ptx.syntax import (
    Immediate,
    Instruction,
    Inverted,
    KernelText,
    Operand,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Vector,
)

Read = Callable[[State], Array]
Write = Callable[[State, Array], None]
Run = Callable[[State], None]


@dataclass
class Context:
    """What the decoding of one kernel needs: where its symbols lie."""

    kernel: KernelText
    symbols: dict[str, tuple[str, int]]  # name → space, address
    parameters: dict[str, int] = field(default_factory=dict)  # name → offset in the buffer
    watch: set[Register] = field(default_factory=set)  # registers that may be read unwritten


def read(context: Context, ins: Instruction, operand: Operand, scalar: Scalar) -> Read:
    """The values of ``operand`` as ``type`` over the running lanes, or one value for all."""
    if isinstance(operand, Register):
        return _read_register(ins, operand, scalar)
    if isinstance(operand, Inverted):
        row = _read_register(ins, operand.register, scalar)
        return lambda s: ~row(s)
    if isinstance(operand, Immediate):
        value = constant(operand, scalar)
        return lambda s: value
    if isinstance(operand, Special):
        return _read_special(ins, operand.name, scalar)
    if isinstance(operand, Symbol):
        value = np.asarray(address(context, ins, operand)).astype(scalar.dtype)[()]
        return lambda s: value
    if isinstance(operand, Vector):
        return _read_vector(context, ins, operand, scalar)
    raise ins.error(f"an operand of kind {operand.__class__.__name__} cannot be read here")


def constant(operand: Immediate, scalar: Scalar) -> Array:
    """An immediate as a scalar of ``type``; floats written in hexadecimal keep their bits in integer types."""
    if scalar.kind == "p":
        return np.bool_(operand.value)  # type: ignore[return-value]
    if scalar.kind == "f":
        return scalar.dtype.type(operand.value)
    if operand.real:
        bits = np.asarray(operand.value, f"f{scalar.size}").view(f"u{scalar.size}")
        return bits.view(scalar.dtype)[()]
    return np.asarray(int(operand.value) & (1 << scalar.bits) - 1, f"u{scalar.size}").view(scalar.dtype)[()]


def address(context: Context, ins: Instruction, symbol: Symbol) -> int:
    if symbol.name not in context.symbols:
        raise ins.error(f"{symbol.name} is not declared")
    return context.symbols[symbol.name][1] + symbol.offset


def _read_register(ins: Instruction, register: Register, scalar: Scalar) -> Read:
    if (scalar.kind == "p") != (register.bits == 1):
        raise ins.error(f"{register.name} is {'a' if register.bits == 1 else 'no'} predicate")
    index = register.index
    if scalar.bits >= register.bits or scalar.kind == "p":
        if scalar.bits > register.bits:
            raise ins.error(f"{register.name} has {register.bits} bits, {scalar.name} needs {scalar.bits}")
        name = scalar.view

        def whole(s: State) -> Array:
            row = s.rows[name][index]
            return row if s.idx is None else row.take(s.idx)

        return whole
    name = view("u", register.bits)
    narrow = np.dtype(f"u{scalar.size}")

    def cut(s: State) -> Array:
        row = s.rows[name][index]
        return (row if s.idx is None else row.take(s.idx)).astype(narrow).view(scalar.dtype)

    return cut


def _read_special(ins: Instruction, name: str, scalar: Scalar) -> Read:
    if name in ("clock64", "globaltimer"):
        zero = scalar.dtype.type(0)
        return lambda s: zero
    known = ("tid", "ntid", "ctaid", "nctaid", "laneid", "warpid", "nwarpid", "smid", "nsmid", "clock", "lanemask_")
    if not name.startswith((*known, "total_smem_size")):
        raise ins.error(f"special register %{name} is not supported")

    def special(s: State) -> Array:
        value = s.special[name].astype(scalar.dtype, copy=False)
        return value if s.idx is None or not value.ndim else value.take(s.idx)

    return special


def _read_vector(context: Context, ins: Instruction, vector: Vector, scalar: Scalar) -> Read:
    """``mov.b64 d, {lo, hi}``: the parts packed, the first lowest."""
    bits = scalar.bits // len(vector.parts)
    parts = [read(context, ins, part, SCALARS[f"u{bits}"]) for part in vector.parts]
    wide = SCALARS[f"u{scalar.bits}"].dtype

    def pack(s: State) -> Array:
        value = parts[0](s).astype(wide)
        for place, part in enumerate(parts[1:], 1):
            value = value | part(s).astype(wide) << wide.type(place * bits)
        return value.view(scalar.dtype)

    return pack


def write(ins: Instruction, operand: Operand, scalar: Scalar) -> Write:
    """Leaves values of ``type`` in ``operand`` for the running lanes; a wider register is sign or zero extended."""
    if isinstance(operand, Sink):
        return lambda s, value: None
    if isinstance(operand, Vector):
        return _write_vector(ins, operand, scalar)
    name, index = target(ins, operand, scalar)

    def store(s: State, value: Array) -> None:
        row = s.rows[name][index]
        if s.idx is None:
            row[...] = value
        else:
            row[s.idx] = value

    return store


def _write_vector(ins: Instruction, vector: Vector, scalar: Scalar) -> Write:
    """``mov.b64 {lo, hi}, a``."""
    bits = scalar.bits // len(vector.parts)
    part_type, wide = SCALARS[f"u{bits}"], SCALARS[f"u{scalar.bits}"].dtype
    parts = [write(ins, part, part_type) for part in vector.parts]

    def unpack(s: State, value: Array) -> None:
        value = value.view(wide)
        for place, part in enumerate(parts):
            part(s, (value >> wide.type(place * bits)).astype(part_type.dtype))

    return unpack


def target(ins: Instruction, operand: Operand, scalar: Scalar) -> tuple[str, int]:
    """Name of the view and index of the row that takes a result of ``type``."""
    if not isinstance(operand, Register):
        raise ins.error("the result goes to no register")
    if (scalar.kind == "p") != (operand.bits == 1):
        raise ins.error(f"{operand.name} is {'a' if operand.bits == 1 else 'no'} predicate")
    if scalar.bits > operand.bits or (scalar.kind == "f" and scalar.bits != operand.bits):
        raise ins.error(f"{operand.name} has {operand.bits} bits, the result {scalar.bits}")
    return view(scalar.kind, operand.bits), operand.index


def pair(operand: Operand) -> tuple[Operand, Operand]:
    """Both results of ``a|b``; a sink for what is not asked for."""
    return (operand.first, operand.second) if isinstance(operand, Pair) else (operand, Sink())
