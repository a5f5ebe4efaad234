"""Natively ternary models keep their codes and scales bit for bit, and the engine computes what transformers does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.native_models import FORMS, Form, Layout, bitnet_model, put, save_folder, ternary_gguf, ternary_source
from tests.parity import Floats, backend_logits, prompt, transformers_logits
from tests.tiny_models import tiny_source
from tzcore import atomic, trits
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder, dequantised
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import Cancelled, ConversionError, UnsupportedModelError
from tzcore.hub.formats.bitnet_folder import BitnetFolder
from tzcore.hub.formats.gguf_file import GgufFile
from tzcore.hub.formats.safetensors_folder import SafetensorsFolder
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.native_import import import_native, recognise

TOKENS = 64
YARN = {
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 4.0,
        "original_max_position_embeddings": 128,
    },
    "{arch}.rope.scaling.type": "yarn",
    "{arch}.rope.scaling.factor": 4.0,
    "{arch}.rope.scaling.original_context_length": 128,
}


def imported(source: WeightSource, path: Path, report: Report = ignore, packing: str | None = None) -> Path:
    scheme = recognise(source)
    assert scheme is not None
    return import_native(source, scheme, path, report, packing=packing)


def check_values(path: Path, source: WeightSource) -> dict[str, Any]:
    """Every number of the folder is the source's; its receipt."""
    folder = ModelFolder.open(path)
    folder.verify()
    for name, entry in folder.quantization.matrices.items():
        stored = folder.matrix(name)
        assert np.array_equal(dequantised(stored), source.tensor(f"{name}.weight")), name
        assert entry.transform is None
        assert entry.format.encoding == ("t1" if "_proj" in name or entry.group else "f16")
    left = {name for name in source.names() if name.removesuffix(".weight") not in folder.quantization.matrices}
    for name in left:
        assert np.array_equal(folder.vector(name), source.tensor(name)), name
    receipt = folder.receipt
    assert (receipt["encoding"], receipt["lossless"]) == ("t1", True)
    assert receipt["source"] == {"id": source.id, "revision": source.revision, "licence": source.licence}
    return receipt


def check_logits(path: Path, wanted: Floats) -> None:
    """The reference gives transformers' logits, the CPU those of the reference with its roundings.

    Where inputs are rounded, one that lies between two codes falls to either side by the last bit of
    a sum before it, and every token after it sees that: so most tokens agree to rounding, not all.
    """
    rounds = ModelFolder.open(path).quantization.activations == "token"
    found = apart(backend_logits(ReferenceBackend(), path, prompt(TOKENS)), wanted)
    assert np.median(found) < 1e-5
    assert found.max() < (0.2 if rounds else 1e-4)
    same = backend_logits(ReferenceBackend(activations="int8", cache="f16"), path, prompt(TOKENS))
    found = apart(backend_logits(CpuBackend(), path, prompt(TOKENS)), same)
    assert np.median(found) < 1e-3
    assert found.max() < 0.2


def apart(got: Floats, wanted: Floats) -> Floats:
    """max |Δlogit| of each token, in standard deviations."""
    result: Floats = np.abs(got - wanted).max(axis=1) / wanted.std()
    return result


# --- bitnet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama", "bitnet"])
@pytest.mark.parametrize("form", FORMS)
def test_bitnet(form: Form, family: str, tmp_path: Path) -> None:
    model = bitnet_model(tmp_path / "original", form, family, num_hidden_layers=1)
    source = BitnetFolder(tmp_path / "original", "some/bitnet", "rev", "mit")
    path = imported(source, tmp_path / "m")
    receipt = check_values(path, source)
    assert receipt["import"]["activations"] == "token"
    assert ("divided" in receipt["import"]["scales"]) == (form == "bitlinear")
    folder = ModelFolder.open(path)
    gains = {entry.gain for entry in folder.quantization.matrices.values() if entry.group}
    assert len(gains) == 7
    assert all((folder.matrix(n).scales == 1).all() for n, e in folder.quantization.matrices.items() if e.group)
    assert folder.quantization.activations == "token"
    check_logits(path, transformers_logits(model, prompt(TOKENS)))


def test_masters_of_bfloat16(tmp_path: Path) -> None:
    bitnet_model(tmp_path / "original", "online", dtype="bfloat16")
    source = BitnetFolder(tmp_path / "original", "some/masters", "rev", "mit")
    receipt = check_values(imported(source, tmp_path / "m"), source)
    assert receipt["import"]["form"] == "bitnet masters"


