"""BitNet b1.58 2B4T: Llama with relu² in the gate and a norm before o and down, trained ternary."""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.decoder import build, read_size
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def spec(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``BitNetConfig``."""
    size = read_size(config, hidden=2560, intermediate=6912, layers=30, heads=20, kv_heads=5, vocabulary=128256)
    if size.heads * size.head_dim != size.hidden:
        # transformers gives the norm before o the length of the residual stream.
        raise config.refuse("head_dim", size.head_dim, f"times {size.heads} heads is not hidden_size = {size.hidden}")
    max_position = config.integer("max_position_embeddings", 2048)
    rope = plain_rope_parameters(config, base=500_000.0)
    longest = longest_context(rope, max_position)
    return build(
        config,
        tensors,
        size,
        ropes=(make_rope(rope, size.head_dim, max_position, context or longest),),
        windows=(None,) * size.layers,
        max_context=longest,
        norm_eps=config.number("rms_norm_eps", 1e-5),
        activation=config.activation("hidden_act", "relu2"),
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=config.flag("attention_bias", False),
        o_bias=config.flag("attention_bias", False),
        sub_norms=True,
    )
