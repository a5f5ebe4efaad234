"""Specs of real models' configurations, as the hub has them, against transformers' own reading."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.tiny_models import FAMILIES, hub_parts, tiny_folder, tiny_source
from tzcore.architecture.registry import SUPPORTED, check_source, names_of, read_spec, spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint import ModelFolder
from tzcore.errors import CheckpointError, UnsupportedModelError

# The part of published config.json files that describes the network, in the hub's (older) form.
PUBLISHED: dict[str, dict[str, Any]] = {
    "SmolLM2-135M": {
        "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
        "max_position_embeddings": 8192, "rope_theta": 100000, "rope_scaling": None, "rms_norm_eps": 1e-05,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1,
        "rope_interleaved": False, "torch_dtype": "bfloat16",
    },
    "Llama-2-7b": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False,
        "max_position_embeddings": 4096, "rope_scaling": None, "rms_norm_eps": 1e-05, "hidden_act": "silu",
    },
    "Llama-3.1-8B": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "rope_theta": 500000.0,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "hidden_act": "silu",
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
    },
    "Mistral-7B-v0.1": {
        "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": 4096,
        "max_position_embeddings": 32768, "rope_theta": 10000.0, "rms_norm_eps": 1e-05, "hidden_act": "silu",
    },
    "Mistral-Nemo": {
        "model_type": "mistral", "hidden_size": 5120, "intermediate_size": 14336, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 131072, "sliding_window": None,
        "head_dim": 128, "max_position_embeddings": 131072, "rope_theta": 1000000.0, "rms_norm_eps": 1e-05,
    },
    "Qwen2.5-0.5B": {
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
        "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-06, "hidden_act": "silu",
        "use_sliding_window": False, "sliding_window": 32768, "max_window_layers": 21,
    },
    "Qwen2.5-7B with YaRN": {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
        "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-06, "hidden_act": "silu",
        "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"},
    },
    "Qwen3-0.6B": {
        "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "tie_word_embeddings": True, "max_position_embeddings": 40960, "rope_theta": 1000000,
        "rope_scaling": None, "attention_bias": False, "use_sliding_window": False, "sliding_window": None,
        "max_window_layers": 28, "rms_norm_eps": 1e-06, "hidden_act": "silu",
    },
    "gemma-2-2b": {
        "model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 256000,
        "max_position_embeddings": 8192, "rope_theta": 10000.0, "query_pre_attn_scalar": 256,
        "sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "cache_implementation": "hybrid",
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144,
        "max_position_embeddings": 32768, "rope_theta": 1000000, "rope_local_base_freq": 10000,
        "rope_scaling": None, "query_pre_attn_scalar": 256, "sliding_window": 512, "sliding_window_pattern": 6,
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "attention_bias": False,
    },
    "Phi-3-mini-4k": {
        "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "rope_theta": 10000.0,
        "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "sliding_window": 2047,
        "rope_scaling": None, "rms_norm_eps": 1e-05, "attention_bias": False, "resid_pdrop": 0.0,
    },
    "Phi-3-mini-128k": {
        "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "rope_theta": 10000.0,
        "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "sliding_window": 262144,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "type": "longrope",
            "short_factor": [1.0 + i / 30 for i in range(48)], "long_factor": [1.0 + i for i in range(48)],
        },
    },
    "Phi-4-mini": {
        "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064, "tie_word_embeddings": True,
        "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [2.0 + i for i in range(48)]},
    },
    "bitnet-b1.58-2B-4T": {
        "model_type": "bitnet", "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 30,
        "num_attention_heads": 20, "num_key_value_heads": 5, "vocab_size": 128256, "tie_word_embeddings": True,
        "max_position_embeddings": 4096, "rope_theta": 500000.0, "rms_norm_eps": 1e-05, "hidden_act": "relu2",
    },
    "Falcon3-7B": {
        "model_type": "llama", "hidden_size": 3072, "intermediate_size": 23040, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 131072,
        "max_position_embeddings": 32768, "rope_theta": 1000042, "rms_norm_eps": 1e-06, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
    },
    "granite-3.1-2b": {
        "model_type": "granite", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 49155, "tie_word_embeddings": True,
        "max_position_embeddings": 131072, "rope_theta": 5000000.0, "rope_scaling": None, "rms_norm_eps": 1e-05,
        "attention_multiplier": 0.015625, "embedding_multiplier": 12.0, "logits_scaling": 8.0,
        "residual_multiplier": 0.22, "attention_bias": False, "mlp_bias": False, "hidden_act": "silu",
    },
    "SmolLM3-3B": {
        "model_type": "smollm3", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
        "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 128256, "rope_theta": 5000000.0,
        "max_position_embeddings": 65536, "no_rope_layers": [int(i % 4 != 3) for i in range(36)],
        "no_rope_layer_interval": 4, "layer_types": ["full_attention"] * 36, "use_sliding_window": False,
        "sliding_window": None, "rope_scaling": None, "attention_bias": False, "mlp_bias": False,
        "rms_norm_eps": 1e-06, "hidden_act": "silu", "max_window_layers": 28,
    },
    "Mixtral-8x7B-v0.1": {
        "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": None,
        "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-05, "hidden_act": "silu",
        "num_experts_per_tok": 2, "num_local_experts": 8, "tie_word_embeddings": False,
    },
    "Qwen3-30B-A3B": {
        "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "rope_theta": 1000000.0, "rope_scaling": None, "rms_norm_eps": 1e-06,
        "decoder_sparse_step": 1, "mlp_only_layers": [], "moe_intermediate_size": 768, "norm_topk_prob": True,
        "num_experts": 128, "num_experts_per_tok": 8, "attention_bias": False, "hidden_act": "silu",
        "use_sliding_window": False, "sliding_window": None, "max_window_layers": 48, "tie_word_embeddings": False,
    },
}  # fmt: skip

DEFAULTS = [family for family in SUPPORTED if family != "gemma3"]


def _meta_model(config: Any) -> Any:
    """transformers' model of any size, without memory for its weights."""
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def _original_names(model: Any) -> dict[str, tuple[int, ...]]:
    tied = model.config.get_text_config().tie_word_embeddings
    parts = hub_parts(model.config.model_type, model)
    return {n: tuple(v.shape) for n, v in parts.items() if not (tied and n == "lm_head.weight")}


