"""list, rm, plan, import and what they say of an installed model."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tz


@pytest.fixture
def installed(tiny_model: Path, home: Path) -> Path:
    """The tiny model, in the library of this test."""
    folder = home / "models" / "tiny--t2"
    shutil.copytree(tiny_model, folder)
    return folder


def test_list_for_programs_and_for_people(tz: Tz, installed: Path) -> None:
    (model,) = json.loads(tz("list", "--json").stdout)
    assert model["id"] == "tiny/llama:t2"
    assert model["path"] == str(installed)
    assert (model["encoding"], model["source"]) == ("t2", "tiny/llama")
    assert model["bytes"] == sum(file.stat().st_size for file in installed.rglob("*") if file.is_file())
    assert "tiny/llama:t2" in tz("list").stdout


def test_an_unfinished_conversion_is_no_model_but_is_mentioned(tz: Tz, home: Path) -> None:
    (home / "models" / "begun--t2.partial").mkdir(parents=True)
    assert json.loads(tz("list", "--json").stdout) == []
    done = tz("list")
    assert done.stdout == ""
    assert "begun--t2.partial" in done.stderr


def test_run_by_id_source_and_path(tz: Tz, installed: Path) -> None:
    words = ("A river", "--temperature", "0", "--max-tokens", "3")
    answers = {tz("run", name, *words).stdout for name in ("tiny/llama:t2", "tiny/llama", installed)}
    assert len(answers) == 1
    assert "" not in answers


def test_rm_wants_a_word_of_confirmation_where_nobody_can_be_asked(tz: Tz, installed: Path) -> None:
    refused = tz("rm", "tiny/llama:t2")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert installed.is_dir()
    size = json.loads(tz("list", "--json").stdout)[0]["bytes"]
    done = json.loads(tz("rm", "tiny/llama:t2", "--yes", "--json").stdout)
    assert done == {"event": "done", "id": "tiny/llama:t2", "bytes": size}
    assert not installed.exists()


def test_plan_of_an_installed_model_is_exact(tz: Tz, installed: Path) -> None:
    plan = json.loads(tz("plan", "tiny/llama", "--json").stdout)
    assert plan["installed"]
    assert plan["exact"]
    assert plan["download_bytes"] == 0
    assert plan["fits"]
    assert plan["longest_context"] == 512  # the model's own limit


def test_a_folder_without_its_receipt_says_what_is_missing(tz: Tz, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "receipt.json").unlink()
    done = tz("run", folder, "A river")
    assert done.returncode == 1
    assert "receipt.json" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
def test_the_window_without_a_display_is_one_line(tz: Tz) -> None:
    done = tz("app", QT_QPA_PLATFORM="xcb", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 1
    assert "tz chat" in done.stderr
    assert done.stderr.count("\n") == 1
