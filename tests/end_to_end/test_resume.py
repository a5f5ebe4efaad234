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
    """What the model is: every file's bytes, the receipt without its times and its samples, which come last."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    receipt = json.loads(files.pop("receipt.json"))
    times = [key for key in receipt if any(word in key for word in ("time", "second", "created", "date"))]
    for key in times:
        del receipt[key]
    for key in ("samples", "skipped"):
        receipt.get("quality", {}).pop(key, None)
    return {**files, "receipt.json": json.dumps(receipt, sort_keys=True).encode()}


def convert(model: Path, home: Path, calibration: Path) -> Path:
    words = command("convert", model, *ARGUMENTS, "--calibration", calibration)
    done = subprocess.run(words, capture_output=True, text=True, env=environment(home), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout.splitlines()[-1])["path"])


def convert_and_kill(model: Path, home: Path, calibration: Path, share: float, delay: float = 0.0) -> bool:
    """Kill the conversion ``delay`` seconds after it has reported ``share`` of its weights.

    True if it was still at work then.
    """
    words = command("convert", model, *ARGUMENTS, "--calibration", calibration)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(words, env=environment(home), **pipes) as child:
        assert child.stdout is not None
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "done":
                break
            if event.get("phase") == "convert" and event["done"] >= share * event["total"]:
                time.sleep(delay)
                break
        running = child.poll() is None
        child.kill()
    return running


def finished(home: Path) -> list[Path]:
    return [file for file in home.glob("models/*/receipt.json") if not file.parent.name.endswith(".partial")]


def test_killed_again_and_again_the_result_is_the_same(local_model: Path, tmp_path: Path) -> None:
    from tests.tiny_models import TEXT

    calibration = tmp_path / "text.txt"
    calibration.write_text(TEXT * 4, encoding="utf-8")
    expected = digest(convert(local_model, tmp_path / "whole", calibration))

    home = tmp_path / "killed"
    rng = random.Random(5)
    kills = 0
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 0.95):
        running = convert_and_kill(local_model, home, calibration, share, rng.uniform(0.0, 0.1))
        kills += running and not finished(home)
        for receipt in finished(home):  # it may have been quicker than the signal; then it is whole
            assert digest(receipt.parent) == expected
    assert kills >= 3, "the conversion was over before it could be interrupted"
    model = convert(local_model, home, calibration)
    assert digest(model) == expected
    assert not list(home.glob("models/*.partial"))
    samples = json.loads((model / "receipt.json").read_text(encoding="utf-8"))["quality"]["samples"]
    assert all(sample["original"] and sample["converted"] for sample in samples)
    assert not any((home / "evaluation").iterdir())


def test_other_settings_do_not_go_on_from_another_beginning(local_model: Path, tmp_path: Path) -> None:
    """What was begun with one calibration text is not finished with another in silence."""
    from tests.tiny_models import TEXT

    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text(TEXT * 8, encoding="utf-8")
    second.write_text(TEXT[::-1] * 8, encoding="utf-8")
    home = tmp_path / "home"
    assert convert_and_kill(local_model, home, first, 0.1)
    assert not finished(home)
    words = command("convert", local_model, *ARGUMENTS, "--calibration", second)
    done = subprocess.run(words, capture_output=True, text=True, env=environment(home), timeout=300, check=False)
    if done.returncode == 0:
        fresh = convert(local_model, tmp_path / "fresh", second)
        assert digest(Path(json.loads(done.stdout.splitlines()[-1])["path"])) == digest(fresh)
    else:
        assert done.returncode == 1
        assert "other settings" in done.stderr or "begun" in done.stderr


def test_a_folder_of_an_older_format_is_not_taken_for_the_result(local_model: Path, tmp_path: Path) -> None:
    """Converting again says what to do, and that works."""

    def tz(*words: str | Path) -> subprocess.CompletedProcess[str]:
        run = command(*words)
        return subprocess.run(
            run, capture_output=True, text=True, env=environment(tmp_path), timeout=300, check=False
        )

    words = ("convert", local_model, "--encoding", "i8", "--name", "small")
    assert tz(*words).returncode == 0
    (folder,) = (receipt.parent for receipt in finished(tmp_path))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"]["version"] = 1
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    again = tz(*words)
    assert again.returncode == 1
    assert "format version 1" in again.stderr
    assert "tz rm" in again.stderr
    assert tz("rm", "small:i8", "--yes").returncode == 0
    assert tz(*words).returncode == 0
    assert tz("run", "small:i8", "Hello", "--max-tokens", "2").returncode == 0
