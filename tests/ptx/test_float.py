"""Float instructions against exact fractions rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from tests.ptx.exact_floats import Value, exact, operation, rounded, same
from tests.ptx.harness import evaluate, floats
from tests.ptx.scalars import Array

COUNT = 500
ADD = operation(lambda a, b: a + b, lambda a, b: a + b)
SUB = operation(lambda a, b: a - b, lambda a, b: a - b)
MUL = operation(lambda a, b: a * b, lambda a, b: a * b)
DIV = operation(lambda a, b: a / b, lambda a, b: a / b)


def fma(a: float, b: float, c: float) -> Value:
    product = MUL(a, b)
    if isinstance(product, Fraction):
        third = exact(c)
        if isinstance(third, Fraction):
            return product + third or 0.0
        return third if not math.isfinite(third) else product
    with np.errstate(all="ignore"):
        return exact(float(np.float64(product) + np.float64(c)))


def check(
    text: str, name: str, count: int, reference: Callable[..., Value], mode: str = "rn", zeros: bool = False
) -> None:  # fmt: skip
    """``zeros``: sums that cancel have a sign of their own in directed modes, which is not compared."""
    inputs = [floats(name, COUNT, seed) for seed in range(count)]
    got = evaluate(text, name, *[(name, each) for each in inputs])
    want = [rounded(reference(*each), name, mode) for each in zip(*inputs, strict=True)]
    if zeros:
        got, want = got + 0.0, [value + 0.0 for value in want]
    same(got, want, text, *inputs)


@pytest.mark.parametrize("name", ["f16", "f32", "f64"])
def test_rounded_to_nearest(name: str) -> None:
    rounding = ".rn"
    check(f"add{rounding}.{name} {{d}}, {{0}}, {{1}};", name, 2, ADD)
    check(f"sub{rounding}.{name} {{d}}, {{0}}, {{1}};", name, 2, SUB)
    check(f"mul{rounding}.{name} {{d}}, {{0}}, {{1}};", name, 2, MUL)
    if name != "f16":
        check(f"div.rn.{name} {{d}}, {{0}}, {{1}};", name, 2, DIV)
        check(f"rcp.rn.{name} {{d}}, {{0}};", name, 1, lambda a: DIV(1.0, a))


@pytest.mark.parametrize("mode", ["rz", "rm", "rp"])
def test_rounded_in_other_directions(mode: str) -> None:
    check(f"add.{mode}.f32 {{d}}, {{0}}, {{1}};", "f32", 2, ADD, mode, zeros=True)
    check(f"sub.{mode}.f32 {{d}}, {{0}}, {{1}};", "f32", 2, SUB, mode, zeros=True)
    check(f"mul.{mode}.f32 {{d}}, {{0}}, {{1}};", "f32", 2, MUL, mode)
    check(f"fma.{mode}.f32 {{d}}, {{0}}, {{1}}, {{2}};", "f32", 3, fma, mode, zeros=True)


def test_fused_products() -> None:
    check("fma.rn.f32 {d}, {0}, {1}, {2};", "f32", 3, fma)
    check("fma.rn.f16 {d}, {0}, {1}, {2};", "f16", 3, fma)
    check("mad.rn.f32 {d}, {0}, {1}, {2};", "f32", 3, fma)


def test_fused_products_that_round_twice_in_float64() -> None:
    """Sums that float64 rounds onto the middle of two float32, and results among the subnormals."""
    rng = np.random.default_rng(3)
    count = 3000
    a = (1 + rng.integers(0, 1 << 23, count) * 2.0**-23).astype(np.float32)
    b = (1 + rng.integers(0, 1 << 12, count) * 2.0**-12).astype(np.float32)
    product = a.astype(np.float64) * b
    # c is a large number half an ulp of which the product nearly is
    sign = np.where(rng.random(count) < 0.5, 1, -1)
    c = (np.exp2(rng.integers(23, 27, count)) * sign * (1 + rng.integers(0, 4, count) * 2.0**-23)).astype(np.float32)
    b = np.where(rng.random(count) < 0.5, b, (np.rint(product) / a).astype(np.float32))
    tiny = rng.random(count) < 0.3
    a[tiny] *= np.float32(2.0**-100)
    b = b.astype(np.float32)
    b[tiny] *= np.float32(2.0**-40)
    c[tiny] *= np.float32(2.0**-126) * np.float32(2.0**-26)
    chosen = [[1 + 2.0**-12, 1 + 2.0**-12, 2.0**24 + 2], [2.0**-75, 2.0**-75, 2.0**-148], [-(2.0**-75), 2.0**-76, 1.0]]
    a, b, c = (np.r_[each, np.asarray(chosen, np.float32)[:, k]] for k, each in enumerate((a, b, c)))
    got = evaluate("fma.rn.f32 {d}, {0}, {1}, {2};", "f32", ("f32", a), ("f32", b), ("f32", c))
    same(got, [rounded(fma(x, y, z), "f32") for x, y, z in zip(a, b, c, strict=True)], "fma", a, b, c)


def test_fused_products_on_the_middle() -> None:
    """1 + 2^-24 ± a little: the exact sum is beside the middle, its float64 on it."""
    a = np.asarray([2.0**-30, -(2.0**-30), 2.0**-30, -(2.0**-30)], np.float32)
    b = np.asarray([2.0**-30, 2.0**-30, 2.0**-34, 2.0**-35], np.float32)
    # c has 24 digits, so the middle comes from the product: (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24
    x = np.full(4, 1 + 2.0**-12, np.float32)
    tail = np.asarray([2.0**-60, -(2.0**-60), 2.0**-70, -(2.0**-70)], np.float32)
    got = evaluate("fma.rn.f32 {d}, {0}, {1}, {2};", "f32", ("f32", x), ("f32", x), ("f32", tail))
    want = [rounded(fma(float(p), float(p), float(q)), "f32") for p, q in zip(x, tail, strict=True)]
    same(got, want, "fma", x, x, tail)
    assert len(set(got.tolist())) == 2
    same(evaluate("mul.rn.f32 {d}, {0}, {1};", "f32", ("f32", a), ("f32", b)), (a * b).tolist(), "mul", a, b)


def test_fused_products_of_doubles() -> None:
    inputs = [floats("f64", 2000, seed, special=False) for seed in range(3)]
    inputs[2][:1000] = -(inputs[0] * inputs[1])[:1000] * (1 + np.random.default_rng(5).integers(-2, 3, 1000) * 2.0**-52)
    got = evaluate("fma.rn.f64 {d}, {0}, {1}, {2};", "f64", *[("f64", each) for each in inputs])
    same(got, [rounded(fma(*each), "f64") for each in zip(*inputs, strict=True)], "fma.f64", *inputs)


@pytest.mark.parametrize("name", ["f16", "f32", "f64"])
def test_extremes_and_signs(name: str) -> None:
    a, b = floats(name, COUNT, 1), floats(name, COUNT, 2)
    a[:2], b[:2] = [0.0, -0.0], [-0.0, 0.0]

    def least(x: float, y: float, sign: int) -> float:
        if math.isnan(x) or math.isnan(y):
            return y if math.isnan(x) else x
        return sign * min((sign * each, math.copysign(1, sign * each), sign * each) for each in (x, y))[2]

    pairs = [(float(x), float(y)) for x, y in zip(a, b, strict=True)]
    for opcode, sign in (("min", 1), ("max", -1)):
        got = evaluate(f"{opcode}.{name} {{d}}, {{0}}, {{1}};", name, (name, a), (name, b))
        same(got, [least(x, y, sign) for x, y in pairs], opcode, a, b)
        if name == "f64":
            continue
        got = evaluate(f"{opcode}.NaN.{name} {{d}}, {{0}}, {{1}};", name, (name, a), (name, b))
        want = [math.nan if math.isnan(x) or math.isnan(y) else least(x, y, sign) for x, y in pairs]
        same(got, want, opcode, a, b)
    same(evaluate(f"abs.{name} {{d}}, {{0}};", name, (name, a)), np.abs(a).tolist(), "abs", a)
    same(evaluate(f"neg.{name} {{d}}, {{0}};", name, (name, a)), (-a).tolist(), "neg", a)
    if name != "f16":
        got = evaluate(f"copysign.{name} {{d}}, {{0}}, {{1}};", name, (name, a), (name, b))
        same(got, [math.copysign(y, x) for x, y in pairs], "copysign", a, b)


def test_subnormals_flushed_and_results_clamped() -> None:
    a, b = floats("f32", COUNT, 1), floats("f32", COUNT, 2)
    tiny = np.finfo(np.float32).tiny

    def flush(x: Array) -> Array:
        return np.where(np.abs(x) < tiny, np.copysign(np.float32(0), x), x)

    with np.errstate(all="ignore"):
        sums, products = flush(flush(a) + flush(b)), flush(flush(a) * flush(b))
        clamped = np.where(np.isnan(a + b), 0, np.clip(a + b, 0, 1))
    same(evaluate("add.rn.ftz.f32 {d}, {0}, {1};", "f32", ("f32", a), ("f32", b)), sums.tolist(), "add.ftz", a, b)
    same(evaluate("mul.rn.ftz.f32 {d}, {0}, {1};", "f32", ("f32", a), ("f32", b)), products.tolist(), "mul.ftz", a, b)
    got = evaluate("add.rn.sat.f32 {d}, {0}, {1};", "f32", ("f32", a), ("f32", b))
    same(got + np.float32(0), clamped.tolist(), "add.sat", a, b)


APPROXIMATE: dict[str, tuple[Callable[[Array], Array], float]] = {
    "ex2.approx.f32": (np.exp2, 2.0**-22), "lg2.approx.f32": (np.log2, 2.0**-22),
    "rcp.approx.f32": (np.reciprocal, 2.0**-23), "sqrt.approx.f32": (np.sqrt, 2.0**-23),
    "rsqrt.approx.f32": (lambda a: 1 / np.sqrt(a), 2.0**-22.4),
    "sqrt.rn.f32": (np.sqrt, 2.0**-24), "sin.approx.f32": (np.sin, 2.0**-20), "cos.approx.f32": (np.cos, 2.0**-20),
    "tanh.approx.f32": (np.tanh, 2.0**-11), "rcp.approx.ftz.f32": (np.reciprocal, 2.0**-23),
}  # fmt: skip


@pytest.mark.parametrize("text", APPROXIMATE)
def test_functions(text: str) -> None:
    """Within the manual's bounds, which NumPy keeps with room to spare."""
    function, bound = APPROXIMATE[text]
    a = np.random.default_rng(0).uniform(0.01, 3, COUNT).astype(np.float32)
    if not text.startswith(("lg2", "sqrt", "rsqrt")):
        a[::2] *= -1
    want = function(a.astype(np.float64))
    got = evaluate(f"{text} {{d}}, {{0}};", "f32", ("f32", a))
    assert (np.abs(got - want) <= bound * np.maximum(np.abs(want), 1 if text[:3] in ("sin", "cos", "lg2") else 0)).all()


