"""Integer instructions against Python's integers, which know no width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.ptx.harness import evaluate, integers
from tests.ptx.scalars import SCALARS, Array

COUNT = 400


def wrap(values: list[int], name: str) -> Array:
    """Integers cut to the width of the type."""
    scalar = SCALARS[name]
    mask = (1 << scalar.bits) - 1
    return np.asarray([value & mask for value in values], f"u{scalar.size}").view(scalar.dtype)


def check(text: str, result: str, types: list[str], reference: Callable[..., int], *given: Array) -> None:
    inputs = list(given) or [integers(name, COUNT, seed) for seed, name in enumerate(types)]
    got = evaluate(text, result, *zip(types, inputs, strict=True))
    expected = wrap([reference(*map(int, each)) for each in zip(*inputs, strict=True)], result)
    bad = np.flatnonzero(got != expected)
    assert not bad.size, (text, [each[bad[0]] for each in inputs], got[bad[0]], expected[bad[0]])


def clamp(value: int, name: str) -> int:
    low, high = SCALARS[name].limits
    return max(low, min(high, value))


def quotient(a: int, b: int) -> int:
    return -1 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


NAMES = ["u16", "s16", "u32", "s32", "u64", "s64"]
DOUBLE = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


@pytest.mark.parametrize("name", NAMES)
def test_sums_products_quotients(name: str) -> None:
    bits = SCALARS[name].bits
    two, three = [name] * 2, [name] * 3
    check(f"add.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a + b)
    check(f"sub.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a - b)
    check(f"mul.lo.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a * b)
    check(f"mul.hi.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a * b >> bits)
    check(f"mad.lo.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, three, lambda a, b, c: a * b + c)
    check(f"mad.hi.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, three, lambda a, b, c: (a * b >> bits) + c)
    check(f"div.{name} {{d}}, {{0}}, {{1}};", name, two, quotient)
    check(f"rem.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a - b * quotient(a, b) if b else a)
    check(f"min.{name} {{d}}, {{0}}, {{1}};", name, two, min)
    check(f"max.{name} {{d}}, {{0}}, {{1}};", name, two, max)
    check(f"sad.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, three, lambda a, b, c: abs(a - b) + c)


@pytest.mark.parametrize("name", DOUBLE)
def test_wide_products(name: str) -> None:
    wide = DOUBLE[name]
    check(f"mul.wide.{name} {{d}}, {{0}}, {{1}};", wide, [name] * 2, lambda a, b: a * b)
    check(f"mad.wide.{name} {{d}}, {{0}}, {{1}}, {{2}};", wide, [name, name, wide], lambda a, b, c: a * b + c)


@pytest.mark.parametrize("name", ["s16", "s32", "s64"])
def test_signs(name: str) -> None:
    check(f"abs.{name} {{d}}, {{0}};", name, [name], abs)
    check(f"neg.{name} {{d}}, {{0}};", name, [name], lambda a: -a)


def test_saturation() -> None:
    check("add.sat.s32 {d}, {0}, {1};", "s32", ["s32"] * 2, lambda a, b: clamp(a + b, "s32"))
    check("sub.sat.s32 {d}, {0}, {1};", "s32", ["s32"] * 2, lambda a, b: clamp(a - b, "s32"))
    check(
        "mad.hi.sat.s32 {d}, {0}, {1}, {2};", "s32", ["s32"] * 3, lambda a, b, c: clamp((a * b >> 32) + c, "s32")
    )


@pytest.mark.parametrize("sign", ["s", "u"])
def test_products_of_24_bits(sign: str) -> None:
    def low(a: int) -> int:
        a &= 0xFFFFFF
        return a - (1 << 24) if sign == "s" and a >> 23 else a

    name = f"{sign}32"
    check(f"mul24.lo.{name} {{d}}, {{0}}, {{1}};", name, [name] * 2, lambda a, b: low(a) * low(b))
    check(f"mul24.hi.{name} {{d}}, {{0}}, {{1}};", name, [name] * 2, lambda a, b: low(a) * low(b) >> 16)
    check(f"mad24.lo.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, [name] * 3, lambda a, b, c: low(a) * low(b) + c)


CHAIN = """{{ .reg .b32 %a0, %a1, %b0, %b1, %r0, %r1; mov.b64 {{%a0, %a1}}, {0}; mov.b64 {{%b0, %b1}}, {1};
{op}.cc.u32 %r0, %a0, %b0; {op}c.u32 %r1, %a1, %b1; mov.b64 {d}, {{%r0, %r1}}; }}"""


@pytest.mark.parametrize("opcode", ["add", "sub"])
def test_carries(opcode: str) -> None:
    text = CHAIN.replace("{op}", opcode)
    check(text, "u64", ["u64"] * 2, (lambda a, b: a + b) if opcode == "add" else (lambda a, b: a - b))


def test_carries_of_products() -> None:
    """A product of 64 bits out of those of 32, as long arithmetic does it."""
    text = """{{ .reg .b32 %a0, %a1, %b0, %b1, %r0, %r1; mov.b64 {{%a0, %a1}}, {0}; mov.b64 {{%b0, %b1}}, {1};
    mul.lo.u32 %r0, %a0, %b0; mul.hi.u32 %r1, %a0, %b0; mad.lo.u32 %r1, %a0, %b1, %r1; mad.lo.u32 %r1, %a1, %b0, %r1;
    mad.lo.cc.u32 %r0, %a1, %b1, %r0; madc.hi.u32 %r1, %a1, %b1, %r1; mov.b64 {d}, {{%r0, %r1}}; }}"""
    check(text, "u64", ["u64"] * 2, lambda a, b: a * b + (a >> 32) * (b >> 32))


BITS = ["b16", "b32", "b64"]


@pytest.mark.parametrize("name", BITS)
def test_logic(name: str) -> None:
    two = [name] * 2
    check(f"and.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a & b)
    check(f"or.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a | b)
    check(f"xor.{name} {{d}}, {{0}}, {{1}};", name, two, lambda a, b: a ^ b)
    check(f"not.{name} {{d}}, {{0}};", name, [name], lambda a: ~a)
    check(f"cnot.{name} {{d}}, {{0}};", name, [name], lambda a: int(a == 0))


def test_logic_of_predicates() -> None:
    p, q = np.asarray([0, 0, 1, 1]), np.asarray([0, 1, 0, 1])
    for opcode, expected in (("and", p & q), ("or", p | q), ("xor", p ^ q)):
        got = evaluate(f"{opcode}.pred {{d}}, {{0}}, {{1}};", "pred", ("pred", p), ("pred", q))
        assert np.array_equal(got, expected.astype(bool))
    assert np.array_equal(evaluate("not.pred {d}, {0};", "pred", ("pred", p)), p == 0)


def test_every_truth_table_of_lop3() -> None:
    a, b, c = (np.asarray([value], np.uint32) for value in (0xF0F0F0F0, 0xCCCCCCCC, 0xAAAAAAAA))
    text = "{{ .reg .b32 %r, %sum; mov.u32 %sum, 0;"
    for table in range(256):
        text += f"lop3.b32 %r, {{0}}, {{1}}, {{2}}, {table};"
        text += f"xor.b32 %r, %r, {table * 0x01010101}; or.b32 %sum, %sum, %r;"
    got = evaluate(text + "mov.u32 {d}, %sum; }}", "u32", ("b32", a), ("b32", b), ("b32", c))
    assert got[0] == 0


@pytest.mark.parametrize("name", ["b16", "b32", "b64"])
def test_shifts(name: str) -> None:
    bits = SCALARS[name].bits
    amounts = np.tile(np.asarray([0, 1, 5, bits - 1, bits, bits + 1, 2**31, 2**32 - 1], np.uint32), COUNT // 8)
    signed = f"s{bits}"
    check(f"shl.{name} {{d}}, {{0}}, {{1}};", name, [name, "u32"], lambda a, n: a << n if n < bits else 0,
          integers(name, COUNT), amounts)  # fmt: skip
    check(f"shr.u{bits} {{d}}, {{0}}, {{1}};", name, [name, "u32"], lambda a, n: a >> min(n, bits),
          integers(name, COUNT), amounts)  # fmt: skip
    check(f"shr.{signed} {{d}}, {{0}}, {{1}};", signed, [signed, "u32"], lambda a, n: a >> min(n, bits),
          integers(signed, COUNT), amounts)  # fmt: skip
    for amount in (0, 3, bits - 1):
        check(f"shr.{signed} {{d}}, {{0}}, {amount};", signed, [signed], lambda a, n=amount: a >> n)


@pytest.mark.parametrize("mode", ["wrap", "clamp"])
def test_funnel_shifts(mode: str) -> None:
    def amount(c: int) -> int:
        return c & 31 if mode == "wrap" else min(c, 32)

    words = ["b32"] * 3
    operands = f"{mode}.b32 {{d}}, {{0}}, {{1}}, {{2}};"
    check(f"shf.l.{operands}", "b32", words, lambda a, b, c: (b << 32 | a) << amount(c) >> 32)
    check(f"shf.r.{operands}", "b32", words, lambda a, b, c: (b << 32 | a) >> amount(c))


def field(a: int, b: int, c: int, bits: int, signed: bool) -> int:
    """bfe as the manual's pseudocode says it."""
    start, length, top = b & 255, c & 255, bits - 1
    sign = 0 if not signed or length == 0 else a >> min(start + length - 1, top) & 1
    out = 0
    for k in range(bits):
        bit = a >> start + k & 1 if k < length and start + k <= top else sign
        out |= bit << k
    return out


