"""One call of a shipped kernel on the interpreter, with NumPy arrays where it takes addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.device import Checks, InterpretedDevice, Kernel, Report

PTX = Path(__file__).parents[2] / "tzcore" / "backend" / "cuda" / "ptx"

DEVICE = InterpretedDevice(Checks(uninitialised=True, races=True))


def poisoned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An output before the call: NaN, or integers that no kernel gives."""
    out = np.empty(shape, dtype)
    out.view(np.uint8).fill(0xFF if out.dtype.kind == "f" else 0x9A)
    return out


def ptx_of(name: str) -> str:
    return (PTX / f"{name}.ptx").read_text(encoding="utf-8")


@cache
def _kernel(name: str, ptx: str | None) -> Kernel:
    return DEVICE.load(ptx or ptx_of(name)).kernel(name)


@contextmanager
def counted() -> Iterator[Report]:
    """What the calls within moved, and in how many sectors and wavefronts."""
    DEVICE.report.clear()
    DEVICE.checks.counters = True
    try:
        yield DEVICE.report
    finally:
        DEVICE.checks.counters = False


def run(
    name: str, grid: tuple[int, int, int], block: int, *arguments: Any, shared: int = 0, ptx: str | None = None
) -> None:
    """Arrays are copied in and, what the kernel made of them, back; None is the null pointer.

    ``ptx`` is another text of the kernel than the shipped one.
    """
    held: list[tuple[npt.NDArray[Any], int]] = []
    try:
        values: list[int | float] = []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                address = DEVICE.allocate(argument.nbytes)
                held.append((argument, address))
                DEVICE.copy_in(address, argument)
                values.append(address)
            else:
                values.append(0 if argument is None else argument)
        DEVICE.launch(_kernel(name, ptx), grid, block, values, shared=shared)
        for array, address in held:
            DEVICE.copy_out(array, address)
    finally:
        for _, address in held:
            DEVICE.free(address)
