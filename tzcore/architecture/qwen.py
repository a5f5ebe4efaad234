"""Qwen2 and 2.5 (biases on q, k and v) and Qwen3 (a norm on each head's q and k)."""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import Size, build, layer_kinds, read_size, windows
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def qwen2(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Qwen2Config``."""
    return _spec(config, tensors, context, _size(config, None), qkv_bias=True, qk_norm=False)


def qwen3(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Qwen3Config``."""
    config.must_be_off("attention_bias")
    return _spec(config, tensors, context, _size(config, 128), qkv_bias=False, qk_norm=True)


def _size(config: Config, head_dim: int | None) -> Size:
    return read_size(
        config,
        hidden=4096,
        intermediate=22016,
        layers=32,
        heads=32,
        kv_heads=32,
        vocabulary=151936,
        head_dim=head_dim,
    )


def _spec(
    config: Config, tensors: Tensors, context: int | None, size: Size, *, qkv_bias: bool, qk_norm: bool
) -> ModelSpec:
    max_position = config.integer("max_position_embeddings", 32768)
    rope = plain_rope_parameters(config)
    longest = longest_context(rope, max_position)
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=_windows(config, size.layers),
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=qkv_bias,
        qk_norm=qk_norm,
    )


def _windows(config: Config, layers: int) -> tuple[int | None, ...]:
    """Layers from ``max_window_layers`` on have the window, and only if ``use_sliding_window``."""
    window = config.optional_integer("sliding_window", 4096) if config.flag("use_sliding_window", False) else None
    first = config.get("max_window_layers", 28)
    if isinstance(first, bool) or not isinstance(first, int) or first < 0:
        raise config.refuse("max_window_layers", first, "is not a whole number")
    sliding = ["sliding_attention" if window is not None and i >= first else "full_attention" for i in range(layers)]
    return windows(config, layer_kinds(config, layers, sliding), window)