@pytest.mark.parametrize("name", ["u32", "s32", "u64", "s64"])
def test_fields(name: str) -> None:
    bits, signed = SCALARS[name].bits, SCALARS[name].signed
    rng = np.random.default_rng(1)
    start, length = (rng.integers(0, bits + 4, COUNT).astype(np.uint32) for _ in range(2))
    check(f"bfe.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, [name, "u32", "u32"],
          lambda a, b, c: field(a, b, c, bits, signed), integers(name, COUNT), start, length)  # fmt: skip
    if signed:
        return

    def insert(a: int, b: int, c: int, d: int) -> int:
        for k in range(d):
            if c + k < bits:
                b = b & ~(1 << c + k) | (a >> k & 1) << c + k
        return b

    check(f"bfi.b{bits} {{d}}, {{0}}, {{1}}, {{2}}, {{3}};", name, [name, name, "u32", "u32"], insert,
          integers(name, COUNT), integers(name, COUNT, 5), start, length)  # fmt: skip


@pytest.mark.parametrize("bits", [32, 64])
def test_counts(bits: int) -> None:
    name, signed = f"b{bits}", f"s{bits}"
    check(f"popc.{name} {{d}}, {{0}};", "u32", [name], lambda a: a.bit_count())
    check(f"clz.{name} {{d}}, {{0}};", "u32", [name], lambda a: bits - a.bit_length())
    check(f"brev.{name} {{d}}, {{0}};", name, [name], lambda a: int(f"{a:0{bits}b}"[::-1], 2))
    check(f"bfind.u{bits} {{d}}, {{0}};", "u32", [f"u{bits}"], lambda a: a.bit_length() - 1)
    check(f"bfind.{signed} {{d}}, {{0}};", "u32", [signed], lambda a: (~a if a < 0 else a).bit_length() - 1)
    check(f"bfind.shiftamt.u{bits} {{d}}, {{0}};", "u32", [f"u{bits}"], lambda a: bits - a.bit_length() if a else -1)


