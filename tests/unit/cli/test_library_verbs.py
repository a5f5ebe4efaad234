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


def test_what_removing_would_free_is_said_and_nothing_is_removed(tz: Tz, installed: Path) -> None:
    what = json.loads(tz("rm", "tiny/llama:t2", "--what", "--json").stdout)
    assert what["model_bytes"] == sum(file.stat().st_size for file in installed.rglob("*") if file.is_file())
    assert (what["snapshot_bytes"], what["source_bytes"], what["source_ours"]) == (0, 0, False)
    assert installed.is_dir()
    assert "model" in tz("rm", "tiny/llama:t2", "--what").stdout


def test_a_model_on_another_drive(tz: Tz, installed: Path, tmp_path: Path, home: Path) -> None:
    other = tmp_path / "drive"
    other.mkdir()
    moved = Path(shutil.move(installed, other / installed.name))
    (home / "settings.json").write_text(json.dumps({"model_folders": f"{other}\n{tmp_path / 'gone'}"}))
    listed = json.loads(tz("list", "--json", "--folders").stdout)
    assert [model["path"] for model in listed["models"]] == [str(moved)]
    assert [folder["available"] for folder in listed["folders"]] == [True, True, False]
    assert "cannot be reached" in tz("list").stderr
    answer = tz("run", "tiny/llama:t2", "A river", "--temperature", "0", "--max-tokens", "2")
    assert answer.returncode == 0, answer.stderr
    assert tz("rm", "tiny/llama:t2", "--yes").returncode == 0
    assert not moved.exists()


def test_show_says_what_a_local_model_is(tz: Tz, tmp_path: Path) -> None:
    from tests.tiny_models import tiny_source

    folder = tmp_path / "original"
    tiny_source("llama").model.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A card\x1b[31m\n")
    page = json.loads(tz("show", folder, "--json").stdout)
    assert (page["family"], page["licence"], page["supported"], page["kind"]) == ("llama", "mit", True, "folder")
    words = tz("show", folder).stdout
    assert "# A card" in words
    assert "\x1b" not in words  # nothing that a terminal would obey
    assert tz("show", tmp_path / "nothing.gguf").returncode == 1


def test_a_plan_names_speed_quality_and_who_has_the_memory(tz: Tz, installed: Path) -> None:
    plan = json.loads(tz("plan", "tiny/llama", "--json").stdout)
    assert plan["tokens_per_second"] > 0
    assert plan["first_token_seconds"] > 0
    assert plan["measured_tokens_per_second"] is None
    names = [item["name"] for item in plan["memory_items"]]
    assert names == ["weights", "kv", "workspace", "reserve", "other programs"]
    assert plan["other_programs_bytes"] == plan["memory_items"][-1]["bytes"] > 0
    assert "tokens/s on the processor" in tz("plan", "tiny/llama").stdout
