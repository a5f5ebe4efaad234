from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import psutil
import pytest

from tests.unit.backend.cuda.pretended_nvml import GIB, PretendedCard, PretendedNvml, pretended
from tzcore.backend.cuda import facts
from tzcore.errors import BackendError, MissingExtraError


def test_a_card_and_who_is_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {41: "game", 42: "browser"}

    def process(pid: int) -> SimpleNamespace:
        if pid not in names:
            raise psutil.NoSuchProcess(pid)
        return SimpleNamespace(name=lambda: names[pid])

    monkeypatch.setattr(psutil, "Process", process)
    own = os.getpid()
    card = PretendedCard(programs=[(41, 3 * GIB), (own, 5 * GIB), (43, None)], windows=[(42, GIB), (41, 2 * GIB)])
    with pretended(card):
        (found,) = facts.cards()
    assert (found.name, found.index, found.capability) == ("NVIDIA GeForce RTX 4090", 0, (8, 9))
    assert found.uuid == "0102030405060708090a0b0c0d0e0f10"
    assert (found.total, found.free, found.used) == (24 * GIB, 20 * GIB, 4 * GIB)
    assert [(h.pid, h.name, h.bytes) for h in found.holders] == [
        (41, "game", 3 * GIB),
        (42, "browser", GIB),
        (43, "a program", None),
    ]
    assert found.sentence() == (
        "NVIDIA GeForce RTX 4090, driver 550.54.14, 21.5 GB free of 25.8 GB; "
        "held by game (41) 3.2 GB, browser (42) 1.1 GB, a program (43) an unknown amount"
    )
    assert found.trouble() is None


def test_many_programs_are_counted() -> None:
    with pretended(PretendedCard(programs=[(pid, pid << 20) for pid in range(900_001, 900_008)])):
        (found,) = facts.cards()
    assert found.sentence().endswith("and 3 more")
    assert found.holders[0].pid == 900_007


def test_old_bindings_give_bytes() -> None:
    with pretended(PretendedCard(name=b"Tesla"), driver=b"535.1"):
        (found,) = facts.cards()
        assert facts.driver_version() == "535.1"
    assert (found.name, found.driver) == ("Tesla", "535.1")


def test_what_is_too_old_is_said() -> None:
    with pretended(PretendedCard(capability=(7, 5)), PretendedCard()):
        old, new = facts.cards()
    assert "compute capability 7.5" in str(old.trouble())
    assert new.trouble() is None
    assert new.index == 1
    with pretended(PretendedCard(), driver="520.61.05"):
        (found,) = facts.cards()
    assert "too old (version 520.61.05): the kernels need version 525" in str(found.trouble())


def test_parts_of_a_card_are_cards() -> None:
    part = PretendedCard(name="H200 MIG 1g", uuid="MIG-aaaaaaaa-0506-0708-090a-0b0c0d0e0f10", total=16 * GIB, free=GIB)
    with pretended(PretendedCard(parts=[part, part]), PretendedCard()):
        found = facts.cards()
    assert [card.name for card in found] == ["H200 MIG 1g", "H200 MIG 1g", "NVIDIA GeForce RTX 4090"]
    assert found[0].uuid.startswith("aaaaaaaa05")


def test_programs_that_the_system_does_not_tell() -> None:
    with pretended(PretendedCard(programs=[(1, 1)])) as api:
        api.silent = {"nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"}
        (found,) = facts.cards()
    assert found.holders == ()


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (PretendedNvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed"),
        (PretendedNvml.NVML_ERROR_DRIVER_NOT_LOADED, "no NVIDIA driver is installed"),
        (PretendedNvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "restart the machine"),
        (PretendedNvml.NVML_ERROR_NO_PERMISSION, "/dev/nvidia"),
        (PretendedNvml.NVML_ERROR_GPU_IS_LOST, "fallen off its bus"),
        (999, "does not tell of its cards"),
    ],
)
def test_a_driver_that_does_not_answer(start: int, said: str) -> None:
    with pretended(start=start):
        with pytest.raises(BackendError, match=said):
            facts.cards()
        assert facts.driver_version() == ""


def test_no_card() -> None:
    with pretended(), pytest.raises(BackendError, match="sees no card"):
        facts.cards()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_installed", lambda module: module != "pynvml")
    with pytest.raises(MissingExtraError, match=r'needs nvidia-ml-py: pip install "ternary-zero\[cuda\]"'):
        facts.cards()
    monkeypatch.setattr(facts, "_installed", lambda module: False)
    with pytest.raises(MissingExtraError, match="needs cuda-python and nvidia-ml-py"):
        facts.cards()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert facts.driver_version() == ""


def test_packages_are_looked_for() -> None:
    assert facts._installed("json")
    assert not facts._installed("no_such_package.module")
