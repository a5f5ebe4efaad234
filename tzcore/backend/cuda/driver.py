"""A card behind the NVIDIA driver, through cuda-python's bindings (12.9 and 13).

The card's primary context is used, which torch shares.  Each method makes it current, as models
run on threads of their own.  Every result that is not success becomes a BackendError with one
line that says what to do (:mod:`tzcore.backend.cuda.failures`).  When a card is lost, every device
object of it is: :func:`open_device` then resets it and gives a new one.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.backend.cuda.device import (
    Argument,
    Event,
    Grid,
    HostBuffer,
    Kernel,
    LostDeviceError,
    Module,
    OutOfMemoryError,
    Stream,
    contiguous,
    parse,
)
from tzcore.backend.cuda.failures import (
    EXTRA,
    LEAST_CAPABILITY,
    LEAST_CUDA,
    LOST,
    NO_CARD,
    NO_DRIVER,
    card_too_old,
    driver_too_old,
    failure,
)
from tzcore.errors import BackendError, MissingExtraError
from tzcore.hardware import in_words

_LOG = 16 << 10
"""Bytes of the compiler's log that are kept."""


class Driver:
    """The driver's functions, each checked.  Made by :func:`driver`, once a process."""

    def __init__(self) -> None:
        try:
            self.api: Any = import_module("cuda.bindings.driver")
        except ImportError as error:
            raise MissingExtraError(f"running on an NVIDIA card needs cuda-python: {EXTRA}") from error
        self("cuInit", 0)
        if self.version() < LEAST_CUDA:
            raise BackendError(driver_too_old(self.words()))

    def __call__(self, name: str, *arguments: Any, log: str = "") -> Any:
        """Call ``name``; its results without the code, a single one as itself."""
        code, results = self.attempt(name, *arguments)
        if code != "CUDA_SUCCESS":
            raise failure(code, name, self.words() if "PTX_VERSION" in code else "", log)
        return results[0] if len(results) == 1 else results

    def attempt(self, name: str, *arguments: Any) -> tuple[str, tuple[Any, ...]]:
        """The code's name, and the results.  Raises only where there is no driver, or not this function in it."""
        try:
            code, *results = getattr(self.api, name)(*arguments)
        except RuntimeError as error:  # the bindings' own: they open the driver's library at the first call
            if name == "cuInit":
                raise BackendError(NO_DRIVER) from error
            raise BackendError(f"{driver_too_old(self.words())}; this one has no {name}") from error
        except ValueError as error:  # a code that a newer driver knows and the bindings do not
            raise BackendError(f"the NVIDIA driver refused {name} ({error}): {EXTRA} brings its names") from error
        return code.name, tuple(results)

    def version(self) -> int:
        """The newest CUDA that the driver speaks, 1000·major + 10·minor."""
        return int(self("cuDriverGetVersion"))

    def words(self) -> str:
        """The driver that is there, for a person."""
        from tzcore.backend.cuda.facts import driver_version

        number = self.version()
        speaks = f"it speaks CUDA {number // 1000}.{number % 1000 // 10}"
        version = driver_version()
        return f"version {version}, {speaks}" if version else speaks


_lock = threading.Lock()
_driver: list[Driver] = []
_devices: dict[int, CudaDevice] = {}


def driver() -> Driver:
    """The driver, started.  MissingExtraError or BackendError says what is missing; a next call tries again."""
    with _lock:
        if not _driver:
            _driver.append(Driver())
        return _driver[0]


def visible() -> dict[str, int]:
    """The number of each card that CUDA lets this process use, by its UUID's 32 hexadecimal digits.

    No context is made.  ``CUDA_VISIBLE_DEVICES`` counts here, as it does not for NVML.
    """
    call = driver()
    code, results = call.attempt("cuDeviceGetCount")
    if code != "CUDA_SUCCESS" or not results[0]:
        raise failure(code, "cuDeviceGetCount") if code != "CUDA_SUCCESS" else BackendError(NO_CARD)
    found = {}
    for number in range(results[0]):
        uuid = call("cuDeviceGetUuid", call("cuDeviceGet", number))
        found[bytes(uuid.bytes).hex()] = number
    return found