# --- plain numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["matrix", "row", "rows", "columns"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_trilm(layout: Layout, dtype: str, tmp_path: Path) -> None:
    original = ternary_source(layout, dtype=dtype, num_hidden_layers=1)
    save_folder(original, tmp_path / "original", dtype)
    source = SafetensorsFolder(tmp_path / "original", "some/trilm", "rev", "mit")
    if dtype == "float32" and layout != "matrix":  # these scales need more bits than group scales have
        assert recognise(source) is None
        return
    path = imported(source, tmp_path / "m")
    receipt = check_values(path, source)
    assert receipt["import"]["activations"] == "group"
    gains = {e.gain for n, e in ModelFolder.open(path).quantization.matrices.items() if "_proj" in n}
    assert (gains == {1.0}) == (dtype != "float32")
    if dtype == "float16":
        check_logits(path, transformers_logits(original.model, prompt(TOKENS)))


def test_ternary_embedding_and_head_in_plain_numbers(tmp_path: Path) -> None:
    original = ternary_source("columns")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows, cols = original.shape(name)
        codes = np.random.default_rng(3).integers(-1, 2, (rows, cols))
        put(original, name, (codes * np.float32(0.125)).astype(np.float32))
    receipt = check_values(imported(original, tmp_path / "m"), original)
    assert set(receipt["formats"]) == {"t1b3"}
    assert receipt["kept"] == {}


def test_ordinary_models_are_not_recognised() -> None:
    assert recognise(tiny_source("llama")) is None
    source = ternary_source("matrix")
    name = "model.layers.0.mlp.down_proj.weight"
    put(source, name, source.tensor(name) + np.float32(0.01))
    assert recognise(source) is None
    for layer in range(3):
        put(source, name.replace(".0.", f".{layer}."), np.zeros(source.shape(name), np.float32))
    assert recognise(source) is None  # all zeros is no sign of anything


