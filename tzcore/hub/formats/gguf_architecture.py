"""From a GGUF file's metadata and tensor names to a Hugging Face ``config.json`` and its names.

What llama.cpp's converter changes on the way in is listed per family in :class:`Family`, so that
it can be undone: the rows of q and k of Llama are reordered (it rotates neighbouring pairs, the
Hugging Face layout rotates halves), and Gemma's norm weights have 1 added.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tzcore.errors import SourceError, UnsupportedModelError
from tzcore.hub.formats.gguf_header import GgufHeader

_Kind = TypeVar("_Kind", bound=np.generic)

_EVERYWHERE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_ATTENTION = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_MLP = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_PRE_NORM = {"ffn_norm": "post_attention_layernorm"}
_QK_NORM = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_SANDWICH = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
ROPE_TENSORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Rotary scalings stored as tensors; they go into the configuration."""
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


@dataclass(frozen=True)
class Family:
    """One architecture of GGUF.  ``layers`` maps block tensor names to Hugging Face ones."""

    model_type: str
    class_name: str
    layers: dict[str, str]
    activation: str = "silu"
    reordered_qk: bool = False
    norm_offset: float = 0.0


_GEMMA = "gelu_pytorch_tanh"
FAMILIES: dict[str, Family] = {
    "llama": Family("llama", "LlamaForCausalLM", _ATTENTION | _MLP | _PRE_NORM, reordered_qk=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", _ATTENTION | _MLP | _PRE_NORM),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", _ATTENTION | _QK_NORM | _MLP | _PRE_NORM),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", _ATTENTION | _MLP | _SANDWICH, _GEMMA, norm_offset=1.0),
    "gemma3": Family(
        "gemma3_text", "Gemma3ForCausalLM", _ATTENTION | _QK_NORM | _MLP | _SANDWICH, _GEMMA, norm_offset=1.0
    ),
    "phi3": Family(
        "phi3",
        "Phi3ForCausalLM",
        {
            "attn_norm": "input_layernorm",
            "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj",
            "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj",
        }
        | _PRE_NORM,
    ),
}
"""Supported values of ``general.architecture`` (Mistral's files say ``llama``)."""


def family_of(header: GgufHeader) -> Family:
    """The file's family; UnsupportedModelError names it and those that are supported."""
    name = header.architecture
    if name not in FAMILIES:
        raise UnsupportedModelError(
            f"{header.path}: GGUF files of the architecture {name!r} are not supported; supported are "
            f"{', '.join(FAMILIES)}"
        )
    if header.get(f"{name}.expert_count", 0):
        raise UnsupportedModelError(f"{header.path}: mixtures of experts are not supported")
    return FAMILIES[name]


def hugging_face_name(family: Family, name: str) -> str | None:
    """``blk.0.attn_q.weight`` → ``model.layers.0.self_attn.q_proj.weight``; ``None`` if the family has none such."""
    if name in _EVERYWHERE:
        return _EVERYWHERE[name]
    block = _BLOCK.fullmatch(name)
    if block is None or block[2] not in family.layers:
        return None
    return f"model.layers.{int(block[1])}.{family.layers[block[2]]}.{block[3]}"


