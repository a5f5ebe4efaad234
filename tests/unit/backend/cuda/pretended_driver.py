"""A stand-in for ``cuda.bindings.driver`` and a card behind it: it records calls, and fails where it is told to.

Memory is the process's own, so that copies can be looked at; kernels do nothing, but their arguments are
read back from the addresses that the call was given, as a driver would.
"""

from __future__ import annotations

import ctypes
import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tzcore.backend.cuda import driver

GIB = 1 << 30
CODES = (
    "INVALID_VALUE", "OUT_OF_MEMORY", "STUB_LIBRARY", "DEVICE_UNAVAILABLE", "NO_DEVICE", "INVALID_DEVICE",
    "DEVICE_NOT_LICENSED", "INVALID_IMAGE", "INVALID_CONTEXT", "NO_BINARY_FOR_GPU", "ECC_UNCORRECTABLE",
    "INVALID_PTX", "NVLINK_UNCORRECTABLE", "JIT_COMPILER_NOT_FOUND", "UNSUPPORTED_PTX_VERSION", "CONTAINED",
    "INVALID_SOURCE", "OPERATING_SYSTEM", "NOT_FOUND", "ILLEGAL_ADDRESS", "LAUNCH_OUT_OF_RESOURCES", "LAUNCH_TIMEOUT",
    "CONTEXT_IS_DESTROYED", "ASSERT", "HARDWARE_STACK_ERROR", "ILLEGAL_INSTRUCTION", "MISALIGNED_ADDRESS",
    "INVALID_ADDRESS_SPACE", "INVALID_PC", "LAUNCH_FAILED", "SYSTEM_NOT_READY", "SYSTEM_DRIVER_MISMATCH",
    "COMPAT_NOT_SUPPORTED_ON_DEVICE", "STREAM_CAPTURE_UNSUPPORTED", "UNKNOWN",
)  # fmt: skip
CUresult = enum.Enum("CUresult", ["CUDA_SUCCESS", *(f"CUDA_ERROR_{name}" for name in CODES)], start=0)
ATTRIBUTES = {
    "COMPUTE_CAPABILITY_MAJOR": 8, "COMPUTE_CAPABILITY_MINOR": 9, "MULTIPROCESSOR_COUNT": 128,
    "L2_CACHE_SIZE": 72 << 20, "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 99 << 10,
    "CLOCK_RATE": 2_520_000,
}  # fmt: skip


