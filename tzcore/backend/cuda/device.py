"""What the backend asks of a device, and kernels whose arguments are checked before a driver sees them.

Two things are devices: a card behind the NVIDIA driver (:mod:`tzcore.backend.cuda.driver`) and, in
tests, an interpreter of PTX.  Both load modules through :func:`parse`, so that a kernel called with the
wrong number or kind of arguments is an error here and not a fault on the card.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tzcore.errors import BackendError

Argument = int | float
Grid = tuple[int, int, int]
Stream = Any
"""A queue of work that runs in order: the device's own kind of object.  None is the device's own queue."""
Event = Any
"""A mark in a stream: the device's own kind of object."""

MOST_THREADS = 1024
"""Threads of a block, at most."""
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
"""Blocks of a grid along x, y and z, at most."""

# NVRTC writes ``int`` as u32, which is mostly small and sometimes negative.
_PACKED = {
    "u64": "Q", "s64": "q", "b64": "Q", "u32": "i", "s32": "i", "b32": "I", "u16": "H", "s16": "h", "b16": "H",
    "u8": "B", "s8": "b", "b8": "B", "f32": "f", "f64": "d",
}  # fmt: skip
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ENTRY = re.compile(r"\.entry\s+([\w$%]+)\s*(?:\(([^)]*)\))?")
_PARAMETER = re.compile(
    r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(?:\.ptr\s+)?(?:\.(?:global|shared|const|local)\s+)?"
    r"(?:\.align\s+\d+\s+)?([\w$%]+)(\s*\[)?"
)
_EXACT = 1 << 24  # whole numbers up to here are the same in float32
_LARGEST = float(np.finfo(np.float32).max)


class LostDeviceError(BackendError):
    """A kernel failed or the card went away: what lay on the card is gone, and the model must be loaded again."""


class OutOfMemoryError(BackendError):
    """Memory of the card, or pinned memory of the machine, that was asked for is not there."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel; ``kind`` is its PTX type (``u64``, ``u32``, ``f32`` …)."""

    name: str
    kind: str

    @property
    def size(self) -> int:
        return struct.calcsize(_PACKED[self.kind])

    def check(self, value: object) -> str | None:
        """What is wrong with ``value`` as this parameter's argument, or None.

        NVRTC writes ``int`` as ``u32`` and pointers as ``u64``, so whole numbers may have either sign.  A float
        may be a small whole number, but no address.
        """
        if self.kind[0] == "f":
            if isinstance(value, int) and abs(value) <= _EXACT:
                return None
            if not isinstance(value, float | np.floating):
                return f"{value!r} is no float, which {self.kind} needs"
            too_large = self.kind == "f32" and math.isfinite(value) and abs(float(value)) > _LARGEST
            return f"{value} is too large for {self.kind}" if too_large else None
        try:
            number = operator.index(value)  # type: ignore[arg-type] # that is the question
        except TypeError:
            return f"{value!r} is no whole number, which {self.kind} needs"
        bits = 8 * self.size
        return None if -(1 << bits - 1) <= number < 1 << bits else f"{number} does not fit {self.kind}"


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel that is ready to run.  ``handle`` is the device's own kind of object."""

    name: str
    parameters: tuple[Parameter, ...]
    handle: Any = None

    def check_shape(self, grid: Grid, block: int, shared: int = 0) -> None:
        """BackendError for a grid or block that cannot be meant."""
        x, y, z = grid
        if not (0 < x <= MOST_BLOCKS[0] and 0 < y <= MOST_BLOCKS[1] and 0 < z <= MOST_BLOCKS[2]):
            raise BackendError(f"kernel {self.name} cannot have a grid of {grid} blocks")
        if not 0 < block <= MOST_THREADS or shared < 0:
            raise BackendError(f"kernel {self.name} cannot have {block} threads and {shared} bytes a block")

    def check(self, arguments: Sequence[Argument]) -> None:
        """BackendError for arguments that cannot be meant."""
        if len(arguments) != len(self.parameters):
            raise BackendError(
                f"kernel {self.name} takes {len(self.parameters)} arguments, not {len(arguments)}: this is a bug"
            )
        for number, (parameter, value) in enumerate(zip(self.parameters, arguments, strict=True), 1):
            if wrong := parameter.check(value):
                raise BackendError(f"kernel {self.name}, argument {number}: {wrong}: this is a bug")

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each argument lies in what :meth:`pack` gives, naturally aligned."""
        found, at = [], 0
        for parameter in self.parameters:
            at = -(-at // parameter.size) * parameter.size
            found.append(at)
            at += parameter.size
        return tuple(found)

    @cached_property
    def _layout(self) -> struct.Struct:
        form, at = "<", 0
        for parameter, offset in zip(self.parameters, self.offsets, strict=True):
            form += "x" * (offset - at) + _PACKED[parameter.kind]
            at = offset + parameter.size
        return struct.Struct(form)

    @cached_property
    def _floats(self) -> tuple[int, ...]:
        return tuple(number for number, parameter in enumerate(self.parameters) if parameter.kind[0] == "f")

    @property
    def size(self) -> int:
        """Bytes that :meth:`pack` gives."""
        return self._layout.size

    def pack(self, arguments: Sequence[Argument]) -> bytes:
        """The arguments as the kernel reads them, little-endian, at :attr:`offsets`; BackendError for wrong ones.

        Thousands of launches make a prompt's reading, so what is plainly right is packed at once.
        """
        try:
            if all(type(arguments[number]) is float for number in self._floats):
                return self._layout.pack(*arguments)
        except (struct.error, OverflowError, IndexError, TypeError):
            pass
        self.check(arguments)
        return self._layout.pack(*map(_wrapped, self.parameters, arguments))


def _wrapped(parameter: Parameter, value: Argument) -> Argument:
    """A checked argument as :data:`_PACKED` takes it: numbers of the other sign become their two's complement."""
    if parameter.kind[0] == "f":
        return float(value)
    bits = 8 * parameter.size
    number = operator.index(value) & (1 << bits) - 1  # type: ignore[arg-type] # it was checked
    return number - (1 << bits) if _PACKED[parameter.kind].islower() and number >> bits - 1 else number


