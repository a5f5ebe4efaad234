"""Float arithmetic.

Round-to-nearest operations in float32 and float64 are IEEE's, to the bit. NaN results keep NumPy's payload, where a
card gives 0x7FFFFFFF. Functions with ``.approx`` are NumPy's correctly or almost correctly rounded ones; a card may
differ by (PTX manual, section 9.7.3) 2 ulp for div.approx/full, 1 ulp rcp, 2^-22.9 relative rsqrt, 2^-23 relative sqrt,
2^-22.5 relative ex2 (2 ulp), 2^-22.6 absolute lg2, 2^-20.9 absolute sin and cos in [-π, π], 2^-11 relative tanh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ptx import fused
from tests.ptx.operands import Context, Run
from tests.ptx.registry import elementwise, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.syntax import Instruction

Function = Callable[..., Any]
_DIRECTED = ("rz", "rm", "rp")


def flushed(value: Array) -> Array:
    """Subnormal float32 become zeros of their sign."""
    value = np.asarray(value)
    return np.where(np.abs(value) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), value), value)


def modified(ins: Instruction, scalar: Scalar, function: Function) -> Function:
    """``function`` with what .ftz, .sat and .relu add."""
    flushes, saturates, clips = ins.has("ftz") and scalar.bits == 32, ins.has("sat"), ins.has("relu")
    if not (flushes or saturates or clips):
        return function

    def run(*values: Array) -> Array:
        out = function(*(map(flushed, values) if flushes else values))
        if flushes:
            out = flushed(out)
        if saturates:
            out = np.fmin(np.fmax(out, scalar.dtype.type(0)), scalar.dtype.type(1))
        if clips:
            out = np.maximum(out, scalar.dtype.type(0))
        return np.asarray(out).astype(scalar.dtype, copy=False)

    return run


def arithmetic(context: Context, ins: Instruction) -> Run:
    """add, sub, mul, mad, fma, div, min, max, abs, neg of f16, f32 and f64."""
    scalar, opcode = ins.scalar, ins.opcode
    if scalar.name in ("bf16x2", "bf16"):
        raise ins.error("bfloat arithmetic is not supported")
    count = {"fma": 3, "mad": 3, "abs": 1, "neg": 1}.get(opcode, 2)
    half = SCALARS["f16"] if scalar.name == "f16x2" else scalar
    function = modified(ins, half, _function(ins, half, opcode))
    if half is not scalar:
        function = _pairwise(function)
    return elementwise(context, ins, function, scalar, [scalar] * count)


def _pairwise(function: Function) -> Function:
    """``function`` of halves on words that hold two."""

    def run(*words: Array) -> Array:
        given = np.broadcast_arrays(*words)
        parts = [np.ascontiguousarray(word).reshape(-1, 1).view(np.float16) for word in given]
        return np.ascontiguousarray(function(*parts)).view(np.uint32).reshape(given[0].shape)

    return run


def _function(ins: Instruction, scalar: Scalar, opcode: str) -> Function:
    rounding = ins.pick(*_DIRECTED)
    if rounding and scalar.bits != 32:
        raise ins.error("directed rounding is known for f32 alone")
    if opcode in ("fma", "mad"):
        return _fma(scalar, rounding)
    if opcode in ("min", "max"):
        return _extreme(np.minimum if ins.has("NaN") else np.fmin, False) if opcode == "min" else _extreme(
            np.maximum if ins.has("NaN") else np.fmax, True
        )
    if rounding:
        return _directed(ins, opcode, rounding)
    return {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "abs": np.abs, "neg": np.negative,
    }[opcode]  # fmt: skip


def _fma(scalar: Scalar, rounding: str) -> Function:
    if scalar.bits == 32:
        return lambda a, b, c: fused.fma32(a, b, c, rounding)
    if scalar.bits == 64:
        return fused.fma64
    return lambda a, b, c: fused.to_odd(
        np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)
    ).astype(np.float16)  # fmt: skip


def _directed(ins: Instruction, opcode: str, rounding: str) -> Function:
    if opcode == "mul":
        return lambda a, b: fused.directed(np.multiply(a, b, dtype=np.float64), None, rounding)
    if opcode in ("add", "sub"):
        sign = 1.0 if opcode == "add" else -1.0
        return lambda a, b: fused.directed(np.asarray(a, np.float64), np.asarray(b, np.float64) * sign, rounding)
    raise ins.error(f"{opcode} rounded {rounding} is not supported")


def _extreme(function: np.ufunc, largest: bool) -> Function:
    """Minimum or maximum in which -0 is below +0."""

    quick = np.maximum if largest else np.minimum  # gives NaN for NaN, and does so faster

    def run(a: Array, b: Array) -> Array:
        out = quick(a, b)
        if function is not quick and np.isnan(out).any():
            out = function(a, b)
        zeros = (a == 0) & (b == 0)
        if np.any(zeros):
            sign = np.signbit(a) & np.signbit(b) if largest else np.signbit(a) | np.signbit(b)
            zero = np.where(sign, out.dtype.type(-0.0), out.dtype.type(0.0))
            out = np.where(zeros, zero, out)
        return out

    return run


def _rsqrt(a: Array) -> Array:
    a = np.asarray(a)
    return (1.0 / np.sqrt(a.astype(np.float64))).astype(a.dtype)


def _inner(function: np.ufunc) -> Function:
    """``function`` computed in float64 and rounded to the operand's type."""
    return lambda a: np.asarray(function(np.asarray(a, np.float64))).astype(np.asarray(a).dtype)


_UNARY: dict[str, Function] = {
    "rcp": lambda a: np.asarray(a).dtype.type(1) / a,
    "sqrt": np.sqrt,
    "rsqrt": _rsqrt,
    "ex2": _inner(np.exp2),
    "lg2": _inner(np.log2),
    "sin": _inner(np.sin),
    "cos": _inner(np.cos),
    "tanh": _inner(np.tanh),
}


@instruction(*_UNARY)
def _unary(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    if scalar.kind != "f":
        raise ins.error("known for f16, f32 and f64 alone")
    if ins.pick(*_DIRECTED):
        raise ins.error("directed rounding is not supported")
    return elementwise(context, ins, modified(ins, scalar, _UNARY[ins.opcode]), scalar, [scalar])


@instruction("copysign")
def _copysign(context: Context, ins: Instruction) -> Run:
    """The sign of the first on the size of the second."""
    return elementwise(context, ins, lambda a, b: np.copysign(b, a), ins.scalar, [ins.scalar, ins.scalar])


@instruction("testp")
def _testp(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    tiny = np.finfo(scalar.dtype).tiny
    tests: dict[str, Function] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= tiny),
        "subnormal": lambda a: (np.abs(a) < tiny) & (a != 0),
    }
    return elementwise(context, ins, tests[ins.pick(*tests)], SCALARS["pred"], [scalar])
