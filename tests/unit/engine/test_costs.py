from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.backend.cuda.pretended_engine import pretended_machine
from tests.unit.backend.cuda.pretended_nvml import PretendedCard
from tzcore import hardware
from tzcore.architecture.registry import spec_of
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.costs import costs
from tzcore.engine.placement import Neighbours, place
from tzcore.keyvalues import FORMATS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny", "llama", format="t2")


def memory_of(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(hardware, "memory", lambda: hardware.Memory(1 << 40, available))


def test_the_numbers_are_those_of_the_placement(tiny: Path) -> None:
    folder = ModelFolder.open(tiny)
    made = costs(tiny, "cpu", 4096)
    assert (made.context, made.max_context) == (4096, spec_of(folder).max_context)
    assert [stored for stored, _ in made.plans] == list(FORMATS.values())
    for stored, plan in made.plans:
        placed = place(folder, spec_of(folder), "cpu", 4096, kv=stored.name).memory
        assert (plan.weights, plan.kv, plan.workspace) == (placed.weights, placed.kv, placed.workspace)
    folder.close()


def test_automatic_is_the_first_that_fits(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = 1 << 30
    plans = dict(costs(tiny, "cpu", 65_536).plans)
    by_name = {stored.name: plan for stored, plan in plans.items()}
    for taken in ("f16", "k8v8", "k6v5", "k4v4"):
        memory_of(monkeypatch, by_name[taken].total + reserve)
        made = costs(tiny, "cpu", 65_536)
        assert made.automatic.name == taken
        assert next(plan for stored, plan in made.plans if stored.name == taken).fits
    memory_of(monkeypatch, reserve)
    assert not any(plan.fits for _, plan in costs(tiny, "cpu", 65_536).plans)
    assert costs(tiny, "cpu", 65_536).automatic.name == "k4v4"  # never the coarsest unasked


def test_what_the_model_holds_counts_as_free_and_its_neighbours_do_not(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_of(monkeypatch, 8 << 30)
    alone = costs(tiny, "cpu", 4096).plans[0][1]
    again = costs(tiny, "cpu", 4096, held=alone).plans[0][1]
    assert again.available == alone.available + alone.kv + alone.workspace
    beside = costs(tiny, "cpu", 4096, Neighbours(occupied=1 << 30)).plans[0][1]
    assert beside.available == alone.available - (1 << 30)


def test_on_a_card_what_unused_models_would_give_back_is_counted(tiny: Path, tmp_path: Path) -> None:
    with pretended_machine(tmp_path):
        made = costs(tiny, "auto", 300)
        plan = made.plans[0][1]
        assert plan.card == "NVIDIA GeForce RTX 4090"
        assert {stored.name for stored, _ in made.plans} <= set(FORMATS)
        more = costs(tiny, "auto", 300, Neighbours(reclaimable=1 << 30), plan).plans[0][1]
        assert more.available == plan.available + (1 << 30) + plan.total


def test_what_no_card_can_hold_is_planned_for_main_memory(tiny: Path, tmp_path: Path) -> None:
    with pretended_machine(tmp_path, PretendedCard(uuid="GPU-" + "0" * 32, free=1 << 20)):
        assert costs(tiny).plans[0][1].card == ""