class PretendedDriver(ModuleType):
    """``failing[function]`` is the code that it returns, ``calls`` is ``(function, arguments)`` in order."""

    CU_MEMHOSTALLOC_PORTABLE = 1
    CU_MEMHOSTALLOC_DEVICEMAP = 2
    CUresult = CUresult
    CUdevice_attribute = SimpleNamespace(**{f"CU_DEVICE_ATTRIBUTE_{name}": name for name in ATTRIBUTES})
    CUjit_option = SimpleNamespace(CU_JIT_ERROR_LOG_BUFFER="log", CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES="size")
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL="thread")
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=SimpleNamespace(value=1))
    CUevent_flags = SimpleNamespace(CU_EVENT_DEFAULT=SimpleNamespace(value=0))
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="dynamic")

    def __init__(self) -> None:
        super().__init__("cuda.bindings.driver")
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.failing: dict[str, str] = {}
        self.version = 12040
        self.count = 1
        self.attributes = dict(ATTRIBUTES)
        self.free, self.total = 20 * GIB, 24 * GIB
        self.log = b""
        self.launched: list[tuple[str, dict[str, Any]]] = []
        self.places: dict[int, Any] = {}
        self._number = 1000

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, arguments))
            if name in self.failing:
                self._write_log(arguments)
                return CUresult[f"CUDA_ERROR_{self.failing[name]}"], None
            return CUresult.CUDA_SUCCESS, *_ANSWERS.get(name, PretendedDriver.nothing)(self, *arguments)

        return call

    def _write_log(self, arguments: tuple[Any, ...]) -> None:
        if arguments and isinstance(arguments[-1], list) and isinstance(arguments[-1][0], bytearray):
            arguments[-1][0][: len(self.log)] = self.log

    def names(self) -> list[str]:
        """The functions called, without those that only make the context current."""
        return [name for name, _ in self.calls if name != "cuCtxSetCurrent"]

    def nothing(self, *_: Any) -> tuple[Any, ...]:
        return ()

    def handle(self, *_: Any) -> tuple[int]:
        self._number += 1
        return (self._number,)

    def driver_version(self) -> tuple[int]:
        return (self.version,)

    def device_count(self) -> tuple[int]:
        return (self.count,)

    def device_get(self, number: int) -> tuple[int]:
        return (number,)

    def device_uuid(self, number: int) -> tuple[Any]:
        return (SimpleNamespace(bytes=bytes([number] * 16)),)

    def device_name(self, length: int, number: int) -> tuple[bytes]:
        return (b"Pretended RTX".ljust(length, b"\0"),)

    def device_attribute(self, name: str, number: int) -> tuple[int]:
        return (self.attributes[name],)

    def mem_info(self) -> tuple[int, int]:
        return self.free, self.total

    def mem_alloc(self, size: int) -> tuple[int]:
        held = ctypes.create_string_buffer(size)
        self.places[ctypes.addressof(held)] = held
        return (ctypes.addressof(held),)

    def mem_host_alloc(self, size: int, flags: int) -> tuple[int]:
        return self.mem_alloc(size)

    def mem_free(self, address: int) -> tuple[()]:
        del self.places[address]
        return ()

    def mem_host_device_pointer(self, place: int, flags: int) -> tuple[int]:
        return (place + (1 << 48),)

    def memcpy_in(self, target: int, source: int, size: int, stream: Any) -> tuple[()]:
        ctypes.memmove(target, source, size)
        return ()

    def memset(self, address: int, byte: int, size: int, stream: Any) -> tuple[()]:
        ctypes.memset(address, byte, size)
        return ()

    def module_function(self, module: int, name: bytes) -> tuple[str]:
        return (name.decode(),)

    def launch_kernel(self, function: str, *rest: Any) -> tuple[()]:
        *sizes, shared, stream, places, _ = rest
        call = {"sizes": sizes, "shared": shared, "stream": stream, "values": self._read(places)}
        self.launched.append((function, call))
        return ()

    def _read(self, places: int) -> list[bytes]:
        """The eight bytes at each of the argument's places; ``arguments`` says how many there are."""
        pointers = (ctypes.c_void_p * self.arguments).from_address(places)
        return [ctypes.string_at(pointer, 8) for pointer in pointers]

    arguments = 0

    def event_elapsed_time(self, first: int, second: int) -> tuple[float]:
        return (12.5,)


_ANSWERS: dict[str, Any] = {
    "cuDriverGetVersion": PretendedDriver.driver_version,
    "cuDeviceGetCount": PretendedDriver.device_count,
    "cuDeviceGet": PretendedDriver.device_get,
    "cuDeviceGetUuid": PretendedDriver.device_uuid,
    "cuDeviceGetName": PretendedDriver.device_name,
    "cuDeviceGetAttribute": PretendedDriver.device_attribute,
    "cuMemGetInfo": PretendedDriver.mem_info,
    "cuMemAlloc": PretendedDriver.mem_alloc,
    "cuMemHostAlloc": PretendedDriver.mem_host_alloc,
    "cuMemFree": PretendedDriver.mem_free,
    "cuMemHostGetDevicePointer": PretendedDriver.mem_host_device_pointer,
    "cuMemcpyHtoDAsync": PretendedDriver.memcpy_in,
    "cuMemsetD8Async": PretendedDriver.memset,
    "cuModuleGetFunction": PretendedDriver.module_function,
    "cuLaunchKernel": PretendedDriver.launch_kernel,
    "cuEventElapsedTime": PretendedDriver.event_elapsed_time,
    "cuStreamCreate": PretendedDriver.handle,
    "cuEventCreate": PretendedDriver.handle,
    "cuModuleLoadDataEx": PretendedDriver.handle,
    "cuStreamEndCapture": PretendedDriver.handle,
    "cuGraphInstantiate": PretendedDriver.handle,
    "cuDevicePrimaryCtxRetain": PretendedDriver.handle,
    "cuMemFreeHost": PretendedDriver.mem_free,
    "cuMemcpyDtoHAsync": PretendedDriver.memcpy_in,
    "cuMemcpyDtoDAsync": PretendedDriver.memcpy_in,
}


@contextmanager
def pretended() -> Iterator[PretendedDriver]:
    """The bindings are this module, and no driver was started yet."""
    api = PretendedDriver()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("cuda", "cuda.bindings"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, "cuda.bindings.driver", api)
        patch.setattr(driver, "_driver", [])
        patch.setattr(driver, "_devices", {})
        yield api
