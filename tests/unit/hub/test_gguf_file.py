"""GGUF files: weights, names and configuration come out as they went in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
transformers = pytest.importorskip("transformers")

from tests.tiny_models import TinySource, tiny_source  # noqa: E402
from tests.unit.hub.gguf_writing import ARCHITECTURES, write_gguf  # noqa: E402
from tzcore.architecture.registry import read_spec  # noqa: E402
from tzcore.checkpoint.source import WeightSource  # noqa: E402
from tzcore.errors import SourceError, UnsupportedModelError  # noqa: E402
from tzcore.hub import sources  # noqa: E402
from tzcore.hub.formats.gguf_file import GgufFile  # noqa: E402
from tzcore.hub.formats.gguf_header import read_gguf_header  # noqa: E402
from tzcore.hub.reference import parse  # noqa: E402

# What a GGUF file has no room for is given the values that llama.cpp takes for granted.
_GEMMA3_LAYERS = ["sliding_attention"] * 5 + ["full_attention"]
CHANGES: dict[str, dict[str, Any]] = {
    "gemma2": {"query_pre_attn_scalar": 32, "dtype": "bfloat16"},
    "gemma3_text": {
        "query_pre_attn_scalar": 32,
        "num_hidden_layers": 6,
        "layer_types": _GEMMA3_LAYERS,
        "dtype": "bfloat16",
    },
    "qwen2": {"use_sliding_window": False},
    "llama3": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "max_position_embeddings": 131072,
    },
}


def source_of(family: str) -> TinySource:
    return tiny_source(family, **CHANGES.get(family, {}))


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_weights_names_and_spec(family: str, tmp_path: Path) -> None:
    original = source_of(family)
    write_gguf(tmp_path / "m.gguf", family, original)
    source: WeightSource = GgufFile(tmp_path / "m.gguf", "id", "rev")
    assert set(source.names()) == set(original.names())
    for name in original.names():
        assert source.shape(name) == original.shape(name)
        got = source.tensor(name)
        assert got.dtype == np.float32
        assert got.flags.writeable
        np.testing.assert_allclose(got, original.tensor(name), rtol=0, atol=1e-6, err_msg=name)
    assert source.bytes() == sum(4 * original.tensor(name).size for name in original.names())
    ours, theirs = (read_spec(s.config, set(s.names())) for s in (source, original))
    for field in vars(theirs):
        if field != "ropes":
            assert getattr(ours, field) == getattr(theirs, field), field
    for a, b in zip(ours.ropes, theirs.ropes, strict=True):
        np.testing.assert_allclose(a.inverse_frequencies, b.inverse_frequencies, rtol=1e-5)
        assert a.scale == pytest.approx(b.scale, rel=1e-6)
    assert (source.id, source.revision, source.licence) == ("id", "rev", "apache-2.0")


@pytest.mark.parametrize("family", ["llama", "gemma2", "phi3"])
def test_transformers_reads_our_configuration_as_the_original(family: str, tmp_path: Path) -> None:
    """The same logits by transformers from (our config, our weights) as from the original model."""
    import torch

    changes = {key: value for key, value in CHANGES.get(family, {}).items() if key != "dtype"}
    original = tiny_source(family, **changes)
    write_gguf(tmp_path / "m.gguf", family, original)
    source = GgufFile(tmp_path / "m.gguf", "id", "rev")
    settings = {**source.config}
    settings.pop("dtype", None)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    state = {name: torch.from_numpy(source.tensor(name)) for name in source.names()}
    lost, extra = model.load_state_dict(state, strict=False)
    assert extra == []
    assert set(lost) <= {"lm_head.weight"}
    model.tie_weights()
    tokens = torch.arange(40)[None] * 7 % 500
    with torch.no_grad():
        difference = model(tokens).logits - original.model(tokens).logits
    assert difference.abs().max() < 1e-4


@pytest.mark.parametrize("quantisation", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantised_files_are_dequantised(quantisation: str, tmp_path: Path) -> None:
    original = source_of("llama")
    write_gguf(tmp_path / "m.gguf", "llama", original, quantisation)
    source = GgufFile(tmp_path / "m.gguf", "id", "rev")
    bound = {"F16": 1e-9, "BF16": 4e-3, "Q8_0": 6e-3, "Q5_0": 0.06, "Q5_1": 0.06, "Q4_0": 0.12, "Q4_1": 0.12}[
        quantisation
    ]
    for name in ("model.layers.0.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight"):
        wanted, got = original.tensor(name), source.tensor(name)
        assert np.linalg.norm(got - wanted) <= bound * np.linalg.norm(wanted)
    assert source.bytes() < sum(4 * original.tensor(name).size for name in original.names())


def test_opening_by_reference(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "m.gguf"
    write_gguf(path, "qwen3", source_of("qwen3"))
    info = sources.describe(parse(str(path)))
    assert (info.family, info.supported, info.download_bytes, info.licence) == ("qwen3", True, 0, "apache-2.0")
    source = sources.open_source(parse(str(path)))
    assert source.revision == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.parameters == sum(int(np.prod(source.shape(name))) for name in source.names())
    again = sources.open_source(parse(str(path)), lambda p: pytest.fail(f"hashed again: {p}"))
    assert again.revision == source.revision


def test_settings_that_are_missing_or_nonsense_are_named(tmp_path: Path) -> None:
    original = source_of("llama")
    for key, value, words in (
        ("{arch}.block_count", None, "block_count is missing"),
        ("{arch}.attention.layer_norm_rms_epsilon", None, "epsilon is missing"),
        ("{arch}.attention.head_count", 0, "head_count = 0 is not usable"),
        ("{arch}.rope.freq_base", float("nan"), "freq_base = nan"),
    ):
        write_gguf(tmp_path / "m.gguf", "llama", original, **{key: value})
        with pytest.raises(SourceError, match=words):
            GgufFile(tmp_path / "m.gguf", "id", "rev")


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    original = source_of("llama")
    for key, value, words in (
        ("{arch}.expert_count", 8, "mixtures of experts"),
        ("{arch}.rope.scaling.type", "su", "'su'"),
        ("split.count", 3, "one part of several"),
    ):
        write_gguf(tmp_path / "m.gguf", "llama", original, **{key: value})
        with pytest.raises(UnsupportedModelError, match=words):
            GgufFile(tmp_path / "m.gguf", "id", "rev")
    write_gguf(tmp_path / "m.gguf", "llama", original)
    content = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba", 1))
    with pytest.raises(UnsupportedModelError, match=r"'mamba' are not supported; supported are llama, qwen2"):
        GgufFile(tmp_path / "m.gguf", "id", "rev")
    assert not sources.describe(parse(str(tmp_path / "m.gguf"))).supported


def test_tensors_of_an_unknown_name_are_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", "llama", source_of("llama"))
    content = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content.replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_xx.weight"))
    with pytest.raises(UnsupportedModelError, match=r"blk\.0\.ffn_xx\.weight"):
        GgufFile(tmp_path / "m.gguf", "id", "rev")


def test_yarn_and_linear_scalings(tmp_path: Path) -> None:
    original = source_of("llama")
    scaling = {"{arch}.rope.scaling.type": "yarn", "{arch}.rope.scaling.factor": 4.0}
    write_gguf(
        tmp_path / "m.gguf", "llama", original, **scaling, **{"{arch}.rope.scaling.original_context_length": 128}
    )
    config = GgufFile(tmp_path / "m.gguf", "id", "rev").config
    assert config["rope_scaling"] == {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
    write_gguf(tmp_path / "n.gguf", "llama", original, **(scaling | {"{arch}.rope.scaling.type": "linear"}))
    assert GgufFile(tmp_path / "n.gguf", "id", "r2").config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


def test_our_header_agrees_with_the_reader_of_the_gguf_package(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", "gemma3_text", source_of("gemma3_text"), "Q8_0")
    header = read_gguf_header(tmp_path / "m.gguf")
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert {n: f.contents() for n, f in reader.fields.items() if not n.startswith("GGUF.")} == header.metadata
    assert [(t.name, t.data_offset, tuple(t.shape.tolist()[::-1]), int(t.tensor_type)) for t in reader.tensors] == [
        (t.name, t.start, t.shape, t.kind) for t in header.tensors.values()
    ]
