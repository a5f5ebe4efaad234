"""Ternary blocks of GGUF files: the very codes and scales that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from tests.native_models import KINDS, pack_blocks, ternary, ternary_gguf  # noqa: E402
from tzcore.checkpoint.ternary import TernarySource  # noqa: E402
from tzcore.errors import SourceError  # noqa: E402
from tzcore.hub.formats import ggml_ternary  # noqa: E402
from tzcore.hub.formats.ggml_ternary import Block  # noqa: E402
from tzcore.hub.formats.gguf_file import GgufFile  # noqa: E402

BLOCKS: dict[str, Block] = {
    "TQ1_0": ggml_ternary.TQ1_0,
    "TQ2_0": ggml_ternary.TQ2_0,
    "Q2_0 g64": ggml_ternary.Q2_0_64,
    "Q2_0 g128": ggml_ternary.Q2_0_128,
    "PQ2_0": ggml_ternary.PQ2_0,
    "PTQ1_0": ggml_ternary.PTQ1_0,
}


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_scales_come_back(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ggml_ternary, "CHUNK", 3000)  # several runs of rows
    rng = np.random.default_rng(0)
    span = KINDS[kind].span
    scales = rng.uniform(1e-6, 2, (11, 1024 // span)).astype(np.float16)
    scales[3] = 0
    weights = ternary(rng, (11, 1024), scales.astype(np.float32))
    raw = pack_blocks(weights, KINDS[kind])
    found = ggml_ternary.decode(raw, BLOCKS[kind], "here")
    assert (found.codes.dtype, found.group, found.gain) == (np.int8, min(span, 128), 1.0)
    assert np.array_equal(found.scales, np.repeat(scales, max(1, span // 128), axis=1))
    kept = np.repeat(scales != 0, span, axis=1)
    assert np.array_equal(found.codes[kept], np.sign(weights)[kept])
    assert np.array_equal(found.values(), weights)
    assert np.array_equal(ggml_ternary.values(raw, BLOCKS[kind], "here"), weights)


@pytest.mark.parametrize("kind", ["TQ1_0", "TQ2_0"])
def test_the_gguf_package_writes_and_reads_the_same_bytes(kind: str) -> None:
    rng = np.random.default_rng(1)
    weights = ternary(rng, (5, 768), rng.uniform(0.01, 1, (5, 3)).astype(np.float16).astype(np.float32))
    number = gguf.GGMLQuantizationType[kind]
    raw = gguf.quants.quantize(weights, number)
    assert np.array_equal(raw, pack_blocks(weights, KINDS[kind]))
    assert np.array_equal(gguf.quants.dequantize(raw, number), ggml_ternary.values(raw, BLOCKS[kind], "here"))
    assert np.array_equal(ggml_ternary.decode(raw, BLOCKS[kind], "here").values(), weights)


def test_every_byte_of_base_3_is_five_digits_or_refused() -> None:
    block = ggml_ternary.TQ1_0
    valid = 0
    for byte in range(256):
        raw = np.zeros((1, 54), np.uint8)
        raw[:, 7] = byte
        raw[0, 52:] = np.frombuffer(np.float16(1).tobytes(), np.uint8)
        try:
            found = ggml_ternary.decode(raw, block, "here").codes[0]
        except SourceError:
            continue
        valid += 1
        value = 0
        for digit in found[7:160:32] + 1:
            value = 3 * value + int(digit)
        assert -(-256 * value // 243) == byte
    assert valid == 243


@pytest.mark.parametrize(
    ("kind", "at", "byte", "words"),
    [
        ("TQ1_0", 5, 1, "stand for no ternary digits in TQ1_0"),
        ("TQ1_0", 50, 2, "stand for no ternary digits"),  # five digits where four belong
        ("PTQ1_0", 25, 2, "stand for no ternary digits in PTQ1_0"),
        ("TQ2_0", 10, 0b00110000, "the code 3, which TQ2_0 never has"),
        ("Q2_0 g64", 5, 0b00001100, r"the code 3 \(\+2 times the scale\)"),
        ("Q2_0 g128", 33, 0b11000000, "the code 3"),
        ("PQ2_0", 2, 0b00000011, "the code 3"),
    ],
)
def test_codes_that_are_not_ternary_are_refused(kind: str, at: int, byte: int, words: str) -> None:
    raw = pack_blocks(np.ones((2, 512), np.float32), KINDS[kind]).copy()
    raw[1, at] = byte
    with pytest.raises(SourceError, match=f"m.gguf: blk.0.attn_q.weight holds .*{words}"):
        ggml_ternary.decode(raw, BLOCKS[kind], "m.gguf: blk.0.attn_q.weight")


def test_the_fourth_level_of_q2_0_is_still_a_number() -> None:
    raw = pack_blocks(np.full((1, 128), 0.5, np.float32), KINDS["Q2_0 g128"]).copy()
    raw[0, 2] = 0b11_10_01_00
    assert ggml_ternary.values(raw, ggml_ternary.Q2_0_128, "here")[0, :4].tolist() == [-0.5, 0, 0.5, 1.0]


@pytest.mark.parametrize("kind", KINDS)
def test_scales_that_are_no_numbers_are_refused(kind: str) -> None:
    raw = pack_blocks(np.ones((2, 512), np.float32), KINDS[kind]).copy()
    at = slice(0, 2) if BLOCKS[kind].scale_first else slice(BLOCKS[kind].size - 2, BLOCKS[kind].size)
    raw[1, at] = np.frombuffer(np.float16(np.nan).tobytes(), np.uint8)
    for read in (ggml_ternary.decode, ggml_ternary.values):
        with pytest.raises(SourceError, match="here has a scale that is not a finite number"):
            read(raw, BLOCKS[kind], "here")


def test_which_q2_0_it_is_follows_from_the_lengths() -> None:
    form = ggml_ternary.form_of_q2_0
    count = 256 * 64
    assert form([(count, 256, count // 128 * 34)], 32) is ggml_ternary.Q2_0_128
    assert form([(count, 256, count // 64 * 18)], 32) is ggml_ternary.Q2_0_64
    assert form([(count, 256, count // 64 * 18 + 31)], 32) is ggml_ternary.Q2_0_64  # padding
    assert form([(count, 256, count // 64 * 18 + 32)], 32) is None
    assert form([(count, 256, count // 128 * 34 - 1)], 32) is None  # cut off
    assert form([(128 * 4, 128, 128 // 32 * 36)], 32) is None  # so short that both fit
    assert form([(64 * 500, 64, 500 * 18)], 32) is ggml_ternary.Q2_0_64
    both = [(count, 256, count // 128 * 34), (count, 256, count // 64 * 18)]
    assert form(both, 32) is None


@pytest.mark.parametrize("family", ["qwen3", "llama"])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_files(kind: str, family: str, tmp_path: Path) -> None:
    """Rows of q and k that llama.cpp reorders come back in order, with their scales."""
    path = tmp_path / "m.gguf"
    original = ternary_gguf(path, kind, family, ends=family == "qwen3", num_hidden_layers=1)
    source = GgufFile(path, "id", "rev")
    assert isinstance(source, TernarySource)
    assert source.scheme is not None
    ends = {"model.embed_tokens", "lm_head"} if family == "qwen3" else set()
    layers = {name.removesuffix(".weight") for name in original.names() if "_proj." in name}
    assert source.scheme.matrices == layers | ends
    assert KINDS[kind].name in source.scheme.form
    for name in original.names():
        assert np.array_equal(source.tensor(name), original.tensor(name)), name
    for name in source.scheme.matrices:
        assert np.array_equal(source.ternary(f"{name}.weight").values(), original.tensor(f"{name}.weight")), name
    assert sum(t.stat().st_size for t in [path]) > source.bytes()


def test_ordinary_files_have_no_scheme(tmp_path: Path) -> None:
    from tests.tiny_models import tiny_source
    from tests.unit.hub.gguf_writing import write_gguf

    write_gguf(tmp_path / "m.gguf", "qwen3", tiny_source("qwen3"), "Q8_0")
    source = GgufFile(tmp_path / "m.gguf", "id", "rev")
    assert source.scheme is None
