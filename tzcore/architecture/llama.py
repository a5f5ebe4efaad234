"""Llama 2 and 3.x, and the many models published under ``model_type: llama`` (SmolLM2, Falcon3, …)."""

from __future__ import annotations

from typing import Any

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import build, read_size
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def spec(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``LlamaConfig``."""
    return like_llama(config, tensors, context)


def like_llama(config: Config, tensors: Tensors, context: int | None, **more: Any) -> ModelSpec:
    """A family that is Llama and ``more``, arguments of :func:`~tzcore.architecture.decoder.build`."""
    size = read_size(config, hidden=4096, intermediate=11008, layers=32, heads=32, kv_heads=None, vocabulary=32000)
    max_position = config.integer("max_position_embeddings", 2048)
    rope = plain_rope_parameters(config)
    longest = longest_context(rope, max_position)
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=(None,) * size.layers,
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=config.flag("attention_bias", False),
        o_bias=config.flag("attention_bias", False),
        mlp_bias=config.flag("mlp_bias", False),
        **more,
    )
