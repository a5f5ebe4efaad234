"""The interpreted device keeps the methods of the real one: memory, arguments, graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice, Kernel, PtxError
from tests.ptx.harness import compiled

SCALE = """
extern "C" __global__ void __launch_bounds__(256) scale(float* x, int n, float by) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= by;
}
"""


@pytest.fixture
def device() -> InterpretedDevice:
    return InterpretedDevice()


@pytest.fixture
def scale(device: InterpretedDevice) -> Kernel:
    return device.load(compiled(SCALE)).kernel("scale")


def test_launches_and_copies(device: InterpretedDevice, scale: Kernel) -> None:
    assert scale.parameters == ("u64", "u32", "f32")
    a, out = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    address = device.allocate(a.nbytes)
    device.copy_in(address, a)
    device.launch(scale, (4, 1, 1), 256, [address, 1000, 2.0])
    device.copy_out(out, address)
    assert np.array_equal(out, a * 2)
    second = device.allocate(a.nbytes)
    device.copy_within(second, address, a.nbytes)
    device.fill(address, 0, a.nbytes)
    device.copy_out(out, second)
    assert np.array_equal(out, a * 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([0, 1], "takes 3 arguments, not 2"),
        ([0, 1.5, 2.0], "argument 1 is 1.5, not u32"),
        ([0, 1 << 32, 2.0], "argument 1"),
        (["x", 1, 2.0], "argument 0"),
        ([0, 1, "y"], "argument 2"),
    ],
)
def test_arguments_that_do_not_fit(device: InterpretedDevice, scale: Kernel, arguments: list[Any], reason: str) -> None:
    with pytest.raises(PtxError, match=reason):
        device.launch(scale, (1, 1, 1), 32, arguments)


def test_shapes_that_do_not_fit(device: InterpretedDevice, scale: Kernel) -> None:
    for grid, block in (((0, 1, 1), 32), ((1, 65536, 1), 32), ((1, 1, 1), 257), ((1, 1, 1), 0)):
        with pytest.raises(PtxError):
            device.launch(scale, grid, block, [0, 0, 0.0])
    with pytest.raises(PtxError, match="shared memory"):
        device.launch(scale, (1, 1, 1), 32, [0, 0, 0.0], shared=200 << 10)
    with pytest.raises(PtxError, match="no kernel other; there are scale"):
        device.load(compiled(SCALE)).kernel("other")


def test_memory_is_counted_and_limited() -> None:
    device = InterpretedDevice(total=1 << 20)
    address = device.allocate(1 << 19)
    assert device.memory() == (1 << 19, 1 << 20)
    with pytest.raises(MemoryError):
        device.allocate((1 << 19) + 1)
    device.free(address)
    assert device.memory() == (1 << 20, 1 << 20)
    with pytest.raises(PtxError, match="no live allocation"):
        device.free(address)
    with pytest.raises(PtxError, match="not in one live allocation"):
        device.copy_in(address, np.zeros(4))


def test_host_memory_is_seen_by_both(device: InterpretedDevice, scale: Kernel) -> None:
    buffer = device.allocate_host(64)
    values = buffer.array.view(np.float32)
    values[:] = 3
    device.launch(scale, (1, 1, 1), 32, [buffer.address, 16, 2.0])
    assert (values == 6).all()
    device.free_host(buffer)


def test_graphs_read_memory_anew(device: InterpretedDevice, scale: Kernel) -> None:
    a, out = np.ones(32, np.float32), np.zeros(32, np.float32)
    address = device.allocate(128)
    stream = device.stream()
    device.begin_capture(stream)
    device.copy_in(address, a, stream)
    device.launch(scale, (1, 1, 1), 32, [address, 32, 3.0], stream=stream)
    device.launch(scale, (1, 1, 1), 32, [address, 16, 2.0], stream=stream)
    device.copy_out(out, address, stream)
    graph = device.end_capture(stream)
    assert not out.any()
    for value in (1.0, 5.0):
        a[:] = value
        graph.launch(stream)
        device.synchronize(stream)
        assert np.array_equal(out, np.r_[np.full(16, 6 * value), np.full(16, 3 * value)])
    graph.close()
    with pytest.raises(PtxError, match="closed"):
        graph.launch(stream)


def test_events(device: InterpretedDevice) -> None:
    first, second = device.event(), device.event()
    device.record(first)
    device.record(second)
    assert device.elapsed(first, second) == 0.0
