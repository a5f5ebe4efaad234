"""GGUF files cut off anywhere or with bits flipped: a clear error or sound values, never a crash or a hang."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")
pytest.importorskip("transformers")

from tests.tiny_models import tiny_source
from tests.unit.hub.gguf_writing import write_gguf
from tzcore.errors import SourceError, UnsupportedModelError
from tzcore.hub.formats.gguf_file import GgufFile
from tzcore.hub.formats.gguf_header import read_gguf_header


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    source = tiny_source("llama", hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    write_gguf(path, "llama", source, "Q8_0")
    return path.read_bytes()


def data_start(content: bytes, tmp_path: Path) -> int:
    (tmp_path / "whole.gguf").write_bytes(content)
    return min(t.start for t in read_gguf_header(tmp_path / "whole.gguf").tensors.values())


def read_all(path: Path) -> None:
    source = GgufFile(path, "id", path.name)
    for name in source.names():
        assert source.tensor(name).shape == source.shape(name)


def test_cut_off_anywhere(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    start = data_start(good, tmp_path)
    lengths = [
        0,
        1,
        4,
        23,
        24,
        100,
        *range(200, start, start // 60),
        start,
        start + 1,
        len(good) // 2,
        len(good) - 32,
    ]  # 31 may be padding
    for length in lengths:
        path.write_bytes(good[:length])
        with pytest.raises(SourceError, match=r"m\.gguf is (truncated or damaged|not a GGUF)"):
            read_all(path)


def test_bits_flipped_in_the_header(good: bytes, tmp_path: Path) -> None:
    start = data_start(good, tmp_path)
    path = tmp_path / "m.gguf"
    rng = np.random.default_rng(0)
    refused = 0
    began = time.monotonic()
    for at in [*range(40), *rng.integers(40, start, 260).tolist()]:
        spoiled = bytearray(good)
        spoiled[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoiled)
        try:
            read_all(path)
        except (SourceError, UnsupportedModelError):
            refused += 1
    assert refused > 50
    assert time.monotonic() - began < 60


def test_bits_flipped_in_the_data_are_only_other_numbers(good: bytes, tmp_path: Path) -> None:
    start = data_start(good, tmp_path)
    rng = np.random.default_rng(1)
    for at in rng.integers(start, len(good), 20).tolist():
        spoiled = bytearray(good)
        spoiled[at] ^= 0x80
        (tmp_path / "m.gguf").write_bytes(spoiled)
        read_all(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("offset", "code", "value"),
    [
        (8, "<Q", 1 << 62),  # tensors
        (8, "<Q", 1 << 20),
        (16, "<Q", 1 << 62),  # pairs
        (24, "<Q", 1 << 62),  # length of the first key
        (24, "<Q", (1 << 64) - 1),
        (4, "<I", 1),  # version
        (4, "<I", 0x03000000),  # big-endian
        (4, "<I", 99),
    ],
)
def test_counts_that_lie(good: bytes, tmp_path: Path, offset: int, code: str, value: int) -> None:
    spoiled = bytearray(good)
    struct.pack_into(code, spoiled, offset, value)
    (tmp_path / "m.gguf").write_bytes(spoiled)
    began = time.monotonic()
    with pytest.raises(SourceError):
        read_all(tmp_path / "m.gguf")
    assert time.monotonic() - began < 2


def header(*pairs: bytes, tensors: tuple[bytes, ...] = ()) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors) + bytes(256)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(text("a") + struct.pack("<IIQ", 9, 4, 1 << 60)), "more than the file holds"),  # endless numbers
        (header(text("a") + struct.pack("<IIQ", 9, 8, 1 << 60)), "more than the file holds"),  # endless texts
        (header(text("a") + struct.pack("<IIQ", 9, 9, 1)), "unknown type"),  # lists of lists
        (header(text("a") + struct.pack("<I", 77)), "unknown type 77"),
        (header(*(text("a") + struct.pack("<II", 4, 1) for _ in range(2))), "comes twice"),
        (header(struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<II", 4, 1)), "UTF-8"),
        (header(text("general.alignment") + struct.pack("<II", 4, 3)), "power of two"),
        (header(text("general.alignment") + struct.pack("<II", 4, 0)), "power of two"),
        (header(tensors=(text("t") + struct.pack("<I", 99),)), "99 dimensions"),
        (header(tensors=(text("t") + struct.pack("<IQIQ", 1, 0, 0, 0),)), "impossible shape"),
        (header(tensors=(text("t") + struct.pack("<IQIQ", 1, 4, 0, 1 << 60),)), "outside the file"),
        (header(tensors=(text("t") + struct.pack("<IQIQ", 1, 4, 0, 0),) * 2), "comes twice"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
    ],
)
def test_headers_made_to_harm(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    began = time.monotonic()
    with pytest.raises(SourceError, match=words):
        read_gguf_header(tmp_path / "m.gguf")
    assert time.monotonic() - began < 1


def test_element_types_that_cannot_be_read_are_named(good: bytes, tmp_path: Path) -> None:
    name = text("blk.0.ffn_up.weight")
    at = good.index(name) + len(name) + 4 + 16
    for kind, words in ((9999, "ggml type 9999"), (15, "Q8_K")):
        spoiled = bytearray(good)
        struct.pack_into("<I", spoiled, at, kind)
        (tmp_path / "m.gguf").write_bytes(spoiled)
        with pytest.raises((SourceError, UnsupportedModelError), match=words):
            read_all(tmp_path / "m.gguf")


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.gguf"):
        with pytest.raises(SourceError, match="cannot read"):
            read_gguf_header(path)
