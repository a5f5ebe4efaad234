"""Linear layers of any model made ternary in place, and what is said about those that are not."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from tests.tiny_models import tiny_model
from tests.unit.torch.folders import token_ids
from tzcore.errors import ConversionError
from tzcore.hadamard import rotate
from tzcore.torch import TernaryLinear, ternarize
from tzcore.torch.fitting import Recipe, fitted
from tzcore.torch.naming import matrix_of, weights_of

SMALL = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
IDS = torch.arange(3, 13)[None]


def bert() -> nn.Module:
    return transformers.BertForMaskedLM(transformers.BertConfig(intermediate_size=96, **SMALL))


def vit() -> nn.Module:
    settings = {key: value for key, value in SMALL.items() if key != "vocab_size"}
    return transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, intermediate_size=96, **settings))


def whisper() -> nn.Module:
    sizes = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("layers", 1), ("ffn_dim", 96))}
    heads = {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.WhisperConfig(vocab_size=100, d_model=64, max_source_positions=50, **sizes, **heads, **tokens)
    return transformers.WhisperForConditionalGeneration(config)


def t5() -> nn.Module:
    config = transformers.T5Config(vocab_size=100, d_model=64, d_kv=16, d_ff=96, num_layers=1, num_heads=4)
    return transformers.T5ForConditionalGeneration(config)


def output(model: nn.Module) -> torch.Tensor:
    image = torch.sin(torch.arange(3 * 32 * 32.0)).reshape(1, 3, 32, 32)
    sound = torch.sin(torch.arange(80 * 100.0)).reshape(1, 80, 100)
    inputs = {
        "BertForMaskedLM": {"input_ids": IDS},
        "ViTModel": {"pixel_values": image},
        "WhisperForConditionalGeneration": {"input_features": sound, "decoder_input_ids": IDS},
        "T5ForConditionalGeneration": {"input_ids": IDS, "decoder_input_ids": IDS},
    }[type(model).__name__]
    with torch.no_grad():
        return model.eval()(**inputs)[0]


@pytest.mark.parametrize(
    ("make", "count", "left"),
    [
        (bert, 13, {"cls.predictions.decoder": "word_embeddings.weight too"}),
        (vit, 13, {}),
        (whisper, 16, {"proj_out": "embed_tokens.weight too"}),
        (t5, 14, {"encoder.block.0.layer.1.DenseReluDense.wo": "keeps it in float32", "lm_head": "excluded"}),
    ],
)
def test_models_that_are_no_language_models(make: Callable[[], nn.Module], count: int, left: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = make()
    before = output(model)
    report = ternarize(model, "i8")
    assert len(report.replaced) == count == sum(isinstance(m, TernaryLinear) for m in model.modules())
    assert (output(model) - before).norm() < 0.03 * before.norm()
    said = {one.name: one.reason for one in report.left}
    assert all(words in said[name] for name, words in left.items())


def test_gpt2_has_nothing_to_replace() -> None:
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=100, n_embd=64, n_layer=1, n_head=4))
    with pytest.raises(ConversionError, match="Conv1D"):
        ternarize(model)


@pytest.mark.parametrize("family", ["phi3", "mixtral", "qwen3_moe"])
def test_language_models(family: str) -> None:
    model = tiny_model(family)
    with torch.no_grad():
        before = model(token_ids(12)).logits
        report = ternarize(model, "f16")
        assert torch.allclose(model(token_ids(12)).logits, before, atol=1e-3)
    assert [one.name for one in report.left] == ["lm_head"]


def test_patterns_choose() -> None:
    model = tiny_model("llama")
    report = ternarize(model, include=("*.self_attn.*", "up_proj"), exclude=("o_proj", "*.layers.2.*"))
    names = {one.name for one in report.replaced}
    layers = [f"model.layers.{n}." for n in (0, 1)]
    wanted = {f"{layer}self_attn.{p}_proj" for layer in layers for p in "qkv"} | {f"{n}mlp.up_proj" for n in layers}
    assert names == wanted
    reasons = {one.name: one.reason for one in report.left}
    assert reasons["model.layers.0.self_attn.o_proj"] == "it is excluded by 'o_proj'"
    assert reasons["model.layers.0.mlp.down_proj"] == "no pattern includes it"
    with pytest.raises(ConversionError, match="no layer can be made ternary"):
        ternarize(model, include=("nothing",))


def test_the_report_is_for_a_person() -> None:
    report = ternarize(nn.Sequential(nn.Linear(128, 64), nn.Linear(64, 32)), "t1", exclude=("1",))
    first, second, last = str(report).splitlines()
    assert first.startswith("0: 2.12 bits a weight, error 0.4")
    assert second == "1: left, because it is excluded by '1'"
    assert last == "1 layers ternary, 2.12 bits a weight; 1 left"


def test_what_cannot_be_ternary_is_left_with_its_reason() -> None:
    shared = nn.Linear(64, 64)
    model = nn.ModuleDict(
        {
            "good": nn.Linear(64, 64),
            "broken": nn.Linear(64, 64),
            "huge": nn.Linear(64, 64),
            "one": shared,
            "other": nn.Linear(64, 64),
            "absent": nn.Linear(64, 64, device="meta"),
            "attention": nn.MultiheadAttention(64, 4),
            "ternary": TernaryLinear(64, 64),
        }
    )
    model["other"].weight = shared.weight
    whole = nn.Linear(64, 64)
    whole.weight = nn.Parameter(torch.zeros(64, 64, dtype=torch.int8), requires_grad=False)
    model["whole"] = whole
    with torch.no_grad():
        model["broken"].weight[3, 4] = float("nan")
        model["huge"].weight.fill_(1e9)
    report = ternarize(model)
    assert [one.name for one in report.replaced] == ["good"]
    reasons = {one.name: one.reason for one in report.left}
    assert reasons["broken"] == "it has weights that are not finite"
    assert "half precision" in reasons["huge"]
    assert reasons["one"] == "its weights are those of other.weight too"
    assert reasons["other"] == "its weights are those of one.weight too"
    assert reasons["absent"] == "its weights are not in memory"
    assert "NonDynamicallyQuantizableLinear" in reasons["attention.out_proj"]
    assert reasons["ternary"] == "it is ternary already"
    assert "int8: quantised already" in reasons["whole"]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_types_and_modes_are_kept(kind: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(96, 32)).to(kind).eval()
    x = torch.randn(3, 96).to(kind)
    before = model(x)
    ternarize(model, "i8")
    assert model(x).dtype == kind
    assert torch.allclose(model(x), before, atol=0.05)
    assert not model[0].training
    assert model[0].bias.dtype == kind


def test_float_weights_are_freed_layer_by_layer() -> None:
    model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)))
    alive = [weakref.ref(layer.weight) for layer in model]

    def progress(done: int, total: int, name: str) -> None:
        gc.collect()
        assert (total, name) == (4, str(done))
        assert [ref() is not None for ref in alive] == [n >= done for n in range(4)]

    ternarize(model, progress=progress)


def test_a_rotation_spreads_what_is_far_out() -> None:
    """The same product, from codes that are nearer."""
    torch.manual_seed(1)
    weight = torch.randn(64, 256)
    weight[:, ::37] *= 12
    plain, turned = (fitted(weight, Recipe.checked("t1", 128, h, 0)) for h in (False, True))
    assert turned.error < 0.85 * plain.error
    assert turned.layer.block == 256
    back = weights_of(matrix_of(turned.layer))
    assert float((back - weight).norm() / weight.norm()) == pytest.approx(turned.error, rel=1e-3)
    assert turned.layer.signs is not None
    x = rotate(np.eye(256, dtype=np.float32), turned.layer.signs.numpy(), 256)
    assert np.allclose(x @ x.T, np.eye(256), atol=1e-5)


def test_odd_widths_are_not_turned() -> None:
    assert fitted(torch.randn(5, 33), Recipe.checked("t1", 64, True, 0)).layer.block == 0


@pytest.mark.parametrize(("fmt", "group", "words"), [("t9", 128, "t9"), ("t1", 32, "not 32")])
def test_settings_that_there_are_not(fmt: str, group: int, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        ternarize(nn.Sequential(nn.Linear(64, 64)), fmt, group)
