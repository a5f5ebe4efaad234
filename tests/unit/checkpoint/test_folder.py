"""The model folder: what is written is read back, what is damaged is refused by name."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tzcore import trits
from tzcore.checkpoint import FolderWriter, MatrixEntry, ModelFolder, Transform, dequantised, safetensors
from tzcore.errors import CheckpointError, ConversionError
from tzcore.trits import FORMATS

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((70, 576)).astype(np.float32)


def add(writer: FolderWriter, name: str, fmt: str = "t2b3", signs: str | None = None) -> None:
    kind = FORMATS[fmt]
    if fmt == "f16":
        writer.add_matrix(MatrixEntry(name, 70, 576, kind, 0), trits.pack_half(WEIGHTS), None)
        return
    codes, scales = trits.fit(WEIGHTS, kind, 64)
    transform = Transform(64, signs) if signs else None
    entry = MatrixEntry(name, 70, 576, kind, 64, transform)
    writer.add_matrix(entry, trits.pack(codes, kind), trits.pack_scales(scales))


def write(final: Path) -> Path:
    writer = FolderWriter(final, {"seed": 1})
    writer.add_signs("a.signs", np.where(RNG.random(576) < 0.5, -1, 1).astype(np.int8))
    add(writer, "a.q", signs="a.signs")
    writer.seal("model-00000")
    add(writer, "a.h", "f16")
    writer.add_vector("norm.weight", np.arange(5, dtype=np.float32))
    writer.seal("model-00001")
    return writer.finish({"model_type": "llama"}, {}, {"id": "x:t2"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "m")


def test_what_is_written_is_read_back(folder: Path) -> None:
    model = ModelFolder.open(folder)
    model.verify()
    stored = model.matrix("a.q")
    assert stored.entry.transform == Transform(64, "a.signs")
    assert ((dequantised(stored) - WEIGHTS) ** 2).mean() < 0.03
    assert np.array_equal(dequantised(model.matrix("a.h")), WEIGHTS.astype(np.float16).astype(np.float32))
    assert np.array_equal(model.vector("norm.weight"), np.arange(5))
    assert model.receipt["bytes"] == model.bytes() == sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    assert not (folder / "loose").exists()
    assert not folder.with_name("m.partial").exists()


def test_gain_and_activations_are_kept(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "m", {})
    gain = float(np.float32(0.123))
    kind = FORMATS["t1"]
    codes = np.random.default_rng(3).integers(-1, 2, (70, 576)).astype(np.int8)
    ones = np.ones((70, 9), np.float16)
    for name, factor in (("a", gain), ("b", 1.0)):
        entry = MatrixEntry(name, 70, 576, kind, 64, gain=factor)
        writer.add_matrix(entry, trits.pack(codes, kind), trits.pack_scales(ones))
    half = MatrixEntry("c", 70, 576, FORMATS["f16"], 0, gain=2.0)
    writer.add_matrix(half, trits.pack_half(WEIGHTS), None)
    path = writer.finish({"model_type": "llama"}, {}, {"id": "x"}, "token")
    model = ModelFolder.open(path)
    assert model.quantization.activations == "token"
    assert np.array_equal(dequantised(model.matrix("a")), codes * np.float32(gain))
    assert np.array_equal(dequantised(model.matrix("b")), codes)
    assert np.array_equal(dequantised(model.matrix("c")), WEIGHTS.astype(np.float16) * np.float32(2))
    entries = json.loads((path / "config.json").read_text())["quantization_config"]["tensors"]
    assert entries["a"]["gain"] == gain
    assert "gain" not in entries["b"]


def test_arrays_outlive_the_folder(folder: Path) -> None:
    model = ModelFolder.open(folder)
    codes = model.matrix("a.q").codes
    model.close()
    assert codes.any()


def test_data_is_aligned_for_simd(folder: Path) -> None:
    model = ModelFolder.open(folder)
    assert model.matrix("a.q").codes.ctypes.data % 64 == 0


def test_small_tensors_lie_behind_large_ones(tmp_path: Path) -> None:
    """They are read when the file is opened; the large ones can then be mapped in huge pages."""
    rng = np.random.default_rng(0)
    sizes = {"a": 4096, "b": 1 << 20, "c": 64, "d": 2 << 20, "e": 33}
    tensors = {name: rng.integers(0, 256, size, np.uint8) for name, size in sizes.items()}
    path = tmp_path / "x.safetensors"
    safetensors.write_file(path, tensors, {})
    found = safetensors.read_header(path).tensors
    assert sorted(found, key=lambda name: found[name].start) == ["b", "d", "a", "c", "e"]
    mapped = safetensors.map_file(path)
    assert not mapped.flags.writeable
    for name, tensor in tensors.items():
        assert (safetensors.view(mapped, found[name]) == tensor).all()


def test_what_cannot_be_mapped_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("empty", "absent"):
        with pytest.raises(CheckpointError, match=name):
            safetensors.map_file(tmp_path / name)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resuming_gives_the_same_bytes(tmp_path: Path, stop: int) -> None:
    whole = write(tmp_path / "whole")
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state
    signs = ModelFolder.open(whole).matrix("a.q").signs
    assert signs is not None
    final = tmp_path / "again"
    for attempt in (True, False):  # the first writer is abandoned after ``stop`` steps
        writer = FolderWriter(final, {"seed": 1})
        for step, (name, fmt, mark) in enumerate([("a.signs", "", ""), ("a.q", "t2b3", "a.signs"), ("a.h", "f16", "")]):
            if attempt and step == stop:
                break
            if not writer.has(name):
                if name.endswith("signs"):
                    writer.add_signs(name, signs)
                else:
                    add(writer, name, fmt, mark or None)
            if step == 1:
                writer.seal("model-00000")
    writer.add_vector("norm.weight", np.arange(5, dtype=np.float32))
    writer.seal("model-00001")
    writer.finish({"model_type": "llama"}, {}, {"id": "x:t2"})
    for path in whole.iterdir():
        assert path.read_bytes() == (final / path.name).read_bytes(), path.name


def test_a_torn_loose_file_is_made_again(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "m", {})
    add(writer, "a.q")
    piece = next((tmp_path / "m.partial" / "loose").iterdir())
    piece.write_bytes(piece.read_bytes()[:-10])
    assert not FolderWriter(tmp_path / "m", {}).has("a.q")


def test_pieces_left_after_sealing_are_dropped(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "m", {})
    add(writer, "a.q")
    piece = next((tmp_path / "m.partial" / "loose").iterdir())
    kept = piece.read_bytes()
    writer.seal("model-00000")
    piece.write_bytes(kept)
    assert FolderWriter(tmp_path / "m", {}).has("a.q")
    assert not piece.exists()


def test_other_settings_do_not_continue_a_partial_folder(tmp_path: Path) -> None:
    FolderWriter(tmp_path / "m", {"seed": 1})
    with pytest.raises(ConversionError, match="other settings"):
        FolderWriter(tmp_path / "m", {"seed": 2})


def test_another_format_version_does_not_continue_a_partial_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its matrices may have the right length and the wrong bytes."""
    FolderWriter(tmp_path / "m", {})
    monkeypatch.setattr("tzcore.checkpoint.writer.VERSION", 99)
    with pytest.raises(ConversionError, match="version of the model or the program"):
        FolderWriter(tmp_path / "m", {})


