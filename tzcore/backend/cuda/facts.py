"""The NVIDIA cards of this machine, as the driver's own management library (NVML) tells them.

Nothing is opened on a card and no memory of it is taken.  ``pynvml`` is the module of the package
nvidia-ml-py.  NVML knows nothing of ``CUDA_VISIBLE_DEVICES``; :func:`tzcore.backend.cuda.driver.visible` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tzcore.backend.cuda.failures import (
    EXTRA,
    LEAST_CAPABILITY,
    LEAST_DRIVER,
    NO_CARD,
    NO_DRIVER,
    card_too_old,
    driver_too_old,
)
from tzcore.errors import BackendError, MissingExtraError
from tzcore.hardware import in_words


@dataclass(frozen=True)
class Holder:
    """Another program with memory of a card; ``bytes`` None where the system does not tell (Windows)."""

    pid: int
    name: str
    bytes: int | None


@dataclass(frozen=True)
class Card:
    """A card, or the part of one that the machine's owner has made a device of its own (MIG).

    ``uuid`` is 32 hexadecimal digits, ``total``, ``free`` and ``used`` are bytes at the moment of asking.
    """

    index: int
    uuid: str
    name: str
    capability: tuple[int, int]
    total: int
    free: int
    used: int
    driver: str
    holders: tuple[Holder, ...] = ()

    def trouble(self) -> str | None:
        """Why the kernels cannot run on it, or None."""
        if int(self.driver.split(".")[0]) < int(LEAST_DRIVER):
            return driver_too_old(f"version {self.driver}")
        return card_too_old(self.name, self.capability) if self.capability < LEAST_CAPABILITY else None

    def sentence(self) -> str:
        """The card, what is free and who holds the rest, for a person."""
        words = f"{self.name}, driver {self.driver}, {in_words(self.free)} free of {in_words(self.total)}"
        shown = [f"{holder.name} ({holder.pid}) {_held(holder.bytes)}" for holder in self.holders[:4]]
        more = len(self.holders) - len(shown)
        return words + (f"; held by {', '.join(shown)}" if shown else "") + (f" and {more} more" if more else "")


def cards() -> list[Card]:
    """Every card there is, too old ones among them.

    MissingExtraError without the extra ``cuda``; BackendError without a driver or without a card.
    """
    missing = [package for package, module in _PACKAGES.items() if not _installed(module)]
    if missing:
        raise MissingExtraError(f"running on an NVIDIA card needs {' and '.join(missing)}: {EXTRA}")
    with _started() as api:
        driver = _text(_asked(api, api.nvmlSystemGetDriverVersion))
        found = [_card(api, handle, number, driver) for number, handle in enumerate(_handles(api))]
    if not found:
        raise BackendError(NO_CARD)
    return found


def driver_version() -> str:
    """The version of the NVIDIA driver that is loaded, ``550.54.14``, or ``""``; never an error."""
    with suppress(BackendError, MissingExtraError), _started() as api:
        return _text(_asked(api, api.nvmlSystemGetDriverVersion))
    return ""


def loaded_driver() -> str:
    """What the loaded NVIDIA driver speaks, ``for CUDA 12.4``, or ``""``; asks its own library, with no package."""
    import ctypes
    import os

    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return ""
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return ""
    return f"for CUDA {version.value // 1000}.{version.value % 1000 // 10}"


_PACKAGES = {"cuda-python": "cuda.bindings", "nvidia-ml-py": "pynvml"}
# What NVML says where it cannot start.
_STARTS = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": NO_DRIVER,
    "NVML_ERROR_DRIVER_NOT_LOADED": NO_DRIVER,
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "the NVIDIA driver was updated while the system ran: restart the machine",
    "NVML_ERROR_NO_PERMISSION": "the system does not let this user ask the NVIDIA driver: see /dev/nvidia*",
    "NVML_ERROR_GPU_IS_LOST": "the card has fallen off its bus: restart the machine",
}


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # no package above it, or a module that a program put there without a spec
        return False


@contextmanager
def _started() -> Iterator[Any]:
    try:
        api = import_module("pynvml")
    except ImportError as error:
        raise MissingExtraError(f"asking an NVIDIA card needs nvidia-ml-py: {EXTRA}") from error
    _asked(api, api.nvmlInit)
    try:
        yield api
    finally:
        with suppress(api.NVMLError):
            api.nvmlShutdown()


def _asked(api: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` says; its refusal as a BackendError."""
    try:
        return function(*arguments)
    except api.NVMLError as error:
        for name, words in _STARTS.items():
            if getattr(api, name, None) == error.value:
                raise BackendError(words) from error
        raise BackendError(f"the NVIDIA driver does not tell of its cards ({error}): restart the machine") from error


def _handles(api: Any) -> Iterator[Any]:
    """The cards in the order of their places, those that are cut into parts as their parts."""
    for number in range(_asked(api, api.nvmlDeviceGetCount)):
        handle = _asked(api, api.nvmlDeviceGetHandleByIndex, number)
        parts = []
        with suppress(api.NVMLError):  # most cards cannot be cut
            if api.nvmlDeviceGetMigMode(handle)[0]:
                for part in range(api.nvmlDeviceGetMaxMigDeviceCount(handle)):
                    with suppress(api.NVMLError):  # not every place has a part
                        parts.append(api.nvmlDeviceGetMigDeviceHandleByIndex(handle, part))
        yield from parts or [handle]


def _card(api: Any, handle: Any, index: int, driver: str) -> Card:
    memory = _asked(api, api.nvmlDeviceGetMemoryInfo, handle)
    major, minor = _asked(api, api.nvmlDeviceGetCudaComputeCapability, handle)
    uuid = _text(_asked(api, api.nvmlDeviceGetUUID, handle)).partition("-")[2].replace("-", "")
    return Card(
        index, uuid, _text(_asked(api, api.nvmlDeviceGetName, handle)), (major, minor),
        *(int(memory.total), int(memory.free), int(memory.used)), driver, tuple(_holders(api, handle)),
    )  # fmt: skip


def _holders(api: Any, handle: Any) -> list[Holder]:
    """Programs with memory on the card, the largest first; none where the system does not tell."""
    import os

    found: dict[int, int | None] = {}
    for function in (api.nvmlDeviceGetComputeRunningProcesses, api.nvmlDeviceGetGraphicsRunningProcesses):
        with suppress(api.NVMLError):
            for process in function(handle):
                known, held = found.get(process.pid), process.usedGpuMemory
                found[process.pid] = held if known is None else max(known, held or 0)
    found.pop(os.getpid(), None)
    holders = [Holder(pid, _program(pid), held) for pid, held in found.items()]
    return sorted(holders, key=lambda holder: (-(holder.bytes or 0), holder.pid))


def _program(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except (psutil.Error, OSError):
        return "a program"


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _held(count: int | None) -> str:
    return "an unknown amount" if count is None else in_words(count)
