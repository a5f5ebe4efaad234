"""The device itself: memory, copies, graphs, times, and errors that leave it usable."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.launching import PTX
from tzcore.backend.cuda.device import Device, OutOfMemoryError
from tzcore.bench.timing import Timer, copy_bandwidth, fill, host_bandwidth
from tzcore.errors import BackendError

SCALE = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 at, .param .u32 count)
{
    .reg .pred %p; .reg .b32 %i, %n, %t, %x; .reg .b64 %a, %o;
    ld.param.u64 %a, [at]; ld.param.u32 %n, [count];
    mov.u32 %i, %ctaid.x; mov.u32 %t, %ntid.x; mov.u32 %x, %tid.x; mad.lo.u32 %i, %i, %t, %x;
    setp.ge.u32 %p, %i, %n; @%p bra DONE;
    mul.wide.u32 %o, %i, 4; add.u64 %a, %a, %o;
    ld.global.u32 %x, [%a]; shl.b32 %x, %x, 1; st.global.u32 [%a], %x;
DONE: ret;
}
"""


def test_copies_in_all_directions(device: Device) -> None:
    sent = np.random.default_rng(0).integers(0, 256, 10_000, np.uint8)
    first, second = device.allocate(sent.nbytes), device.allocate(sent.nbytes)
    assert first % 256 == second % 256 == 0
    device.copy_in(first, sent)
    device.copy_within(second, first, sent.nbytes)
    device.fill(first, 7, 100)
    got = np.empty_like(sent)
    device.copy_out(got, second)
    assert (got == sent).all()
    device.copy_out(got, first)
    assert (got[:100] == 7).all()
    assert (got[100:] == sent[100:]).all()
    device.free(first)
    device.free(second)


def test_a_graph_reads_memory_anew(device: Device) -> None:
    kernel = device.load(SCALE).kernel("twice")
    at, stream = device.allocate(4000), device.stream()
    device.begin_capture(stream)
    for _ in range(3):
        device.launch(kernel, (4, 1, 1), 256, [at, 1000], stream=stream)
    graph = device.end_capture(stream)
    for start in (1, 5):
        device.copy_in(at, np.full(1000, start, np.int32))
        graph.launch(stream)
        device.synchronize(stream)
        got = np.empty(1000, np.int32)
        device.copy_out(got, at)
        assert (got == 8 * start).all()
    graph.close()
    device.free(at)


def test_kernels_read_and_write_pinned_memory(device: Device) -> None:
    kernel = device.load(SCALE).kernel("twice")
    buffer = device.allocate_host(4096)
    buffer.array[:] = 1
    device.launch(kernel, (1, 1, 1), 256, [buffer.address, 10])
    device.synchronize()
    assert (buffer.array[:40] == 2).all()
    assert (buffer.array[40:] == 1).all()
    device.free_host(buffer)


def test_rates_are_measured(device: Device) -> None:
    timer = Timer(device)
    assert copy_bandwidth(timer, 1 << 20, 3) > 0
    assert host_bandwidth(timer, 1 << 20, 3) > 0


def test_a_block_fills_any_size(device: Device) -> None:
    block = np.arange(100, dtype=np.uint8)
    at = device.allocate(777)
    fill(device, at, 777, block)
    got = np.empty(777, np.uint8)
    device.copy_out(got, at)
    assert (got == np.resize(block, 777)).all()
    device.free(at)


def test_too_much_memory_is_one_clear_error(device: Device) -> None:
    free, total = device.memory()
    with pytest.raises(OutOfMemoryError, match="memory"):
        device.allocate(2 * total)
    assert device.memory()[0] >= free - (1 << 20)


@pytest.mark.parametrize("damage", ["not PTX at all", "cut short", "a wrong word"])
def test_damaged_kernels_are_refused_and_the_device_goes_on(device: Device, damage: str) -> None:
    ptx = (PTX / "mix.ptx").read_text(encoding="utf-8")
    broken = {
        "not PTX at all": "hello",
        "cut short": ptx[: len(ptx) * 2 // 3],
        "a wrong word": ptx.replace("st.global.f32", "st.global.f33"),
    }[damage]
    assert broken != ptx
    with pytest.raises(BackendError, match="install the program again"):
        device.load(broken)
    assert "mix" in device.load(ptx).kernel("mix").name


def test_wrong_arguments_never_reach_the_driver(device: Device) -> None:
    kernel = device.load(SCALE).kernel("twice")
    with pytest.raises(BackendError, match="takes 2 arguments"):
        device.launch(kernel, (1, 1, 1), 32, [0])
    with pytest.raises(BackendError, match="is no whole number"):
        device.launch(kernel, (1, 1, 1), 32, [0, 1.5])


@pytest.mark.parametrize("path", sorted(PTX.glob("*.ptx")), ids=lambda path: path.stem)
def test_every_shipped_file_is_compiled_by_the_driver(device: Device, path: object) -> None:
    device.load(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