def test_functions_at_their_edges() -> None:
    a = np.asarray([0.0, -0.0, np.inf, -np.inf, -1.0, np.nan], np.float32)
    nan, inf = math.nan, math.inf
    known = {
        "ex2.approx.f32": [1, 1, inf, 0, 0.5, nan], "lg2.approx.f32": [-inf, -inf, inf, nan, nan, nan],
        "rcp.approx.f32": [inf, -inf, 0, -0.0, -1, nan], "rsqrt.approx.f32": [inf, -inf, 0, nan, nan, nan],
        "sqrt.approx.f32": [0, -0.0, inf, nan, nan, nan], "sin.approx.f32": [0, -0.0, nan, nan, math.sin(-1), nan],
    }  # fmt: skip
    for text, want in known.items():
        got = evaluate(f"{text} {{d}}, {{0}};", "f32", ("f32", a))
        same(got, np.asarray(want, np.float32).tolist(), text, a)


TESTS: dict[str, Callable[[Array], Array]] = {
    "finite": np.isfinite, "infinite": np.isinf, "number": lambda a: ~np.isnan(a), "notanumber": np.isnan,
    "normal": lambda a: np.isfinite(a) & (np.abs(a) >= np.finfo(np.float32).tiny),
    "subnormal": lambda a: (a != 0) & (np.abs(a) < np.finfo(np.float32).tiny),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_properties(name: str) -> None:
    a = floats("f32", COUNT)
    assert np.array_equal(evaluate(f"testp.{name}.f32 {{d}}, {{0}};", "pred", ("f32", a)), TESTS[name](a))


COMPARED: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
}  # fmt: skip


