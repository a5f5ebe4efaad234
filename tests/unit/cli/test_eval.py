"""``tz eval``: one model, several, several texts, a picture."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import TEXT, tiny_folder
from tzcore.cli import eval as verb
from tzcore.cli.main import main

ALONE = ["--no-original", "--backend", "reference", "--threads", "1", "--window", "64"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [tiny_folder(folder / name, "llama3", name, "i8") for name in ("i4", "t1b3")]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def result(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main(["eval", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_several_models_and_texts_make_a_table(
    models: list[Path], text: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = text.with_name("talk.jsonl")
    other.write_text(json.dumps({"messages": [{"role": "user", "content": TEXT}]}), encoding="utf-8")
    found = result(capsys, *models, "--text", text, "--text", other, *ALONE)["models"]
    assert [model["encoding"] for model in found] == ["i4", "t1"]
    for model in found:
        assert list(model["texts"]) == ["text.txt", "talk.jsonl"]
        assert model["tokens"] == sum(one["tokens"] for one in model["texts"].values())
        assert model["original"] is None
    assert main(["eval", *map(str, models), "--text", str(text), *ALONE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["tiny/llama3:i4", "tiny/llama3:t1"]


def test_the_projects_texts_are_the_default_and_windows_limits_them(
    models: list[Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = result(capsys, models[0], "--windows", "1", *ALONE)["models"]
    assert "prose.txt" in model["texts"]
    assert {one["tokens"] for one in model["texts"].values()} == {63}


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_picture_of_models_by_size(models: list[Path], text: Path, home: Path, tmp_path: Path) -> None:
    picture = tmp_path / "quality.svg"
    assert main(["eval", *map(str, models), "--text", str(text), "--picture", str(picture), *ALONE]) == 0
    content = picture.read_text(encoding="utf-8")
    for drawn in ("i4", "t1", "perplexity", "size, MB"):
        assert f"<!-- {drawn} -->" in content


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--window", "1"], "--window must be 2"),
        (["--windows", "0"], "--windows must be 1"),
        (["--limit", "3"], "go with --tasks"),
        (["--tasks", "a", "--picture", "p.svg"], "--tasks goes without"),
        (["--picture", "p.jpg"], "a picture ends in"),
        (["--text", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_what_cannot_be_meant_is_said_before_any_work(
    words: list[str], why: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "no/model", *words]) == 1
    assert why in capsys.readouterr().err


def measured(name: str, size: int, original: str | None, **more: Any) -> dict[str, Any]:
    kept = {"id": original, "perplexity": 10.0, "bytes": 900} if original else None
    losses = {"kl_mean": 0.25, "kl_p999": 3.0, "top1": 0.75} if original else {}
    common = {"model": name, "encoding": name[-2:], "bytes": size, "bits_per_weight": 2.0, "perplexity": 12.0}
    return {**common, "tokens": 5, "texts": {"a": {}}, "original": kept, **losses, **more}


def test_every_model_stands_under_its_original() -> None:
    rows = [measured("b:t1", 100, "b"), measured("a:t2", 300, "a"), measured("b:t2", 200, "b")]
    lines = verb.table(rows).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["a", "a:t2", "b", "b:t2", "b:t1"]
    assert lines[1].split()[-3:] == ["0.2500", "3.000", "75.0%"]


def test_divergence_at_depth(models: list[Path], text: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--kl-at-depth", "--text", text, "--depth", "200", "--last", "40", *ALONE[1:5]]
    (model,) = result(capsys, models[0], *words, "--kv", "8", "--kv", "k4v2")["models"]
    (row,) = model["depths"]
    assert list(row["formats"]) == ["k8v8", "k4v2"]
    assert main(["eval", str(models[0]), *map(str, words), "--kv", "k4v4", "--depth", "9k"]) == 0
    said = capsys.readouterr()
    assert "tiny/llama3:i4, the last 40 of 200 tokens (text.txt)" in said.out
    assert "\nk4v4 " in said.out
    assert "The text ends after" in said.err


def test_needles_by_place(models: list[Path], text: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--needle", "--text", text, "--depth", "512", "--kv", "f16", *ALONE[1:5]]
    (model,) = result(capsys, models[0], *words)["models"]
    assert list(model["lengths"][0]["formats"]) == ["f16"]
    assert main(["eval", str(models[0]), *map(str, words)]) == 0
    head, _, line = capsys.readouterr().out.splitlines()
    assert "0%, 25%, 50%, 75%, 100%" in head
    assert "f16" in line
    assert set(line.split()[2]) <= set("+·–")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kl-at-depth", "--needle"], "one of --kl-at-depth and --needle"),
        (["--depth", "4k"], "--depth goes with"),
        (["--kv", "k8v8"], "--kv goes with"),
        (["--kl-at-depth", "--tasks", "arc"], "without --tasks"),
        (["--kl-at-depth", "--last", "0"], "--last must be"),
        (["--kl-at-depth", "--kv", "f16"], "name another --kv"),
        (["--needle", "--kv", "auto"], "no format to measure"),
        (["--needle", "--depth", "100"], "too short to hide anything"),
    ],
)
def test_what_does_not_go_together_at_depth(
    words: list[str], said: str, models: list[Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(models[0]), *words, *ALONE[1:5]]) == 1
    assert said in capsys.readouterr().err
