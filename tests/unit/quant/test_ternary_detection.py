"""Plain numbers that are exactly ternary are found, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.native_models import ternary
from tzcore.quant.ternary_detection import exact_ternary


@pytest.mark.parametrize("cols", [64, 192, 256, 320])
@pytest.mark.parametrize("runs", ["matrix", "rows", "row", "groups"])
def test_the_same_numbers_come_back(runs: str, cols: int) -> None:
    rng = np.random.default_rng(0)
    span = 128 if cols % 128 == 0 else 64
    count = {"matrix": (1, 1), "rows": (3, 1), "row": (33, 1), "groups": (33, cols // span)}[runs]
    weights = ternary(rng, (33, cols), rng.uniform(1e-3, 3, count).astype(np.float16).astype(np.float32))
    found = exact_ternary(weights)
    assert found is not None
    assert (found.group, found.gain) == (span, 1.0)
    assert np.array_equal(found.values(), weights)
    assert np.array_equal(found.codes, np.sign(weights))


def test_groups_of_64_where_128_are_two() -> None:
    rng = np.random.default_rng(0)
    weights = ternary(rng, (20, 256), rng.uniform(1, 3, (20, 4)).astype(np.float16).astype(np.float32))
    found = exact_ternary(weights)
    assert found is not None
    assert found.group == 64
    assert np.array_equal(found.values(), weights)


@pytest.mark.parametrize("scale", [0.1, 1e-9, 3e30, 1 / 3])
def test_one_scale_may_be_any_float32(scale: float) -> None:
    weights = ternary(np.random.default_rng(0), (20, 128), np.full((1, 1), scale, np.float32))
    weights[3, :128] = 0
    found = exact_ternary(weights)
    assert found is not None
    assert found.gain == float(np.float32(scale))
    assert (found.scales == 1).all()
    assert np.array_equal(found.values(), weights)


def test_scales_beyond_half_precision_share_a_power_of_two() -> None:
    """Scales of bfloat16: eight bits each, but from 1e-9 to 1e-5, where half precision has none left."""
    rng = np.random.default_rng(0)
    bits = np.exp(rng.uniform(np.log(1e-9), np.log(1e-5), (40, 2))).astype(np.float32).view(np.uint32)
    scales = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    weights = ternary(rng, (40, 256), scales)
    found = exact_ternary(weights)
    assert found is not None
    assert np.log2(found.gain) == int(np.log2(found.gain)) < 0
    assert np.array_equal(found.values(), weights)


def test_scales_that_half_precision_would_round_are_not_taken() -> None:
    rng = np.random.default_rng(0)
    assert exact_ternary(ternary(rng, (40, 256), rng.uniform(0.1, 1, (40, 1)).astype(np.float32))) is None


@pytest.mark.parametrize("at", [(0, 0), (15, 3), (39, 255)])
def test_one_other_number_is_noticed_wherever_it_is(at: tuple[int, int]) -> None:
    weights = ternary(np.random.default_rng(0), (40, 256), np.full((1, 1), 0.5, np.float32))
    for value in (0.25, np.nan, np.inf):
        spoiled = weights.copy()
        spoiled[at] = value
        assert exact_ternary(spoiled) is None


def test_ordinary_weights_and_zeros() -> None:
    assert exact_ternary(np.random.default_rng(0).standard_normal((40, 256)).astype(np.float32)) is None
    found = exact_ternary(np.zeros((40, 100), np.float32))
    assert found is not None
    assert not found.codes.any()
