"""Bits: logic, shifts, fields, counts, bytes put in another order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.operands import Context, Run
from tests.ptx.registry import elementwise, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.syntax import Immediate, Instruction

Function = Callable[..., Array]


@instruction("and", "or", "xor")
def _logic(context: Context, ins: Instruction) -> Run:
    function = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[ins.opcode]
    return elementwise(context, ins, function, ins.scalar, [ins.scalar, ins.scalar])


@instruction("not")
def _not(context: Context, ins: Instruction) -> Run:
    return elementwise(context, ins, np.bitwise_not, ins.scalar, [ins.scalar])


@instruction("cnot")
def _cnot(context: Context, ins: Instruction) -> Run:
    return elementwise(context, ins, lambda a: (a == 0).astype(ins.scalar.dtype), ins.scalar, [ins.scalar])


def truth_table(table: int) -> Function:
    """The three-input function that ``lop3`` names by its eight results (a = 0xF0, b = 0xCC, c = 0xAA)."""
    when_a, when_not = _two_inputs(table >> 4), _two_inputs(table & 15)
    if when_a is when_not:
        return lambda a, b, c: when_a(b, c) | np.zeros_like(a)
    if table & 15 == 0:
        return lambda a, b, c: a & when_a(b, c)
    if table >> 4 == 15:
        return lambda a, b, c: a | when_not(b, c)
    if table >> 4 == ~table & 15:
        return lambda a, b, c: a ^ when_not(b, c)
    return lambda a, b, c: (a & when_a(b, c)) | (~a & when_not(b, c))


_PLAIN: list[Function] = [
    lambda b, c: np.zeros_like(b),
    lambda b, c: ~(b | c),
    lambda b, c: ~b & c,
    lambda b, c: ~b,
    lambda b, c: b & ~c,
    lambda b, c: ~c,
    lambda b, c: b ^ c,
    lambda b, c: ~(b & c),
    lambda b, c: b & c,
    lambda b, c: ~(b ^ c),
    lambda b, c: c,
    lambda b, c: ~b | c,
    lambda b, c: b,
    lambda b, c: b | ~c,
    lambda b, c: b | c,
    lambda b, c: ~np.zeros_like(b),
]


def _two_inputs(table: int) -> Function:
    """Bit 0 of ``table`` is the result for b = c = 0, bit 1 for c alone, bit 2 for b alone, bit 3 for both."""
    return _PLAIN[table]


@instruction("lop3")
def _lop3(context: Context, ins: Instruction) -> Run:
    table = ins.operands[-1]
    if len(ins.operands) != 5 or not isinstance(table, Immediate):
        raise ins.error("lop3 with a predicate is not supported")
    short = _without_last(ins)
    return elementwise(context, short, truth_table(int(table.value)), ins.scalar, [ins.scalar] * 3)


def _without_last(ins: Instruction) -> Instruction:
    return Instruction(ins.opcode, ins.parts, ins.operands[:-1], ins.line, ins.text, ins.guard, ins.inverted)


@instruction("shl", "shr")
def _shift(context: Context, ins: Instruction) -> Run:
    """By as many bits as the second operand says; the width and more give 0 or the sign."""
    scalar = ins.scalar
    function = np.left_shift if ins.opcode == "shl" else np.right_shift
    limit = scalar.bits - 1

    def shift(a: Array, b: Array) -> Array:
        near = np.minimum(b, np.uint32(limit)).astype(scalar.dtype)
        out = function(a, near)
        return out if scalar.signed and ins.opcode == "shr" else np.where(b > limit, scalar.dtype.type(0), out)

    amount = ins.operands[-1]
    if isinstance(amount, Immediate) and 0 <= amount.value <= limit:
        return elementwise(context, ins, function, scalar, [scalar, scalar])
    return elementwise(context, ins, shift, scalar, [scalar, SCALARS["u32"]])


@instruction("shf")
def _funnel(context: Context, ins: Instruction) -> Run:
    """Shift of two words: ``.l`` gives the high half of {b, a} shifted left, ``.r`` the low half shifted right."""
    left, wraps, word = ins.has("l"), ins.has("wrap"), SCALARS["u32"]

    def funnel(a: Array, b: Array, c: Array) -> Array:
        both = np.asarray(a).astype(np.uint64) | np.asarray(b).astype(np.uint64) << np.uint64(32)
        n = (c & np.uint32(31) if wraps else np.minimum(c, np.uint32(32))).astype(np.uint64)
        out = (both << n) >> np.uint64(32) if left else both >> n
        return out.astype(np.uint32)

    return elementwise(context, ins, funnel, word, [word] * 3)


@instruction("bfe")
def _bfe(context: Context, ins: Instruction) -> Run:
    """``c`` bits from bit ``b`` on; what lies above the word is the sign (signed) or 0."""
    scalar, byte = ins.scalar, SCALARS["u32"]
    top = scalar.bits - 1

    def field(a: Array, b: Array, c: Array) -> Array:
        start, length = (np.asarray(x & np.uint32(255)).astype(np.int64) for x in (b, c))
        a = np.asarray(a)
        down = (a >> np.minimum(start, top).astype(scalar.dtype)).astype(scalar.dtype)
        if not scalar.signed:
            keep = np.where(length > top, ~scalar.dtype.type(0), _ones(scalar, length))
            return np.where(start > top, scalar.dtype.type(0), down & keep)
        gap = (scalar.bits - np.minimum(length, scalar.bits)).astype(scalar.dtype)
        out = np.where(length == 0, scalar.dtype.type(0), (down << np.minimum(gap, top)) >> np.minimum(gap, top))
        sign = np.where((a < 0) & (length > 0), scalar.dtype.type(-1), scalar.dtype.type(0))
        return np.where((start > top), sign, out)

    return elementwise(context, ins, field, scalar, [scalar, byte, byte])


def _ones(scalar: Scalar, length: Array) -> Array:
    """``length`` low bits set, for ``length`` below the width."""
    unsigned = np.dtype(f"u{scalar.size}")
    low = np.minimum(length, scalar.bits - 1).astype(unsigned)
    return ((unsigned.type(1) << low) - unsigned.type(1)).astype(scalar.dtype)


@instruction("bfi")
def _bfi(context: Context, ins: Instruction) -> Run:
    """``d`` of length bits of ``a`` in ``b`` from bit ``c`` on."""
    scalar = SCALARS[f"u{ins.scalar.bits}"]

    def insert(a: Array, b: Array, c: Array, d: Array) -> Array:
        start, length = (np.asarray(x & np.uint32(255)).astype(np.int64) for x in (c, d))
        ones = np.where(length >= scalar.bits, ~scalar.dtype.type(0), _ones(scalar, length))
        shift = np.minimum(start, scalar.bits - 1).astype(scalar.dtype)
        mask = np.where(start >= scalar.bits, scalar.dtype.type(0), ones << shift)
        return (b & ~mask) | ((a << shift) & mask)

    return elementwise(context, ins, insert, scalar, [scalar, scalar, SCALARS["u32"], SCALARS["u32"]])


def leading_zeros(value: Array, bits: int) -> Array:
    """Zeros above the highest bit set, ``bits`` for 0, as uint32."""
    if bits == 64:
        high = (np.asarray(value) >> np.uint64(32)).astype(np.uint32)
        low = np.asarray(value).astype(np.uint32)
        return np.where(high != 0, leading_zeros(high, 32), np.uint32(32) + leading_zeros(low, 32))
    return (32 - np.frexp(np.asarray(value).astype(np.float64))[1]).astype(np.uint32)


def count_ones(value: Array) -> Array:
    """Bits set, as uint32."""
    total = np.asarray(value)
    dtype = total.dtype.type
    width = total.dtype.itemsize * 8
    ones = (1 << width) - 1
    total = total - ((total >> dtype(1)) & dtype(ones // 3))
    total = (total & dtype(ones // 5)) + ((total >> dtype(2)) & dtype(ones // 5))
    total = (total + (total >> dtype(4))) & dtype(ones // 17)
    return ((total * dtype(ones // 255)) >> dtype(width - 8)).astype(np.uint32)


def reverse_bits(value: Array) -> Array:
    value = np.asarray(value)
    dtype, width = value.dtype.type, value.dtype.itemsize * 8
    shift = 1
    while shift < width:
        mask = dtype(sum(((1 << shift) - 1) << place for place in range(0, width, 2 * shift)))
        value = ((value >> dtype(shift)) & mask) | ((value & mask) << dtype(shift))
        shift *= 2
    return value


@instruction("clz", "popc", "brev")
def _counts(context: Context, ins: Instruction) -> Run:
    scalar = SCALARS[f"u{ins.scalar.bits}"]
    if ins.opcode == "brev":
        return elementwise(context, ins, reverse_bits, scalar, [scalar])
    function = count_ones if ins.opcode == "popc" else lambda a: leading_zeros(a, scalar.bits)
    return elementwise(context, ins, function, SCALARS["u32"], [scalar])


@instruction("bfind")
def _bfind(context: Context, ins: Instruction) -> Run:
    """Place of the highest bit that differs from the sign, all ones if there is none; .shiftamt counts from above."""
    scalar, unsigned = ins.scalar, SCALARS[f"u{ins.scalar.bits}"]

    def find(a: Array) -> Array:
        a = np.asarray(a)
        plain = np.where(a < 0, ~a, a).view(unsigned.dtype) if scalar.signed else a
        zeros = leading_zeros(plain, scalar.bits)
        place = zeros if ins.has("shiftamt") else np.uint32(scalar.bits - 1) - zeros
        return np.where(plain == 0, np.uint32(0xFFFFFFFF), place)

    return elementwise(context, ins, find, SCALARS["u32"], [scalar])


_MODES = ("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")


@instruction("prmt")
def _prmt(context: Context, ins: Instruction) -> Run:
    """Four bytes chosen out of the eight of {b, a}; bit 3 of a selector spreads the byte's sign."""
    word, mode, selector = SCALARS["u32"], ins.pick(*_MODES), ins.operands[3]
    if not mode and isinstance(selector, Immediate):
        short = _without_last(ins)
        return elementwise(context, short, _fixed_bytes(int(selector.value)), word, [word, word])
    function = _chosen_bytes if not mode else lambda a, b, c: _chosen_bytes(a, b, _selectors(mode, c))
    return elementwise(context, ins, function, word, [word] * 3)


