"""Sample answers in receipts: made at the end of a conversion and later, resumed, skipped with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.cli.conftest import Tz
from tzcore.cli import samples
from tzcore.cli.samples import Work, complete, questions
from tzcore.errors import Cancelled, StorageError
from tzcore.hardware import Memory
from tzcore.progress import Progress


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder on this disk."""
    from safetensors.numpy import save_file

    from tests.tiny_models import tiny_source, write_small_files

    model = tiny_source("llama", num_hidden_layers=1)
    folder = tmp_path_factory.mktemp("source") / "tiny-llama"
    write_small_files(folder)
    (folder / "config.json").write_text(json.dumps(model.config), encoding="utf-8")
    tensors = {name: np.ascontiguousarray(model.tensor(name), np.float16) for name in model.names()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That folder as i8, without samples; tests change copies of it."""
    from tzcore.checkpoint.source import WeightSource
    from tzcore.quant.convert import Settings, convert

    opened: WeightSource = _open(source)
    try:
        return convert(opened, tmp_path_factory.mktemp("model") / "i8", Settings(format="i8"))
    finally:
        opened.close()


@pytest.fixture
def model(converted: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(converted, tmp_path / "model"))


def _open(folder: Path) -> Any:
    from tzcore.hub import reference, sources

    return sources.open_source(reference.parse(str(folder)))


def quality(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "receipt.json").read_text())["quality"]
    return found


def test_a_conversion_ends_with_samples_and_says_how_long_it_takes(tz: Tz, source: Path, home: Path) -> None:
    done = tz("convert", source, "--encoding", "i8", "--json", "--background")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "expect"
    assert {"convert", "answer"} <= set(events[0]["seconds"])
    assert all(seconds >= 0 for seconds in events[0]["seconds"].values())
    answers = [event for event in events if event.get("phase") == "answer"]
    counts = [event["done"] for event in answers]
    assert counts == sorted(counts)
    assert answers[-1]["total"] == 2 * 4 * samples.LONGEST
    receipt = events[-1]["receipt"]
    assert [row["question"] for row in receipt["quality"]["samples"]] == questions()
    for row in receipt["quality"]["samples"]:
        assert row["converted"]
        assert row["original"]
    assert list((home / "evaluation").iterdir()) == [], "the original's halves are gone"
    again = tz("convert", source, "--encoding", "i8", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["receipt"] == receipt, "what is there is not made again"


def test_measuring_later_gives_numbers_and_samples(tz: Tz, source: Path, home: Path) -> None:
    assert tz("convert", source, "--encoding", "i8", "--no-samples", "--name", "small").returncode == 0
    (folder,) = (home / "models").iterdir()
    before = json.loads((folder / "receipt.json").read_text())
    assert "quality" not in before
    done = tz("eval", "small:i8", "--receipt", "--windows", "1", "--window", "64", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["id"]) == ("done", "small:i8")
    found = quality(folder)
    assert {"perplexity", "original_perplexity", "kl_mean", "top1", "tokens", "samples"} <= set(found)
    assert found["kl_mean"] < 0.1
    after = json.loads((folder / "receipt.json").read_text())
    assert {k: v for k, v in after.items() if k != "quality"} == before
    gone = tz("eval", "org/gone:t2", "--receipt")
    assert gone.returncode == 1
    assert "no installed model is called 'org/gone:t2'" in gone.stderr
    refused = tz("eval", "small:i8", "--receipt", "--no-original")
    assert refused.returncode == 1
    assert "--receipt goes without" in refused.stderr


def test_a_stopped_run_goes_on_and_asks_nothing_twice(
    model: Path, source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    one = Work._one

    def counted(self: Work, engine: Any, who: str, question: str) -> str:
        if len(asked) == 5:
            raise Cancelled("stopped by the test")
        asked.append((who, question))
        return one(self, engine, who, question)

    monkeypatch.setattr(Work, "_one", counted)
    opened = _open(source)
    with pytest.raises(Cancelled):
        complete(model, lambda: opened, lambda _: None)
    assert "quality" not in json.loads((model / "receipt.json").read_text())
    monkeypatch.setattr(Work, "_one", lambda *words: asked.append(words[2:]) or one(*words))
    reports: list[Progress] = []
    found = complete(model, lambda: opened, reports.append)
    opened.close()
    assert len(asked) == len(set(asked)) == 8
    assert reports[0].done >= 4 * samples.LONGEST, "what was answered before counts"
    assert len(found["samples"]) == 4
    assert all(row["original"] and row["converted"] for row in found["samples"])


@pytest.mark.parametrize(
    ("memory", "disk", "seconds", "reason"),
    [
        (1000, 1 << 40, None, "of memory and"), (1 << 40, 1000, None, "of disk and"),
        (1 << 40, 1 << 40, 1e-6, "more than a tenth"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_skipped_with_the_reason(
    model: Path, source: Path, home: Path, monkeypatch: pytest.MonkeyPatch, memory: int, disk: int,
    seconds: float | None, reason: str,
) -> None:  # fmt: skip
    from types import SimpleNamespace

    from tzcore import hardware

    real, usage = hardware.memory(), SimpleNamespace(free=disk)
    given = iter([Memory(1 << 40, memory)])
    monkeypatch.setattr(hardware, "memory", lambda: next(given, real))
    monkeypatch.setattr(samples.shutil, "disk_usage", lambda _: usage)
    opened = _open(source)
    found = complete(model, lambda: opened, lambda _: None, seconds)
    opened.close()
    assert reason in found["skipped"]
    assert [row["original"] for row in found["samples"]] == [None] * 4
    assert all(row["converted"] for row in found["samples"])


def test_a_disk_that_fills_up_leaves_nothing_behind(
    model: Path, source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tzcore.quant.convert

    def fills(_source: Any, final: Path, *_: Any) -> Path:
        (final.parent / "original.partial").mkdir()
        (final.parent / "original.partial" / "big").write_bytes(b"x" * 1000)
        raise StorageError("the disk is full")

    monkeypatch.setattr(tzcore.quant.convert, "convert", fills)
    opened = _open(source)
    work = Work(model, opened)
    found = work.run()
    opened.close()
    assert found["skipped"] == "The original could not be asked: the disk is full"
    assert all(row["converted"] and row["original"] is None for row in found["samples"])
    assert [file.name for file in work.place.iterdir()] == ["answers.json"]


def test_there_is_nothing_to_compare_a_native_model_with(model: Path, home: Path) -> None:
    receipt = json.loads((model / "receipt.json").read_text())
    (model / "receipt.json").write_text(json.dumps({**receipt, "lossless": True}))

    def never() -> None:
        raise AssertionError("the original is not needed")

    found = complete(model, never, lambda _: None)
    assert found["skipped"] == samples.NATIVE
    assert quality(model) == found


def test_old_leftovers_are_removed(model: Path, home: Path) -> None:
    import os

    for name, age in (("given-up", 2 * 24 * 3600), ("at-work", 60)):
        folder = home / "evaluation" / name
        folder.mkdir(parents=True)
        changed = folder.stat().st_mtime - age
        os.utime(folder, (changed, changed))
    complete(model, lambda: None, lambda _: None)
    assert [folder.name for folder in (home / "evaluation").iterdir()] == ["at-work"]


def test_patience_grows_with_the_conversion() -> None:
    assert samples.patience({}) == samples.PATIENCE
    assert samples.patience({"seconds": 60}) == samples.PATIENCE
    assert samples.patience({"seconds": 36_000}) == 3600


def test_a_receipt_is_printed(tz: Tz, model: Path, home: Path) -> None:
    before = tz("receipt", model)
    assert before.returncode == 0, before.stderr
    assert "samples    none yet" in before.stdout
    complete(model, lambda: None, lambda _: None)
    after = tz("receipt", model)
    assert questions()[0] in after.stdout
    assert samples.DISCARDED in after.stdout
    assert json.loads(tz("receipt", model, "--json").stdout)["quality"] == quality(model)
    assert tz("receipt", "no-such-model").returncode == 1
