"""The files of a small model repository, made up from a seed."""

from __future__ import annotations

import json
import struct

import numpy as np

DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "U8": "u1"}


def safetensors_bytes(tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> bytes:
    """A safetensors file of (dtype, shape, data) by name, in order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


def weights(*names: str, seed: int = 0, shape: tuple[int, ...] = (64, 48)) -> bytes:
    rng = np.random.default_rng(seed)
    return safetensors_bytes({n: ("F32", shape, rng.standard_normal(shape).astype("<f4").tobytes()) for n in names})


TOKENIZER = json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}).encode()
CONFIG = json.dumps({"model_type": "llama", "hidden_size": 48}).encode()


def repository_files(shards: int = 2) -> dict[str, bytes]:
    """Everything a repository usually has, with much that is not needed."""
    files = {
        "README.md": b"---\nlicense: mit\n---\n# model",
        ".gitattributes": b"*.safetensors filter=lfs",
        "config.json": CONFIG,
        "generation_config.json": b'{"eos_token_id": 2}',
        "tokenizer.json": TOKENIZER,
        "tokenizer_config.json": b'{"eos_token": "</s>"}',
        "chat_template.jinja": b"{{ messages[0]['content'] }}",
        "pytorch_model.bin": b"not to be touched",
        "original/consolidated.safetensors": b"nor this",
    }
    if shards == 1:
        return files | {"model.safetensors": weights("model.a", "model.b")}
    weight_map = {}
    for i in range(1, shards + 1):
        shard = f"model-{i:05d}-of-{shards:05d}.safetensors"
        names = (f"model.layers.{i}.a", f"model.layers.{i}.b")
        files[shard] = weights(*names, seed=i, shape=(256, 200))
        weight_map |= dict.fromkeys(names, shard)
    return files | {"model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode()}


NEEDED = {
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
}  # fmt: skip