def open_device(number: int = 0) -> CudaDevice:
    """The card ``number``, as CUDA counts: one object a process, a new one after the card was lost."""
    call = driver()
    with _lock:
        known = _devices.get(number)
        if known is None or known.lost:
            if known is not None:
                known.reset()
            _devices[number] = CudaDevice(call, number)
        return _devices[number]


class _Frame:
    """Memory for the arguments of one launch, and their addresses, as the driver reads both during the call."""

    def __init__(self, kernel: Kernel) -> None:
        buffer = (ctypes.c_uint8 * max(1, kernel.size))()
        self.held = memoryview(buffer).cast("B")[: kernel.size]
        base = ctypes.addressof(buffer)
        self._places = (ctypes.c_void_p * max(1, len(kernel.offsets)))(*(base + offset for offset in kernel.offsets))
        self.address = ctypes.addressof(self._places)


class CudaGraph:
    """Captured work; see :class:`tzcore.backend.cuda.device.Graph`."""

    def __init__(self, device: CudaDevice, handle: Any) -> None:
        self._device = device
        self._handle = handle

    def launch(self, stream: Stream = None) -> None:
        if self._handle is None:
            raise BackendError("this graph is closed")
        self._device.call("cuGraphLaunch", self._handle, self._device.queue(stream))

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            if not self._device.lost:
                self._device.call("cuGraphExecDestroy", handle)


