"""Sums and products of floats rounded once, in any of the four directions."""

from __future__ import annotations

import numpy as np

from tests.ptx.scalars import Array

_TIES = np.uint64(0x1FFFFFFF)
_MIDDLE = np.uint64(0x10000000)
_SMALLEST = float(np.finfo(np.float32).tiny)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """``a`` + ``b`` and the error of that sum, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def narrow(product: Array, addend: Array) -> Array:
    """float32 of ``product`` + ``addend`` (float64), rounded once to nearest.

    The float64 sum rounded again is right unless that sum lies in the middle of two float32; only there, and where the
    result is subnormal, does the sum's own error decide, so that only those are set apart: the sum is nudged off the
    middle towards the exact value.
    """
    total = np.asarray(product + addend)
    doubtful = (total.view(np.uint64) & _TIES) == _MIDDLE
    small = np.abs(total) < _SMALLEST
    if small.any():
        doubtful |= small & (total != 0)
    if doubtful.any():
        p, c = np.broadcast_arrays(product, addend)
        total = total.copy()
        total[doubtful] = to_odd(p[doubtful], c[doubtful])
    return total.astype(np.float32)


def to_odd(a: Array, b: Array) -> Array:
    """``a`` + ``b`` in float64, rounded to odd: a second rounding to a shorter type is then right."""
    total, error = two_sum(a, b)
    bits = total.view(np.int64)
    inexact = (error != 0) & np.isfinite(total) & (bits & 1 == 0)
    away = (error > 0) == (total > 0)
    return np.where(inexact, bits + np.where(away, 1, -1), bits).view(np.float64)


def directed(product: Array, addend: Array | None, rounding: str) -> Array:
    """float32 of ``product`` + ``addend`` (None: nothing), rounded down (rm), up (rp) or towards zero (rz)."""
    total, error = np.asarray(product, np.float64), np.zeros(())
    if addend is not None:
        given, addend = total, np.asarray(addend, np.float64)
        total, error = two_sum(given, addend)
        error = np.where(np.isfinite(total), error, 0.0)
        if rounding == "rm":  # what cancels is -0 then
            total = np.where((total == 0) & (np.signbit(given) != np.signbit(addend)), -0.0, total)
    near = total.astype(np.float32)
    wide = near.astype(np.float64)
    above = (wide > total) | ((wide == total) & (error < 0))
    below = (wide < total) | ((wide == total) & (error > 0))
    down = np.where(above, np.nextafter(near, np.float32(-np.inf)), near)
    up = np.where(below, np.nextafter(near, np.float32(np.inf)), near)
    if rounding == "rm":
        return down
    if rounding == "rp":
        return up
    return np.where(total > 0, down, up)


def fma32(a: Array, b: Array, c: Array, rounding: str = "rn") -> Array:
    """a·b + c rounded once; the float64 product of two float32 is exact."""
    product = np.multiply(a, b, dtype=np.float64)
    addend = np.asarray(c, np.float64)
    return narrow(product, addend) if rounding in ("rn", "") else directed(product, addend, rounding)


def fma64(a: Array, b: Array, c: Array) -> Array:
    """a·b + c with the product's error kept (Veltkamp, Dekker).

    The error is added after the large parts, so that the result is the nearest number but for ties closer than 2^-105
    of the product; products beyond 2^±995 fall back to two roundings.
    """
    a, b, c = np.asarray(a), np.asarray(b), np.asarray(c)
    product = a * b
    split = 134217729.0
    with np.errstate(all="ignore"):
        x, y = a * split, b * split
        a1, b1 = x - (x - a), y - (y - b)
        a0, b0 = a - a1, b - b1
        lost = ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0
        total, error = two_sum(product, c)
        out = total + (error + lost)
    plain = product + c
    return np.where(np.isfinite(out), out, plain)
