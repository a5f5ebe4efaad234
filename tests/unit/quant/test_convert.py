"""Whole conversions of tiny models: every family in every format, and everything that must be refused."""

from __future__ import annotations

import errno
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import FAMILIES, TEXT, TinySource, tiny_source, tokenizer
from tzcore import atomic
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder, dequantised
from tzcore.errors import Cancelled, ConversionError, SourceError, StorageError, UnsupportedModelError
from tzcore.progress import Progress
from tzcore.quant.convert import Settings, convert
from tzcore.quant.evaluation import evaluate
from tzcore.trits import padded, tiles

QUICK: dict[str, Any] = {"tokens": 512, "window": 64, "threads": 1}


def made(path: Path, family: str = "llama", **settings: Any) -> tuple[TinySource, Path]:
    source = tiny_source(family)
    return source, convert(source, path, Settings(**{**QUICK, **settings}))


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_the_original(family: str, tmp_path: Path) -> None:
    source, folder = made(tmp_path / "m", family, format="f16", head_format="f16")
    report = evaluate(folder, TEXT, source, ReferenceBackend(), window=48)
    # BitNet's original rounds its activations, half precision does not.
    loose = family == "bitnet"
    assert report["kl_mean"] < (0.01 if loose else 1e-6)
    assert report["top1"] > (0.9 if loose else 0.999)
    assert report["perplexity"] == pytest.approx(report["original"]["perplexity"], rel=0.05 if loose else 1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["t1b3", "q2", "t2b3", "i4", "i8"])
def test_every_family_in_every_format(family: str, name: str, tmp_path: Path) -> None:
    source, folder = made(tmp_path / "m", family, format=name)
    opened = ModelFolder.open(folder)
    opened.verify()
    report = evaluate(folder, TEXT, source, ReferenceBackend(), window=48)
    assert np.isfinite(report["kl_mean"])
    receipt = opened.receipt
    assert receipt["bits_per_weight"] == pytest.approx(report["bits_per_weight"])
    bits = {"t1b3": 1.6, "q2": 2, "t2b3": 3.2, "i4": 4, "i8": 8}[name]
    shapes = [(e.rows, e.cols) for n, e in opened.quantization.matrices.items() if ".layers." in n]
    padding = sum(16 * tiles(r) * padded(c) for r, c in shapes) / sum(r * c for r, c in shapes)
    assert bits < receipt["bits_per_weight"] < bits * padding + 0.5  # scales and signs
    if name != "i8":
        projections = {n for n, e in opened.quantization.matrices.items() if e.format.name == name}
        assert set(receipt["output_error"]) == projections
        assert all(0 < error < 1 for error in receipt["output_error"].values())


@pytest.mark.parametrize("name", ["t1", "t2"])
def test_calibration_beats_rounding_on_what_the_matrices_put_out(name: str, tmp_path: Path) -> None:
    """Output error of each projection of the first block over inputs that calibration has not seen."""
    source, folder = made(tmp_path / "m", format=name, rotate=False, tokens=4096)
    plain = convert(source, tmp_path / "p", Settings(**QUICK, format=name, calibrated=False, rotate=False))
    embedding = source.tensor("model.embed_tokens.weight")[tokenizer().encode(TEXT).ids]
    x = embedding / np.sqrt((embedding**2).mean(1, keepdims=True))
    x = x * source.tensor("model.layers.0.input_layernorm.weight")
    for part in "qkv":
        matrix = f"model.layers.0.self_attn.{part}_proj"
        original = x @ source.tensor(f"{matrix}.weight").T
        errors = []
        for path in (folder, plain):
            stored = dequantised(ModelFolder.open(path).matrix(matrix))
            errors.append(float(((x @ stored.T - original) ** 2).mean()))
        assert errors[0] < 0.9 * errors[1]


def test_receipt_and_small_files(tmp_path: Path) -> None:
    source, folder = made(tmp_path / "m", "qwen3", seed=4)
    receipt = json.loads((folder / "receipt.json").read_text())
    assert receipt["id"] == "tiny/qwen3:t2"
    assert receipt["source"] == {"id": "tiny/qwen3", "revision": "0", "licence": "apache-2.0"}
    assert receipt["encoding"] == "t2"
    assert receipt["settings"]["seed"] == 4
    assert receipt["settings"]["hadamard"] is True
    assert receipt["calibration"]["tokens"] == 512
    assert receipt["calibration"]["conversations"] == "the model's chat template"
    assert receipt["formats"]["t2b3"]["matrices"] == 21
    assert set(receipt["formats"]) == {"t2b3", "i8"}
    assert receipt["bytes"] == sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    assert receipt["original_bytes"] == source.bytes()
    names = {p.name for p in folder.iterdir()}
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"} <= names
    assert not list(tmp_path.glob("*.partial"))
    config = json.loads((folder / "config.json").read_text())
    entry = config["quantization_config"]["tensors"]["model.layers.0.self_attn.k_proj"]
    assert entry["hadamard"] == {"block": 64, "signs": "model.layers.0.self_attn.q_proj.signs"}


