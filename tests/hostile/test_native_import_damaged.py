"""Natively ternary files that are cut off, damaged or not what they say: refused by name, never imported wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("gguf")
pytest.importorskip("transformers")

from safetensors.numpy import load_file, save_file

from tests.native_models import Form, bitnet_model, ternary_gguf
from tzcore.errors import SourceError, TernaryZeroError, UnsupportedModelError
from tzcore.hub import sources
from tzcore.hub.formats.gguf_header import GgufTensor, read_gguf_header
from tzcore.hub.reference import parse
from tzcore.quant.native_import import import_native, recognise

Tensors = dict[str, npt.NDArray[Any]]
Q = "model.layers.0.self_attn.q_proj.weight"
DOWN = "model.layers.0.mlp.down_proj.weight"


def bring_in(path: Path, out: Path) -> None:
    """What ``tz import`` does; nothing may be left that looks like a model where it fails."""
    try:
        source = sources.open_source(parse(str(path)))
        scheme = recognise(source)
        assert scheme is not None
        import_native(source, scheme, out)
    finally:
        assert not out.exists() or (out / "receipt.json").is_file()


# --- bitnet ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bitnet")
    forms: tuple[Form, ...] = ("bitlinear", "autobitlinear", "unpacked", "online")
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    for form in forms:
        bitnet_model(root / form, form, **small)
    return {form: root / form for form in forms}


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def take(form: str) -> Path:
        target = tmp_path / form
        target.mkdir()
        for file in folders[form].iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        return target

    return take


def change(folder: Path, alter: Callable[[Tensors], object]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    alter(tensors)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, {"format": "pt"})


def at(name: str, index: Any, value: Any) -> Callable[[Tensors], object]:
    return lambda tensors: tensors[name].__setitem__(index, value)


def instead(name: str, make: Callable[[npt.NDArray[Any]], Any]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.__setitem__(name, np.array(make(tensors[name])))


@pytest.mark.parametrize("form", ["bitlinear", "autobitlinear", "unpacked", "online"])
def test_the_folders_are_good_to_begin_with(form: str, copy: Callable[[str], Path], tmp_path: Path) -> None:
    bring_in(copy(form), tmp_path / "out")


@pytest.mark.parametrize(
    ("form", "alter", "words"),
    [
        ("bitlinear", at(Q, (3, 5), 0b00000011), rf"{Q} holds the code 3 in row 3"),
        ("bitlinear", at(Q, (15, 0), 0b11000000), rf"{Q} holds the code 3 in row 63"),
        ("autobitlinear", at(DOWN, (0, 63), 0b00110000), rf"{DOWN} holds the code 3 in row 32"),
        ("unpacked", at(DOWN, (7, 7), 2), rf"{DOWN} holds other values than −1, 0 and 1"),
        ("unpacked", at(DOWN, (7, 7), np.nan), rf"{DOWN} holds other values than −1, 0 and 1"),
        ("unpacked", at(DOWN, (7, 7), 0.5), rf"{DOWN} holds other values than −1, 0 and 1"),
        ("online", at(DOWN, (7, 7), np.inf), rf"{DOWN} holds values that are not finite"),
        ("bitlinear", lambda t: t.pop(f"{Q}_scale"), r"q_proj\.weight has no weight_scale"),
        ("autobitlinear", lambda t: t.pop(f"{DOWN}_scale"), r"down_proj\.weight has no weight_scale"),
        ("bitlinear", instead(f"{Q}_scale", lambda s: np.float32([0])), rf"{Q}_scale is not one positive number"),
        ("bitlinear", instead(f"{Q}_scale", lambda s: -s), "is not one positive number"),
        ("autobitlinear", instead(f"{Q}_scale", lambda s: s * np.nan), "is not one positive number"),
        ("autobitlinear", instead(f"{Q}_scale", lambda s: np.ones(64, np.float32)), "is not one positive number"),
        ("bitlinear", instead(f"{Q}_scale", lambda s: np.float32([1e-39])), "of sensible size"),
        ("autobitlinear", instead(f"{Q}_scale", lambda s: s * np.inf), "of sensible size"),
        ("bitlinear", instead(f"{Q}_scale", lambda s: np.uint8([3])), "holds U8, not floating-point"),
        ("bitlinear", instead(Q, lambda w: w[:-1]), rf"{Q} has the shape \[60, 64\].*\[64, 64\]"),
        ("bitlinear", instead(Q, lambda w: w[:, :-1]), rf"{Q} has the shape \[64, 63\]"),
        ("bitlinear", instead(Q, lambda w: w.reshape(-1)), rf"{Q} holds packed codes of shape \[1024\]"),
        ("bitlinear", instead(Q, lambda w: w.view(np.int8)), rf"{Q} holds I8, not the packed codes"),
        ("bitlinear", instead(Q, lambda w: np.zeros((64, 64), np.float16)), rf"{Q} holds F16, not the packed codes"),
        ("online", instead(Q, lambda w: np.zeros((16, 64), np.uint8)), rf"{Q} is packed, though"),
        ("bitlinear", lambda t: t.pop(Q), rf"lacks {Q}"),
        ("bitlinear", at("model.norm.weight", 3, np.nan), r"model\.norm\.weight is not a vector of finite"),
        ("bitlinear", at("lm_head.weight", (3, 3), np.inf), r"lm_head\.weight holds values that are not finite"),
        ("bitlinear", instead("model.norm.weight", lambda w: w[1:]), r"model\.norm\.weight has the shape \[63\]"),
    ],
)
def test_bitnet_folders_that_cannot_be(
    form: str, alter: Callable[[Tensors], object], words: str, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copy(form)
    change(folder, alter)
    with pytest.raises(TernaryZeroError, match=words):
        bring_in(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.rms_norm.weight": np.ones(64, np.float32)}),
            "use_rms_norm",
        ),
        (lambda t: t.update({"lm_head.weight": np.zeros((125, 64), np.uint8)}), "heads with quantised inputs"),
        (lambda t: t.update({"model.layers.0.extra_proj.weight": np.zeros((4, 64), np.uint8)}), "weight_scale|extra"),
    ],
)
def test_bitnet_folders_with_more_than_is_known(
    alter: Callable[[Tensors], object], words: str, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copy("bitlinear")
    change(folder, alter)
    with pytest.raises((SourceError, UnsupportedModelError), match=words):
        bring_in(folder, tmp_path / "out")


@pytest.mark.parametrize("length", [0, 7, 100, 3000, -1000, -1])
def test_bitnet_folders_cut_off(length: int, copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("bitlinear")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SourceError, match=r"model\.safetensors is truncated or damaged"):
        bring_in(folder, tmp_path / "out")


@pytest.mark.parametrize(
    "settings", [None, [], "bitnet", {"quant_method": "gptq"}, {"quant_method": "bitnet", "linear_class": 3}]
)
def test_configurations_that_are_not_bitnets(settings: Any, copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("bitlinear")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    with pytest.raises(TernaryZeroError):
        bring_in(folder, tmp_path / "out")


# --- GGUF --------------------------------------------------------------------------------------

SMALL = {"num_hidden_layers": 1, "hidden_size": 256, "intermediate_size": 256, "vocab_size": 500}
STORED = "blk.0.attn_q.weight"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("gguf")
    kinds = ("TQ1_0", "TQ2_0", "Q2_0 g64", "Q2_0 g128")
    for kind in kinds:
        ternary_gguf(root / f"{kind}.gguf", kind, ends=kind.startswith("Q"), **SMALL)
    return {kind: (root / f"{kind}.gguf").read_bytes() for kind in kinds}


def tensor_of(content: bytes, tmp_path: Path, name: str = STORED) -> GgufTensor:
    (tmp_path / "whole.gguf").write_bytes(content)
    return read_gguf_header(tmp_path / "whole.gguf").tensors[name]


@pytest.mark.parametrize("kind", ["TQ1_0", "TQ2_0", "Q2_0 g64", "Q2_0 g128"])
def test_the_files_are_good_to_begin_with(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(files[kind])
    bring_in(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "offset", "byte", "words"),
    [
        ("TQ1_0", 11, 1, rf"{STORED} holds bytes that stand for no ternary digits"),
        ("TQ1_0", 49, 2, rf"{STORED} holds bytes that stand for no ternary digits"),
        ("TQ1_0", 53, 0x7C, rf"{STORED} has a scale that is not a finite number"),
        ("TQ2_0", 63, 0xFF, rf"{STORED} holds the code 3, which TQ2_0 never has"),
        ("TQ2_0", 65, 0xFC, rf"{STORED} has a scale that is not a finite number"),
        ("Q2_0 g64", 17, 0b11, rf"{STORED} holds the code 3 \(\+2 times the scale\)"),
        ("Q2_0 g128", 33, 0b11, rf"{STORED} holds the code 3 \(\+2 times the scale\)"),
        ("Q2_0 g128", 1, 0x7E, rf"{STORED} has a scale that is not a finite number"),
    ],
)
def test_gguf_blocks_that_cannot_be(
    kind: str, offset: int, byte: int, words: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(files[kind])
    content[tensor_of(files[kind], tmp_path).start + offset] = byte
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(SourceError, match=words):
        bring_in(tmp_path / "m.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["TQ1_0", "TQ2_0", "Q2_0 g64", "Q2_0 g128"])
def test_gguf_files_cut_off_in_the_data(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    start = min(t.start for t in _tensors(files[kind], tmp_path))
    whole = len(files[kind])
    for length in (start, start + 100, (start + whole) // 2, whole - 40):
        (tmp_path / "m.gguf").write_bytes(files[kind][:length])
        with pytest.raises(SourceError, match=r"m\.gguf is truncated or damaged"):
            bring_in(tmp_path / "m.gguf", tmp_path / "out")


def _tensors(content: bytes, tmp_path: Path) -> list[GgufTensor]:
    (tmp_path / "whole.gguf").write_bytes(content)
    return list(read_gguf_header(tmp_path / "whole.gguf").tensors.values())


def _entry(content: bytes, name: str) -> int:
    """Where the entry of a tensor goes on behind its name: dimensions, shape, type, offset."""
    key = struct.pack("<Q", len(name)) + name.encode()
    return content.index(key) + len(key)


def test_q2_0_of_lengths_that_fit_neither_form(files: dict[str, bytes], tmp_path: Path) -> None:
    """One tensor said to be half as wide: neither 64 nor 128 to a scale gives that many bytes."""
    content = bytearray(files["Q2_0 g128"])
    struct.pack_into("<Q", content, _entry(files["Q2_0 g128"], "blk.0.ffn_up.weight") + 4, 128)
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(SourceError, match="Q2_0 tensors fit groups of neither 64 nor 128"):
        bring_in(tmp_path / "m.gguf", tmp_path / "out")


def test_gguf_matrices_of_another_shape(files: dict[str, bytes], tmp_path: Path) -> None:
    content = bytearray(files["TQ2_0"])
    struct.pack_into("<Q", content, _entry(files["TQ2_0"], STORED) + 12, 128)
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(SourceError, match=r"q_proj\.weight has the shape \[128, 256\]"):
        bring_in(tmp_path / "m.gguf", tmp_path / "out")


def test_gguf_rows_that_are_no_whole_blocks(files: dict[str, bytes], tmp_path: Path) -> None:
    content = bytearray(files["TQ2_0"])
    struct.pack_into("<Q", content, _entry(files["TQ2_0"], STORED) + 4, 255)
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(SourceError, match=r"rows of 255, no multiple of 256"):
        bring_in(tmp_path / "m.gguf", tmp_path / "out")


def test_bits_flipped_in_the_header_never_give_a_wrong_model(files: dict[str, bytes], tmp_path: Path) -> None:
    """Refused, or read; another exception than ours fails the test."""
    rng = np.random.default_rng(0)
    content = files["Q2_0 g64"]
    tensors = _tensors(content, tmp_path)
    first = content.index(b"token_embd.weight") if b"token_embd.weight" in content else 0
    start = min(t.start for t in tensors)
    refused = 0
    for place in rng.integers(first, start, 40).tolist():
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "m.gguf").write_bytes(spoiled)
        try:
            source = sources.open_source(parse(str(tmp_path / "m.gguf")))
            recognise(source)
        except TernaryZeroError:
            refused += 1
    assert refused > 20