def bytes_of(a: int, b: int) -> list[int]:
    return list((a | b << 32).to_bytes(8, "little"))


def test_bytes_chosen_by_a_register_and_by_a_constant() -> None:
    def chosen(a: int, b: int, c: int) -> int:
        out = 0
        for place in range(4):
            selector = c >> 4 * place & 15
            byte = bytes_of(a, b)[selector & 7]
            out |= ((255 if byte & 128 else 0) if selector & 8 else byte) << 8 * place
        return out

    check("prmt.b32 {d}, {0}, {1}, {2};", "b32", ["b32"] * 3, chosen)
    for selector in (0x3210, 0x5410, 0x7632, 0x0123, 0x4440, 0xBA98, 0x9180, 0x1054, 0x6543, 0x0000, 0x7654):
        text = f"prmt.b32 {{d}}, {{0}}, {{1}}, {selector};"
        check(text, "b32", ["b32"] * 2, lambda a, b, c=selector: chosen(a, b, c))


MODES = {
    "f4e": ["3210", "4321", "5432", "6543"], "b4e": ["5670", "6701", "7012", "0123"],
    "rc8": ["0000", "1111", "2222", "3333"], "ecl": ["3210", "3211", "3222", "3333"],
    "ecr": ["0000", "1110", "2210", "3210"], "rc16": ["1010", "3232", "1010", "3232"],
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_prmt(mode: str) -> None:
    def chosen(a: int, b: int, c: int) -> int:
        return sum(bytes_of(a, b)[int(digit)] << 8 * place for place, digit in enumerate(MODES[mode][c & 3][::-1]))

    check(f"prmt.b32.{mode} {{d}}, {{0}}, {{1}}, {{2}};", "b32", ["b32"] * 3, chosen)


def parts(word: int, bits: int, signed: bool) -> list[int]:
    found = [word >> k & (1 << bits) - 1 for k in range(0, 32, bits)]
    return [each - (1 << bits) if signed and each >> bits - 1 else each for each in found]


@pytest.mark.parametrize("types", ["u32.u32", "u32.s32", "s32.u32", "s32.s32"])
def test_dot_products_of_bytes(types: str) -> None:
    one, other = (name[0] == "s" for name in types.split("."))
    result = "s32" if one or other else "u32"

    def dot4(a: int, b: int, c: int) -> int:
        return c + sum(x * y for x, y in zip(parts(a, 8, one), parts(b, 8, other), strict=True))

    def dot2(a: int, b: int, c: int, upper: int) -> int:
        return c + sum(x * y for x, y in zip(parts(a, 16, one), parts(b, 8, other)[upper : upper + 2], strict=True))

    words = ["b32", "b32", result]
    check(f"dp4a.{types} {{d}}, {{0}}, {{1}}, {{2}};", result, words, dot4)
    check(f"dp2a.lo.{types} {{d}}, {{0}}, {{1}}, {{2}};", result, words, lambda a, b, c: dot2(a, b, c, 0))
    check(f"dp2a.hi.{types} {{d}}, {{0}}, {{1}}, {{2}};", result, words, lambda a, b, c: dot2(a, b, c, 2))
