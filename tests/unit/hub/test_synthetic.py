"""Random models: the real ones' shapes to the parameter, the same numbers every time, usable from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tzcore import paths
from tzcore.architecture.registry import check_source, read_spec
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import SourceError
from tzcore.hub import sources
from tzcore.hub.formats.synthetic_shapes import SHAPES
from tzcore.hub.reference import parse

SMALL = "synthetic:llama-3-8b@layers=2,hidden=256,vocabulary=512"

PUBLISHED = {
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "mistral-7b": 7_248_023_552,
    "mixtral-8x7b": 46_702_792_704,
    "gemma-2-2b": 2_614_341_888,
    "phi-4": 14_659_507_200,
}
"""Parameters that the models' pages state."""


def opened(text: str) -> WeightSource:
    return sources.open_source(parse(text))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_as_many_parameters_as_the_model(name: str) -> None:
    info = sources.describe(parse(f"synthetic:{name}"))
    assert info.parameters == PUBLISHED[name]
    assert info.supported
    assert (info.download_bytes, info.licence) == (0, "none")
    assert not paths.sources().exists()  # describing writes nothing


@pytest.mark.parametrize("name", SHAPES)
def test_every_family_can_be_cut_and_read(name: str) -> None:
    source = opened(f"synthetic:{name}@layers=2,hidden=128,vocabulary=300")
    names = set(source.names())
    spec = read_spec(source.config, names)
    check_source(source, spec)
    assert (len(spec.layers), spec.hidden, spec.vocabulary) == (2, 128, 300)
    for tensor in names:
        values = source.tensor(tensor)
        assert values.dtype == np.float32
        assert values.shape == source.shape(tensor)
        assert np.isfinite(values).all()
    assert source.bytes() == 2 * sum(source.tensor(tensor).size for tensor in names)


def test_numbers_depend_on_name_and_seed_alone() -> None:
    first, second = opened(SMALL), opened(SMALL)
    other, longer = opened(SMALL + ",seed=1"), opened(SMALL.replace("layers=2", "layers=3"))
    assert first.revision == second.revision
    assert len({first.revision, other.revision, longer.revision}) == 3
    q, k = (f"model.layers.1.self_attn.{which}_proj.weight" for which in "qk")
    expected = first.tensor(q)
    second.tensor(k)
    assert np.array_equal(second.tensor(q), expected)
    assert np.array_equal(longer.tensor(q), expected)
    assert not np.array_equal(other.tensor(q), expected)
    assert not np.array_equal(first.tensor(q.replace("1", "0", 1)), expected)
    expected[:] = 0  # what is read is the reader's own
    assert first.tensor(q).any()


def test_weights_look_like_weights() -> None:
    source = opened(SMALL + ",intermediate=2048")
    gate = source.tensor("model.layers.0.mlp.gate_proj.weight")
    assert not (gate.view(np.uint32) & 0xFFFF).any()  # exact in bfloat16
    columns = gate.std(0) * gate.shape[1] ** 0.5
    assert np.isclose(np.median(columns), 1, rtol=0.05)
    assert (columns > 4).sum() == 1  # 256 channels: one stands out
    down = source.tensor("model.layers.0.mlp.down_proj.weight")
    assert np.isclose(np.median(down.std(0)) * down.shape[1] ** 0.5, (2 * 2) ** -0.5, rtol=0.1)
    norm = source.tensor("model.norm.weight")
    assert abs(norm.mean() - 1) < 0.05
    assert 0 < norm.std() < 0.1
    gemma = opened("synthetic:gemma-2-2b@layers=1,hidden=128,vocabulary=300")
    assert abs(gemma.tensor("model.norm.weight").mean()) < 0.05  # gemma adds the one itself


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    whole = opened(SMALL).tensor(name)
    monkeypatch.setattr("tzcore.hub.formats.synthetic._CHUNK", 1000)
    assert np.array_equal(opened(SMALL).tensor(name), whole)


def test_the_width_takes_heads_and_mlp_along() -> None:
    config = opened("synthetic:llama-3-8b@hidden=1024").config
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (8, 2)
    assert (config["head_dim"], config["intermediate_size"], config["num_hidden_layers"]) == (128, 3584, 32)
    named = opened("synthetic:llama-3-8b@hidden=1024,intermediate=100,heads=6").config
    assert (named["num_attention_heads"], named["intermediate_size"]) == (6, 100)
    experts = opened("synthetic:mixtral-8x7b@layers=1,hidden=64,experts=3,active=1").config
    assert (experts["num_local_experts"], experts["num_experts_per_tok"]) == (3, 1)
    assert opened("synthetic:qwen3-30b-a3b@layers=1,hidden=64,experts=4").config["num_experts_per_tok"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("synthetic:llama-3-9b", "no shape that is known; known are .*llama-3-8b"),
        ("synthetic:llama-3-8b@width=4", "'width=4' is not KEY=NUMBER; keys are layers"),
        ("synthetic:llama-3-8b@layers=0", "layers is at least 1"),
        ("synthetic:llama-3-8b@experts=2", "has no experts"),
        ("synthetic:llama-3-8b@heads=12", "12 heads cannot share 8 key/value heads"),
        ("synthetic:llama-3-8b@vocabulary=100", "need a larger vocabulary"),
    ],
)
def test_nonsense(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        opened(text)


def test_the_tokenizer_knows_every_text(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    source = opened(SMALL)
    tokenizer = Tokenizer.from_file(str(source.files["tokenizer.json"]))
    text = "Straße, 東京\n\t🙂 <|im_start|>user"
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert max(ids) == 257
    assert tokenizer.token_to_id("<|im_end|>") == source.config["eos_token_id"]
    settings = json.loads(source.files["tokenizer_config.json"].read_text())
    assert "add_generation_prompt" in settings["chat_template"]
