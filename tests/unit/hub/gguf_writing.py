"""GGUF files of tiny models, written by the ``gguf`` package as llama.cpp's converter writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "llama3": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "phi3_longrope": gguf.MODEL_ARCH.PHI3,
}


def reorder(weights: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """What the converter does to Llama's q and k (``LlamaModel.permute``)."""
    return (
        weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


def llama3_divisors(rope: dict[str, Any], head_dim: int) -> npt.NDArray[np.float32]:
    """What the converter writes as ``rope_freqs`` for Llama 3's scaling, wavelength by wavelength."""
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    result = []
    for frequency in 1.0 / rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim):
        wavelength = 2 * np.pi / frequency
        if wavelength < high:
            result.append(1.0)
        elif wavelength > low:
            result.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"]
            )
            result.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(result, np.float32)


def write_byte_level(writer: gguf.GGUFWriter, vocabulary: dict[str, int], merges: list[str], pre: str) -> None:
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t.startswith("<|") else 1 for t in tokens])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(vocabulary["<|im_end|>"])
    writer.add_bos_token_id(vocabulary["<|im_start|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")


Packed = tuple[int, Callable[[str, npt.NDArray[np.float32]], npt.NDArray[np.uint8] | None]]
"""ggml's number of an element type, and what packs the tensors (by Hugging Face name) stored in it."""


def write_gguf(
    path: Path, family: str, source: Any, quantisation: str = "F32", packed: Packed | None = None, **settings: Any
) -> None:
    """``source`` (a ``TinySource``) as a GGUF file; ``settings`` override metadata (``None`` leaves it out)."""
    from tests.tiny_models import tokenizer

    kind = ARCHITECTURES[family]
    config = source.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[kind])
    writer.add_license("apache-2.0")
    for key, value in (_metadata(family, config) | settings).items():
        if isinstance(value, str):
            writer.add_string(key.format(arch=writer.arch), value)
        elif isinstance(value, float):
            writer.add_float32(key.format(arch=writer.arch), value)
        elif value is not None:
            writer.add_uint32(key.format(arch=writer.arch), value)
    import json

    model = json.loads(tokenizer().to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    write_byte_level(writer, model["vocab"], merges, "gpt-2")
    _add_tensors(writer, kind, family, source, gguf.GGMLQuantizationType[quantisation], packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _metadata(family: str, config: dict[str, Any]) -> dict[str, Any]:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    rope = config["rope_parameters"]
    far = rope.get("full_attention", rope)
    rotated = int(head_dim * (config.get("partial_rotary_factor") or 1.0))
    metadata: dict[str, Any] = {
        "{arch}.context_length": config["max_position_embeddings"],
        "{arch}.embedding_length": config["hidden_size"],
        "{arch}.feed_forward_length": config["intermediate_size"],
        "{arch}.block_count": config["num_hidden_layers"],
        "{arch}.attention.head_count": heads,
        "{arch}.attention.head_count_kv": config["num_key_value_heads"],
        "{arch}.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "{arch}.rope.freq_base": float(far["rope_theta"]),
    }
    if family in ("llama", "llama3") or family.startswith("phi3"):
        metadata["{arch}.rope.dimension_count"] = rotated
    if family in ("qwen3", "gemma2", "gemma3_text"):
        metadata["{arch}.attention.key_length"] = head_dim
        metadata["{arch}.attention.value_length"] = head_dim
    if family in ("gemma2", "gemma3_text") or family == "phi3":
        metadata["{arch}.attention.sliding_window"] = config["sliding_window"]
    if family == "gemma2":
        metadata["{arch}.attn_logit_softcapping"] = config["attn_logit_softcapping"]
        metadata["{arch}.final_logit_softcapping"] = config["final_logit_softcapping"]
    if far.get("rope_type") == "linear":
        metadata |= {"{arch}.rope.scaling.type": "linear", "{arch}.rope.scaling.factor": far["factor"]}
    if family.startswith("phi3") and config.get("original_max_position_embeddings"):
        metadata["{arch}.rope.scaling.original_context_length"] = config["original_max_position_embeddings"]
    return metadata


def _add_tensors(
    writer: gguf.GGUFWriter,
    kind: gguf.MODEL_ARCH,
    family: str,
    source: Any,
    quantisation: gguf.GGMLQuantizationType,
    packed: Packed | None,
) -> None:
    config = source.config
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    for name in source.names():
        values = source.tensor(name)
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored is not None, name
        if family.startswith("llama") and "q_proj" in name:
            values = reorder(values, config["num_attention_heads"])
        if family.startswith("llama") and "k_proj" in name:
            values = reorder(values, config["num_key_value_heads"])
        if family.startswith("gemma") and name.endswith("norm.weight"):
            values = values + 1
        if packed and (blocks := packed[1](name, values)) is not None:
            writer.add_tensor(stored, blocks, raw_dtype=packed[0])
            continue
        _add(writer, stored, values, quantisation if values.ndim == 2 else gguf.GGMLQuantizationType.F32)
    rope = config["rope_parameters"]
    if family == "llama3":
        head_dim = config["hidden_size"] // config["num_attention_heads"]
        _add(writer, "rope_freqs.weight", llama3_divisors(rope, head_dim), gguf.GGMLQuantizationType.F32)
    if family == "phi3_longrope":
        for which in ("long", "short"):
            factors = np.array(rope[f"{which}_factor"], np.float32)
            _add(writer, f"rope_factors_{which}.weight", factors, gguf.GGMLQuantizationType.F32)


def _add(
    writer: gguf.GGUFWriter, name: str, values: npt.NDArray[np.float32], quantisation: gguf.GGMLQuantizationType
) -> None:
    values = np.ascontiguousarray(values, np.float32)
    if quantisation == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, values)
    elif quantisation == gguf.GGMLQuantizationType.F16:
        writer.add_tensor(name, values.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(values, quantisation), raw_dtype=quantisation)
