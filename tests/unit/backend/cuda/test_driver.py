from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tests.unit.backend.cuda.pretended_driver import GIB, PretendedDriver, pretended
from tzcore.backend.cuda import facts
from tzcore.backend.cuda.device import Device, LostDeviceError, OutOfMemoryError
from tzcore.backend.cuda.driver import CudaDevice, driver, open_device, visible
from tzcore.backend.cuda.failures import failure
from tzcore.errors import BackendError, MissingExtraError

PTX = ".version 8.0\n.entry k(.param .u64 a, .param .u32 b, .param .f32 c) { ret; }\n.entry bare() { ret; }"


def test_what_a_card_says_of_itself(api: PretendedDriver) -> None:
    card: Device = open_device()  # a card is what the protocol says
    assert (card.name, card.capability) == ("Pretended RTX", (8, 9))
    assert (card.multiprocessors, card.l2_bytes) == (128, 72 << 20)
    assert card.memory() == (20 * GIB, 24 * GIB)
    assert open_device() is card


def test_cards_by_uuid(api: PretendedDriver) -> None:
    api.count = 2
    assert visible() == {"00" * 16: 0, "01" * 16: 1}
    api.count = 0
    with pytest.raises(BackendError, match="sees no card"):
        visible()
    api.failing["cuDeviceGetCount"] = "NO_DEVICE"
    with pytest.raises(BackendError, match="CUDA_VISIBLE_DEVICES"):
        visible()


# --- starting ---------------------------------------------------------------------------------------


def test_without_the_extra(api: PretendedDriver) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cuda.bindings.driver", None)
        with pytest.raises(MissingExtraError, match=r"ternary-zero\[cuda\]"):
            driver()


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch, api: PretendedDriver) -> None:
    def missing(flags: int) -> tuple[Any, ...]:
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    monkeypatch.setattr(api, "cuInit", missing, raising=False)
    for _ in range(2):  # a next attempt tries again
        with pytest.raises(BackendError, match=r"no NVIDIA driver is installed.* 525 or newer"):
            driver()


def test_an_old_driver_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, api: PretendedDriver
) -> None:
    api.version = 11080
    with pytest.raises(BackendError, match=r"too old \(it speaks CUDA 11\.8\).* 525 or newer"):
        driver()
    monkeypatch.setattr(facts, "driver_version", lambda: "520.61.05")
    with pytest.raises(BackendError, match=r"version 520\.61\.05, it speaks CUDA 11\.8"):
        driver()


def test_a_function_that_an_old_driver_lacks(monkeypatch: pytest.MonkeyPatch, api: PretendedDriver) -> None:
    card = open_device()

    def missing(*_: Any) -> tuple[Any, ...]:
        raise RuntimeError('Function "cuMemGetInfo_v2" not found')

    monkeypatch.setattr(api, "cuMemGetInfo", missing, raising=False)
    with pytest.raises(BackendError, match=r"too old .*has no cuMemGetInfo"):
        card.memory()


def test_a_code_that_the_bindings_do_not_know(monkeypatch: pytest.MonkeyPatch, api: PretendedDriver) -> None:
    card = open_device()

    def unknown(*_: Any) -> tuple[Any, ...]:
        raise ValueError("919 is not a valid CUresult")

    monkeypatch.setattr(api, "cuMemGetInfo", unknown, raising=False)
    with pytest.raises(BackendError, match=r"refused cuMemGetInfo \(919"):
        card.memory()


def test_an_old_card(api: PretendedDriver) -> None:
    api.attributes |= {"COMPUTE_CAPABILITY_MAJOR": 7, "COMPUTE_CAPABILITY_MINOR": 5}
    with pytest.raises(BackendError, match=r"Pretended RTX is too old \(compute capability 7\.5\).* 8\.0 or newer"):
        open_device()


def test_a_full_card_cannot_even_be_opened(api: PretendedDriver) -> None:
    api.failing["cuDevicePrimaryCtxRetain"] = "OUT_OF_MEMORY"
    with pytest.raises(OutOfMemoryError, match="close other programs"):
        open_device()
    api.failing["cuDevicePrimaryCtxRetain"] = "DEVICE_UNAVAILABLE"
    with pytest.raises(BackendError, match="taken by another program"):
        open_device()


