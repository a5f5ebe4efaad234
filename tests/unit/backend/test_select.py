from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.backend.cuda import pretended_nvml
from tests.unit.backend.cuda.pretended_driver import PretendedDriver
from tests.unit.backend.cuda.pretended_engine import pretended_machine
from tests.unit.backend.cuda.pretended_nvml import PretendedCard
from tests.unit.backend.cuda.shapes import shape, stored
from tests.unit.engine.scripted_model import spec
from tzcore.backend import select as selection
from tzcore.backend.cuda import backend as cuda
from tzcore.backend.cuda import cards, facts
from tzcore.backend.cuda.backend import CudaBackend
from tzcore.backend.cuda.plan import DevicePlan, plan
from tzcore.backend.select import Fit, select
from tzcore.errors import BackendError, DoesNotFitError, MissingExtraError, RequestError

GIB = 1 << 30
UUIDS = [f"GPU-{bytes([number] * 16).hex()}" for number in range(3)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PretendedDriver]:
    with pretended_machine(tmp_path) as api:
        yield api


def small(budget: int, card: str) -> DevicePlan:
    return plan(spec(), stored(spec()), 512, budget, card)


def large(budget: int, card: str) -> DevicePlan:
    huge = shape("llama-3-70b")
    return plan(huge, stored(huge, "t2b3"), 512, budget, card)


def test_a_card_that_holds_the_plan_is_taken(machine: PretendedDriver) -> None:
    found, reason = select("auto", small)
    assert isinstance(found, CudaBackend)
    assert found.plan is not None
    assert found.plan.memory.budget == 20 * GIB
    assert reason.startswith("it fits on the card: ")
    assert reason.endswith("of 21.5 GB free")
    assert found.describe() == "NVIDIA GeForce RTX 4090, 25.8 GB, driver 550.54.14"
    assert select("cuda", small)[1] == "asked for by name"
    assert select("auto")[0].name == "cuda"
    assert select("cpu", small)[0].name == "cpu"
    assert "cuDevicePrimaryCtxRetain" not in machine.names()  # nothing was opened


def test_a_model_that_does_not_fit_runs_on_the_processor_and_the_reason_is_the_sum(machine: PretendedDriver) -> None:
    found, reason = select("auto", large)
    assert found.name == "cpu"
    assert reason.startswith("it does not fit on NVIDIA GeForce RTX 4090: weights 28.8 GB + head 1.1 GB + ")
    with pytest.raises(DoesNotFitError, match="does not fit on NVIDIA GeForce RTX 4090"):
        select("cuda", large)


def test_unused_models_on_the_card_are_in_the_way(machine: PretendedDriver) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        select("auto", large, reclaimable=14 * GIB)
    assert caught.value.card == "NVIDIA GeForce RTX 4090"
    assert select("auto", large, reclaimable=GIB)[0].name == "cpu"


def test_a_model_that_the_kernels_cannot_run(machine: PretendedDriver) -> None:
    def refuse(budget: int, card: str) -> DevicePlan:
        raise BackendError("heads are too wide")

    def wrong(budget: int, card: str) -> DevicePlan:
        raise RequestError("a context of 0 tokens")

    found, reason = select("auto", refuse)
    assert (found.name, reason) == ("cpu", "heads are too wide")
    with pytest.raises(BackendError, match="too wide"):
        select("cuda", refuse)
    with pytest.raises(RequestError):
        select("auto", wrong)


def test_the_card_with_most_room_is_taken(tmp_path: Path) -> None:
    shown = [PretendedCard(uuid=uuid, free=free) for uuid, free in zip(UUIDS, (4 * GIB, 9 * GIB, 6 * GIB), strict=True)]
    shown[1].capability = (7, 5)
    with pretended_machine(tmp_path, *shown) as api:
        found, _ = select("cuda", small)
        assert isinstance(found, CudaBackend)
        assert (found.place.number, found.place.card.index) == (2, 2)
        api.count = 1  # CUDA_VISIBLE_DEVICES hides the others
        found, _ = select("cuda", small)
        assert isinstance(found, CudaBackend)
        assert found.place.number == 0
    shown = [PretendedCard(uuid=uuid, capability=(6, 1)) for uuid in UUIDS]
    with pretended_machine(tmp_path, *shown):
        assert "too old (compute capability 6.1)" in select("auto", small)[1]


def test_one_card_is_that_card_whatever_it_is_called(tmp_path: Path) -> None:
    with pretended_machine(tmp_path, PretendedCard(uuid="GPU-" + "f" * 32)):
        assert select("auto", small)[0].name == "cuda"
    with pretended_machine(tmp_path, *(PretendedCard(uuid="GPU-" + digit * 32) for digit in "ef")):
        assert "sees no card" in select("auto", small)[1]


def test_a_limit_for_all_models(machine: PretendedDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cards.LIMIT_VARIABLE, "2GiB")
    found, _ = select("cuda", small)
    assert isinstance(found, CudaBackend)
    assert found.place.budget == 2 * GIB
    found.place.ledger.take(GIB, "a card")
    again, _ = select("cuda", small)
    assert isinstance(again, CudaBackend)
    assert again.place.budget == GIB
    assert [cards.read_limit(text) for text in ("", "1.5GB", "300 mib", "4096")] == [None, 1500000000, 300 << 20, 4096]
    for wrong in ("much", "3 apples", "-1GB", "0"):
        with pytest.raises(BackendError, match="is no amount of memory"):
            cards.read_limit(wrong)


# --- where there is no card ---------------------------------------------------------------------------


def reason_of(name: str = "auto", fit: Fit | None = small) -> str:
    found, reason = select(name, fit)
    assert found.name == "cpu"
    return reason


def test_why_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cuda, "KERNELS", tmp_path)
    assert reason_of() == "this version has no CUDA engine yet"
    with pytest.raises(BackendError, match="no CUDA engine"):
        select("cuda", small)
    monkeypatch.setattr(selection, "check_installed", lambda: None)
    with pretended_nvml.pretended(start=12):
        assert "no NVIDIA driver is installed" in reason_of()
        with pytest.raises(BackendError, match="no NVIDIA driver is installed"):
            select("cuda", small)
    with pretended_nvml.pretended(PretendedCard(), driver="510.1"):
        assert "too old (version 510.1)" in reason_of()


def test_a_missing_extra_is_told_to_those_with_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "check_installed", lambda: None)
    monkeypatch.setattr(facts, "_installed", lambda module: False)
    monkeypatch.setattr(selection, "loaded_driver", lambda: "")
    assert reason_of() == "there is no NVIDIA driver"
    monkeypatch.setattr(selection, "loaded_driver", lambda: "for CUDA 12.4")
    assert 'pip install "ternary-zero[cuda]"' in reason_of()
    with pytest.raises(MissingExtraError):
        select("cuda", small)


def test_names() -> None:
    assert select("reference")[0].name == "reference"
    with pytest.raises(BackendError, match="auto, cpu, cuda, reference"):
        select("cuda9")
