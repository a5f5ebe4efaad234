"""Rotary frequencies against transformers' own, over many settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tzcore.architecture.config import Config
from tzcore.architecture.rope import longest_context, make_rope, plain_rope_parameters, rope_parameters
from tzcore.errors import UnsupportedModelError

dims = st.sampled_from([8, 16, 64, 96, 128])
bases = st.floats(1e3, 2e6)
factors = st.floats(1.0, 40.0)
lengths = st.integers(64, 40000)
unhurried = settings(deadline=None)


def _compare(parameters: dict[str, Any], dim: int, max_position: int, context: int, rtol: float = 3e-6) -> None:
    config = LlamaConfig(
        hidden_size=4 * dim,
        num_attention_heads=4,
        max_position_embeddings=max_position,
        rope_parameters=dict(parameters),
    )
    wanted, scale = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu", seq_len=context)
    rope = make_rope(parameters, dim, max_position, context)
    assert rope.inverse_frequencies.dtype == np.float32
    assert np.allclose(rope.inverse_frequencies, wanted.numpy(), rtol=rtol, atol=0)
    assert rope.scale == pytest.approx(scale, rel=1e-9)


@unhurried
@given(dims, bases, factors, lengths)
def test_linear(dim: int, base: float, factor: float, length: int) -> None:
    _compare({"rope_type": "linear", "rope_theta": base, "factor": factor}, dim, length, length)


@unhurried
@given(dims, bases, factors, lengths, st.floats(0.1, 20))
def test_dynamic_for_the_planned_context(dim: int, base: float, factor: float, length: int, times: float) -> None:
    parameters = {"rope_type": "dynamic", "rope_theta": base, "factor": factor}
    _compare(parameters, dim, length, max(1, int(length * times)))


@unhurried
@given(dims, bases, factors, lengths, st.floats(0.5, 4), st.floats(1.5, 16))
def test_llama3(dim: int, base: float, factor: float, length: int, low: float, ratio: float) -> None:
    parameters = {
        "rope_type": "llama3",
        "rope_theta": base,
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": low * ratio,
        "original_max_position_embeddings": length,
    }
    # transformers blends in float32: what it loses where little is kept of a frequency counts ``factor`` times.
    _compare(parameters, dim, 8 * length, length, rtol=3e-6 + 5e-7 * factor)


@unhurried
@given(dims, bases, factors, lengths, st.data())
def test_yarn(dim: int, base: float, factor: float, length: int, data: st.DataObject) -> None:
    parameters: dict[str, Any] = {
        "rope_type": "yarn",
        "rope_theta": base,
        "factor": factor,
        "original_max_position_embeddings": length,
    }
    extra = {
        "attention_factor": st.floats(0.1, 4),
        "beta_fast": st.floats(4, 64),
        "beta_slow": st.floats(0.5, 4),
        "truncate": st.booleans(),
    }
    for key, values in extra.items():
        if data.draw(st.booleans()):
            parameters[key] = data.draw(values)
    if data.draw(st.booleans()):
        parameters |= {"mscale": data.draw(st.floats(0.1, 2)), "mscale_all_dim": data.draw(st.floats(0.1, 2))}
    _compare(parameters, dim, 4 * length, length)


@unhurried
@given(dims, bases, lengths, st.booleans(), st.data())
def test_longrope_takes_its_factors_by_the_planned_context(
    dim: int, base: float, length: int, long: bool, data: st.DataObject
) -> None:
    lists = st.lists(st.floats(1, 60), min_size=dim // 2, max_size=dim // 2)
    parameters: dict[str, Any] = {
        "rope_type": "longrope",
        "rope_theta": base,
        "short_factor": data.draw(lists),
        "long_factor": data.draw(lists),
        "original_max_position_embeddings": length,
    }
    for key in ("factor", "attention_factor"):
        if data.draw(st.booleans()):
            parameters[key] = data.draw(st.floats(1, 32))
    _compare(parameters, dim, 8 * length, length + 1 if long else length)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([64, 96, 128]), bases, st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_partial_rotation_of_plain_frequencies(dim: int, base: float, part: float) -> None:
    from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

    parameters = {"rope_type": "default", "rope_theta": base, "partial_rotary_factor": part}
    config = Phi3Config(hidden_size=4 * dim, num_attention_heads=4, rope_parameters=dict(parameters))
    wanted, _ = Phi3RotaryEmbedding.compute_default_rope_parameters(config)
    rope = make_rope(parameters, dim, 4096, 4096)
    assert len(rope.inverse_frequencies) == int(dim * part) // 2
    assert np.allclose(rope.inverse_frequencies, wanted.numpy(), rtol=3e-6, atol=0)


_SCALING = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    "raw",
    [
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **_SCALING}},
        {"rope_theta": 5e5, "rope_scaling": {"type": "llama3", **_SCALING}},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **_SCALING}},
        {"rope_theta": 5e5, "rope_parameters": {"rope_type": "llama3", **_SCALING}},
    ],
)
def test_both_forms_of_configuration_say_the_same(raw: dict[str, Any]) -> None:
    parameters = rope_parameters(Config(raw, "llama"))
    assert parameters["rope_type"] == "llama3"
    assert parameters["rope_theta"] == 5e5
    assert {key: parameters[key] for key in _SCALING} == _SCALING


def test_nothing_said_means_plain_rotation_to_the_base_ten_thousand() -> None:
    assert rope_parameters(Config({"rope_scaling": None}, "llama")) == {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 1.0,
    }


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"rope_scaling": {"rope_type": "mrope", "factor": 2.0}}, "mrope"),
        ({"rope_scaling": {"type": "proportional"}}, "proportional"),
        ({"rope_scaling": 4.0}, "rope_scaling"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "layer type"),
        ({"rope_theta": -1}, "rope_theta"),
        ({"rope_theta": "10000"}, "rope_theta"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ],
)
def test_an_unknown_setting_is_refused_by_name(raw: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModelError, match=named):
        plain_rope_parameters(Config(raw, "llama"))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"rope_type": "linear"}, "factor"),
        ({"rope_type": "yarn", "factor": float("inf")}, "factor"),
        ({"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0}, "low_freq_factor"),
        ({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4, "high_freq_factor": 4}, "high_freq_factor"),
        ({"rope_type": "longrope", "long_factor": [1.0]}, "short_factor"),
        ({"rope_type": "longrope", "short_factor": [1.0] * 31}, "short_factor"),
        ({"rope_type": "default", "partial_rotary_factor": 0.01}, "rotated"),
        ({"rope_type": "spiral"}, "spiral"),
    ],
)
def test_a_missing_or_impossible_number_is_named(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModelError, match=named):
        make_rope({"rope_theta": 1e4, **parameters}, 64, 4096, 4096)


@pytest.mark.parametrize(
    ("parameters", "longest"),
    [
        ({"rope_type": "default"}, 4096),
        ({"rope_type": "linear", "factor": 4.0}, 4096),
        ({"rope_type": "dynamic", "factor": 4.0}, 16384),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384),
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 2048}, 4096),
    ],
)
def test_the_longest_context(parameters: dict[str, Any], longest: int) -> None:
    assert longest_context(parameters, 4096) == longest
