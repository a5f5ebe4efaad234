"""IEEE rounding of exact numbers: what the float tests compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from tests.ptx.scalars import Array

FORMATS = {"f16": (11, -14, 15), "bf16": (8, -126, 127), "f32": (24, -126, 127), "f64": (53, -1022, 1023)}
Value = Fraction | float


def exact(value: float) -> Value:
    """A finite number as a fraction; infinities, NaN and zeros (for their sign) stay floats."""
    value = float(value)
    return value if not math.isfinite(value) or value == 0 else Fraction(value)


def integer(value: Fraction, mode: str, negative: bool) -> int:
    """``value``, not negative, as an integer; ``negative`` is the sign it stands for."""
    down = value.numerator // value.denominator
    rest = value - down
    if mode in ("rn", "rni"):
        up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down & 1)
    else:
        up = rest > 0 and ((mode in ("rp", "rpi") and not negative) or (mode in ("rm", "rmi") and negative))
    return down + int(up)


def rounded(value: Value, name: str, mode: str = "rn") -> float:
    """``value`` in the format ``name``, as a float64 that equals it."""
    if isinstance(value, float):
        return value
    digits, low, high = FORMATS[name]
    negative, size = value < 0, abs(value)
    if size == 0:
        return 0.0
    exponent = max(size.numerator.bit_length() - size.denominator.bit_length() - 1, low)
    while exponent < 1100 and size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - digits + 1)
    out = integer(size / step, mode, negative) * step
    largest = (2 - Fraction(2) ** (1 - digits)) * Fraction(2) ** high
    if out > largest:
        cut = mode == "rz" or (mode == "rm" and not negative) or (mode == "rp" and negative)
        return float(largest if cut else math.inf) * (-1 if negative else 1)
    return -float(out) if negative else float(out)


def operation(function: Callable[..., Fraction], plain: Callable[..., float]) -> Callable[..., Value]:
    """``function`` on fractions where all are finite and not zero, else ``plain`` on floats."""

    def run(*values: float) -> Value:
        parts = [exact(value) for value in values]
        if all(isinstance(part, Fraction) for part in parts):
            result = function(*parts)
            return result if result else 0.0
        with np.errstate(all="ignore"):
            return exact(float(plain(*map(np.float64, values))))

    return run


def same(got: Array, expected: Sequence[float], text: str, *inputs: Array) -> None:
    """Equal numbers, zeros of one sign, NaN for NaN."""
    want = np.asarray(expected, np.float64)
    have = got.astype(np.float64)
    good = (have == want) & (np.signbit(have) == np.signbit(want)) | np.isnan(have) & np.isnan(want)
    bad = np.flatnonzero(~good)
    assert not bad.size, (text, [each[bad[0]] for each in inputs], got[bad[0]], want[bad[0]])