def _compare(raw: dict[str, Any], context: int | None = None) -> ModelSpec:
    """Check that the spec of ``raw`` is what transformers makes of the same file."""
    theirs = copy.deepcopy(raw)
    config = transformers.AutoConfig.for_model(theirs.pop("model_type"), **theirs)
    model = _meta_model(config)
    names = _original_names(model)
    spec = read_spec(copy.deepcopy(raw), set(names), context)
    shapes: dict[str, tuple[int, ...]] = {f"{n}.weight": s for n, s in spec.matrices().items()}
    shapes |= {n: (s,) for n, s in spec.vectors().items()}
    assert shapes == names
    assert spec.tied == config.tie_word_embeddings
    assert spec.norm_eps == config.rms_norm_eps
    assert len(spec.layers) == config.num_hidden_layers
    attention = model.model.layers[0].self_attn
    assert spec.attention_scale == pytest.approx(attention.scaling)
    assert (spec.heads, spec.kv_heads) == (config.num_attention_heads, config.num_key_value_heads)
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    for i, layer in enumerate(spec.layers):
        assert layer.window == (window if kinds is None or kinds[i] == "sliding_attention" else None)
    return spec


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_configurations(model: str) -> None:
    _compare(PUBLISHED[model])


@pytest.mark.parametrize("family", DEFAULTS)
def test_missing_keys_have_the_defaults_of_transformers(family: str) -> None:
    _compare({"model_type": family})


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_file_saved_again_by_transformers_says_the_same(model: str) -> None:
    raw = PUBLISHED[model]
    before = _compare(raw)
    theirs = copy.deepcopy(raw)
    config = transformers.AutoConfig.for_model(theirs.pop("model_type"), **theirs)
    saved = json.loads(config.to_json_string())
    assert "rope_parameters" in saved
    after = _compare(saved)
    assert after.layers == before.layers
    assert after.max_context == before.max_context
    for a, b in zip(after.ropes, before.ropes, strict=True):
        assert np.array_equal(a.inverse_frequencies, b.inverse_frequencies)
        assert a.scale == b.scale


def test_known_values_of_published_models() -> None:
    llama = _compare(PUBLISHED["Llama-3.1-8B"])
    assert llama.max_context == 131072
    assert llama.kv_bytes_per_token() == 32 * 2 * 8 * 128 * 2
    assert not llama.tied
    assert _compare(PUBLISHED["Qwen2.5-7B with YaRN"]).max_context == 131072
    assert {layer.window for layer in _compare(PUBLISHED["Qwen2.5-0.5B"]).layers} == {None}
    gemma = _compare(PUBLISHED["gemma-2-2b"])
    assert (gemma.attention_softcap, gemma.logit_softcap, gemma.norm_offset) == (50.0, 30.0, 1.0)
    assert gemma.activation == "gelu_tanh"
    assert [layer.window for layer in gemma.layers[:3]] == [4096, None, 4096]
    third = _compare(PUBLISHED["gemma-3-1b"])
    assert [layer.window for layer in third.layers[:7]] == [512] * 5 + [None, 512]
    assert [layer.rope for layer in third.layers[:7]] == [1] * 5 + [0, 1]
    assert third.ropes[0].inverse_frequencies[1] == pytest.approx(1e6 ** (-1 / 128))
    assert third.ropes[1].inverse_frequencies[1] == pytest.approx(1e4 ** (-1 / 128))
    phi = _compare(PUBLISHED["Phi-3-mini-128k"])
    assert phi.ropes[0].scale == pytest.approx((1 + np.log(32) / np.log(4096)) ** 0.5)
    assert phi.ropes[0].inverse_frequencies[1] == pytest.approx(1e4 ** (-2 / 96) / 2)
    short = _compare(PUBLISHED["Phi-3-mini-128k"], context=4096)
    assert short.ropes[0].inverse_frequencies[30] == pytest.approx(1e4 ** (-60 / 96) / 2)
    assert short.layers[0].k.start == 3072
    assert short.layers[0].experts[0].up.start == 8192