@dataclass(frozen=True, eq=False)
class Module:
    """The kernels of one PTX file, by their names."""

    kernels: dict[str, Kernel]
    handle: Any = None

    def kernel(self, name: str) -> Kernel:
        """The kernel ``name``; BackendError where the file has none of that name."""
        try:
            return self.kernels[name]
        except KeyError:
            raise BackendError(
                f"there is no CUDA kernel called {name} in this installation: install the program again"
            ) from None


def parse(ptx: str) -> dict[str, tuple[Parameter, ...]]:
    """The parameters of every kernel that the PTX text declares, by the kernel's name."""
    text = _COMMENTS.sub("", ptx)
    if ".version" not in text:
        raise BackendError("a file of CUDA kernels is damaged (it is not PTX): install the program again")
    found: dict[str, tuple[Parameter, ...]] = {}
    for name, body in _ENTRY.findall(text):
        parameters = []
        for declared in filter(None, map(str.strip, body.split(","))):
            match = _PARAMETER.fullmatch(declared)
            if match is None or match[3] or match[1] not in _PACKED:
                raise BackendError(f"kernel {name} has a parameter that cannot be passed: {' '.join(declared.split())}")
            parameters.append(Parameter(match[2], match[1]))
        found[name] = tuple(parameters)
    return found


@dataclass(eq=False)
class HostBuffer:
    """Memory of the machine that the device reads and writes in place.

    ``array`` ``[size]`` uint8 is how the program sees it, ``address`` how kernels do.  After
    :meth:`Device.free_host` the array is empty; views of it that were kept must not be touched.
    """

    array: npt.NDArray[np.uint8]
    address: int
    handle: Any = None


class Graph(Protocol):
    """Work that was captured once and runs as a whole."""

    def launch(self, stream: Stream = None) -> None:
        """Queue it."""

    def close(self) -> None:
        """Let go of it, once it does not run any more."""


class Device(Protocol):
    """A card, or what stands for one.

    Addresses are plain numbers.  Work with a ``stream`` is queued, in order: arrays in pinned memory that are
    copied so must stay unchanged until the stream is done, others are read or filled before the call returns.
    Without one, copies and fills are done when the call returns, *in no order* with other streams; launches
    are queued on the device's own stream.  Every method raises BackendError with
    one clear line: :class:`OutOfMemoryError` where memory is short, :class:`LostDeviceError` where
    the device failed.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    l2_bytes: int
    clock: float
    """The highest rate of its multiprocessors, in hertz."""

    def memory(self) -> tuple[int, int]:
        """Free bytes at this moment, and all there are."""

    def allocate(self, size: int) -> int:
        """The address of ``size`` new bytes, a multiple of 256.  What they hold is not defined."""

    def free(self, address: int) -> None:
        """Give back what :meth:`allocate` gave."""

    def allocate_host(self, size: int) -> HostBuffer:
        """``size`` bytes of pinned memory of the machine that kernels can read."""

    def free_host(self, buffer: HostBuffer) -> None:
        """Give back what :meth:`allocate_host` gave."""

    def copy_in(self, address: int, array: npt.NDArray[Any], stream: Stream = None) -> None:
        """Copy a contiguous array to the device."""

    def copy_out(self, array: npt.NDArray[Any], address: int, stream: Stream = None) -> None:
        """Fill a contiguous array from the device."""

    def copy_within(self, target: int, source: int, size: int, stream: Stream = None) -> None:
        """Copy ``size`` bytes from one place on the device to another that does not overlap it."""

    def fill(self, address: int, byte: int, size: int, stream: Stream = None) -> None:
        """Set ``size`` bytes."""

    def load(self, ptx: str) -> Module:
        """Compile the PTX text for this device; its kernels are ready to run when this returns."""

    def launch(
        self,
        kernel: Kernel,
        grid: Grid,
        block: int,
        arguments: Sequence[Argument],
        shared: int = 0,
        stream: Stream = None,
    ) -> None:
        """Queue ``kernel`` on ``grid`` blocks of ``block`` threads, with ``shared`` bytes of dynamic shared memory."""

    def begin_capture(self, stream: Stream) -> None:
        """Record what this thread queues on ``stream`` from now on, instead of running it."""

    def end_capture(self, stream: Stream) -> Graph:
        """What was queued since :meth:`begin_capture`."""

    def stream(self) -> Stream:
        """A new stream, in no order with the others."""

    def synchronize(self, stream: Stream = None) -> None:
        """Wait for a stream, or for everything."""

    def event(self) -> Event:
        """A new event for measuring time."""

    def record(self, event: Event, stream: Stream = None) -> None:
        """Put the event behind what is queued."""

    def elapsed(self, first: Event, second: Event) -> float:
        """Seconds between two recorded events, waiting for the second."""


def contiguous(array: npt.NDArray[Any], writable: bool = False) -> npt.NDArray[Any]:
    """``array``, or BackendError where a copy of its bytes as they lie would not be a copy of it."""
    if not array.flags.c_contiguous or (writable and not array.flags.writeable):
        raise BackendError("an array that is to be copied is not contiguous, or not writable: this is a bug")
    return array