class CudaDevice:
    """One card; see :class:`tzcore.backend.cuda.device.Device`.  Most callers use :func:`open_device`."""

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver = driver
        self.number = number
        self.lost = ""
        """Why the card cannot be used any more, once it cannot."""
        self._device = driver("cuDeviceGet", number)
        self.name = driver("cuDeviceGetName", 256, self._device).split(b"\0")[0].decode(errors="replace")
        self.capability = (self._attribute("COMPUTE_CAPABILITY_MAJOR"), self._attribute("COMPUTE_CAPABILITY_MINOR"))
        if self.capability < LEAST_CAPABILITY:
            raise BackendError(card_too_old(self.name, self.capability))
        self.multiprocessors = self._attribute("MULTIPROCESSOR_COUNT")
        self.l2_bytes = self._attribute("L2_CACHE_SIZE")
        self.clock = 1e3 * self._attribute("CLOCK_RATE")
        self.shared_bytes = self._attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")
        """The most shared memory that a block can ask for."""
        self._frames: dict[Kernel, list[_Frame]] = {}
        self._modules: dict[str, Module] = {}
        self._shared: dict[Kernel, int] = {}  # dynamic shared memory that each kernel was allowed
        self._context = self._retain()
        self._own = self.stream()

    def _attribute(self, name: str) -> int:
        key = getattr(self._driver.api.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self._driver("cuDeviceGetAttribute", key, self._device))

    def _retain(self) -> Any:
        code, results = self._driver.attempt("cuDevicePrimaryCtxRetain", self._device)
        if code == "CUDA_ERROR_OUT_OF_MEMORY":
            raise OutOfMemoryError(f"{self.name} has no memory left even to be opened: close other programs on it")
        if code != "CUDA_SUCCESS":
            raise failure(code, "cuDevicePrimaryCtxRetain", self._driver.words())
        return results[0]

    # --- calls ------------------------------------------------------------------------------------

    def call(self, name: str, *arguments: Any, log: str = "") -> Any:
        """A function of the driver, on this card.  LostDeviceError from the first failure on, whatever is called."""
        code, results = self._attempt(name, *arguments)
        if code != "CUDA_SUCCESS":
            raise self._failed(code, name, log)
        return results[0] if len(results) == 1 else results

    def _attempt(self, name: str, *arguments: Any) -> tuple[str, tuple[Any, ...]]:
        if self.lost:
            raise LostDeviceError(self.lost)
        code, results = self._driver.attempt("cuCtxSetCurrent", self._context)
        if code != "CUDA_SUCCESS":
            return code, results
        return self._driver.attempt(name, *arguments)

    def _failed(self, code: str, name: str, log: str = "") -> BackendError:
        error = failure(code, name, self._driver.words() if "PTX_VERSION" in code else "", log)
        if isinstance(error, LostDeviceError):
            self.lost = f"{self.name}: {error}"
            return LostDeviceError(self.lost)
        return error

    def queue(self, stream: Stream) -> Any:
        """The driver's handle of a stream; None is the device's own."""
        return self._own if stream is None else stream

    def reset(self) -> None:
        """Throw away the card's context, with everything that this process has there, torch's included."""
        self.lost = self.lost or f"{self.name} was reset: {LOST}"
        self._driver("cuDevicePrimaryCtxReset", self._device)

    # --- memory -----------------------------------------------------------------------------------

    def memory(self) -> tuple[int, int]:
        free, total = self.call("cuMemGetInfo")
        return int(free), int(total)

    def allocate(self, size: int) -> int:
        code, results = self._attempt("cuMemAlloc", size)
        if code == "CUDA_ERROR_OUT_OF_MEMORY":
            raise OutOfMemoryError(self._short(size))
        if code != "CUDA_SUCCESS":
            raise self._failed(code, "cuMemAlloc")
        return int(results[0])

    def _short(self, size: int) -> str:
        free, total = self.memory()
        return (
            f"{self.name} has not enough memory: {in_words(size)} were asked for, "
            f"{in_words(free)} of {in_words(total)} are free; close other programs on the card, "
            "or choose a shorter context"
        )

    def free(self, address: int) -> None:
        if not self.lost:  # what lay there is gone with the context
            self.call("cuMemFree", address)

    def allocate_host(self, size: int) -> HostBuffer:
        flags = self._driver.api.CU_MEMHOSTALLOC_DEVICEMAP | self._driver.api.CU_MEMHOSTALLOC_PORTABLE
        code, results = self._attempt("cuMemHostAlloc", size, flags)
        if code == "CUDA_ERROR_OUT_OF_MEMORY":
            raise OutOfMemoryError(
                f"the system does not pin {in_words(size)} of main memory for the card: close other "
                "programs, or raise the limit of locked memory (ulimit -l)"
            )
        if code != "CUDA_SUCCESS":
            raise self._failed(code, "cuMemHostAlloc")
        place = int(results[0])
        address = int(self.call("cuMemHostGetDevicePointer", place, 0))
        array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(place))
        return HostBuffer(array, address, place)

    def free_host(self, buffer: HostBuffer) -> None:
        if buffer.handle is None:
            return
        place, buffer.handle, buffer.array = buffer.handle, None, np.empty(0, np.uint8)
        if not self.lost:
            self.call("cuMemFreeHost", place)

    def copy_in(self, address: int, array: npt.NDArray[Any], stream: Stream = None) -> None:
        queue = self.queue(stream)
        self.call("cuMemcpyHtoDAsync", address, contiguous(array).ctypes.data, array.nbytes, queue)
        self._finish(stream)

    def copy_out(self, array: npt.NDArray[Any], address: int, stream: Stream = None) -> None:
        queue = self.queue(stream)
        self.call("cuMemcpyDtoHAsync", contiguous(array, writable=True).ctypes.data, address, array.nbytes, queue)
        self._finish(stream)

    def copy_within(self, target: int, source: int, size: int, stream: Stream = None) -> None:
        self.call("cuMemcpyDtoDAsync", target, source, size, self.queue(stream))
        self._finish(stream)

    def fill(self, address: int, byte: int, size: int, stream: Stream = None) -> None:
        self.call("cuMemsetD8Async", address, byte, size, self.queue(stream))
        self._finish(stream)

    def _finish(self, stream: Stream) -> None:
        if stream is None:
            self.call("cuStreamSynchronize", self._own)

    # --- kernels ----------------------------------------------------------------------------------

    def load(self, ptx: str) -> Module:
        """Models share their kernels: a text is compiled once as long as the card is open."""
        if ptx not in self._modules:
            self._modules[ptx] = self._compiled(ptx)
        return self._modules[ptx]

    def _compiled(self, ptx: str) -> Module:
        parameters = parse(ptx)
        api = self._driver.api
        log = bytearray(_LOG)
        options = {
            api.CUjit_option.CU_JIT_ERROR_LOG_BUFFER: log,
            api.CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES: _LOG,
        }
        image = ptx.encode() + b"\0"
        code, results = self._attempt("cuModuleLoadDataEx", image, len(options), [*options], [*options.values()])
        if code == "CUDA_ERROR_OUT_OF_MEMORY":
            raise OutOfMemoryError(self._short(len(image)))
        if code != "CUDA_SUCCESS":
            raise self._failed(code, "cuModuleLoadDataEx", log.split(b"\0")[0].decode(errors="replace"))
        (module,) = results
        # Loading is lazy: a kernel that is fetched now does not arrive in the middle of a capture.
        handles = {name: self.call("cuModuleGetFunction", module, name.encode()) for name in parameters}
        kernels = {name: Kernel(name, found, handles[name]) for name, found in parameters.items()}
        return Module(kernels, module)

    def launch(
        self,
        kernel: Kernel,
        grid: Grid,
        block: int,
        arguments: Sequence[Argument],
        shared: int = 0,
        stream: Stream = None,
    ) -> None:
        kernel.check_shape(grid, block, shared)
        packed = kernel.pack(arguments)
        if shared > self._shared.get(kernel, 0):
            self._allow(kernel, shared)
        frames = self._frames.setdefault(kernel, [])
        frame = frames.pop() if frames else _Frame(kernel)  # not shared by threads that launch at the same time
        frame.held[:] = packed
        self.call("cuLaunchKernel", kernel.handle, *grid, block, 1, 1, shared, self.queue(stream), frame.address, 0)
        frames.append(frame)

    def _allow(self, kernel: Kernel, shared: int) -> None:
        """Ask for dynamic shared memory, which is needed where a block has more than 48 KiB with what is static."""
        if shared > self.shared_bytes:
            raise BackendError(
                f"kernel {kernel.name} asks for {shared} bytes of shared memory a block, {self.name} has "
                f"{self.shared_bytes}: the model is too wide for this card"
            )
        key = self._driver.api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        self.call("cuFuncSetAttribute", kernel.handle, key, shared)
        self._shared[kernel] = shared

    # --- graphs, streams, events ------------------------------------------------------------------

    def begin_capture(self, stream: Stream) -> None:
        if stream is None:
            raise BackendError("work is captured on a stream of its own")
        mode = self._driver.api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self.call("cuStreamBeginCapture", stream, mode)

    def end_capture(self, stream: Stream) -> CudaGraph:
        graph = self.call("cuStreamEndCapture", stream)
        try:
            return CudaGraph(self, self.call("cuGraphInstantiate", graph, 0))
        finally:
            if not self.lost:
                self.call("cuGraphDestroy", graph)

    def stream(self) -> Stream:
        # Non-blocking: no order with torch's work on the default stream, and none that a capture would break.
        return self.call("cuStreamCreate", self._driver.api.CUstream_flags.CU_STREAM_NON_BLOCKING.value)

    def synchronize(self, stream: Stream = None) -> None:
        if stream is None:
            self.call("cuCtxSynchronize")
        else:
            self.call("cuStreamSynchronize", stream)

    def event(self) -> Event:
        return self.call("cuEventCreate", self._driver.api.CUevent_flags.CU_EVENT_DEFAULT.value)

    def record(self, event: Event, stream: Stream = None) -> None:
        self.call("cuEventRecord", event, self.queue(stream))

    def elapsed(self, first: Event, second: Event) -> float:
        self.call("cuEventSynchronize", second)
        return float(self.call("cuEventElapsedTime", first, second)) / 1000
