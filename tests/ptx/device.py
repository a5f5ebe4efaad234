"""The interpreter with the methods of the real device (``tzcore/backend/cuda/device.py``), and a report beside them.

    device = InterpretedDevice()
    kernel = device.load(ptx).kernel("scale")
    x = device.allocate(4096)
    device.copy_in(x, np.ones(1024, np.float32))
    device.launch(kernel, (4, 1, 1), 256, [x, 1024, 2.0])
    device.copy_out(out, x)

Streams run at once and in the order of the calls; a captured graph keeps launches and copies and does them anew.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.ptx.execute import Program, launch
from tests.ptx.memory import Arena
from tests.ptx.parser import parse
from tests.ptx.report import Checks, KernelFault, Report
from tests.ptx.scalars import Array, PtxError
from tests.ptx.syntax import KernelText, ModuleText, Parameter

__all__ = [
    "Checks", "Graph", "HostBuffer", "InterpretedDevice", "Kernel", "KernelFault", "Module", "PtxError", "Report",
]  # fmt: skip


@dataclass
class HostBuffer:
    """Memory that host and device both see."""

    array: Array
    address: int


@dataclass
class Kernel:
    """``parameters`` are the PTX types of the arguments in order: u64, u32, f32, ..."""

    name: str
    parameters: tuple[str, ...]
    text: KernelText
    program: Program


class Module:
    def __init__(self, arena: Arena, text: ModuleText) -> None:
        self.text = text
        self.symbols: dict[str, tuple[str, int]] = {}
        self.shared = [variable for variable in text.variables if variable.space == "shared"]
        for variable in text.variables:
            if variable.space == "shared":
                continue
            address = arena.allocate(variable.size)
            if variable.data is not None or variable.space == "const":
                data = (variable.data or b"").ljust(variable.size, b"\0")
                arena.write(address, np.frombuffer(data, np.uint8))
            else:
                arena.write(address, np.zeros(variable.size, np.uint8))
            self.symbols[variable.name] = (variable.space, address)
        self.kernels: dict[str, Kernel] = {}

    def kernel(self, name: str) -> Kernel:
        if name not in self.kernels:
            text = self.text.kernel(name)
            scalars = tuple(p.scalar.name if p.scalar else f"b8[{p.size}]" for p in text.parameters)
            self.kernels[name] = Kernel(name, scalars, text, self._program(text))
        return self.kernels[name]

    def _program(self, text: KernelText) -> Program:
        """Decoded once for all modules whose variables lie in the same places."""
        key = frozenset(self.symbols.items())
        if key not in text.programs:
            text.programs[key] = Program(text, self.symbols, self.shared)
            gc.freeze()  # the collector need not look through it ever again
        return text.programs[key]


@dataclass
class Graph:
    """Launches and copies, done again by ``launch``; memory is read anew each time."""

    steps: list[Callable[[], None]] = field(default_factory=list)
    closed: bool = False

    def launch(self, stream: int | None = None) -> None:
        if self.closed:
            raise PtxError("the graph is closed")
        for step in self.steps:
            step()

    def close(self) -> None:
        self.closed = True


class InterpretedDevice:
    name = "PTX interpreter"
    capability = (8, 0)
    multiprocessors = 4
    l2_bytes = 1 << 20
    clock = 1e9
    shared_limit = 163 << 10

    def __init__(self, checks: Checks | None = None, total: int = 8 << 30) -> None:
        self.arena = Arena()
        self.checks = checks or Checks()
        self.report = Report()
        self.total, self.used = total, 0
        self.sizes: dict[int, int] = {}
        self.capturing: Graph | None = None
        self.streams = 0

    def memory(self) -> tuple[int, int]:
        return self.total - self.used, self.total

    def allocate(self, size: int) -> int:
        if size < 0 or self.used + size > self.total:
            raise MemoryError(f"{size} bytes of {self.total - self.used} that are free")
        address = self.arena.allocate(size)
        self.sizes[address] = size
        self.used += size
        return address

    def free(self, address: int) -> None:
        self.arena.free(address)
        self.used -= self.sizes.pop(address)

    def allocate_host(self, size: int) -> HostBuffer:
        """Zeros at first."""
        address = self.arena.allocate(size, whole=True)
        return HostBuffer(self.arena.bytes[address : address + size], address)

    def free_host(self, buffer: HostBuffer) -> None:
        self.arena.free(buffer.address)

    def _do(self, step: Callable[[], None]) -> None:
        if self.capturing is not None:
            self.capturing.steps.append(step)
        else:
            step()

    def copy_in(self, address: int, array: Array, stream: int | None = None) -> None:
        if not array.flags.c_contiguous:
            raise ValueError("the array is not contiguous")
        self._do(lambda: self.arena.write(address, array.reshape(-1).view(np.uint8)))

    def copy_out(self, array: Array, address: int, stream: int | None = None) -> None:
        if not array.flags.c_contiguous:
            raise ValueError("the array is not contiguous")
        flat = array.reshape(-1).view(np.uint8)

        def step() -> None:
            flat[:] = self.arena.read(address, flat.size)

        self._do(step)

    def copy_within(self, target: int, source: int, size: int, stream: int | None = None) -> None:
        self._do(lambda: self.arena.copy(target, source, size))

    def fill(self, address: int, byte: int, size: int, stream: int | None = None) -> None:
        self._do(lambda: self.arena.write(address, np.full(size, byte, np.uint8)))

    def load(self, ptx: str) -> Module:
        return Module(self.arena, parse(ptx))

    def load_file(self, path: Path) -> Module:
        return self.load(path.read_text(encoding="utf-8"))

    def launch(
        self, kernel: Kernel, grid: tuple[int, int, int], block: int, arguments: Sequence[int | float | bytes],
        shared: int = 0, stream: int | None = None,
    ) -> None:  # fmt: skip
        parameters = pack(kernel, arguments)
        if min(grid) < 1 or grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
            raise PtxError(f"{kernel.name}: grid {grid}")
        if not 1 <= block <= kernel.text.max_threads:
            raise PtxError(f"{kernel.name}: {block} threads a block, at most {kernel.text.max_threads}")
        static = kernel.program.layout.shared
        if static > 48 << 10 or static + shared > self.shared_limit:
            raise PtxError(f"{kernel.name}: {static} + {shared} bytes of shared memory are too many")
        self._do(
            lambda: launch(kernel.program, self.arena, parameters, grid, block, shared, self.checks, self.report)
        )

    def begin_capture(self, stream: int | None = None) -> None:
        if self.capturing is not None:
            raise PtxError("a capture is under way")
        self.capturing = Graph()

    def end_capture(self, stream: int | None = None) -> Graph:
        if self.capturing is None:
            raise PtxError("no capture is under way")
        graph, self.capturing = self.capturing, None
        return graph

    def stream(self) -> int:
        self.streams += 1
        return self.streams

    def synchronize(self, stream: int | None = None) -> None:
        if self.capturing is not None:
            raise PtxError("a capture cannot wait")

    def event(self) -> int:
        return 0

    def record(self, event: int, stream: int | None = None) -> None:
        return

    def elapsed(self, first: int, second: int) -> float:
        return 0.0


def pack(kernel: Kernel, arguments: Sequence[Any]) -> Array:
    """The arguments as the bytes of the parameter space; PtxError says which one does not fit."""
    parameters = kernel.text.parameters
    if len(arguments) != len(parameters):
        raise PtxError(f"{kernel.name} takes {len(parameters)} arguments, not {len(arguments)}")
    data = np.zeros(max([1, *(p.offset + p.size for p in parameters)]), np.uint8)
    for number, (parameter, argument) in enumerate(zip(parameters, arguments, strict=True)):
        try:
            value = np.frombuffer(_encode(parameter, argument), np.uint8)
            data[parameter.offset : parameter.offset + parameter.size] = value
        except (TypeError, ValueError, OverflowError) as error:
            kind = kernel.parameters[number]
            raise PtxError(f"{kernel.name}: argument {number} is {argument!r}, not {kind} ({error})") from None
    return data


def _encode(parameter: Parameter, argument: Any) -> bytes:
    scalar = parameter.scalar
    if scalar is None:
        if len(argument) != parameter.size:
            raise ValueError(f"{len(argument)} bytes")
        return bytes(argument)
    if scalar.kind == "f":
        if not isinstance(argument, float | int | np.floating):
            raise TypeError("no float")
        return np.asarray(argument, scalar.dtype).tobytes()
    if isinstance(argument, float | np.floating):
        raise TypeError("a float")
    value = int(argument)
    low, high = -(1 << scalar.bits - 1), (1 << scalar.bits) - 1
    if not low <= value <= high:
        raise OverflowError("out of range")
    return (value & (1 << scalar.bits) - 1).to_bytes(scalar.size, "little")