def test_identifier_and_default_settings(tmp_path: Path) -> None:
    from tzcore.architecture.registry import read_spec

    source = tiny_source("llama3")
    settings = Settings.default_for(read_spec(source.config, set(source.names())))
    assert (settings.format, settings.group, settings.head_format) == ("t2b3", 128, "i8")
    folder = convert(source, tmp_path / "m", settings, identifier="mine:t2")
    assert json.loads((folder / "receipt.json").read_text())["id"] == "mine:t2"


def test_progress_runs_forward_to_the_end(tmp_path: Path) -> None:
    seen: list[Progress] = []
    convert(tiny_source("phi3"), tmp_path / "m", Settings(**QUICK), report=seen.append)
    assert [p.phase for p in seen if p.phase == "calibrate"]
    weights = [p for p in seen if p.phase == "convert"]
    assert all(a.done <= b.done for a, b in pairwise(weights))
    assert weights[-1].done == weights[-1].total > 0
    assert {p.unit for p in weights} == {"weights"}
    assert weights[-1].detail == "head: lm_head"


def test_cancelled_and_taken_up_again(tmp_path: Path) -> None:
    whole = convert(tiny_source("llama3"), tmp_path / "whole", Settings(**QUICK))

    def stop(progress: Progress) -> None:
        if progress.phase == "convert" and "layer 2" in progress.detail:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK), report=stop)
    assert not (tmp_path / "m").exists()
    folder = convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK))
    for path in whole.glob("*.safetensors"):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_other_settings_than_begun_with_are_refused(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if "layer 2" in progress.detail:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK), report=stop)
    with pytest.raises(ConversionError, match="begun with other settings"):
        convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK, seed=1))


class Broken(TinySource):
    """A source one of whose tensors is spoiled."""

    def __init__(self, name: str, spoil: Any) -> None:
        base = tiny_source("llama3")
        super().__init__("llama3", base.model, 0)
        if spoil is None:
            del self._tensors[name]
        else:
            self._tensors[name] = spoil(self._tensors[name].copy())


def poisoned(value: float) -> Any:
    def spoil(tensor: np.ndarray) -> np.ndarray:
        tensor.flat[-1] = value
        return tensor

    return spoil


LAST = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize("name", [LAST, "model.embed_tokens.weight", "model.layers.1.input_layernorm.weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("fmt", ["t2b3", "i8", "f16"])
def test_weights_that_are_not_finite_are_named(name: str, value: float, fmt: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=name.removesuffix(".weight")):
        convert(Broken(name, poisoned(value)), tmp_path / "m", Settings(**QUICK, format=fmt))
    assert not (tmp_path / "m").exists()


def test_weights_too_large_for_half_precision_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=LAST):
        convert(Broken(LAST, poisoned(1e6)), tmp_path / "m", Settings(**QUICK, format="f16"))


@pytest.mark.parametrize("name", [LAST, "model.norm.weight", "model.layers.0.input_layernorm.weight"])
def test_wrong_shapes_are_named_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=name):
        convert(Broken(name, lambda t: t[..., :-1]), tmp_path / "m", Settings(**QUICK))
    assert not list(tmp_path.glob("m*"))


def test_missing_tensors_are_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=LAST):
        convert(Broken(LAST, None), tmp_path / "m", Settings(**QUICK))
    assert not list(tmp_path.glob("m*"))


def test_unsupported_family_is_named(tmp_path: Path) -> None:
    source = tiny_source("llama")
    source.config["model_type"] = "mamba"
    with pytest.raises(UnsupportedModelError, match="mamba"):
        convert(source, tmp_path / "m", Settings(**QUICK))


def test_full_disk_is_a_storage_error_and_can_be_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    real, left = os.fsync, 12

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StorageError, match="full"):
        convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK))
    assert not (tmp_path / "m").exists()
    monkeypatch.undo()
    ModelFolder.open(convert(tiny_source("llama3"), tmp_path / "m", Settings(**QUICK))).verify()


def test_own_text_changes_the_result(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text(TEXT * 20, encoding="utf-8")
    _, ours = made(tmp_path / "a")
    _, theirs = made(tmp_path / "b", calibration=text)
    a, b = (json.loads((p / "receipt.json").read_text())["calibration"]["sha256"] for p in (ours, theirs))
    assert a != b


def test_groups_of_128_the_last_of_a_row_shorter(tmp_path: Path) -> None:
    source = tiny_source("llama3", intermediate_size=384)
    folder = convert(source, tmp_path / "m", Settings(**QUICK, group=128))
    matrices = ModelFolder.open(folder).quantization.matrices
    assert {(e.cols, e.group) for e in matrices.values()} == {(192, 128), (384, 128)}
