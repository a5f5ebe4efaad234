from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

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
    assert "CUDA comes in a later one" in found["graphics"]["detail"]
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


@pytest.mark.skipif(os.name == "nt" or os.path.exists("/proc/driver/nvidia"), reason="a machine with the driver")
def test_no_driver_is_said_so() -> None:
    assert doctor.nvidia_driver() == ""
