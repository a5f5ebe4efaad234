"""Qwen2 and 2.5 (biases on q, k and v) and Qwen3 (a norm on each head's q and k), also with experts."""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import Mixture, Size, active_experts, build, layer_kinds, read_size, windows
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def qwen2(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Qwen2Config``."""
    size = _size(config, None)
    return _spec(config, tensors, context, size, _windows(config, size.layers), qkv_bias=True)


def qwen3(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Qwen3Config``."""
    size, bias = _size(config, 128), config.flag("attention_bias", False)
    windows = _windows(config, size.layers)
    return _spec(config, tensors, context, size, windows, qkv_bias=bias, o_bias=bias, qk_norm=True)


def qwen3_moe(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Qwen3MoeConfig``.

    Layers of ``mlp_only_layers``, and all but every ``decoder_sparse_step``-th, are dense.
    """
    size = read_size(config, hidden=2048, intermediate=6144, layers=24, heads=32, kv_heads=4, vocabulary=151936)
    bias = config.flag("attention_bias", False)
    window = config.optional_integer("sliding_window", 4096) if config.flag("use_sliding_window", False) else None
    key = "num_experts" if config.get("num_experts") is not None else "num_local_experts"
    experts, every = config.integer(key, 128), config.integer("decoder_sparse_step", 1)
    dense = config.get("mlp_only_layers") or []
    if not isinstance(dense, list) or not all(isinstance(i, int) and 0 <= i < size.layers for i in dense):
        raise config.refuse("mlp_only_layers", dense, f"is not a list of numbers under {size.layers}")
    mixture = Mixture(
        block="mlp",
        parts=("gate_proj", "up_proj", "down_proj"),
        sparse=tuple(i not in dense and (i + 1) % every == 0 for i in range(size.layers)),
        experts=experts,
        active=active_experts(config, experts, 8),
        normalise=config.flag("norm_topk_prob", False),
        width=config.integer("moe_intermediate_size", 768),
    )
    windows = (window,) * size.layers
    return _spec(config, tensors, context, size, windows, qkv_bias=bias, o_bias=bias, qk_norm=True, mixture=mixture)


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
    config: Config,
    tensors: Tensors,
    context: int | None,
    size: Size,
    windows: tuple[int | None, ...],
    *,
    qkv_bias: bool,
    o_bias: bool = False,
    qk_norm: bool = False,
    mixture: Mixture | None = None,
) -> ModelSpec:
    max_position = config.integer("max_position_embeddings", 32768)
    rope = plain_rope_parameters(config)
    longest = longest_context(rope, max_position)
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=windows,
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=qkv_bias,
        o_bias=o_bias,
        qk_norm=qk_norm,
        mixture=mixture,
    )


def _windows(config: Config, layers: int) -> tuple[int | None, ...]:
    """Layers from ``max_window_layers`` on have the window, and only if ``use_sliding_window``."""
    window = config.optional_integer("sliding_window", 4096) if config.flag("use_sliding_window", False) else None
    first = config.get("max_window_layers", 28)
    if isinstance(first, bool) or not isinstance(first, int) or first < 0:
        raise config.refuse("max_window_layers", first, "is not a whole number")
    sliding = ["sliding_attention" if window is not None and i >= first else "full_attention" for i in range(layers)]
    return windows(config, layer_kinds(config, layers, sliding), window)