def test_an_existing_folder_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(ConversionError, match="exists already"):
        FolderWriter(folder, {})


def shard(folder: Path) -> Path:
    return folder / "model-00000.safetensors"


def rewrite_header(path: Path, change: Any) -> None:
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8 : 8 + length])
    change(table)
    header = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + raw[8 + length :])


def first_tensor(table: dict[str, Any]) -> dict[str, Any]:
    return table["a.q.codes"]


DAMAGE = {
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "empty": lambda p: p.write_bytes(b""),
    "extended": lambda p: p.write_bytes(p.read_bytes() + b"x"),
    "huge header": lambda p: p.write_bytes(b"\xff" * 8 + p.read_bytes()[8:]),
    "no JSON": lambda p: p.write_bytes(p.read_bytes()[:8] + b"}" + p.read_bytes()[9:]),
    "deep JSON": lambda p: p.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000),
    "negative offset": lambda p: rewrite_header(p, lambda t: first_tensor(t).update(data_offsets=[-64, 0])),
    "beyond the end": lambda p: rewrite_header(p, lambda t: first_tensor(t).update(data_offsets=[0, 1 << 40])),
    "wrong shape": lambda p: rewrite_header(p, lambda t: first_tensor(t).update(shape=[1, 2])),
    "boolean shape": lambda p: rewrite_header(p, lambda t: first_tensor(t).update(shape=[True, 2])),
    "unknown dtype": lambda p: rewrite_header(p, lambda t: first_tensor(t).update(dtype="Q7")),
    "missing tensor": lambda p: rewrite_header(p, lambda t: t.update({"other": t.pop("a.q.codes")})),
    "no file": lambda p: p.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_by_name(folder: Path, damage: str) -> None:
    DAMAGE[damage](shard(folder))
    with pytest.raises(CheckpointError, match=r"model-00000|a\.q"):
        ModelFolder.open(folder)


