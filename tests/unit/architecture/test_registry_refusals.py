"""What a configuration or its tensors may not be: each is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.tiny_models import hub_tensors, tiny_config, tiny_folder, tiny_source
from tzcore.architecture.registry import check_source, read_spec, spec_of
from tzcore.checkpoint import ModelFolder
from tzcore.errors import CheckpointError, SourceError, UnsupportedModelError


def _llama(**changes: Any) -> tuple[dict[str, Any], set[str]]:
    config = tiny_config("llama")
    names = set(hub_tensors("llama", transformers.AutoModelForCausalLM.from_config(config)))
    return {**json.loads(config.to_json_string()), **changes}, names


def test_an_unknown_family_is_named_with_those_supported() -> None:
    for kind in ("mamba", None, 3):
        with pytest.raises(UnsupportedModelError, match=f"{kind}.*llama.*phi3"):
            read_spec({"model_type": kind}, set())
    with pytest.raises(UnsupportedModelError):
        read_spec({}, set())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attention_bias": "some"}, "attention_bias"),
        ({"mlp_bias": 2}, "mlp_bias"),
        ({"hidden_act": "relu"}, "hidden_act.*relu.*silu"),
        ({"hidden_size": -4}, "hidden_size"),
        ({"hidden_size": "big"}, "hidden_size"),
        ({"vocab_size": 10**400}, "vocab_size"),
        ({"num_hidden_layers": 2_000_000_000}, "num_hidden_layers"),
        ({"rms_norm_eps": True}, "rms_norm_eps"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"num_key_value_heads": 4}, "num_key_value_heads"),
        ({"head_dim": 31}, "head_dim"),
        ({"rope_scaling": {"rope_type": "mrope"}}, "mrope"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"model_type": "mistral", "layer_types": ["full_attention"] * 3, "sliding_window": 8}, "layer_types"),
    ],
)
def test_a_setting_that_is_not_supported_is_named(changes: dict[str, Any], named: str) -> None:
    config, names = _llama(**changes)
    with pytest.raises(UnsupportedModelError, match=named):
        read_spec(config, names)


@pytest.mark.parametrize(
    ("family", "changes", "named"),
    [
        ("qwen2", {"layer_types": ["chunked_attention"] * 3}, "chunked_attention"),
        ("qwen2", {"layer_types": ["full_attention"]}, "layer_types"),
        ("qwen2", {"use_sliding_window": False}, "needs a sliding_window"),
        ("qwen2", {"max_window_layers": "all"}, "max_window_layers"),
        ("qwen3", {"attention_bias": "q"}, "attention_bias"),
        ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma2", {"dtype": "float8"}, "dtype"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ("gemma3_text", {"rope_parameters": {"full_attention": 3}}, "rope_parameters"),
        ("gemma3", {"text_config": None}, "text_config"),
        ("phi3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
        ("phi3", {"intermediate_size": 321}, "gate_up_proj"),
        ("bitnet", {"head_dim": 16}, "head_dim"),
        ("granite", {"logits_scaling": 0}, "logits_scaling"),
        ("mixtral", {"num_experts_per_tok": 6}, "num_experts_per_tok"),
        ("mixtral", {"num_local_experts": 100_000}, "num_experts"),
        ("qwen3_moe", {"mlp_only_layers": [7]}, "mlp_only_layers"),
        ("qwen3_moe", {"norm_topk_prob": 1}, "norm_topk_prob"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "no_rope_layers"),
        ("smollm3", {"no_rope_layers": [1, 0, 2]}, "no_rope_layers"),
    ],
)
def test_settings_of_other_families(family: str, changes: dict[str, Any], named: str) -> None:
    source = tiny_source(family)
    with pytest.raises(UnsupportedModelError, match=named):
        read_spec({**source.config, **changes}, set(source.names()))


def test_missing_and_unused_tensors_are_named(tmp_path: Path) -> None:
    config, names = _llama()
    for lost in ("lm_head.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight"):
        with pytest.raises(SourceError, match=lost.replace(".", r"\.")):
            read_spec(config, names - {lost})
    with pytest.raises(SourceError, match=r"and \d+ more"):
        read_spec(config, {n for n in names if "layers.0." not in n})
    for extra in ("model.layers.0.self_attn.q_proj.bias", "model.layers.3.input_layernorm.weight"):
        with pytest.raises(UnsupportedModelError, match=extra.replace(".", r"\.")):
            read_spec(config, names | {extra})
    read_spec(config, names | {"model.layers.0.self_attn.rotary_emb.inv_freq"})
    tied = {**config, "tie_word_embeddings": True}
    assert read_spec(tied, names).tied  # a stored copy of the tied head lies unused
    assert read_spec(tied, names - {"lm_head.weight"}).tied


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    source = tiny_source("llama")
    spec = read_spec({**source.config, "intermediate_size": 256}, set(source.names()))
    with pytest.raises(SourceError, match=r"tiny/llama: .*gate_proj.weight has the shape \[320, 192\].*\[256, 192\]"):
        check_source(source, spec)
    folder = ModelFolder.open(tiny_folder(tmp_path / "m", "llama", source=source))
    folder.config["num_key_value_heads"] = 3
    with pytest.raises(CheckpointError, match=r"k_proj.weight has the shape \[64, 192\]"):
        spec_of(folder)


def test_a_folder_that_lacks_a_tensor_is_a_checkpoint_error(tmp_path: Path) -> None:
    folder = ModelFolder.open(tiny_folder(tmp_path / "m", "llama"))
    folder.config["num_hidden_layers"] = 4
    with pytest.raises(CheckpointError, match=r"layers\.3"):
        spec_of(folder)