def test_known_values_of_families_with_features_of_their_own() -> None:
    bitnet = _compare(PUBLISHED["bitnet-b1.58-2B-4T"])
    assert (bitnet.activation, bitnet.activations, bitnet.tied) == ("relu2", "token", True)
    assert bitnet.vectors()["model.layers.29.mlp.ffn_sub_norm.weight"] == 6912
    falcon = _compare(PUBLISHED["Falcon3-7B"])
    assert (falcon.head_dim, falcon.layers[0].q.rows, falcon.activations) == (256, 3072, "group")
    granite = _compare(PUBLISHED["granite-3.1-2b"])
    assert (granite.embedding_scale, granite.residual_multiplier) == (12.0, 0.22)
    assert (granite.attention_scale, granite.logit_multiplier) == (1 / 64, 1 / 8)
    smollm = _compare(PUBLISHED["SmolLM3-3B"])
    assert [layer.rope for layer in smollm.layers[:8]] == [0, 0, 0, None] * 2
    mixtral = _compare(PUBLISHED["Mixtral-8x7B-v0.1"])
    router = mixtral.layers[31].router
    assert router is not None
    assert (len(mixtral.layers[31].experts), router.active, router.normalise) == (8, 2, True)
    read = sum(ref.rows * ref.cols * share for ref, share in mixtral.read_per_token())
    assert read == pytest.approx(12.75e9, rel=0.01)  # of 46.7 thousand million
    qwen = _compare(PUBLISHED["Qwen3-30B-A3B"])
    assert sum(ref.rows * ref.cols * share for ref, share in qwen.read_per_token()) == pytest.approx(3.04e9, rel=0.01)
    assert qwen.intermediate == 768
    counted = {key: value for key, value in PUBLISHED["SmolLM3-3B"].items() if key != "no_rope_layers"}
    assert _compare(counted).layers == smollm.layers


def test_which_layers_of_a_mixture_are_dense() -> None:
    raw = {**PUBLISHED["Qwen3-30B-A3B"], "num_hidden_layers": 6, "num_experts": 3, "num_experts_per_tok": 3}
    for changes, sparse in (
        ({"decoder_sparse_step": 2}, [0, 1, 0, 1, 0, 1]),
        ({"decoder_sparse_step": 3, "mlp_only_layers": [5]}, [0, 0, 1, 0, 0, 0]),
        ({"mlp_only_layers": [0, 1]}, [0, 0, 1, 1, 1, 1]),
    ):
        spec = _compare({**raw, **changes})
        assert [int(layer.router is not None) for layer in spec.layers] == sparse
        assert [len(layer.experts) for layer in spec.layers] == [3 if s else 1 for s in sparse]
        assert spec.intermediate == 6144
        assert len(spec.routers()) == sum(sparse)


def test_networks_trained_ternary_round_their_inputs_by_token() -> None:
    raw = {**PUBLISHED["Falcon3-7B"], "num_hidden_layers": 1}
    names = _names(_compare(raw))
    for left in (None, ["lm_head"]):
        stated = {"quant_method": "bitnet", "modules_to_not_convert": left, "linear_class": "bitlinear"}
        assert read_spec({**raw, "quantization_config": stated}, names).activations == "token"
    for key, value in (("use_rms_norm", True), ("modules_to_not_convert", ["lm_head", "model.layers.0.mlp"])):
        with pytest.raises(UnsupportedModelError, match=key):
            read_spec({**raw, "quantization_config": {"quant_method": "bitnet", key: value}}, names)
    ours = {"quant_method": "ternary_zero", "version": 1, "tensors": {}}
    assert read_spec({**raw, "quantization_config": ours}, names).activations == "group"
    assert read_spec({**raw, "quantization_config": {**ours, "activations": "token"}}, names).activations == "token"
    with pytest.raises(CheckpointError, match="row"):
        read_spec({**raw, "quantization_config": {**ours, "activations": "row"}}, names)