def test_a_matrix_that_is_not_ternary_after_all_is_named(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    name = "model.layers.2.self_attn.o_proj.weight"
    values = source.tensor(name)
    values[100, 7] = 0.01
    put(source, name, values)
    with pytest.raises(ConversionError, match=r"layers\.2\.self_attn\.o_proj\.weight is not ternary.*--encoding"):
        imported(source, tmp_path / "m")


def test_a_rounded_embedding_is_counted(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    table = source.tensor("model.embed_tokens.weight")
    table[3, 5], table[400, 0] = 0.1, 1 + 2**-12
    put(source, "model.embed_tokens.weight", table)
    receipt = json.loads((imported(source, tmp_path / "m") / "receipt.json").read_text())
    assert receipt["lossless"] is False
    kept = receipt["kept"]["model.embed_tokens"]
    assert (kept["format"], kept["weights"], kept["changed"]) == ("f16", table.size, 2)
    assert kept["largest_error"] == pytest.approx(2**-12)
    assert receipt["kept"]["lm_head"]["changed"] == 0
    table[0, 0] = np.nan
    put(source, "model.embed_tokens.weight", table)
    with pytest.raises(ConversionError, match=r"embed_tokens\.weight holds values that are not finite"):
        imported(source, tmp_path / "n")


def test_an_embedding_of_bfloat16_keeps_its_small_and_large_values(tmp_path: Path) -> None:
    """Half precision alone has no 1e-8 or 1e5; with a power of two as gain it does, and the engine applies it."""
    source = ternary_source("matrix", dtype="bfloat16", num_hidden_layers=1, tie_word_embeddings=True)
    table = source.tensor("model.embed_tokens.weight")
    table[5, :100] = ((np.float32(1e-8) * np.arange(1, 101)).astype(np.float32).view(np.uint32) & 0xFFFF0000).view("f4")
    put(source, "model.embed_tokens.weight", table)
    path = imported(source, tmp_path / "m")
    check_values(path, source)
    assert ModelFolder.open(path).quantization.matrices["model.embed_tokens"].gain < 1
    check_logits(path, transformers_logits(source.model, prompt(TOKENS)))
    table[np.abs(table) < 1e-3] = 0  # too far from the largest to be kept beside it
    table[7, 7] = 2.0**17
    put(source, "model.embed_tokens.weight", table)
    check_values(imported(source, tmp_path / "n"), source)


# --- GGUF --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["TQ1_0", "TQ2_0", "Q2_0 g64", "Q2_0 g128"])
def test_gguf(kind: str, tmp_path: Path) -> None:
    scaling = YARN if kind == "Q2_0 g128" else {}
    original = ternary_gguf(tmp_path / "m.gguf", kind, num_hidden_layers=1, **scaling)
    source = GgufFile(tmp_path / "m.gguf", "some/bonsai", "rev")
    path = imported(source, tmp_path / "m")
    receipt = check_values(path, source)
    assert receipt["formats"].keys() == {"t1b3"}  # ternary embedding and head
    folder = ModelFolder.open(path)
    for name, entry in folder.quantization.matrices.items():
        stored = folder.matrix(name)
        assert stored.scales is not None
        assert (entry.group, entry.gain) == (64 if kind == "Q2_0 g64" else 128, 1.0)
        assert np.array_equal(trits.unpack_scales(stored.scales, entry.rows), source.ternary(f"{name}.weight").scales)
    check_logits(path, transformers_logits(original.model, prompt(TOKENS)))


def test_a_file_that_is_ternary_only_in_part_is_not_recognised(tmp_path: Path) -> None:
    ternary_gguf(tmp_path / "m.gguf", "TQ2_0", num_hidden_layers=1)
    source = GgufFile(tmp_path / "m.gguf", "id", "rev")
    assert source.scheme is not None
    fewer = source.scheme.matrices - {"model.layers.0.mlp.up_proj"}
    source.scheme = type(source.scheme)(source.scheme.form, source.scheme.scales, fewer)
    assert recognise(source) is None


def test_packing(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    sizes = []
    for packing, name in ((None, "t1b3"), ("base3", "t1b3"), ("slots", "t1")):
        receipt = check_values(imported(source, tmp_path / str(packing), packing=packing), source)
        assert name in receipt["formats"]
        sizes.append(receipt["bits_per_weight"])
    assert sizes[0] == sizes[1] < sizes[2]


# --- stopped and resumed -----------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the process's end."""


def digest(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    receipt = json.loads(files.pop("receipt.json"))
    assert receipt.pop("created")
    receipt.pop("seconds")
    return {**files, "receipt": json.dumps(receipt).encode()}


def dying_after(count: int) -> tuple[Callable[[int], None], list[int]]:
    real, done = os.fsync, [0]

    def sync(handle: int) -> None:
        done[0] += 1
        if done[0] > count:
            raise Killed
        real(handle)

    return sync, done


def test_killed_between_any_two_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ternary_source("matrix", num_hidden_layers=2)
    sync, done = dying_after(10**9)
    monkeypatch.setattr(atomic.os, "fsync", sync)
    whole = digest(imported(source, tmp_path / "whole"))
    for count in range(0, done[0], 11):
        path = tmp_path / f"m{count}"
        monkeypatch.setattr(atomic.os, "fsync", dying_after(count)[0])
        with pytest.raises(Killed):
            imported(source, path)
        assert not path.exists()
        monkeypatch.undo()
        assert digest(imported(source, path)) == whole


def test_progress_runs_to_the_end_and_can_be_cancelled(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if progress.done > progress.total / 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        imported(source, tmp_path / "m", stop)
    assert (tmp_path / "m.partial").is_dir()
    seen.clear()
    check_values(imported(source, tmp_path / "m", seen.append), source)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[-1].done, seen[-1].phase) == (seen[-1].total, "convert")
    assert seen[-1].total == sum(source.tensor(n).size for n in source.names() if len(source.shape(n)) == 2)


def test_a_folder_that_is_there_already(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    path = imported(source, tmp_path / "m")
    before = (path / "receipt.json").read_bytes()
    assert imported(source, path) == path
    assert (path / "receipt.json").read_bytes() == before
    with pytest.raises(ConversionError, match="made with other settings"):
        imported(source, path, packing="slots")
    source.revision = "another"
    with pytest.raises(ConversionError, match="made from tiny/llama 0"):
        imported(source, path)


def test_heads_and_norms_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    source = ternary_source("matrix")
    source._tensors["model.layers.1.self_attn.q_proj.extra"] = np.zeros(3, np.float32)
    with pytest.raises(UnsupportedModelError, match=r"q_proj\.extra"):
        recognise(source)
