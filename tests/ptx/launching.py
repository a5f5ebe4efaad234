"""One call of a shipped kernel, with NumPy arrays where it takes addresses: on the interpreter, or on the device that
``DEVICE`` is set to (the tests on a card do)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.device import Checks, InterpretedDevice, Report

PTX = Path(__file__).parents[2] / "tzcore" / "backend" / "cuda" / "ptx"

DEVICE: Any = InterpretedDevice(Checks(uninitialised=True, races=True))


def poisoned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An output before the call: NaN, or integers that no kernel gives."""
    out = np.empty(shape, dtype)
    if out.dtype.kind == "f":
        out.fill(np.nan)
    else:
        out.view(np.uint8)[...] = 0x9A
    return out


def split(factors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """The scales and the sums of prepared groups ``[…, groups, 2]``: views of them."""
    return factors[..., 0], factors.view(np.int32)[..., 1]


def ptx_of(name: str) -> str:
    return (PTX / f"{name}.ptx").read_text(encoding="utf-8")


@cache
def _module(device: Any, ptx: str) -> Any:
    return device.load(ptx)


@cache
def _kernel(device: Any, name: str, ptx: str | None, file: str | None) -> Any:
    return _module(device, ptx or ptx_of(file or name)).kernel(name)


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
    name: str,
    grid: tuple[int, int, int],
    block: int,
    *arguments: Any,
    shared: int = 0,
    ptx: str | None = None,
    file: str | None = None,
) -> None:
    """Arrays are copied in and, what the kernel made of them, back; None is the null pointer.

    A tuple ``(table, array, …)`` is a pointer to what ``table`` makes of the arrays' addresses.
    ``ptx`` is another text of the kernel than the shipped one; ``file`` is the PTX's name where it is not the kernel's.
    """
    held: list[tuple[npt.NDArray[Any], int]] = []
    try:
        values: list[int | float] = []

        def put(array: npt.NDArray[Any]) -> int:
            address = DEVICE.allocate(array.nbytes)
            held.append((array, address))
            DEVICE.copy_in(address, array)
            return address

        for argument in arguments:
            if isinstance(argument, np.ndarray):
                values.append(put(argument))
            elif isinstance(argument, tuple):
                make, *arrays = argument
                values.append(put(make([put(array) for array in arrays])))
            else:
                values.append(0 if argument is None else argument)
        DEVICE.launch(_kernel(DEVICE, name, ptx, file), grid, block, values, shared=shared)
        for array, address in held:
            DEVICE.copy_out(array, address)
    finally:
        for _, address in held:
            DEVICE.free(address)
