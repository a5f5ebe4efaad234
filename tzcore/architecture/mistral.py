"""Mistral 7B, Nemo, Small 3 and their kin: Llama with a window in every layer (or in none).

Mixtral has eight experts in each layer, of which two work on a token.
"""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import Mixture, active_experts, build, layer_kinds, read_size, windows
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def spec(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``MistralConfig``.

    A missing ``sliding_window`` means 4096, a null means none.
    """
    config.must_be_off("attention_bias", "mlp_bias")
    size = read_size(config, hidden=4096, intermediate=14336, layers=32, heads=32, kv_heads=8, vocabulary=32000)
    max_position = config.integer("max_position_embeddings", 131072)
    rope = plain_rope_parameters(config)
    longest = longest_context(rope, max_position)
    window = config.optional_integer("sliding_window", 4096)
    kind = "full_attention" if window is None else "sliding_attention"
    kinds = layer_kinds(config, size.layers, [kind] * size.layers)
    if set(kinds) != {kind}:  # transformers' Mistral ignores the list; a mixed one is another family
        raise config.refuse("layer_types", kinds, f"contradicts sliding_window = {window}")
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=windows(config, kinds, window),
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.activation("hidden_act", "silu"),
        tied=config.flag("tie_word_embeddings", False),
    )


def mixtral(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``MixtralConfig``."""
    config.must_be_off("attention_bias", "mlp_bias")
    size = read_size(config, hidden=4096, intermediate=14336, layers=32, heads=32, kv_heads=8, vocabulary=32000)
    max_position = config.integer("max_position_embeddings", 131072)
    rope = plain_rope_parameters(config, base=1_000_000.0)
    longest = longest_context(rope, max_position)
    experts = config.integer("num_local_experts", 8)
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
        mixture=Mixture(
            block="block_sparse_moe",
            parts=("w1", "w3", "w2"),
            sparse=(True,) * size.layers,
            experts=experts,
            active=active_experts(config, experts, 2),
            normalise=True,
            width=size.intermediate,
        ),
    )