def test_older_names_of_longrope() -> None:
    new = _compare(PUBLISHED["Phi-3-mini-128k"])
    raw = copy.deepcopy(PUBLISHED["Phi-3-mini-128k"])
    for name in ("su", "yarn"):
        raw["rope_scaling"]["type"] = name
        old = read_spec(raw, _names(new))
        assert np.array_equal(old.ropes[0].inverse_frequencies, new.ropes[0].inverse_frequencies)
        assert old.ropes[0].scale == new.ropes[0].scale


def _names(spec: ModelSpec) -> set[str]:
    return {f"{name}.weight" for name in spec.matrices()} | set(spec.vectors())


def test_the_embedding_scale_is_rounded_to_the_published_type() -> None:
    raw = {**PUBLISHED["gemma-2-2b"], "hidden_size": 3072}
    assert _compare({**raw, "torch_dtype": "bfloat16"}).embedding_scale == 55.5
    assert _compare({**raw, "dtype": "float16"}).embedding_scale == float(np.float16(3072**0.5))
    assert _compare(raw).embedding_scale == pytest.approx(3072**0.5, rel=1e-7)
    for hidden in range(256, 8192, 256):
        wanted = torch.tensor(hidden**0.5).to(torch.bfloat16).float().item()
        assert _compare_scale(hidden) == wanted


def _compare_scale(hidden: int) -> float:
    raw = {"model_type": "gemma2", "hidden_size": hidden, "num_hidden_layers": 1, "torch_dtype": "bfloat16"}
    norms = ("input", "post_attention", "pre_feedforward", "post_feedforward")
    names = {f"model.layers.0.{n}_layernorm.weight" for n in norms}
    names |= {f"model.layers.0.self_attn.{p}_proj.weight" for p in "qkvo"}
    names |= {f"model.layers.0.mlp.{p}_proj.weight" for p in ("gate", "up", "down")}
    return read_spec(raw, names | {"model.embed_tokens.weight", "model.norm.weight"}).embedding_scale


def test_multimodal_gemma_3_under_every_naming(tmp_path: Path) -> None:
    source = tiny_source("gemma3")
    hub = set(source.names())
    spec = read_spec(source.config, hub)
    assert spec.embedding.name == "language_model.model.embed_tokens"
    check_source(source, spec)
    # As transformers names the tensors in memory, and as it writes them itself:
    memory = {n.removeprefix("language_model.") if "language_model.lm_head" in n else n for n in hub}
    memory = {n.replace("language_model.model.", "model.language_model.") for n in memory}
    assert read_spec(source.config, memory).embedding.name == "model.language_model.embed_tokens"
    source.model.save_pretrained(tmp_path)
    from safetensors import safe_open

    with safe_open(tmp_path / "model.safetensors", "np") as file:
        written = set(file.keys())
    saved = read_spec(json.loads((tmp_path / "config.json").read_text()), written)
    assert len(saved.layers) == len(spec.layers)
    plain = read_spec(tiny_source("gemma3_text").config, set(tiny_source("gemma3_text").names()))
    assert [(x.window, x.rope) for x in plain.layers] == [(x.window, x.rope) for x in spec.layers]


def test_multimodal_gemma_3_as_published() -> None:
    text = {
        "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    }  # fmt: skip
    raw = {"model_type": "gemma3", "text_config": text, "torch_dtype": "bfloat16", "image_token_index": 262144}
    config = transformers.Gemma3TextConfig(**{k: v for k, v in copy.deepcopy(text).items() if k != "model_type"})
    shapes = {f"language_model.{n}": s for n, s in _original_names(_meta_model(config)).items()}
    spec = read_spec(raw, {*shapes, "vision_tower.vision_model.post_layernorm.weight"})
    assert {f"{n}.weight": s for n, s in spec.matrices().items()}.items() <= shapes.items()
    assert spec.max_context == 131072
    assert spec.embedding_scale == 50.5
    assert spec.ropes[0].inverse_frequencies[0] == 0.125
    assert spec.ropes[1].inverse_frequencies[0] == 1.0
    assert (spec.heads, spec.kv_heads, spec.head_dim, spec.vocabulary) == (8, 4, 256, 262208)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_folder_has_the_spec_of_its_original(family: str, tmp_path: Path) -> None:
    source = tiny_source(family)
    check_source(source, read_spec(source.config, set(source.names())))
    folder = ModelFolder.open(tiny_folder(tmp_path / "m", family, "t2b3", source=source))
    spec = spec_of(folder)
    needed = {f"{n}.weight" for n in spec.matrices()} | set(spec.vectors())
    assert names_of(folder) == needed
    assert needed <= set(source.names())
    assert spec.layers == read_spec(source.config, set(source.names())).layers
