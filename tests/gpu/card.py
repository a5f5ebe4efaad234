"""The card that these tests run on, or the interpreter where they are only rehearsed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from tests.ptx.device import Checks, InterpretedDevice, PtxError
from tzcore.backend.cuda.device import Device, Kernel, OutOfMemoryError, contiguous, parse
from tzcore.errors import BackendError, MissingExtraError

REHEARSE = "TZ_GPU_REHEARSE"
"""Environment variable: not empty runs everything on the interpreter, with the card's rules about calls."""


def find() -> Device | str:
    """The card that CUDA counts first, or why there is none."""
    if os.environ.get(REHEARSE):
        return Rehearsal()  # type: ignore[return-value] # its kernels and modules are the interpreter's
    from tzcore.backend.cuda.driver import open_device

    try:
        return open_device()
    except (BackendError, MissingExtraError) as error:
        return str(error)


class Rehearsal(InterpretedDevice):
    """The interpreter, as strict about arguments and arrays as the driver, with clocks that go."""

    l2_bytes = 1 << 14

    def __init__(self) -> None:
        super().__init__(Checks.fast(), total=4 << 30)
        self._declared: dict[str, tuple[Any, ...]] = {}

    def load(self, ptx: str) -> Any:
        declared = parse(ptx)
        try:
            module = super().load(ptx)
            for name in declared:
                module.kernel(name)  # compiled at once, as a driver does
        except PtxError as error:
            raise BackendError(f"the CUDA kernels are damaged ({error}): install the program again") from error
        self._declared |= declared
        return module

    def allocate(self, size: int) -> int:
        if size < 1:
            raise BackendError(f"{size} bytes cannot be allocated")
        try:
            return super().allocate(size)
        except MemoryError as error:
            raise OutOfMemoryError(f"not enough memory: {error}") from error

    def launch(
        self, kernel: Any, grid: tuple[int, int, int], block: int, arguments: Sequence[Any], shared: int = 0,
        stream: Any = None,
    ) -> None:  # fmt: skip
        declared = Kernel(kernel.name, self._declared[kernel.name])
        declared.check_shape(grid, block, shared)
        declared.check(arguments)
        super().launch(kernel, grid, block, arguments, shared, stream)

    def copy_in(self, address: int, array: Any, stream: Any = None) -> None:
        super().copy_in(address, contiguous(array), stream)

    def copy_out(self, array: Any, address: int, stream: Any = None) -> None:
        super().copy_out(contiguous(array, writable=True), address, stream)

    def event(self) -> Any:
        return [0.0]

    def record(self, event: Any, stream: Any = None) -> None:
        event[0] = time.perf_counter()

    def elapsed(self, first: Any, second: Any) -> float:
        return max(second[0] - first[0], 1e-9)