# --- memory -----------------------------------------------------------------------------------------


def test_copies_and_fills(api: PretendedDriver) -> None:
    card = open_device()
    first, second = card.allocate(64), card.allocate(64)
    values = np.arange(16, dtype=np.float32)
    card.copy_in(first, values)
    card.copy_within(second, first, 64)
    out = np.zeros(16, np.float32)
    card.copy_out(out, second)
    assert (out == values).all()
    card.fill(second, 0, 64)
    card.copy_out(out, second)
    assert not out.any()
    assert api.names().count("cuStreamSynchronize") == 5  # each was done when it returned
    queue = card.stream()
    card.copy_in(first, values, queue)
    assert api.names().count("cuStreamSynchronize") == 5
    assert api.calls[-1][1][-1] == queue
    card.free(first)
    card.free(second)
    assert not api.places


def test_pinned_memory_is_seen_from_both_sides(api: PretendedDriver) -> None:
    card = open_device()
    buffer = card.allocate_host(32)
    size, flags = next(arguments for name, arguments in api.calls if name == "cuMemHostAlloc")
    assert (size, flags) == (32, 3)  # mapped into the device, portable
    assert buffer.array.shape == (32,)
    buffer.array[:] = 7
    assert buffer.address == buffer.handle + (1 << 48)
    assert bytes(api.places[buffer.handle]) == b"\x07" * 32
    card.free_host(buffer)
    card.free_host(buffer)
    assert buffer.array.size == 0
    assert not api.places


def test_memory_that_is_short_is_told_in_numbers(api: PretendedDriver) -> None:
    card = open_device()
    api.failing["cuMemAlloc"] = "OUT_OF_MEMORY"
    with pytest.raises(OutOfMemoryError, match=r"32\.2 GB were asked for, 21\.5 GB of 25\.8 GB are free"):
        card.allocate(30 * GIB)
    api.failing["cuMemHostAlloc"] = "OUT_OF_MEMORY"
    with pytest.raises(OutOfMemoryError, match=r"does not pin 1\.1 GB .*ulimit"):
        card.allocate_host(GIB)
    card.memory()  # the card is well


# --- failures ---------------------------------------------------------------------------------------

LOST = (
    "ILLEGAL_ADDRESS", "ILLEGAL_INSTRUCTION", "MISALIGNED_ADDRESS", "INVALID_ADDRESS_SPACE", "INVALID_PC",
    "HARDWARE_STACK_ERROR", "ASSERT", "LAUNCH_FAILED", "LAUNCH_TIMEOUT", "ECC_UNCORRECTABLE",
    "NVLINK_UNCORRECTABLE", "CONTAINED", "DEVICE_UNAVAILABLE", "CONTEXT_IS_DESTROYED", "UNKNOWN",
)  # fmt: skip


