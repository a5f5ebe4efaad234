"""Gemma 2, and the text part of Gemma 3.

Both norm before and behind each sub-layer, add 1 to norm weights, scale the embedding by
√hidden and alternate windowed with full layers.  Gemma 2 caps scores and logits by tanh;
Gemma 3 norms q and k instead and has a rotary base of its own for windowed layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import Size, build, layer_kinds, read_size, windows
from tzcore.architecture.rope import complete, longest_context, make_rope, plain_rope_parameters, table
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def gemma2(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Gemma2Config``."""
    config.must_be_off("attention_bias", "use_bidirectional_attention")
    size = _size(config, vocabulary=256000)
    max_position = config.integer("max_position_embeddings", 8192)
    rope = plain_rope_parameters(config)
    longest = longest_context(rope, max_position)
    kinds = layer_kinds(config, size.layers, _pattern(size.layers, 2))
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=windows(config, kinds, config.optional_integer("sliding_window", 4096)),
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        tied=config.flag("tie_word_embeddings", True),
        sandwich_norms=True,
        norm_offset=1.0,
        embedding_scale=_embedding_scale(config, size.hidden),
        attention_scale=config.number("query_pre_attn_scalar", 256) ** -0.5,
        attention_softcap=config.optional_number("attn_logit_softcapping", 50.0),
        logit_softcap=config.optional_number("final_logit_softcapping", 30.0),
    )


def gemma3_text(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``Gemma3TextConfig``."""
    # transformers reads attn_logit_softcapping and never applies it, so a value has no known meaning.
    config.must_be_off("attention_bias", "use_bidirectional_attention", "attn_logit_softcapping")
    size = _size(config, vocabulary=262208)
    max_position = config.integer("max_position_embeddings", 131072)
    far, near = _rope_by_kind(config)
    longest = longest_context(far, max_position)
    every = config.integer("sliding_window_pattern", 6)
    kinds = layer_kinds(config, size.layers, _pattern(size.layers, every))
    planned = context or longest
    return build(
        config,
        tensors,
        size,
        ropes=tuple(make_rope(p, size.head_dim, max_position, planned) for p in (far, near)),
        rope_of_layer=tuple(int(kind == "sliding_attention") for kind in kinds),
        windows=windows(config, kinds, config.optional_integer("sliding_window", 4096)),
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        tied=config.flag("tie_word_embeddings", True),
        qk_norm=True,
        sandwich_norms=True,
        norm_offset=1.0,
        embedding_scale=_embedding_scale(config, size.hidden),
        attention_scale=config.number("query_pre_attn_scalar", 256) ** -0.5,
        logit_softcap=config.optional_number("final_logit_softcapping", None),
    )


def gemma3(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """The text part of a multimodal Gemma 3, described by ``text_config``; images are not supported."""
    text = config.get("text_config")
    if not isinstance(text, dict):
        raise config.refuse("text_config", text, "is not a table")
    inherited: dict[str, Any] = {
        key: config.raw[key] for key in ("tie_word_embeddings", "dtype", "torch_dtype") if key in config.raw
    }
    return gemma3_text(Config({**inherited, **text}, config.family), tensors, context)


def _size(config: Config, vocabulary: int) -> Size:
    return read_size(
        config,
        hidden=2304,
        intermediate=9216,
        layers=26,
        heads=8,
        kv_heads=4,
        vocabulary=vocabulary,
        head_dim=256,
    )


def _pattern(layers: int, every: int) -> list[str]:
    return ["full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(layers)]


def _rope_by_kind(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rotary settings of full and of windowed layers, from either form of configuration."""
    tables = table(config, "rope_parameters")
    if not all(isinstance(t, dict | None) for t in tables.values()):
        raise config.refuse("rope_parameters", tables, "is not a table for each layer type")
    full = dict(tables.get("full_attention") or {})
    local = dict(tables.get("sliding_attention") or {})
    full.update(table(config, "rope_scaling"))
    if full.get("rope_theta") is None:
        full["rope_theta"] = config.number("rope_theta", 1_000_000.0)
    if local.get("rope_theta") is None:
        local["rope_theta"] = config.number("rope_local_base_freq", 10_000.0)
    return complete(config, full), complete(config, local)


def _embedding_scale(config: Config, hidden: int) -> float:
    """√hidden, rounded as transformers rounds it: to the data type the model is published in."""
    root = np.float32(hidden**0.5)
    kind = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    if kind == "float16":
        return float(np.float16(root))
    if kind == "bfloat16":  # round to nearest even on the upper half of the bits
        bits = int(root.view(np.uint32))
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
        return float(np.uint32(bits).view(np.float32))
    if kind in ("float32", "float64"):
        return float(root)
    raise config.refuse("dtype", kind)
