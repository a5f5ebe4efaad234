"""A stand-in for ``pynvml``, with cards, programs on them and failures as a test wants them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tzcore.backend.cuda import facts

GIB = 1 << 30


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass
class PretendedCard:
    """``programs`` and ``windows`` are ``(pid, bytes or None)`` of those that compute and that draw."""

    name: str | bytes = "NVIDIA GeForce RTX 4090"
    uuid: str = "GPU-01020304-0506-0708-090a-0b0c0d0e0f10"
    capability: tuple[int, int] = (8, 9)
    total: int = 24 * GIB
    free: int = 20 * GIB
    programs: list[tuple[int, int | None]] = field(default_factory=list)
    windows: list[tuple[int, int | None]] = field(default_factory=list)
    parts: list[PretendedCard] = field(default_factory=list)


class PretendedNvml(ModuleType):
    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_NOT_FOUND = 6
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18

    def __init__(self, *cards: PretendedCard, driver: str | bytes = "550.54.14", start: int = 0) -> None:
        super().__init__("pynvml")
        self.cards = cards
        self.driver = driver
        self.start = start
        self.open = 0
        self.silent: set[str] = set()

    def nvmlInit(self) -> None:  # noqa: N802
        if self.start:
            raise NVMLError(self.start)
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            assert self.open == 1
            if name in self.silent:
                raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
            return self._answer(name, *arguments)

        return call

    def _answer(self, name: str, card: Any = None, *rest: Any) -> Any:
        match name.removeprefix("nvml").removeprefix("DeviceGet").removeprefix("System"):
            case "GetDriverVersion":
                return self.driver
            case "Count":
                return len(self.cards)
            case "HandleByIndex":
                return self.cards[card]
            case "MigMode" if card.parts:
                return [1, 1]
            case "MaxMigDeviceCount":
                return 7
            case "MigDeviceHandleByIndex" if rest[0] < len(card.parts):
                return card.parts[rest[0]]
            case "MigMode" | "MigDeviceHandleByIndex":
                raise NVMLError(self.NVML_ERROR_NOT_FOUND)
            case "Name":
                return card.name
            case "UUID":
                return card.uuid
            case "CudaComputeCapability":
                return list(card.capability)
            case "MemoryInfo":
                return SimpleNamespace(total=card.total, free=card.free, used=card.total - card.free)
            case "ComputeRunningProcesses":
                return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in card.programs]
            case "GraphicsRunningProcesses":
                return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in card.windows]
        raise AssertionError(name)


@contextmanager
def pretended(*cards: PretendedCard, **more: Any) -> Iterator[PretendedNvml]:
    """``pynvml`` is this module, and both packages of the extra are installed."""
    api = PretendedNvml(*cards, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pynvml", api)
        patch.setattr(facts, "_installed", lambda module: True)
        yield api
    assert api.open == 0