@pytest.mark.parametrize("code", LOST)
def test_a_lost_card_says_so_until_it_is_opened_again(code: str, api: PretendedDriver) -> None:
    card = open_device()
    address, graph = card.allocate(16), card.end_capture(card.stream())
    buffer = card.allocate_host(16)
    api.failing["cuStreamSynchronize"] = code
    with pytest.raises(LostDeviceError, match=f"Pretended RTX: .*{code}.*model must be loaded again"):
        card.synchronize(card.stream())
    api.failing.clear()
    before = len(api.calls)
    asks: list[Callable[[], object]] = [card.memory, lambda: card.allocate(1), graph.launch]
    for ask in asks:
        with pytest.raises(LostDeviceError, match=code):
            ask()
    card.free(address)  # what closes after the fault goes through
    card.free_host(buffer)
    graph.close()
    assert len(api.calls) == before
    again = open_device()
    assert again is not card
    assert api.names().count("cuDevicePrimaryCtxReset") == 1
    assert again.memory()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NO_DEVICE", "sees no card"),
        ("STUB_LIBRARY", "install the NVIDIA driver"),
        ("SYSTEM_DRIVER_MISMATCH", "restart the machine"),
        ("COMPAT_NOT_SUPPORTED_ON_DEVICE", "remove it"),
        ("SYSTEM_NOT_READY", "restart the machine"),
        ("DEVICE_NOT_LICENSED", "licence"),
        ("OPERATING_SYSTEM", "permissions"),
        ("UNKNOWN", "does not start"),
        ("INVALID_VALUE", "refused cuInit .CUDA_ERROR_INVALID_VALUE"),
    ],
)
def test_a_driver_that_does_not_start(code: str, said: str, api: PretendedDriver) -> None:
    api.failing["cuInit"] = code
    with pytest.raises(BackendError, match=said):
        driver()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("JIT_COMPILER_NOT_FOUND", "install the whole driver again"),
        ("LAUNCH_OUT_OF_RESOURCES", "more than the card has"),
        ("STREAM_CAPTURE_UNSUPPORTED", "refused cuLaunchKernel .CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"),
    ],
)
def test_other_failures_do_not_lose_the_card(code: str, said: str, api: PretendedDriver) -> None:
    card = open_device()
    kernel = card.load(PTX).kernel("bare")
    api.failing["cuLaunchKernel"] = code
    with pytest.raises(BackendError, match=said):
        card.launch(kernel, (1, 1, 1), 32, [])
    api.failing.clear()
    card.launch(kernel, (1, 1, 1), 32, [])


def test_every_code_of_the_real_bindings_has_one_line() -> None:
    bindings = pytest.importorskip("cuda.bindings.driver")
    for code in bindings.CUresult:
        text = str(failure(code.name, "cuInit"))
        assert "\n" not in text
        assert code.name in text or code.name.endswith(("DEVICE", "PTX_VERSION"))


def test_the_real_bindings_take_what_they_are_given() -> None:
    """Without a driver every call ends where the bindings open its library, behind the check of arguments."""
    bindings = pytest.importorskip("cuda.bindings.driver")
    with suppress(RuntimeError):
        pytest.skip(f"a machine with the driver: {bindings.cuInit(0)}")
    with pretended() as api:
        real = CudaDevice.__new__(CudaDevice)
        real.__dict__.update(CudaDevice(driver(), 0).__dict__)
        calls = api.calls
        record = _recorded(real, calls)
    options = bindings.CUjit_option
    real_values = {
        "log": options.CU_JIT_ERROR_LOG_BUFFER, "size": options.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        "dynamic": bindings.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        "thread": bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
        "COMPUTE_CAPABILITY_MAJOR": bindings.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
    }  # fmt: skip
    for name, arguments in record.items():
        real_arguments = [_real(value, real_values) for value in arguments]
        if name in ("cuLaunchKernel", "cuFuncSetAttribute"):
            real_arguments[0] = bindings.CUfunction(0)
        with pytest.raises(RuntimeError, match=r"(?i)driver|libcuda"):
            getattr(bindings, name)(*real_arguments)


def _real(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_real(item, known) for item in value]
    return known.get(value, value) if isinstance(value, str) else value


def _recorded(card: CudaDevice, calls: list[tuple[str, tuple[Any, ...]]]) -> dict[str, tuple[Any, ...]]:
    """One call of every function that a card makes."""
    module = card.load(PTX)
    card.launch(module.kernel("bare"), (1, 1, 1), 32, [], 64 << 10)
    address, buffer, array = card.allocate(64), card.allocate_host(64), np.zeros(16, np.float32)
    card.copy_in(address, array)
    card.copy_out(array, address)
    card.copy_within(address + 32, address, 32)
    card.fill(address, 1, 64)
    queue = card.stream()
    card.begin_capture(queue)
    graph = card.end_capture(queue)
    graph.launch()
    graph.close()
    card.record(card.event())
    card.elapsed(card.event(), card.event())
    card.synchronize()
    card.memory()
    card.free(address)
    card.free_host(buffer)
    return {name: arguments for name, arguments in calls if name != "cuDeviceGetAttribute"}