def restore_rows(values: npt.NDArray[_Kind], heads: int) -> npt.NDArray[_Kind]:
    """Undo the reordering of q's or k's rows: ``[heads·(d/2)·2, ...]`` → halves apart again."""
    rows = len(values)
    if rows % (2 * heads):
        raise SourceError(f"a q or k matrix of {rows} rows does not divide into {heads} heads")
    split = values.reshape(heads, rows // heads // 2, 2, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)


class _Settings:
    """The metadata of one architecture, each value checked."""

    def __init__(self, header: GgufHeader) -> None:
        self.header = header

    def raw(self, key: str) -> Any:
        return self.header.get(f"{self.header.architecture}.{key}")

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if isinstance(value, list) and value and len(set(value)) == 1:  # one number a layer, all the same
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(key, value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.refuse(key, value)
        return _shortest(value)

    def refuse(self, key: str, value: object) -> SourceError:
        state = "is missing" if value is None else f"= {value!r} is not usable"
        return SourceError(f"{self.header.path}: the setting {self.header.architecture}.{key} {state}")


def _shortest(value: float) -> float:
    """Settings are stored as float32; 9.99999974e-06 was written as 1e-05."""
    return float(str(np.float32(value)))


def configuration(header: GgufHeader, names: Collection[str], rope_tensors: dict[str, Any]) -> dict[str, Any]:
    """The ``config.json`` that the file's metadata stands for.

    ``names`` are the Hugging Face tensor names; ``rope_tensors`` the values of those of
    :data:`ROPE_TENSORS` that the file has, as float32 arrays.
    """
    family, settings = family_of(header), _Settings(header)
    heads = settings.integer("attention.head_count")
    hidden = settings.integer("embedding_length")
    layers = settings.integer("block_count")
    head_dim = settings.integer("attention.key_length", hidden // heads)
    if head_dim < 1:
        raise settings.refuse("attention.head_count", heads)
    embedding = header.tensors.get("token_embd.weight")
    config: dict[str, Any] = {
        "architectures": [family.class_name],
        "model_type": family.model_type,
        "hidden_size": hidden,
        "intermediate_size": settings.integer("feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": settings.integer("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": settings.integer("context_length"),
        "rms_norm_eps": settings.number("attention.layer_norm_rms_epsilon"),
        "vocab_size": embedding.shape[0] if embedding else settings.integer("vocab_size"),
        "tie_word_embeddings": "lm_head.weight" not in names,
        "rope_theta": settings.number("rope.freq_base", 10_000.0),
        "bos_token_id": header.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": header.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": header.get("tokenizer.ggml.padding_token_id"),
    }
    config["hidden_activation" if family.norm_offset else "hidden_act"] = family.activation
    biased = any(name.endswith("self_attn.q_proj.bias") for name in names)
    if family.model_type != "qwen2":  # where the bias is always there and no setting
        config["attention_bias"] = biased
    rotated = settings.integer("rope.dimension_count", head_dim)
    if rotated != head_dim:
        config["partial_rotary_factor"] = rotated / head_dim
    if scaling := _rope_scaling(settings, config, rope_tensors, rotated):
        config["rope_scaling"] = scaling
    if family.model_type in ("gemma2", "gemma3_text"):
        _add_gemma(config, settings, hidden // heads if _is_27b(family, layers) else head_dim)
    elif family.model_type == "phi3":
        config["sliding_window"] = settings.raw("attention.sliding_window") or None
        config["original_max_position_embeddings"] = settings.integer(
            "rope.scaling.original_context_length", config["max_position_embeddings"]
        )
    return config


def _is_27b(family: Family, layers: int) -> bool:
    """The 27B models scale scores by hidden/heads instead of the head size, which no metadata says."""
    return layers == {"gemma2": 46, "gemma3_text": 62}[family.model_type]


def _add_gemma(config: dict[str, Any], settings: _Settings, query_scalar: int) -> None:
    config["query_pre_attn_scalar"] = query_scalar
    config["sliding_window"] = settings.integer("attention.sliding_window", 4096)
    config["dtype"] = "bfloat16"  # what Gemma is published in, and its embedding scale rounded to
    every = 2
    if config["model_type"] == "gemma2":
        config["attn_logit_softcapping"] = settings.number("attn_logit_softcapping", 50.0)
        config["final_logit_softcapping"] = settings.number("final_logit_softcapping", 30.0)
    else:
        every = 6
        config["rope_local_base_freq"] = settings.number("rope.freq_base_swa", 10_000.0)
    config["layer_types"] = [
        "full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(config["num_hidden_layers"])
    ]


def _rope_scaling(
    settings: _Settings, config: dict[str, Any], tensors: dict[str, Any], rotated: int
) -> dict[str, Any] | None:
    if "rope_factors_long.weight" in tensors:
        return {
            "rope_type": "longrope",
            "long_factor": [_shortest(v) for v in tensors["rope_factors_long.weight"]],
            "short_factor": [_shortest(v) for v in tensors["rope_factors_short.weight"]],
        }
    if "rope_freqs.weight" in tensors:
        return _llama3_scaling(settings, tensors["rope_freqs.weight"], config["rope_theta"], rotated)
    kind = settings.raw("rope.scaling.type")
    if kind in (None, "none"):
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": settings.number("rope.scaling.factor")}
    if kind == "yarn":
        for key in ("attn_factor", "yarn_attn_factor", "yarn_ext_factor", "yarn_log_multiplier"):
            if settings.raw(f"rope.scaling.{key}") not in (None, 1.0):
                raise UnsupportedModelError(f"{settings.header.path}: the setting rope.scaling.{key} is not supported")
        scaling = {
            "rope_type": "yarn",
            "factor": settings.number("rope.scaling.factor"),
            "original_max_position_embeddings": settings.integer("rope.scaling.original_context_length"),
        }
        for key in ("beta_fast", "beta_slow"):
            if settings.raw(f"rope.scaling.yarn_{key}") is not None:
                scaling[key] = settings.number(f"rope.scaling.yarn_{key}")
        return scaling
    raise UnsupportedModelError(f"{settings.header.path}: RoPE scaling {kind!r} is not supported")


def _llama3_scaling(
    settings: _Settings, divisors: npt.NDArray[np.float32], theta: float, rotated: int
) -> dict[str, Any] | None:
    """Llama 3's settings from the divisors that the file stores in their stead.

    All releases of it share three of the four settings; the result is held against the file.
    """
    factor = _shortest(float(np.max(divisors)))
    if factor == 1.0:
        return None
    low, high, trained = 1.0, 4.0, 8192
    turns = trained * theta ** -(np.arange(0, rotated, 2) / rotated) / (2 * np.pi)
    keep = np.clip((turns - low) / (high - low), 0, 1)
    if len(divisors) != len(turns) or not np.allclose(divisors, 1 / (keep + (1 - keep) / factor), rtol=1e-4):
        raise UnsupportedModelError(f"{settings.header.path}: its rope_freqs are not those of a known RoPE scaling")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": trained,
    }
