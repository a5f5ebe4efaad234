"""mov, cvt and cvta."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.floats import flushed
from tests.ptx.operands import Context, Run, read, write
from tests.ptx.registry import elementwise, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.spaces import WINDOWS
from tests.ptx.state import State
from tests.ptx.syntax import Instruction

Convert = Callable[[Array], Array]
_TO_INTEGER: dict[str, Callable[[Array], Array]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@instruction("mov")
def _mov(context: Context, ins: Instruction) -> Run:
    return elementwise(context, ins, lambda a: a, ins.scalar, [ins.scalar])


@instruction("cvta")
def _cvta(context: Context, ins: Instruction) -> Run:
    """Between an address in a space and a generic one: global and constant are the same, others have a window."""
    scalar = ins.scalar
    shift = WINDOWS.get(ins.pick("shared", "local"), 0)
    if shift and scalar.bits != 64:
        raise ins.error("generic addresses have 64 bits")
    up = scalar.dtype.type(shift)
    return elementwise(context, ins, (lambda a: a - up) if ins.has("to") else (lambda a: a + up), scalar, [scalar])


@instruction("cvt")
def _cvt(context: Context, ins: Instruction) -> Run:
    if ins.has("pack"):
        return _pack(context, ins)
    if len(ins.scalars) != 2:
        raise ins.error("two types are needed")
    result, scalar = ins.scalars
    if result.name in ("f16x2", "bf16x2"):
        return _two_halves(context, ins, result)
    if result.name == "tf32":
        return elementwise(context, ins, _tf32, result, [scalar])
    return elementwise(context, ins, converter(ins, result, scalar), result, [scalar])


def _tf32(value: Array) -> Array:
    """float32 with 10 bits of fraction, ties away from zero."""
    bits = np.asarray(value).view(np.uint32)
    return np.where(np.isfinite(value), (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000), bits)


def _two_halves(context: Context, ins: Instruction, result: Scalar) -> Run:
    """``d, a, b``: a in the upper half, b in the lower."""
    half = SCALARS["f16" if result.name == "f16x2" else "bf16"]
    convert = converter(ins, half, SCALARS["f32"])

    def bits(value: Array) -> Array:
        return np.asarray(convert(value)).view(np.uint16).astype(np.uint32)

    return elementwise(
        context, ins, lambda a, b: bits(a) << np.uint32(16) | bits(b), result, [SCALARS["f32"], SCALARS["f32"]]
    )


def _pack(context: Context, ins: Instruction) -> Run:
    """cvt.pack.sat: two integers clamped and put below (8 bits) or in place of the third operand."""
    narrow, wide = ins.scalars[:2]
    low, high = narrow.limits
    a, b = (read(context, ins, operand, wide) for operand in ins.operands[1:3])
    c = read(context, ins, ins.operands[3], SCALARS["u32"]) if len(ins.operands) == 4 else None
    store = write(ins, ins.operands[0], SCALARS["u32"])
    bits, mask = np.uint32(narrow.bits), np.uint32((1 << narrow.bits) - 1)

    def run(s: State) -> None:
        x, y = (np.clip(each(s), low, high).astype(np.int64).astype(np.uint32) & mask for each in (a, b))
        out = x << bits | y
        if c is not None:
            out = out | c(s) << np.uint32(2) * bits
        store(s, out)

    return run


def converter(ins: Instruction, result: Scalar, scalar: Scalar) -> Convert:
    """Values of ``type`` as ``result``, with the rounding, .sat, .ftz and .relu of ``ins``."""
    if scalar.name == "bf16":
        return _after(_from_bfloat, converter(ins, result, SCALARS["f32"]))
    if scalar.kind == "f" and ins.has("ftz") and 32 in (scalar.bits, result.bits):
        return _with_flush(ins, result, scalar)
    return _converter(ins, result, scalar)


def _with_flush(ins: Instruction, result: Scalar, scalar: Scalar) -> Convert:
    inner = _converter(ins, result, scalar)

    def run(value: Array) -> Array:
        out = inner(flushed(value) if scalar.bits == 32 else value)
        return flushed(out) if result.kind == "f" and result.bits == 32 else out

    return run


def _after(first: Convert, second: Convert) -> Convert:
    return lambda value: second(first(value))


def _converter(ins: Instruction, result: Scalar, scalar: Scalar) -> Convert:
    if result.name == "bf16":
        return _to_bfloat(ins)
    if scalar.kind == "f":
        return _float_to_float(ins, result, scalar) if result.kind == "f" else _float_to_integer(ins, result)
    if result.kind == "f":
        return _integer_to_float(ins, result, scalar)
    if not ins.has("sat"):
        return lambda value: np.asarray(value).astype(result.dtype)
    low, high = max(result.limits[0], scalar.limits[0]), min(result.limits[1], scalar.limits[1])
    return lambda value: np.clip(value, scalar.dtype.type(low), scalar.dtype.type(high)).astype(result.dtype)


def _from_bfloat(value: Array) -> Array:
    return (np.asarray(value).astype(np.uint32) << np.uint32(16)).view(np.float32)


def _to_bfloat(ins: Instruction) -> Convert:
    """float32 to bfloat16: ties to even (rn) or cut (rz); NaN is 0x7FFF."""
    cut, clips = ins.has("rz"), ins.has("relu")

    def run(value: Array) -> Array:
        value = np.asarray(value, np.float32)
        if clips:
            value = np.where(value > 0, value, np.where(np.isnan(value), value, np.float32(0)))
        bits = value.view(np.uint32)
        odd = bits >> np.uint32(16) & np.uint32(1)
        up = np.uint32(0) if cut else np.uint32(0x7FFF) + odd
        out = (bits + up >> np.uint32(16)).astype(np.uint16)
        return np.where(np.isnan(value), np.uint16(0x7FFF), out)

    return run


def _float_to_float(ins: Instruction, result: Scalar, scalar: Scalar) -> Convert:
    rounding, integral = ins.pick("rn", "rz", "rm", "rp"), ins.pick(*_TO_INTEGER)
    saturates, clips = ins.has("sat"), ins.has("relu")

    def run(value: Array) -> Array:
        value = np.asarray(value)
        if integral:
            value = np.copysign(_TO_INTEGER[integral](value), value)
        if result.bits < scalar.bits:
            value = rounded(value, result, rounding)
        out = value.astype(result.dtype, copy=False)
        if saturates:
            out = np.fmin(np.fmax(out, result.dtype.type(0)), result.dtype.type(1))
        return np.where(out < 0, result.dtype.type(0), out) if clips else out

    return run


def rounded(value: Array, result: Scalar, rounding: str) -> Array:
    """``value`` (exact in float64) as the shorter float ``result``."""
    near = np.asarray(value).astype(result.dtype)
    if rounding in ("rn", ""):
        return near
    exact, wide = np.asarray(value, np.float64), near.astype(np.float64)
    down = np.where(wide > exact, np.nextafter(near, result.dtype.type(-np.inf)), near)
    up = np.where(wide < exact, np.nextafter(near, result.dtype.type(np.inf)), near)
    return {"rm": down, "rp": up, "rz": np.where(exact > 0, down, up)}[rounding]


def _integer_to_float(ins: Instruction, result: Scalar, scalar: Scalar) -> Convert:
    rounding = ins.pick("rn", "rz", "rm", "rp")
    if rounding not in ("rn", "") and scalar.bits == 64:
        raise ins.error("directed rounding of 64-bit integers is not supported")
    saturates = ins.has("sat")

    def run(value: Array) -> Array:
        if rounding in ("rn", ""):
            out = np.asarray(value).astype(result.dtype)
        else:
            out = rounded(np.asarray(value, np.float64), result, rounding).astype(result.dtype)
        return np.clip(out, 0, 1) if saturates else out

    return run


def _float_to_integer(ins: Instruction, result: Scalar) -> Convert:
    """Rounded to an integer and clamped to the range of ``result``; NaN gives 0."""
    rounding = ins.pick(*_TO_INTEGER)
    if not rounding:
        raise ins.error("a rounding to integers is needed")
    to_integer = _TO_INTEGER[rounding]
    low, high = result.limits
    beyond = float(high + 1)  # a power of two, hence exact

    def run(value: Array) -> Array:
        value = to_integer(np.asarray(value).astype(np.float64))
        inside = (value > low - 1 if result.bits < 64 else value >= low) & (value < beyond)
        plain = np.where(inside, value, 0.0).astype(result.dtype)
        out = np.where(value >= beyond, result.dtype.type(high), plain)
        return np.where(value < low, result.dtype.type(low), out)

    return run
