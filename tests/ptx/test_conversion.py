"""Conversions against exact fractions rounded once and the manual's rules for what does not fit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.ptx.exact_floats import exact, integer, rounded, same
from tests.ptx.harness import evaluate, floats, integers
from tests.ptx.scalars import SCALARS, Array

COUNT = 500


@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
@pytest.mark.parametrize(("result", "source"), [("f16", "f32"), ("f32", "f64"), ("f16", "f64")])
def test_shorter_floats(result: str, source: str, mode: str) -> None:
    a = floats(source, 2 * COUNT)
    narrow = SCALARS[result].dtype
    middles = floats(result, COUNT, special=False)
    with np.errstate(all="ignore"):
        beside = np.nextafter(middles, narrow.type(np.inf)).astype(np.float64)
        a[:COUNT] = (middles.astype(np.float64) + beside) / 2
    got = evaluate(f"cvt.{mode}.{result}.{source} {{d}}, {{0}};", result, (source, a))
    same(got, [rounded(exact(each), result, mode) for each in a], f"cvt.{mode}", a)


def test_longer_floats() -> None:
    for result, source in (("f32", "f16"), ("f64", "f32"), ("f64", "f16")):
        a = floats(source, COUNT)
        same(evaluate(f"cvt.{result}.{source} {{d}}, {{0}};", result, (source, a)), a.tolist(), "cvt", a)


@pytest.mark.parametrize("mode", ["rni", "rzi", "rmi", "rpi"])
def test_floats_to_integers(mode: str) -> None:
    def reference(value: float, name: str) -> int:
        low, high = SCALARS[name].limits
        if math.isnan(value):
            return 0
        if math.isinf(value):
            return high if value > 0 else low
        whole = integer(abs(Fraction(value)), mode, value < 0) * (-1 if value < 0 else 1)
        return max(low, min(high, whole))

    for source in ("f32", "f64", "f16"):
        a = floats(source, COUNT)
        a[:8] = np.asarray([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 127.5, -128.5]).astype(a.dtype)
        for result in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
            got = evaluate(f"cvt.{mode}.{result}.{source} {{d}}, {{0}};", result, (source, a))
            want = [reference(float(each), result) for each in a]
            assert got.tolist() == want, (result, source)
        if source != "f16":
            got = evaluate(f"cvt.{mode}.{source}.{source} {{d}}, {{0}};", source, (source, a))
            function = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[mode]
            same(got, function(a).tolist(), "cvt", a)


def test_integers_to_floats() -> None:
    for source in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
        a = integers(source, COUNT)
        for result in ("f16", "f32", "f64"):
            got = evaluate(f"cvt.rn.{result}.{source} {{d}}, {{0}};", result, (source, a))
            want = [rounded(Fraction(int(each)), result) for each in a]
            same(got, want, f"cvt.{result}.{source}", a)
    a = integers("s32", COUNT)
    for mode in ("rz", "rm", "rp"):
        got = evaluate(f"cvt.{mode}.f32.s32 {{d}}, {{0}};", "f32", ("s32", a))
        same(got, [rounded(Fraction(int(each)), "f32", mode) for each in a], mode, a)


def test_integers_to_integers() -> None:
    for source in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
        a = integers(source, COUNT)
        for result in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
            scalar = SCALARS[result]
            got = evaluate(f"cvt.{result}.{source} {{d}}, {{0}};", result, (source, a))
            assert np.array_equal(got, a.astype(scalar.dtype)), (result, source)
            low, high = scalar.limits
            if low <= SCALARS[source].limits[0] and SCALARS[source].limits[1] <= high:
                continue
            got = evaluate(f"cvt.sat.{result}.{source} {{d}}, {{0}};", result, (source, a))
            assert got.tolist() == [max(low, min(high, int(each))) for each in a], (result, source)


def test_narrow_values_are_extended_in_wider_registers() -> None:
    a = integers("s32", COUNT)
    got = evaluate("cvt.s8.s32 {d}, {0};", "s32", ("s32", a))
    assert np.array_equal(got, a.astype(np.int8))
    got = evaluate("cvt.u8.u32 {d}, {0};", "u32", ("u32", a.view(np.uint32)))
    assert np.array_equal(got, a.astype(np.uint8))


def test_brain_floats_and_pairs() -> None:
    a, b = floats("f32", COUNT, 1), floats("f32", COUNT, 2)

    def brain(x: Array) -> Array:
        want = np.asarray([rounded(exact(each), "bf16") for each in x]).astype(np.float32)
        return np.where(np.isnan(x), np.uint16(0x7FFF), (want.view(np.uint32) >> np.uint32(16)).astype(np.uint16))

    assert np.array_equal(evaluate("cvt.rn.bf16.f32 {d}, {0};", "b16", ("f32", a)), brain(a))
    got = evaluate("cvt.rn.bf16x2.f32 {d}, {0}, {1};", "b32", ("f32", a), ("f32", b))
    assert np.array_equal(got, brain(a).astype(np.uint32) << np.uint32(16) | brain(b))
    got = evaluate("cvt.rn.f16x2.f32 {d}, {0}, {1};", "b32", ("f32", a), ("f32", b))
    with np.errstate(all="ignore"):
        high, low = (x.astype(np.float16).view(np.uint16).astype(np.uint32) for x in (a, b))
    assert np.array_equal(got, high << np.uint32(16) | low)
