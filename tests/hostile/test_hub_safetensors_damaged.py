"""Model folders that are cut off, damaged, incomplete or dangerous."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.hub.model_files import CONFIG, TOKENIZER, repository_files, safetensors_bytes, weights
from tzcore.errors import SourceError, UnsupportedModelError
from tzcore.hub import sources
from tzcore.hub.formats.safetensors_values import read_header
from tzcore.hub.reference import parse

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    for name, content in repository_files().items():
        if "/" not in name and name != "pytorch_model.bin":
            (path / name).write_bytes(content)
    return path


def open_and_read(folder: Path) -> None:
    source = sources.open_source(parse(str(folder)))
    for name in source.names():
        assert source.tensor(name).shape == source.shape(name)


def test_the_folder_is_good_to_begin_with(folder: Path) -> None:
    open_and_read(folder)


@pytest.mark.parametrize("length", [0, 4, 8, 100, 5000, -1])
def test_cut_off(folder: Path, length: int) -> None:
    content = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(content[:length])
    with pytest.raises(SourceError, match=rf"{SHARD} is truncated or damaged"):
        open_and_read(folder)


def test_longer_than_it_says(folder: Path) -> None:
    with open(folder / SHARD, "ab") as file:
        file.write(b"x")
    with pytest.raises(SourceError, match="truncated or damaged"):
        open_and_read(folder)


def test_bits_flipped_in_the_header(folder: Path) -> None:
    content = (folder / SHARD).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    rng = np.random.default_rng(0)
    for at in range(8 + length):
        spoiled = bytearray(content)
        spoiled[at] ^= 1 << int(rng.integers(8))
        (folder / SHARD).write_bytes(spoiled)
        with suppress(SourceError):  # anything else fails the test; a flip in a name may go unnoticed
            open_and_read(folder)


def entry(dtype: Any = "F32", shape: Any = (2, 2), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ([], "not valid JSON"),
        ({"t": 1}, "'t' is malformed"),
        ({"t": entry(shape=[-2, -2])}, "malformed"),
        ({"t": entry(shape=[2.0, 2])}, "malformed"),
        ({"t": entry(shape=[True, 4])}, "malformed"),
        ({"t": entry(shape="22")}, "malformed"),
        ({"t": entry(shape=[1 << 62, 1 << 62])}, "does not fit its shape"),
        ({"t": entry(offsets=[0, 15])}, "does not fit its shape"),
        ({"t": entry(offsets=[16, 0])}, "does not fit its shape"),
        ({"t": entry(offsets=[-16, 0])}, "malformed"),
        ({"t": entry(offsets=[0])}, "malformed"),
        ({"t": entry(offsets=[1 << 60, (1 << 60) + 16])}, "overlaps another's or leaves a hole"),
        ({"t": entry(), "u": entry()}, "overlaps"),
        ({"t": entry(offsets=[4, 20])}, "leaves a hole"),
        ({"t": entry(dtype="F4")}, "'F4', which is not supported"),
        ({"t": entry(dtype=["F32"])}, "malformed"),
    ],
)
def test_headers_made_to_harm(tmp_path: Path, header: Any, words: str) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(SourceError, match=words):
        read_header(path)


def test_a_header_of_endless_length(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for length in (1 << 63, 1 << 40, 1000):
        path.write_bytes(struct.pack("<Q", length) + bytes(100))
        with pytest.raises(SourceError, match="longer than the file"):
            read_header(path)
    deep = b'{"a":' + b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(deep)) + deep)
    with pytest.raises(SourceError, match="not valid JSON"):
        read_header(path)


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (delete(SHARD), rf"lacks {SHARD}, which its"),
        (delete("config.json"), r"no config\.json"),
        (delete("tokenizer.json"), r"no tokenizer\.json"),
        (write("config.json", b"{"), r"config\.json is not valid JSON"),
        (write("config.json", b"[]"), r"config\.json is not valid JSON"),
        (write("tokenizer.json", b'{"version": "1.0"'), r"tokenizer\.json is not valid JSON"),
        (write("tokenizer.json", b"{}"), "is not a tokenizer"),
        (write("model.safetensors.index.json", b"{}"), "no weight_map"),
        (write("model.safetensors.index.json", b'{"weight_map": {"a": "../../etc/x.safetensors"}}'), "unusable file"),
        (write("model.safetensors.index.json", b'{"weight_map": {"a": 7}}'), "no weight_map"),
        (write(SHARD, weights("model.layers.1.a")), r"lacks model\.layers\.1\.b"),
        (write(SHARD, (repository_files()["model-00002-of-00002.safetensors"])), "stored twice"),
        (delete("model.safetensors.index.json"), "several safetensors files and no"),
    ],
)
def test_incomplete_folders(folder: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(folder)
    with pytest.raises(SourceError, match=words):
        open_and_read(folder)


def small_folder(tmp_path: Path, **files: bytes) -> Path:
    path = tmp_path / "small"
    path.mkdir()
    (path / "config.json").write_bytes(CONFIG)
    (path / "tokenizer.json").write_bytes(TOKENIZER)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pytorch_model.bin": b"x"}, "pickle weights only"),
        ({"adapter_config.json": b"x", "adapter_model.safetensors": weights("a")}, "adapter"),
        ({}, r"holds no \*\.safetensors"),
    ],
)
def test_folders_of_no_use(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        open_and_read(small_folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("config", "kind", "words"),
    [
        ({"model_type": "mamba"}, UnsupportedModelError, "'mamba' is not supported; supported are"),
        ({}, UnsupportedModelError, "None is not supported"),
        ({"model_type": ["llama"]}, UnsupportedModelError, "not supported"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "awq"}}, UnsupportedModelError, "awq"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "ternary_zero"}}, SourceError, "already"),
    ],
)
def test_families_and_quantisations_we_do_not_take(
    tmp_path: Path, config: dict[str, Any], kind: type[Exception], words: str
) -> None:
    folder = small_folder(tmp_path, **{"model.safetensors": weights("a")})
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(kind, match=words):
        open_and_read(folder)


def test_every_element_type(tmp_path: Path) -> None:
    values = np.array([[0.0, 1.0, -2.5, 0.15625], [448.0, -0.001953125, 3.0, -1.75]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")  # exact: these are all bfloat16 values
    tensors = {
        "f32": ("F32", (2, 4), values.astype("<f4").tobytes()),
        "f64": ("F64", (2, 4), values.astype("<f8").tobytes()),
        "f16": ("F16", (2, 4), values.astype("<f2").tobytes()),
        "bf16": ("BF16", (2, 4), halves.tobytes()),
        "e4m3": ("F8_E4M3", (8,), bytes([0x00, 0x38, 0xC1, 0x22, 0x7E, 0x81, 0x44, 0xBE])),
        "e5m2": ("F8_E5M2", (4,), bytes([0x00, 0x3C, 0xC1, 0x7B])),
        "whole": ("I64", (2,), bytes(16)),
        "empty": ("F32", (0, 4), b""),
        "scalar": ("F32", (), np.float32(7).tobytes()),
    }
    folder = small_folder(tmp_path, **{"model.safetensors": safetensors_bytes(tensors)})
    source = sources.open_source(parse(str(folder)))
    for name in ("f32", "f64", "f16", "bf16"):
        got = source.tensor(name)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, values)
    # e4m3: 448 is the largest, 2^-9 the smallest; read off the format's table
    np.testing.assert_array_equal(source.tensor("e4m3"), [0, 1, -2.25, 0.15625, 448, -(2.0**-9), 3, -1.75])
    np.testing.assert_array_equal(source.tensor("e5m2"), [0, 1, -2.5, 57344])
    assert source.tensor("empty").shape == (0, 4)
    assert source.tensor("scalar") == np.float32(7)
    with pytest.raises(SourceError, match="I64, not floating-point"):
        source.tensor("whole")
    with pytest.raises(SourceError, match="no tensor nothing"):
        source.shape("nothing")


def test_torch_agrees_about_8_bit_floats() -> None:
    torch = pytest.importorskip("torch")
    from tzcore.hub.formats.safetensors_values import _E4M3

    theirs = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(_E4M3, theirs)


def test_the_revision_follows_the_content(folder: Path) -> None:
    first = sources.open_source(parse(str(folder)))
    assert first.licence == "mit"
    assert sources.open_source(parse(str(folder))).revision == first.revision
    content = bytearray((folder / SHARD).read_bytes())
    content[-1] ^= 1
    (folder / SHARD).write_bytes(content)
    assert sources.open_source(parse(str(folder))).revision != first.revision
