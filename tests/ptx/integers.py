"""Integer arithmetic: add to rem, wide and high products, carries, dot products of bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.operands import Context, Run, read, write
from tests.ptx.registry import elementwise, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.state import State
from tests.ptx.syntax import Instruction

Function = Callable[..., Array]


def wider(scalar: Scalar) -> Scalar:
    return SCALARS[f"{'u' if scalar.kind == 'b' else scalar.kind}{scalar.bits * 2}"]


def high_product(scalar: Scalar) -> Function:
    """Upper half of a product of two ``type``."""
    if scalar.bits < 64:
        wide, shift = wider(scalar).dtype, scalar.bits
        return lambda a, b: (np.multiply(a, b, dtype=wide) >> wide.type(shift)).astype(scalar.dtype)
    return _high_signed if scalar.signed else _high_unsigned


def _high_unsigned(a: Array, b: Array) -> Array:
    a, b = np.asarray(a, np.uint64), np.asarray(b, np.uint64)
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a0, a1, b0, b1 = a & mask, a >> half, b & mask, b >> half
    low, cross = a0 * b0, a1 * b0
    middle = (low >> half) + (cross & mask) + a0 * b1
    return a1 * b1 + (cross >> half) + (middle >> half)


def _high_signed(a: Array, b: Array) -> Array:
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    high = _high_unsigned(a.view(np.uint64), b.view(np.uint64)).view(np.int64)
    return high - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)


def divide(scalar: Scalar) -> Function:
    """Quotient towards zero; all ones for a divisor of 0 (the manual leaves it to the machine)."""

    def quotient(a: Array, b: Array) -> Array:
        zero = b == 0
        safe = np.where(zero, scalar.dtype.type(1), b)
        if scalar.signed:
            q = np.floor_divide(a, safe)
            q = q + ((q * safe != a) & ((a < 0) != (safe < 0)))
        else:
            q = np.floor_divide(a, safe)
        return np.where(zero, np.asarray(-1, np.int64).astype(scalar.dtype), q)

    return quotient


def remainder(scalar: Scalar) -> Function:
    """Has the sign of the dividend; the dividend for a divisor of 0."""

    def rest(a: Array, b: Array) -> Array:
        zero = b == 0
        safe = np.where(zero, scalar.dtype.type(1), b)
        return np.where(zero, a, np.fmod(a, safe))

    return rest


def _saturated(function: np.ufunc, scalar: Scalar) -> Function:
    low, high = scalar.limits
    return lambda a, b: np.clip(function(a, b, dtype=np.int64), low, high).astype(scalar.dtype)


def arithmetic(context: Context, ins: Instruction) -> Run:
    """add, sub, mul, mad, div, rem, min, max, abs, neg of integers (``registry`` sends floats elsewhere)."""
    scalar, opcode = ins.scalar, ins.opcode
    if opcode in ("add", "sub"):
        function = np.add if opcode == "add" else np.subtract
        if ins.has("cc"):
            return _carrying(context, ins, subtract=opcode == "sub", takes=False)
        if ins.has("sat"):
            return elementwise(context, ins, _saturated(function, scalar), scalar, [scalar, scalar])
        return elementwise(context, ins, function, scalar, [scalar, scalar])
    if opcode in ("mul", "mad"):
        return _product(context, ins)
    if opcode in ("abs", "neg"):
        return elementwise(context, ins, np.abs if opcode == "abs" else np.negative, scalar, [scalar])
    if opcode in ("min", "max"):
        return elementwise(context, ins, np.minimum if opcode == "min" else np.maximum, scalar, [scalar, scalar])
    return elementwise(context, ins, divide(scalar) if opcode == "div" else remainder(scalar), scalar, [scalar, scalar])


def _product(context: Context, ins: Instruction) -> Run:
    scalar, adds = ins.scalar, ins.opcode == "mad"
    if ins.has("cc"):
        return _carrying_product(context, ins, takes=False)
    product: Function = np.multiply
    result = scalar
    if ins.has("wide"):
        result = wider(scalar)
        product = _wide_product(result)
    elif ins.has("hi"):
        product = high_product(scalar)
    if not adds:
        return elementwise(context, ins, product, result, [scalar, scalar])
    if ins.has("sat"):
        low, high = scalar.limits
        return elementwise(
            context, ins, lambda a, b, c: np.clip(product(a, b).astype(np.int64) + c, low, high).astype(scalar.dtype),
            result, [scalar, scalar, scalar],
        )  # fmt: skip
    return elementwise(context, ins, lambda a, b, c: product(a, b) + c, result, [scalar, scalar, result])


def _wide_product(result: Scalar) -> Function:
    return lambda a, b: np.multiply(a, b, dtype=result.dtype)


@instruction("mul24", "mad24")
def _product24(context: Context, ins: Instruction) -> Run:
    """Products of the low 24 bits: .lo the low 32 bits of 48, .hi the high ones."""
    scalar, up = ins.scalar, np.int64(16 if ins.has("hi") else 0)

    def cut(a: Array) -> Array:
        if scalar.signed:
            return (np.asarray(a).astype(np.int64) << np.int64(40)) >> np.int64(40)
        return np.asarray(a).astype(np.int64) & np.int64(0xFFFFFF)

    def product(a: Array, b: Array, c: Array | int = 0) -> Array:
        return ((cut(a) * cut(b)) >> up).astype(scalar.dtype) + np.asarray(c, scalar.dtype)

    return elementwise(context, ins, product, scalar, [scalar] * (3 if ins.opcode == "mad24" else 2))


@instruction("sad")
def _sad(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    return elementwise(
        context, ins, lambda a, b, c: c + (np.maximum(a, b) - np.minimum(a, b)), scalar, [scalar, scalar, scalar]
    )


@instruction("addc")
def _addc(context: Context, ins: Instruction) -> Run:
    return _carrying(context, ins, subtract=False, takes=True)


@instruction("subc")
def _subc(context: Context, ins: Instruction) -> Run:
    return _carrying(context, ins, subtract=True, takes=True)


def _carrying(context: Context, ins: Instruction, subtract: bool, takes: bool) -> Run:
    """add.cc, addc, sub.cc, subc: the carry (or borrow) of each thread goes from one to the next."""
    scalar = SCALARS[f"u{ins.scalar.bits}"]
    a, b = (read(context, ins, operand, scalar) for operand in ins.operands[1:])
    store = write(ins, ins.operands[0], scalar)
    gives = ins.has("cc")

    def run(s: State) -> None:
        x, y, carry = s.full(a(s)), b(s), _carry(s)
        with_carry = carry.astype(scalar.dtype) if takes else scalar.dtype.type(0)
        if subtract:
            middle = x - y
            out = middle - with_carry
            over = (x < y) | (middle < with_carry)
        else:
            middle = x + y
            out = middle + with_carry
            over = (middle < x) | (out < middle)
        store(s, out)
        if gives:
            _set_carry(s, over)

    return run


def _carry(s: State) -> Array:
    return s.carry if s.idx is None else s.carry.take(s.idx)


def _set_carry(s: State, over: Array) -> None:
    s.carry[slice(None) if s.idx is None else s.idx] = over


@instruction("madc")
def _madc(context: Context, ins: Instruction) -> Run:
    return _carrying_product(context, ins, takes=True)


def _carrying_product(context: Context, ins: Instruction, takes: bool) -> Run:
    """mad.lo.cc and its like: half of a product plus a number, with carry."""
    scalar = SCALARS[f"u{ins.scalar.bits}"]
    product = high_product(ins.scalar) if ins.has("hi") else np.multiply
    a, b = (read(context, ins, operand, ins.scalar) for operand in ins.operands[1:3])
    c = read(context, ins, ins.operands[3], scalar)
    store = write(ins, ins.operands[0], scalar)
    gives = ins.has("cc")

    def run(s: State) -> None:
        x = s.full(np.asarray(product(a(s), b(s)))).view(scalar.dtype)
        middle = x + c(s)
        out = middle + (_carry(s).astype(scalar.dtype) if takes else scalar.dtype.type(0))
        store(s, out)
        if gives:
            _set_carry(s, (middle < x) | (out < middle))

    return run


def pieces(value: Array, dtype: str) -> Array:
    """The bytes or halves of 32-bit words, one row each, as int32."""
    parts = np.ascontiguousarray(value).view(dtype)
    return parts.reshape(*np.shape(value), -1).astype(np.int32) if np.ndim(value) else parts.astype(np.int32)


@instruction("dp4a")
def _dp4a(context: Context, ins: Instruction) -> Run:
    first, second = ins.scalars
    word = SCALARS["u32"]
    result = SCALARS["s32" if first.signed or second.signed else "u32"]
    one, other = ("i1" if scalar.signed else "u1" for scalar in (first, second))

    def dot(a: Array, b: Array, c: Array) -> Array:
        x, y = pieces(a, one), pieces(b, other)
        total = x[..., 0] * y[..., 0]
        for k in range(1, 4):
            total = total + x[..., k] * y[..., k]
        return total.astype(result.dtype) + c

    return elementwise(context, ins, dot, result, [word, word, result])


@instruction("dp2a")
def _dp2a(context: Context, ins: Instruction) -> Run:
    first, second = ins.scalars
    word, shift = SCALARS["u32"], 2 if ins.has("hi") else 0
    result = SCALARS["s32" if first.signed or second.signed else "u32"]
    one, other = "i2" if first.signed else "u2", "i1" if second.signed else "u1"

    def dot(a: Array, b: Array, c: Array) -> Array:
        x, y = pieces(a, one), pieces(b, other)
        return (x[..., 0] * y[..., shift] + x[..., 1] * y[..., shift + 1]).astype(result.dtype) + c

    return elementwise(context, ins, dot, result, [word, word, result])
