"""Rotary settings as models are published with, from ``config.json`` to frequencies, against transformers' own.

The numbers are those of the models' configuration files; families that are not supported stand as Llamas with heads
of the same size, as only their scaling is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tzcore.architecture.registry import read_spec

_LONG = (
    1.08, 1.11, 1.14, 1.34, 1.59, 1.6, 1.62, 2.62, 3.23, 3.23, 4.79, 7.4, 7.7, 9.09, 12.2, 17.67, 24.46, 28.57, 30.42,
    30.84, 32.59, 32.93, 42.32, 44.96, 50.34, 50.45, 57.55, 57.93, 58.21, 60.14, 62.61, 62.62, 62.71, 63.14, 63.14,
    63.77, 63.93, 63.96, 63.97, 64.03, 64.07, 64.08, 64.12, 64.41, 64.48, 64.51, 64.53, 64.84,
)  # fmt: skip
_SHORT = (
    1.0, 1.02, 1.03, 1.03, 1.05, 1.05, 1.05, 1.05, 1.05, 1.07, 1.1, 1.11, 1.16, 1.16, 1.17, 1.29, 1.34, 1.68, 1.79,
    1.82, 1.85, 1.88, 1.91, 1.94, 1.99, *(2.02,) * 6, *(2.03,) * 9, 2.08, 2.09, 2.19, 2.22, 2.59, 2.73, 2.75, 2.84,
)  # fmt: skip
_LLAMA3 = {
    "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
}  # fmt: skip
_PHI = {"type": "longrope", "long_factor": list(_LONG), "short_factor": list(_SHORT)}


def _config(head: int, theta: float, longest: int, scaling: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {
        "model_type": "llama", "hidden_size": 8 * head, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": head, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 1000, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "rope_theta": theta, "max_position_embeddings": longest,
        "rope_scaling": scaling, **more,
    }  # fmt: skip


_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
_DEEPSEEK = {
    "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "SmolLM2": _config(64, 1e5, 8192, None),
    "Llama 3.1 8B, 3.3 70B": _config(128, 5e5, 131072, {**_LLAMA3, "factor": 8.0}),
    "Llama 3.2 1B": _config(64, 5e5, 131072, {**_LLAMA3, "factor": 32.0}),
    "Llama 3.2 3B": _config(128, 5e5, 131072, {**_LLAMA3, "factor": 32.0}),
    "Qwen2.5, YaRN": _config(128, 1e6, 32768, {**_YARN, "type": "yarn"}, model_type="qwen2"),
    "Qwen3, YaRN": _config(128, 1e6, 40960, _YARN, model_type="qwen3"),
    "Qwen3, YaRN twice": _config(128, 1e6, 65536, {**_YARN, "factor": 2.0}, model_type="qwen3"),
    "Yarn-Llama-2 128k": _config(
        128, 1e4, 131072, {"type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "finetuned": True}
    ),
    "DeepSeek V3": _config(64, 1e4, 163840, {**_DEEPSEEK, "mscale": 1.0, "mscale_all_dim": 1.0}),
    "DeepSeek V2 Lite": _config(64, 1e4, 163840, {**_DEEPSEEK, "mscale": 0.707, "mscale_all_dim": 0.707}),
    "DeepSeek, one mscale": _config(64, 1e4, 163840, {**_DEEPSEEK, "mscale": 1.0, "mscale_all_dim": 0}),
    "DeepSeek, two mscales": _config(64, 1e4, 163840, {**_DEEPSEEK, "mscale": 1.0, "mscale_all_dim": 0.8}),
    "gpt-oss": _config(
        64, 150000, 131072,
        {
            "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": 4096,
        },
    ),
    "YaRN without a rounded ramp, null": _config(64, 150000, 131072, {**_YARN, "truncate": None}),
    "YaRN, its own attention factor": _config(64, 1e6, 131072, {**_YARN, "attention_factor": 1.25}),
    "YaRN without its trained length": _config(64, 1e4, 4096, {"type": "yarn", "factor": 8.0}),
    "InternLM 2.5": _config(128, 1e6, 32768, {"type": "dynamic", "factor": 2.0}),
    "dynamic, 2k four times": _config(128, 1e4, 2048, {"rope_type": "dynamic", "factor": 4.0}),
    "DeepSeek Coder": _config(128, 1e5, 16384, {"type": "linear", "factor": 4.0}),
    "Phi-3.5 mini": _config(
        96, 1e4, 131072, _PHI, model_type="phi3", original_max_position_embeddings=4096, pad_token_id=0
    ),
    "Phi-4 mini": _config(
        128, 1e4, 131072, _PHI, model_type="phi3", original_max_position_embeddings=4096, pad_token_id=0,
        partial_rotary_factor=0.75,
    ),
}  # fmt: skip


class _EveryName(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True


@pytest.mark.parametrize("context", [2048, 4096, 4097, 8192, 32768, 40000, 131072, 262144])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_turns_as_in_transformers(name: str, context: int) -> None:
    raw = PUBLISHED[name]
    fields = {key: value.copy() if isinstance(value, dict) else value for key, value in raw.items()}
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    kind = config.rope_parameters["rope_type"]
    rope = read_spec(raw, _EveryName(), context).ropes[0]
    assert rope.kind == kind
    if kind == "default":
        wanted, scale = raw["rope_theta"] ** -(np.arange(0, raw["head_dim"], 2) / raw["head_dim"]), 1.0
    else:
        frequencies, scale = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=context)
        wanted = frequencies.numpy()
    assert rope.scale == pytest.approx(scale, rel=1e-9)
    # transformers computes in float32, and blends there: what it loses counts ``factor`` times where little is kept.
    factor = (raw["rope_scaling"] or {}).get("factor", 1.0)
    assert np.allclose(rope.inverse_frequencies, wanted, rtol=3e-6 + 5e-7 * factor, atol=0)


def test_longrope_and_dynamic_alone_depend_on_the_context() -> None:
    def depends(name: str) -> bool:
        short, long = (read_spec(PUBLISHED[name], _EveryName(), n).ropes[0].inverse_frequencies for n in (2048, 262144))
        return not np.array_equal(short, long)

    assert {PUBLISHED[name]["rope_scaling"].get("type", PUBLISHED[name]["rope_scaling"].get("rope_type"))
            for name in PUBLISHED if depends(name)} == {"longrope", "dynamic"}  # fmt: skip
