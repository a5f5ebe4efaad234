"""Shapes of well-known models, as their ``config.json`` states them, and how a shape is cut down.

``NAME@layers=4,hidden=512`` is the model NAME with four layers and a width of 512; what is not named
follows the width in proportion (heads, their size staying as it is, and the MLP).
"""

from __future__ import annotations

from typing import Any

from tzcore.errors import SourceError

_LLAMA_3: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "num_key_value_heads": 8,
    "rope_theta": 500000.0, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip
_LLAMA_32: dict[str, Any] = {
    **_LLAMA_3, "max_position_embeddings": 131072, "tie_word_embeddings": True,
    "rope_scaling": {
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}  # fmt: skip
_QWEN_3: dict[str, Any] = {
    "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936, "head_dim": 128,
    "num_key_value_heads": 8, "rope_theta": 1000000.0, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}  # fmt: skip
_SMOLLM_2: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "rope_theta": 100000.0,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip
_MISTRAL: dict[str, Any] = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "rope_theta": 1000000.0, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
    "sliding_window": None, "tie_word_embeddings": False,
}  # fmt: skip


def _sized(
    base: dict[str, Any], hidden: int, intermediate: int, layers: int, heads: int, **more: Any
) -> dict[str, Any]:
    sizes = {
        "hidden_size": hidden, "intermediate_size": intermediate,
        "num_hidden_layers": layers, "num_attention_heads": heads,
    }  # fmt: skip
    return {**base, **sizes, **more}


SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": _sized(_SMOLLM_2, 576, 1536, 30, 9, num_key_value_heads=3),
    "smollm2-360m": _sized(_SMOLLM_2, 960, 2560, 32, 15, num_key_value_heads=5),
    "smollm2-1.7b": _sized(_SMOLLM_2, 2048, 8192, 24, 32, num_key_value_heads=32, rope_theta=130000.0),
    "llama-3.2-1b": _sized(_LLAMA_32, 2048, 8192, 16, 32, head_dim=64),
    "llama-3.2-3b": _sized(_LLAMA_32, 3072, 8192, 28, 24, head_dim=128),
    "llama-3-8b": _sized(_LLAMA_3, 4096, 14336, 32, 32),
    "llama-3-70b": _sized(_LLAMA_3, 8192, 28672, 80, 64),
    "qwen3-0.6b": _sized(_QWEN_3, 1024, 3072, 28, 16, tie_word_embeddings=True),
    "qwen3-1.7b": _sized(_QWEN_3, 2048, 6144, 28, 16, tie_word_embeddings=True),
    "qwen3-4b": _sized(_QWEN_3, 2560, 9728, 36, 32, tie_word_embeddings=True),
    "qwen3-8b": _sized(_QWEN_3, 4096, 12288, 36, 32),
    "qwen3-14b": _sized(_QWEN_3, 5120, 17408, 40, 40),
    "qwen3-32b": _sized(_QWEN_3, 5120, 25600, 64, 64),
    "qwen3-30b-a3b": _sized(
        _QWEN_3, 2048, 6144, 48, 32, model_type="qwen3_moe", architectures=["Qwen3MoeForCausalLM"],
        num_key_value_heads=4, num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768, norm_topk_prob=True,
    ),
    "mistral-7b": {**_MISTRAL, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "vocab_size": 32768},
    "mixtral-8x7b": {
        **_MISTRAL, "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "vocab_size": 32000,
        "num_local_experts": 8, "num_experts_per_tok": 2,
    },
    "gemma-2-2b": {
        "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "vocab_size": 256000, "hidden_size": 2304,
        "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10000.0,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
    },
    "phi-4": {
        "model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "vocab_size": 100352, "hidden_size": 5120,
        "intermediate_size": 17920, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 10,
        "rope_theta": 250000.0, "max_position_embeddings": 16384, "original_max_position_embeddings": 16384,
        "sliding_window": None, "pad_token_id": None, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    },
}  # fmt: skip
"""By name: the facts of the ``config.json`` that a model's shape and arithmetic follow from."""

_KEYS = {
    "layers": "num_hidden_layers", "hidden": "hidden_size", "intermediate": "intermediate_size",
    "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "head_dim": "head_dim",
    "vocabulary": "vocab_size", "context": "max_position_embeddings", "active": "num_experts_per_tok",
}  # fmt: skip
_MULTIPLE = 64
"""An MLP's width that follows the hidden size is rounded to this."""


def configuration(name: str, cut: str | None) -> tuple[dict[str, Any], int]:
    """The ``config.json`` of ``name`` cut by ``KEY=NUMBER,…``, and the seed (``seed=NUMBER``, by default 0).

    SourceError names what is known.
    """
    if name not in SHAPES:
        raise SourceError(f"synthetic:{name} is no shape that is known; known are {', '.join(SHAPES)}")
    config, wanted = dict(SHAPES[name]), _numbers(name, cut) if cut else {}
    seed = wanted.pop("seed", 0)
    if "experts" in wanted:
        key = next((key for key in ("num_experts", "num_local_experts") if key in config), None)
        if key is None:
            raise SourceError(f"synthetic:{name} has no experts to cut")
        config[key] = wanted.pop("experts")
        config["num_experts_per_tok"] = min(config["num_experts_per_tok"], config[key])
    if "hidden" in wanted:
        _follow_width(config, wanted["hidden"])
    config |= {_KEYS[key]: value for key, value in wanted.items()}
    if config["num_attention_heads"] % config["num_key_value_heads"]:
        raise SourceError(
            f"synthetic:{name}@{cut}: {config['num_attention_heads']} heads cannot share "
            f"{config['num_key_value_heads']} key/value heads evenly"
        )
    return config, seed


def _numbers(name: str, cut: str) -> dict[str, int]:
    known = (*_KEYS, "experts", "seed")
    found: dict[str, int] = {}
    for part in cut.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in known or not equals or not value.isascii() or not value.isdigit() or len(value) > 9:
            raise SourceError(f"synthetic:{name}@{cut}: {part!r} is not KEY=NUMBER; keys are {', '.join(known)}")
        if int(value) == 0 and key != "seed":
            raise SourceError(f"synthetic:{name}@{cut}: {key} is at least 1")
        found[key] = int(value)
    return found


def _follow_width(config: dict[str, Any], hidden: int) -> None:
    """Make heads and MLP as much narrower as the model gets, with heads of the same size."""
    share = hidden / config["hidden_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    config.setdefault("head_dim", config["hidden_size"] // heads)
    group = heads // kv_heads
    config["num_key_value_heads"] = max(1, round(kv_heads * share))
    config["num_attention_heads"] = config["num_key_value_heads"] * min(group, max(1, round(heads * share)))
    for key in ("intermediate_size", "moe_intermediate_size"):
        if key in config:
            config[key] = max(_MULTIPLE, round(config[key] * share / _MULTIPLE) * _MULTIPLE)