@pytest.mark.parametrize("name", ["f16", "f32", "f64"])
def test_comparisons_with_and_without_order(name: str) -> None:
    a, b = floats(name, COUNT, 1), floats(name, COUNT, 2)
    b[::3] = a[::3]
    for compare, function in COMPARED.items():
        unordered = [math.isnan(x) or math.isnan(y) for x, y in zip(a, b, strict=True)]
        plain = [function(x, y) for x, y in zip(a, b, strict=True)]
        got = evaluate(f"setp.{compare}.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
        assert got.tolist() == [bool(met and not free) for met, free in zip(plain, unordered, strict=True)], compare
        got = evaluate(f"setp.{compare}u.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
        assert got.tolist() == [bool(met or free) for met, free in zip(plain, unordered, strict=True)], compare
    got = evaluate(f"setp.num.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
    assert np.array_equal(got, ~(np.isnan(a) | np.isnan(b)))
    got = evaluate(f"setp.nan.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
    assert np.array_equal(got, np.isnan(a) | np.isnan(b))


def test_sums_that_cancel() -> None:
    a = np.asarray([1.5, 0.0, -0.0, 0.0], np.float32)
    b = np.asarray([-1.5, 0.0, -0.0, -0.0], np.float32)
    for mode, want in (("rm", [-0.0, 0.0, -0.0, -0.0]), ("rp", [0.0, 0.0, -0.0, 0.0]), ("rn", [0.0, 0.0, -0.0, 0.0])):
        same(evaluate(f"add.{mode}.f32 {{d}}, {{0}}, {{1}};", "f32", ("f32", a), ("f32", b)), want, mode, a, b)


@pytest.mark.parametrize("opcode", ["add.rn", "mul.rn", "fma.rn", "min", "max", "neg", "abs"])
def test_pairs_of_halves(opcode: str) -> None:
    """Each half of the word does what the instruction for one half does."""
    count = {"fma.rn": 3, "neg": 1, "abs": 1}.get(opcode, 2)
    inputs = [floats("f16", 2 * COUNT, seed) for seed in range(count)]
    operands = ", ".join(["{d}", "{0}", "{1}", "{2}"][: count + 1])
    single = evaluate(f"{opcode}.f16 {operands};", "f16", *[("f16", each) for each in inputs])
    pairs = evaluate(f"{opcode}.f16x2 {operands};", "b32", *[("b32", each.view(np.uint32)) for each in inputs])
    same(pairs.view(np.float16), single.tolist(), opcode, *inputs)
