"""The fundamental types of PTX and the NumPy types that hold them.

A register is a row over threads, kept by its width (1, 16, 32 or 64 bits) and looked at through a view of the type
that an instruction names: ``u32``, ``s32`` and ``f32`` are three views of the same row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class PtxError(Exception):
    """The text is no PTX that the interpreter knows, or a launch is not what the kernel declares."""


@dataclass(frozen=True)
class Scalar:
    """``name`` as in PTX, ``kind`` one of s, u, f, b (bf16 as well), p; ``dtype`` of one element."""

    name: str
    kind: str
    bits: int
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return max(1, self.bits // 8)

    @property
    def integer(self) -> bool:
        return self.kind in "sub"

    @property
    def signed(self) -> bool:
        return self.kind == "s"

    @property
    def view(self) -> str:
        """Name of the register view: ``u32``, ``s32``, ``f32``, ``p``."""
        return view(self.kind, self.bits)

    @property
    def limits(self) -> tuple[int, int]:
        low = -(1 << self.bits - 1) if self.signed else 0
        return low, low + (1 << self.bits) - 1


def view(kind: str, bits: int) -> str:
    return "p" if kind == "p" else f"{'u' if kind == 'b' else kind}{bits}"


def _table() -> dict[str, Scalar]:
    scalars = {}
    for bits in (8, 16, 32, 64):
        scalars[f"s{bits}"] = Scalar(f"s{bits}", "s", bits, np.dtype(f"i{bits // 8}"))
        for kind in "ub":
            scalars[f"{kind}{bits}"] = Scalar(f"{kind}{bits}", kind, bits, np.dtype(f"u{bits // 8}"))
        if bits > 8:
            scalars[f"f{bits}"] = Scalar(f"f{bits}", "f", bits, np.dtype(f"f{bits // 8}"))
    scalars["pred"] = Scalar("pred", "p", 1, np.dtype(bool))
    scalars["bf16"] = Scalar("bf16", "b", 16, np.dtype(np.uint16))
    for name in ("f16x2", "bf16x2", "tf32"):
        scalars[name] = Scalar(name, "b", 32, np.dtype(np.uint32))
    return scalars


SCALARS = _table()
VIEWS = {
    1: {"p": np.dtype(bool)},
    16: {"u16": SCALARS["u16"].dtype, "s16": SCALARS["s16"].dtype, "f16": SCALARS["f16"].dtype},
    32: {"u32": SCALARS["u32"].dtype, "s32": SCALARS["s32"].dtype, "f32": SCALARS["f32"].dtype},
    64: {"u64": SCALARS["u64"].dtype, "s64": SCALARS["s64"].dtype, "f64": SCALARS["f64"].dtype},
}
