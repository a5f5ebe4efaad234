"""Healing from folder to folder: families with fused, shared and routed matrices, and the same in a program."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import TEXT, TinySource, tiny_folder, tiny_source
from tests.unit.torch.train import training_cases as cases
from tzcore.architecture.registry import spec_of
from tzcore.backend.select import select
from tzcore.checkpoint import ModelFolder
from tzcore.errors import Cancelled, ConversionError, TrainingError
from tzcore.progress import Progress
from tzcore.quant.evaluation import small_files
from tzcore.torch.folder import load_model, save_model
from tzcore.torch.train import convert, prepare
from tzcore.torch.train.heal import Task, heal
from tzcore.torch.train.loop import Loop
from tzcore.torch.train.measure import Held
from tzcore.torch.train.original import cached, reader_of_source
from tzcore.torch.train.text import collect


@pytest.fixture
def text(tmp_path: Path) -> tuple[Path, ...]:
    path = tmp_path / "book.txt"
    path.write_text(TEXT * 3, encoding="utf-8")
    return (path,)


def task(tmp_path: Path, base: Path, text: tuple[Path, ...], **changes: Any) -> Task:
    settings = cases.settings(steps=4, rate=0.01, top_k=64, eval_windows=8, **changes)
    return Task(base, tmp_path / "healed", "tiny:t1-healed", tmp_path / "training" / "it", settings, text, threads=2)


def engine_logits(folder: Path, ids: list[int]) -> np.ndarray[Any, Any]:
    opened = ModelFolder.open(folder)
    loaded = select("cpu")[0].load(opened, spec_of(opened), 2)
    try:
        return loaded.forward(loaded.new_sequence(len(ids)), np.array(ids, np.int32), "all")
    finally:
        loaded.close()
        opened.close()


@pytest.mark.parametrize("family", ["mixtral", "phi3", "gemma2", "qwen2", "qwen3_moe"])
def test_families(family: str, tmp_path: Path, text: tuple[Path, ...]) -> None:
    """The healed folder opens, differs in codes and norms alone, and the engine computes what torch does."""
    source = tiny_source(family)
    base = tiny_folder(tmp_path / "base", family, format="t1", head_format="i8", source=source)
    folder = heal(task(tmp_path, base, text), lambda: source)
    receipt = json.loads((folder / "receipt.json").read_text())
    assert (receipt["id"], receipt["source"]["id"]) == ("tiny:t1-healed", source.id)
    training = receipt["training"]
    assert training["after"]["kl"] < training["before"]["kl"]
    old, new = ModelFolder.open(base), ModelFolder.open(folder)
    assert old.quantization == new.quantization
    spec = spec_of(new)
    parts = {n: [(m.codes, m.scales) for m in (old.matrix(n), new.matrix(n))] for n in old.quantization.matrices}
    changed = {n for n, pair in parts.items() if not all(map(np.array_equal, *pair))}
    fixed = {spec.embedding.name, spec.head.name, *(ref.name for ref in spec.routers())}
    # An expert that no token was sent to stays as it was.
    assert changed <= parts.keys() - fixed
    assert all(ref.name in changed for layer in spec.layers for ref in (layer.q, layer.o))
    ids = [3, 17, 99, 250, 8]
    with torch.no_grad():
        theirs = load_model(folder)(input_ids=torch.tensor([ids])).logits[0].numpy()
    ours = engine_logits(folder, ids)
    # The last bit of a sum can round an activation to the next integer, or choose another expert.
    assert np.corrcoef(ours.reshape(-1), theirs.reshape(-1))[0, 1] > 0.99


def test_cancelled_while_the_original_reads(tmp_path: Path, text: tuple[Path, ...]) -> None:
    source = tiny_source("llama", **cases.SMALL)
    base = tiny_folder(tmp_path / "base", "llama", format="t1", head_format="i8", source=source)
    whole = replace(task(tmp_path, base, text), final=tmp_path / "whole", working=tmp_path / "training" / "whole")
    heal(whole, lambda: source)

    def stop(progress: Progress) -> None:
        if progress.phase == "targets" and progress.done > 16 * cases.WINDOW:
            raise Cancelled

    wanted = task(tmp_path, base, text)
    with pytest.raises(Cancelled):
        heal(wanted, lambda: source, stop)
    assert (wanted.working / "targets.bin").stat().st_size > 4096
    heal(wanted, lambda: source)
    assert not wanted.working.exists()
    for shard in wanted.final.glob("*.safetensors"):
        assert shard.read_bytes() == (tmp_path / "whole" / shard.name).read_bytes()


def test_a_folder_that_is_there_is_never_changed(tmp_path: Path, text: tuple[Path, ...]) -> None:
    source = tiny_source("llama", **cases.SMALL)
    base = tiny_folder(tmp_path / "base", "llama", format="t1", head_format="i8", source=source)
    wanted = replace(task(tmp_path, base, text), final=base)
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    with pytest.raises(ConversionError, match="exists already, made otherwise"):
        heal(wanted, lambda: source)
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before


def test_a_model_of_halves_has_no_codes(tmp_path: Path, text: tuple[Path, ...]) -> None:
    source = tiny_source("llama", **cases.SMALL)
    base = tiny_folder(tmp_path / "base", "llama", source=source)
    with pytest.raises(TrainingError, match="no ternary layers to train"):
        heal(task(tmp_path, base, text), lambda: source)


def test_the_same_in_a_program(tmp_path: Path, text: tuple[Path, ...]) -> None:
    original: TinySource = tiny_source("llama", **cases.SMALL)
    folder = tiny_folder(tmp_path / "base", "llama", format="t1", head_format="i8", source=original)
    work = tmp_path / "work"
    settings = cases.settings(steps=4, rate=0.02, top_k=64)
    model = prepare(load_model(folder))
    read_from, held = collect(small_files(folder), settings.window, model.config.vocab_size, text)
    made_from = {"original": original.id, "revision": original.revision}
    read = reader_of_source(original)
    work.mkdir()
    targets = cached(work / "targets", read_from, read, made_from, settings.top_k)
    kept = Held(held, cached(work / "held", held, read, made_from, settings.top_k))
    outcome = Loop(model, read_from, targets, settings, work, held=kept).run()
    assert outcome.best["kl"] < outcome.before["kl"]
    save_model(convert(model), tmp_path / "healed")
    assert engine_logits(tmp_path / "healed", [1, 2, 3]).shape == (3, 500)
    assert sorted(os.listdir(work))[-1] == "training.jsonl"
