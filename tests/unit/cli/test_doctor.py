from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.backend.cuda.pretended_nvml import PretendedCard, pretended
from tzcore.backend.cuda import facts
from tzcore.backend.cuda.failures import NO_CARD, NO_DRIVER
from tzcore.cli import doctor
from tzcore.cli.main import main


def findings(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json"])
    event = json.loads(capsys.readouterr().out)
    return code, {finding["subject"]: finding for finding in event["findings"]}


def test_says_what_is_there(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, found = findings(capsys)
    assert code == 0, found
    assert str(home) in found["models"]["detail"]
    assert found["conversion"]["state"] == "ok"
    assert found["engine"]["state"] == "ok"


def test_a_home_that_cannot_be_written_is_a_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TZ_HOME", str(tmp_path / "file"))
    code, found = findings(capsys)
    assert code == 1
    assert found["models"]["state"] == "fail"
    assert "TZ_HOME" in found["models"]["detail"]


def test_a_missing_extra_is_named_with_the_command_that_brings_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "convert", ("torch", "no_such_module"))
    _, found = findings(capsys)
    assert found["conversion"]["state"] == "note"
    assert "no_such_module" in found["conversion"]["detail"]
    assert "ternary-zero[convert]" in found["conversion"]["detail"]


def graphics(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    code, found = findings(capsys)
    assert code == 0
    return [(f["state"], f["detail"]) for subject, f in found.items() if subject.startswith("graphics")]


def test_cards_and_what_is_free_on_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pretended(PretendedCard(programs=[(900_001, 3 << 30)]), PretendedCard(capability=(7, 0))):
        (first_state, first), (second_state, second) = graphics(capsys)
    assert (first_state, second_state) == ("ok", "note")
    assert "21.5 GB free of 25.8 GB; held by a program (900001) 3.2 GB" in first
    assert "too old (compute capability 7.0)" in second


def test_why_there_is_no_card(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(start=12):
        assert graphics(capsys) == [("note", NO_DRIVER)]
    with pretended():
        assert graphics(capsys) == [("note", NO_CARD)]
    with pretended(PretendedCard(), driver="470.1"):
        ((state, detail),) = graphics(capsys)
    assert state == "note"
    assert "too old (version 470.1)" in detail
    monkeypatch.setattr(facts, "_installed", lambda module: False)
    monkeypatch.setattr(facts, "loaded_driver", lambda: "for CUDA 12.4")
    ((_, detail),) = graphics(capsys)
    assert detail.startswith("NVIDIA driver for CUDA 12.4, but running on an NVIDIA card needs cuda-python and")
    monkeypatch.setattr(facts, "loaded_driver", lambda: "")
    assert graphics(capsys) == [("note", "no NVIDIA driver")]


@pytest.mark.skipif(os.name == "nt" or os.path.exists("/proc/driver/nvidia"), reason="a machine with the driver")
def test_no_driver_is_said_so() -> None:
    assert facts.loaded_driver() == ""
