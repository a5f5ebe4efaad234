from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.backend.cuda.pretended_driver import PretendedDriver
from tests.unit.backend.cuda.pretended_engine import CudaModel, pretended_machine
from tests.unit.backend.cuda.pretended_nvml import PretendedCard
from tests.unit.backend.cuda.shapes import shape, stored
from tests.unit.engine.scripted_model import spec
from tzcore import hardware
from tzcore.architecture.registry import spec_of
from tzcore.backend.cuda.backend import CudaBackend
from tzcore.backend.cuda.device import LostDeviceError
from tzcore.backend.select import select
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine import placement
from tzcore.engine.generation import Engine, Finished, Request, Sampling
from tzcore.engine.placement import Neighbours, place
from tzcore.engine.plan import DEFAULT_CONTEXT, plan_on_card
from tzcore.errors import BackendError, DoesNotFitError, RequestError

GIB = 1 << 30


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny", "llama", format="t2")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PretendedDriver]:
    with pretended_machine(tmp_path) as api:
        yield api


def test_the_context_on_a_card_is_the_smallest_limit() -> None:
    large = shape("llama-3-70b", max_context=1 << 20)
    matrices = stored(large, "t1", "i4")
    assert plan_on_card(large, matrices, None, 24 * GIB, "a card").context == DEFAULT_CONTEXT
    tight = plan_on_card(large, matrices, None, 19 * GIB, "a card")
    assert tight.context == tight.longest_context < DEFAULT_CONTEXT
    assert tight.fits
    none = plan_on_card(large, matrices, None, 16 * GIB, "a card")
    assert (none.context, none.fits) == (DEFAULT_CONTEXT, False)
    assert plan_on_card(large, matrices, 20_000, 24 * GIB, "a card").context == 20_000
    short = spec(max_context=300)
    assert plan_on_card(short, stored(short), None, 24 * GIB, "a card").context == 300
    assert plan_on_card(short, stored(short), 301, 24 * GIB, "a card").context == 301  # asked for: see reach.py
    with pytest.raises(RequestError, match="context"):
        plan_on_card(short, stored(short), 0, GIB, "a card")


def test_a_placement_on_a_card(machine: PretendedDriver, tiny: Path) -> None:
    folder = ModelFolder.open(tiny)
    placed = place(folder, spec_of(folder), context=300)
    memory = placed.memory
    assert placed.backend.name == "cuda"
    assert (memory.card, memory.context) == ("NVIDIA GeForce RTX 4090", 300)
    assert memory.fits
    assert memory.available == 20 * GIB
    plan = placed.backend.plan  # type: ignore[attr-defined]
    assert memory.total == plan.memory.total


def test_a_placement_in_main_memory_says_why(tiny: Path, tmp_path: Path) -> None:
    folder = ModelFolder.open(tiny)
    with pretended_machine(tmp_path, PretendedCard(uuid="GPU-" + "0" * 32, free=1 << 20)):
        placed = place(folder, spec_of(folder))
        assert placed.backend.name == "cpu"
        assert placed.memory.card == ""
        assert "does not fit on NVIDIA GeForce RTX 4090" in placed.reason
        with pytest.raises(DoesNotFitError, match="does not fit on NVIDIA"):
            place(folder, spec_of(folder), "cuda")
        with pytest.raises(DoesNotFitError) as caught:
            place(folder, spec_of(folder), neighbours=Neighbours(reclaimable=4 * GIB))
        assert caught.value.card


def test_a_placement_says_how_keys_and_values_are_stored(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ModelFolder.open(tiny)
    spec_here = spec_of(folder)
    asked = place(folder, spec_here, "cpu", kv="4")
    assert (asked.kv.name, asked.memory.stored.name) == ("k4v4", "k4v4")
    assert asked.reason == "asked for by name; keys and values in 4 bits, as asked for"
    whole = place(folder, spec_here, "cpu", 1 << 20, kv="f16").memory
    free = hardware.Memory(1 << 50, whole.total + whole.reserve - whole.kv // 3)
    monkeypatch.setattr(hardware, "memory", lambda: replace(free, total=whole.reserve * 20))
    tight = place(folder, spec_here, "cpu", 1 << 20)
    assert tight.kv.name == "k8v8"
    assert "keys and values in 8 bits, because 16 bits would need" in tight.reason
    with pytest.raises(DoesNotFitError):
        place(folder, spec_here, "cpu", 1 << 20, kv="f16")


def test_the_embedding_needs_main_memory(machine: PretendedDriver, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ModelFolder.open(tiny)
    monkeypatch.setattr(placement.hardware, "memory", lambda: hardware.Memory(GIB, 100))
    with pytest.raises(DoesNotFitError, match="embedding stays in main memory"):
        place(folder, spec_of(folder), "cuda")


def test_an_engine_on_a_card_takes_what_was_planned(machine: PretendedDriver, tiny: Path) -> None:
    engine = Engine.open(tiny, context=300)
    memory = engine.info.memory
    assert memory is not None
    assert (engine.info.backend, memory.card) == ("cuda", "NVIDIA GeForce RTX 4090")
    assert "it fits on the card" in engine.info.backend_reason
    assert [arguments for name, arguments in machine.calls if name == "cuMemAlloc"] == [(memory.total,)]
    request = Request(prompt="A river", max_tokens=3, sampling=Sampling(temperature=0))
    assert isinstance([*engine.generate(request)][-1], Finished)
    engine.close()
    assert not machine.places


def test_a_card_that_nobody_planned_for(machine: PretendedDriver, tiny: Path) -> None:
    """Measurements load a model by the backend's name alone."""
    folder = ModelFolder.open(tiny)
    backend, _ = select("cuda")
    model = backend.load(folder, spec_of(folder))
    assert isinstance(model, CudaModel)
    assert model.arena.plan.size("keys and values") > 0
    model.close()
    assert not machine.places
    assert isinstance(backend, CudaBackend)
    full = replace(backend.place, card=replace(backend.place.card, free=1000))
    with pytest.raises(DoesNotFitError, match="does not fit on NVIDIA"):
        CudaBackend(full).load(folder, spec_of(folder))


def test_memory_that_is_gone_at_loading(machine: PretendedDriver, tiny: Path) -> None:
    machine.free = 1000
    with pytest.raises(DoesNotFitError, match="Another program took memory of NVIDIA GeForce RTX 4090"):
        Engine.open(tiny, context=300)
    assert not machine.places


def test_an_engine_whose_card_failed_says_so(
    machine: PretendedDriver, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny, context=300)

    def fail(*_: object) -> None:
        raise LostDeviceError("the card failed")

    request = Request(prompt="A river", max_tokens=3)
    with monkeypatch.context() as patch:
        patch.setattr(CudaModel, "forward", fail)
        with pytest.raises(BackendError, match="the card failed"):
            list(engine.generate(request))
    assert engine.lost
    engine.close()
