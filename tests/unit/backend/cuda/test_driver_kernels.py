"""The driver behind one protocol: kernels, their arguments, graphs, streams and events."""

from __future__ import annotations

import struct

import pytest

from tests.unit.backend.cuda.pretended_driver import PretendedDriver
from tzcore.backend.cuda import facts
from tzcore.backend.cuda.driver import open_device
from tzcore.errors import BackendError

PTX = ".version 8.0\n.entry k(.param .u64 a, .param .u32 b, .param .f32 c) { ret; }\n.entry bare() { ret; }"


# --- kernels ----------------------------------------------------------------------------------------


def test_arguments_reach_the_driver_by_address(api: PretendedDriver) -> None:
    card = open_device()
    kernel = card.load(PTX).kernel("k")
    api.arguments = 3
    queue = card.stream()
    card.launch(kernel, (3, 2, 1), 128, [0xABCDEF012345, -7, 1.5], shared=1024, stream=queue)
    name, call = api.launched[-1]
    assert name == "k"
    assert call["sizes"] == [3, 2, 1, 128, 1, 1]
    assert (call["shared"], call["stream"]) == (1024, queue)
    first, second, third = call["values"]
    assert struct.unpack("<Q", first) == (0xABCDEF012345,)
    assert struct.unpack("<i", second[:4]) == (-7,)
    assert struct.unpack("<f", third[:4]) == (1.5,)
    api.arguments = 0
    card.launch(card.load(PTX).kernel("bare"), (1, 1, 1), 32, [])
    assert api.launched[-1][0] == "bare"


def test_a_wrong_call_never_reaches_the_driver(api: PretendedDriver) -> None:
    card = open_device()
    kernel = card.load(PTX).kernel("k")
    with pytest.raises(BackendError, match="takes 3 arguments"):
        card.launch(kernel, (1, 1, 1), 32, [1, 2])
    assert not api.launched


def test_shared_memory_is_asked_for_once(api: PretendedDriver) -> None:
    card = open_device()
    kernel = card.load(PTX).kernel("bare")
    for shared in (0, 40 << 10, 40 << 10, 20 << 10, 90 << 10):
        card.launch(kernel, (1, 1, 1), 32, [], shared)
    asked = [arguments for name, arguments in api.calls if name == "cuFuncSetAttribute"]
    assert asked == [("bare", "dynamic", 40 << 10), ("bare", "dynamic", 90 << 10)]
    with pytest.raises(BackendError, match="too wide for this card"):
        card.launch(kernel, (1, 1, 1), 32, [], 100 << 10)


def test_kernels_are_fetched_when_a_module_is_loaded(api: PretendedDriver) -> None:
    open_device().load(PTX)
    assert api.names()[-3:] == ["cuModuleLoadDataEx", "cuModuleGetFunction", "cuModuleGetFunction"]
    image = next(arguments[0] for name, arguments in api.calls if name == "cuModuleLoadDataEx")
    assert image == PTX.encode() + b"\0"


def test_a_text_is_compiled_once(api: PretendedDriver) -> None:
    card = open_device()
    assert card.load(PTX) is card.load(PTX)
    assert api.names().count("cuModuleLoadDataEx") == 1
    assert card.load(PTX + "\n") is not card.load(PTX)


def test_launches_at_the_same_time_do_not_share_their_arguments(
    api: PretendedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch from within a launch stands for one of another thread, while the driver reads the first's arguments."""
    card = open_device()
    kernel = card.load(PTX).kernel("k")
    api.arguments = 3
    original, nested = api._read, []

    def read(places: int) -> list[bytes]:
        if not nested:
            nested.append(True)
            card.launch(kernel, (1, 1, 1), 32, [2, 2, 2.0])
        return original(places)

    monkeypatch.setattr(api, "_read", read)
    card.launch(kernel, (1, 1, 1), 32, [1, 1, 1.0])
    card.launch(kernel, (1, 1, 1), 32, [3, 3, 3.0])
    assert [call["values"][0][0] for _, call in api.launched] == [2, 1, 3]


@pytest.mark.parametrize("code", ["INVALID_PTX", "INVALID_IMAGE", "NO_BINARY_FOR_GPU", "INVALID_SOURCE"])
def test_damaged_kernels_come_with_the_compilers_words(code: str, api: PretendedDriver) -> None:
    card = open_device()
    api.failing["cuModuleLoadDataEx"] = code
    api.log = b"\nptxas application ptx input, line 3; fatal : Parsing error near 'x'\nmore"
    with pytest.raises(BackendError, match=f"damaged.*{code}.*line 3; fatal .*install the program again") as caught:
        card.load(PTX)
    assert "\n" not in str(caught.value)


def test_kernels_that_the_driver_is_too_old_for(monkeypatch: pytest.MonkeyPatch, api: PretendedDriver) -> None:
    card = open_device()
    api.failing["cuModuleLoadDataEx"] = "UNSUPPORTED_PTX_VERSION"
    monkeypatch.setattr(facts, "driver_version", lambda: "515.105.01")
    with pytest.raises(BackendError, match=r"too old \(version 515\.105\.01, .*need version 525 or newer"):
        card.load(PTX)
    with pytest.raises(BackendError, match="not PTX"):
        card.load("<html>")


# --- graphs, streams, events ------------------------------------------------------------------------


def test_a_graph_is_captured_launched_and_closed(api: PretendedDriver) -> None:
    card = open_device()
    queue = card.stream()
    with pytest.raises(BackendError, match="a stream of its own"):
        card.begin_capture(None)
    card.begin_capture(queue)
    assert api.calls[-1] == ("cuStreamBeginCapture", (queue, "thread"))
    graph = card.end_capture(queue)
    assert api.names()[-3:] == ["cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy"]
    graph.launch(queue)
    assert api.calls[-1][0] == "cuGraphLaunch"
    assert api.calls[-1][1][1] == queue
    graph.close()
    graph.close()
    assert api.names().count("cuGraphExecDestroy") == 1
    with pytest.raises(BackendError, match="closed"):
        graph.launch(queue)


def test_events_measure_seconds(api: PretendedDriver) -> None:
    card = open_device()
    first, second = card.event(), card.event()
    card.record(first)
    card.record(second)
    assert card.elapsed(first, second) == 0.0125
    card.synchronize()
    card.synchronize(card.stream())
    assert {"cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize"} <= set(api.names())