def test_a_flipped_bit_fails_verification(folder: Path) -> None:
    raw = bytearray(shard(folder).read_bytes())
    raw[-3] ^= 4
    shard(folder).write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"model-00000.*damaged"):
        ModelFolder.open(folder).verify()


def change_config(folder: Path, change: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config["quantization_config"])
    (folder / "config.json").write_text(json.dumps(config))


BAD_CONFIG = {
    "method": (lambda q: q.update(quant_method="awq"), "not written by tz"),
    "version": (lambda q: q.update(version=99), "format version 99"),
    "format": (lambda q: q["tensors"]["a.q"].update(format="t9"), "a.q: unknown weight format"),
    "group": (lambda q: q["tensors"]["a.q"].update(group=7), "group size 7"),
    "shape": (lambda q: q["tensors"]["a.q"].update(shape=[1 << 40, 1]), "impossible shape"),
    "block": (lambda q: q["tensors"]["a.q"]["hadamard"].update(block=96), "Hadamard block"),
    "rows": (lambda q: q["tensors"]["a.q"].update(shape=[700, 576]), "a.q.codes"),
    "signs": (lambda q: q["tensors"]["a.q"]["hadamard"].update(signs="nope"), "nope is missing"),
    "gain": (lambda q: q["tensors"]["a.q"].update(gain=0.0), "a.q: a gain of 0.0"),
    "gain of more bits": (lambda q: q["tensors"]["a.q"].update(gain=0.1), "a.q: a gain of 0.1"),
    "gain without bound": (lambda q: q["tensors"]["a.q"].update(gain=math.inf), "a.q: a gain of inf"),
    "activations": (lambda q: q.update(activations="row"), "activations by 'row'"),
    "kind": (lambda q: q["tensors"].update({"a.q": 3}), "malformed"),
}


@pytest.mark.parametrize("case", BAD_CONFIG)
def test_a_wrong_entry_is_refused_by_name(folder: Path, case: str) -> None:
    change, message = BAD_CONFIG[case]
    change_config(folder, change)
    with pytest.raises(CheckpointError, match=message):
        ModelFolder.open(folder)


def test_an_index_pointing_outside_is_refused(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../evil.safetensors"}}))
    with pytest.raises(CheckpointError, match="outside"):
        ModelFolder.open(folder)


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a model folder"):
        ModelFolder.open(tmp_path / "none")
