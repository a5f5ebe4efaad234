"""A config.json with anything in it gives a spec or one clear error, never a crash."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_models import FAMILIES, tiny_source
from tzcore.architecture.registry import read_spec
from tzcore.architecture.rope import TYPES
from tzcore.errors import TernaryZeroError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 2, 3, 64, 192, 10**400, 1 << 31])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["default", "linear", "dynamic", "yarn", "longrope", "llama3", "full_attention"])
)
NUMBERS = ["factor", "rope_theta", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"]
NUMBERS += ["beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate", "attention_factor"]
NUMBERS += ["partial_rotary_factor"]
ROPES = st.fixed_dictionaries(
    {"rope_type": st.sampled_from(TYPES)},
    optional={key: SCALARS | st.floats(0.5, 64) for key in NUMBERS}
    | {key: st.lists(SCALARS, min_size=12, max_size=16) for key in ("long_factor", "short_factor")}
    | {"full_attention": SCALARS, "sliding_attention": SCALARS},
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | ROPES | st.fixed_dictionaries({"full_attention": ROPES | SCALARS})
SOURCES = {family: tiny_source(family) for family in FAMILIES}
KEYS = sorted(
    {key for source in SOURCES.values() for key in source.config if key != "model_type"}
    | {"rope_scaling", "rope_theta", "rope_local_base_freq", "sliding_window_pattern", "quantization_config"}
    | {"max_window_layers", "partial_rotary_factor", "original_max_position_embeddings", "attention_bias"}
)
KEYS_DRAWN = st.sampled_from(["rope_scaling", "rope_parameters"]) | st.sampled_from(KEYS)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(KEYS_DRAWN, VALUES, max_size=4), context=st.none() | st.integers(-1, 10**7))
def test_any_values(family: str, changes: dict[str, Any], context: int | None) -> None:
    source = SOURCES[family]
    config: dict[str, Any] = {**source.config, **changes}
    if family == "gemma3" and isinstance(config.get("text_config"), dict):
        config["text_config"] = {**config["text_config"], **changes}
    with contextlib.suppress(TernaryZeroError):
        spec = read_spec(config, set(source.names()), context)
        for rope in spec.ropes:
            assert np.isfinite(rope.inverse_frequencies).all()
            assert 0 < rope.scale < float("inf")


@given(VALUES)
def test_any_model_type(value: Any) -> None:
    with pytest.raises(TernaryZeroError):
        read_spec({"model_type": value}, set())
