"""The calls that measuring makes of a driver: only launches and copies are captured, on a stream of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.backend.cuda.pretended_driver import PretendedDriver, pretended
from tzcore.architecture.registry import spec_of
from tzcore.backend.cuda import facts
from tzcore.backend.cuda.driver import open_device
from tzcore.backend.cuda.plan import plan
from tzcore.bench.random_folder import random_folder
from tzcore.bench.timing import Timer, copy_bandwidth
from tzcore.bench.whole_model import Effort, measure
from tzcore.hub.formats.synthetic import Synthetic

CUT = "layers=2,hidden=64,intermediate=128,heads=2,kv_heads=1,head_dim=64,vocabulary=300,context=600"
STREAM_AT = {"cuLaunchKernel": 8, "cuMemcpyDtoDAsync": 3, "cuMemcpyHtoDAsync": 3}
"""The stream's place among the arguments of what may be captured."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDriver]:
    monkeypatch.setattr(facts, "driver_version", lambda: "")
    with pretended() as made:
        yield made


def captures(api: PretendedDriver) -> int:
    """How many there were; each is checked."""
    stream, count = None, 0
    for name, arguments in api.calls:
        if name == "cuStreamBeginCapture":
            assert stream is None
            stream, count = arguments[0], count + 1
        elif name == "cuStreamEndCapture":
            assert arguments[0] == stream
            stream = None
        elif stream is not None and name != "cuCtxSetCurrent":
            assert name in STREAM_AT
            assert arguments[STREAM_AT[name]] == stream
    return count


def test_a_model_is_measured_by_calls_that_a_driver_takes(api: PretendedDriver) -> None:
    device = open_device()
    folder = random_folder(Synthetic("llama-3-8b", CUT, "synthetic:x", {}), "t1b3", "i8")
    spec = spec_of(folder)
    planned = plan(spec, folder.quantization.matrices, 600, api.free, chunk=32)
    said: list[str] = []
    effort = Effort(tokens=2, prompt=40, repeat=2, room=1 << 16, depths=(0, 300, 9000))
    result = measure(device, folder, spec, planned, effort, lambda row: said.append(row["what"]))
    assert [row["depth"] for row in result["decode"]] == [0, 300]
    assert said.count("kinds") == 3
    assert result["memory"]["planned"] == planned.memory.total
    names = {kind["kernel"] for kind in result["kinds"][0]["kernels"]}
    assert {"norm_prepare", "attend_few_d64", "qkv", "product_few_base3_g64_m1"} <= names
    assert captures(api) > 20
    begun, ended = (
        sum(name == wanted for name, _ in api.calls) for wanted in ("cuGraphInstantiate", "cuGraphExecDestroy")
    )
    assert begun == ended
    assert not api.places


def test_copies_are_timed_and_their_memory_is_given_back(api: PretendedDriver) -> None:
    timer = Timer(open_device())
    assert copy_bandwidth(timer, 1 << 20, 3) == (1 << 20) / 0.0125
    assert captures(api) == 1
    assert not api.places
