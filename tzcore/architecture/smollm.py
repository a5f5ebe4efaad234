"""SmolLM3: Llama in which some layers (every fourth) have no rotary embedding."""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import build, layer_kinds, read_size, windows
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def smollm3(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``SmolLM3Config``."""
    size = read_size(config, hidden=2048, intermediate=11008, layers=36, heads=16, kv_heads=4, vocabulary=128256)
    max_position = config.integer("max_position_embeddings", 32768)
    rope = plain_rope_parameters(config, base=2_000_000.0)
    longest = longest_context(rope, max_position)
    turned = _turned(config, size.layers)
    window = config.optional_integer("sliding_window", None) if config.flag("use_sliding_window", False) else None
    kinds = ["full_attention" if turns or window is None else "sliding_attention" for turns in turned]
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        rope_of_layer=tuple(0 if turns else None for turns in turned),
        windows=windows(config, layer_kinds(config, size.layers, kinds), window),
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=config.flag("attention_bias", False),
        o_bias=config.flag("attention_bias", False),
        mlp_bias=config.flag("mlp_bias", False),
    )


def _turned(config: Config, layers: int) -> list[bool]:
    """Which layers have a rotary embedding: 1 in ``no_rope_layers`` says that the layer has one."""
    listed = config.get("no_rope_layers")
    if listed is None:
        every = config.integer("no_rope_layer_interval", 4)
        return [(i + 1) % every != 0 for i in range(layers)]
    if not isinstance(listed, list) or len(listed) < layers or any(flag not in (0, 1) for flag in listed):
        raise config.refuse("no_rope_layers", listed, f"is not a list of {layers} zeros and ones")
    return [bool(flag) for flag in listed[:layers]]
