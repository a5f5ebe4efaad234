"""Comparisons and choices: setp, set, selp, slct."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.floats import flushed
from tests.ptx.operands import Context, Read, Run, pair, read, write
from tests.ptx.registry import elementwise, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.state import State
from tests.ptx.syntax import Instruction

Function = Callable[[Array, Array], Array]
_PLAIN: dict[str, Function] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_BOOLEAN: dict[str, Function] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_PREDICATE = SCALARS["pred"]


def _comparison(ins: Instruction, scalar: Scalar) -> Function:
    """The comparison that is the first part of ``ins``; with ``u`` at its end it is true where a NaN takes part."""
    name = ins.parts[0]
    if scalar.name in ("f16x2", "bf16", "bf16x2"):
        raise ins.error(f"comparisons of {scalar.name} are not supported")
    if name in _UNSIGNED:
        return _PLAIN[_UNSIGNED[name]]
    if scalar.kind != "f":
        if name not in _PLAIN:
            raise ins.error(f"no comparison {name} of {scalar.name}")
        return _PLAIN[name]
    return _flushing(ins, scalar, _of_floats(ins, name))


def _of_floats(ins: Instruction, name: str) -> Function:
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name == "ne":  # ordered, unlike NumPy's
        return lambda a, b: (a != b) & ~(np.isnan(a) | np.isnan(b))
    if name == "neu":
        return np.not_equal
    if name in _PLAIN:
        return _PLAIN[name]
    if name[-1] == "u" and name[:-1] in _PLAIN:
        plain = _PLAIN[name[:-1]]
        return lambda a, b: plain(a, b) | np.isnan(a) | np.isnan(b)
    raise ins.error(f"unknown comparison {name}")


def _flushing(ins: Instruction, scalar: Scalar, compare: Function) -> Function:
    if not ins.has("ftz") or scalar.bits != 32:
        return compare
    return lambda a, b: compare(flushed(a), flushed(b))


def _combined(context: Context, ins: Instruction, scalar: Scalar) -> tuple[Callable[[State], Array], Read | None]:
    """The comparison of operands 1 and 2, and the predicate that joins it."""
    a, b = (read(context, ins, operand, scalar) for operand in ins.operands[1:3])
    compare = _comparison(ins, scalar)
    joins = len(ins.operands) == 4
    c = read(context, ins, ins.operands[3], _PREDICATE) if joins else None
    return lambda s: np.asarray(compare(a(s), b(s))), c


@instruction("setp")
def _setp(context: Context, ins: Instruction) -> Run:
    """Both results: the comparison and its opposite, each joined with the third operand."""
    compare, c = _combined(context, ins, ins.scalar)
    first, second = pair(ins.operands[0])
    p, q = write(ins, first, _PREDICATE), write(ins, second, _PREDICATE)
    if c is None and second is not first and first is ins.operands[0]:
        return lambda s: p(s, compare(s))
    join = _BOOLEAN[ins.pick(*_BOOLEAN)] if c is not None else None

    def run(s: State) -> None:
        met = compare(s)
        if join is None or c is None:
            p(s, met)
            q(s, ~met)
        else:
            other = c(s)
            p(s, join(met, other))
            q(s, join(~met, other))

    return run


@instruction("set")
def _set(context: Context, ins: Instruction) -> Run:
    """All ones, or 1.0 in a float result, where the comparison holds."""
    result, scalar = ins.scalars
    compare, c = _combined(context, ins, scalar)
    store = write(ins, ins.operands[0], result)
    join = _BOOLEAN[ins.pick(*_BOOLEAN)] if c is not None else None
    yes = result.dtype.type(1) if result.kind == "f" else np.asarray(-1, np.int64).astype(result.dtype)

    def run(s: State) -> None:
        met = compare(s)
        if join is not None and c is not None:
            met = join(met, c(s))
        store(s, np.where(met, yes, result.dtype.type(0)))

    return run


@instruction("selp")
def _selp(context: Context, ins: Instruction) -> Run:
    return elementwise(
        context, ins, lambda a, b, p: np.where(p, a, b), ins.scalar, [ins.scalar, ins.scalar, _PREDICATE]
    )


@instruction("slct")
def _slct(context: Context, ins: Instruction) -> Run:
    """The first where the third operand is not negative."""
    result, scalar = ins.scalars
    return elementwise(context, ins, lambda a, b, c: np.where(c >= 0, a, b), result, [result, result, scalar])
