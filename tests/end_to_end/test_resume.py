"""kill −9 at any moment of a conversion, then the same command again: the same bytes as without."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import command, environment

pytestmark = pytest.mark.timeout(600)
ARGUMENTS = ("--encoding", "t2", "--name", "small", "--json")


def digest(folder: Path) -> dict[str, bytes]:
    """What the model is: every file's bytes, the receipt without its times."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    receipt = json.loads(files.pop("receipt.json"))
    times = [key for key in receipt if any(word in key for word in ("time", "second", "created", "date"))]
    for key in times:
        del receipt[key]
    return {**files, "receipt.json": json.dumps(receipt, sort_keys=True).encode()}


def convert(model: Path, home: Path, calibration: Path) -> Path:
    words = command("convert", model, *ARGUMENTS, "--calibration", calibration)
    done = subprocess.run(words, capture_output=True, text=True, env=environment(home), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout.splitlines()[-1])["path"])


def convert_and_kill(model: Path, home: Path, calibration: Path, seconds: float) -> tuple[bool, str]:
    """Kill the conversion ``seconds`` after its first report.  Whether it was still at work, and its last phase."""
    words = command("convert", model, *ARGUMENTS, "--calibration", calibration)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(words, env=environment(home), **pipes) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(seconds)
        running = child.poll() is None
        child.kill()
        rest = child.stdout.read().splitlines()
    lines = [json.loads(line) for line in [first, *rest] if line.rstrip().endswith("}")]
    return running, lines[-1].get("phase", lines[-1]["event"]) if lines else ""


def test_killed_again_and_again_the_result_is_the_same(local_model: Path, tmp_path: Path) -> None:
    from tests.tiny_models import TEXT

    calibration = tmp_path / "text.txt"
    calibration.write_text(TEXT * 8, encoding="utf-8")
    began = time.monotonic()
    expected = digest(convert(local_model, tmp_path / "whole", calibration))
    whole = time.monotonic() - began

    home = tmp_path / "killed"
    rng = random.Random(5)
    kills = 0
    for _ in range(6):
        running, _phase = convert_and_kill(local_model, home, calibration, rng.uniform(0.0, 0.35 * whole))
        finished = [file for file in home.glob("models/**/receipt.json") if ".partial" not in str(file)]
        assert not (running and finished), "a conversion that was still at work had left a model as if whole"
        kills += running
        if finished:
            break
    assert kills >= 2, "the conversion was over before it could be interrupted"
    assert digest(convert(local_model, home, calibration)) == expected
    assert not list(home.glob("models/**/*.partial"))


def test_other_settings_do_not_go_on_from_another_beginning(local_model: Path, tmp_path: Path) -> None:
    """What was begun with one calibration text is not finished with another in silence."""
    from tests.tiny_models import TEXT

    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text(TEXT * 8, encoding="utf-8")
    second.write_text(TEXT[::-1] * 8, encoding="utf-8")
    home = tmp_path / "home"
    running, _ = convert_and_kill(local_model, home, first, 0.5)
    if not running:
        pytest.skip("too quick a machine for this test")
    words = command("convert", local_model, *ARGUMENTS, "--calibration", second)
    done = subprocess.run(words, capture_output=True, text=True, env=environment(home), timeout=300, check=False)
    if done.returncode == 0:
        fresh = convert(local_model, tmp_path / "fresh", second)
        assert digest(Path(json.loads(done.stdout.splitlines()[-1])["path"])) == digest(fresh)
    else:
        assert done.returncode == 1
        assert "other settings" in done.stderr or "begun" in done.stderr
