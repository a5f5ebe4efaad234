"""Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: fused projections, partial rotation, LongRoPE."""

from __future__ import annotations

from typing import Any

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import build, read_size
from tzcore.architecture.rope import longest_context, make_rope, rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def spec(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Phi3Config``."""
    config.must_be_off("attention_bias", "mlp_bias")
    size = read_size(config, hidden=3072, intermediate=8192, layers=32, heads=32, kv_heads=None, vocabulary=32064)
    max_position = config.integer("max_position_embeddings", 4096)
    rope = _rope(config)
    longest = longest_context(rope, max_position)
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=(config.optional_integer("sliding_window", None),) * size.layers,
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-5),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", False),
        fused=True,
    )


def _rope(config: Config) -> dict[str, Any]:
    """Phi-3 files call LongRoPE ``su`` or ``yarn`` too, and keep the trained length outside."""
    aliases = {"su": "longrope", "yarn": "longrope"}
    rope = rope_parameters(config, aliases=aliases)
    if rope["rope_type"] not in ("default", "longrope"):
        raise config.refuse("rope_type", rope["rope_type"], "is not one of default, longrope")
    if rope["rope_type"] == "longrope" and config.get("original_max_position_embeddings") is None:
        rope["original_max_position_embeddings"] = 4096
    return rope