def _fixed_bytes(selector: int) -> Function:
    """Bytes that keep their distance move together: one shift and one mask for each way to move."""
    moves: dict[tuple[int, int], int] = {}
    signs = []
    for place in range(4):
        chosen = selector >> 4 * place & 15
        if chosen & 8:
            signs.append((chosen & 7, place))
        else:
            key = (chosen >> 2, place - (chosen & 3))
            moves[key] = moves.get(key, 0) | 0xFF << 8 * place

    def run(a: Array, b: Array) -> Array:
        words = (a, b)
        out: Array = np.zeros_like(a)
        for (word, up), mask in moves.items():
            moved = words[word]
            if up:
                moved = moved << np.uint32(8 * up) if up > 0 else moved >> np.uint32(-8 * up)
            out = (moved if mask == 0xFFFFFFFF else moved & np.uint32(mask)) | out
        for chosen, place in signs:
            bit = (words[chosen >> 2] >> np.uint32(8 * (chosen & 3) + 7)) & np.uint32(1)
            out = out | (bit * np.uint32(0xFF) << np.uint32(8 * place))
        return out

    return run


def _chosen_bytes(a: Array, b: Array, c: Array) -> Array:
    both = np.asarray(a).astype(np.uint64) | np.asarray(b).astype(np.uint64) << np.uint64(32)
    c = np.asarray(c).astype(np.uint64)
    out = np.uint64(0)
    for place in range(4):
        chosen = c >> np.uint64(4 * place)
        byte = (both >> ((chosen & np.uint64(7)) * np.uint64(8))) & np.uint64(0xFF)
        sign = (byte >> np.uint64(7)) * np.uint64(0xFF)
        out = out | np.where(chosen & np.uint64(8), sign, byte) << np.uint64(8 * place)
    return np.asarray(out).astype(np.uint32)


def _selectors(mode: str, control: Array) -> Array:
    """The selectors that a mode (forward, backward, replicate, edge clamp) makes of two bits of ``control``."""
    tables = {
        "f4e": [0x3210, 0x4321, 0x5432, 0x6543],
        "b4e": [0x5670, 0x6701, 0x7012, 0x0123],
        "rc8": [0x0000, 0x1111, 0x2222, 0x3333],
        "ecl": [0x3210, 0x3211, 0x3222, 0x3333],
        "ecr": [0x0000, 0x1110, 0x2210, 0x3210],
        "rc16": [0x1010, 0x3232, 0x1010, 0x3232],
    }
    return np.asarray(tables[mode], np.uint32)[np.asarray(control & np.uint32(3)).astype(np.intp)]
