"""A GGUF file of random weights in the shape of a Llama: ``python random_gguf.py OUT KIND CONFIG_JSON``.

Runs in the peer's interpreter, with the package ``gguf``.  Projections are stored as KIND, embedding
and head as Q6_K, which is what ``llama-quantize`` makes of them.
"""

from __future__ import annotations

import json
import sys

import gguf
import numpy as np

_BLOCKS = {"TQ2_0": (256, 66, 64), "TQ1_0": (256, 54, 52), "Q4_0": (32, 18, 0), "Q6_K": (256, 210, 208)}
"""Weights and bytes of a block, and where its half-precision scale stands."""


def _random(rows: int, cols: int, kind: str) -> np.ndarray:
    weights, size, at = _BLOCKS[kind]
    blocks = np.random.default_rng(rows + cols).integers(0, 256, (rows, cols // weights, size), np.uint8)
    scale = np.full((rows, cols // weights, 1), 0.02 * cols**-0.5, np.float16)
    blocks[..., at : at + 2] = scale.view(np.uint8)
    return blocks.reshape(rows, -1)


def main() -> None:
    """Write the file."""
    out, kind, config = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim = config.get("head_dim") or hidden // heads
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(wide)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(dim)
    writer.add_value_length(dim)
    writer.add_rope_dimension_count(dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")

    def matrix(name: str, rows: int, cols: int, stored: str) -> None:
        kinds = gguf.GGMLQuantizationType
        writer.add_tensor(name, _random(rows, cols, stored), raw_dtype=kinds[stored])

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(hidden, np.float32))

    matrix("token_embd.weight", config["vocab_size"], hidden, "Q6_K")
    norm("output_norm.weight")
    for layer in range(config["num_hidden_layers"]):
        prefix = f"blk.{layer}"
        norm(f"{prefix}.attn_norm.weight")
        norm(f"{prefix}.ffn_norm.weight")
        for part, rows, cols in (
            ("attn_q", heads * dim, hidden),
            ("attn_k", kv_heads * dim, hidden),
            ("attn_v", kv_heads * dim, hidden),
            ("attn_output", hidden, heads * dim),
            ("ffn_gate", wide, hidden),
            ("ffn_up", wide, hidden),
            ("ffn_down", hidden, wide),
        ):
            matrix(f"{prefix}.{part}.weight", rows, cols, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
