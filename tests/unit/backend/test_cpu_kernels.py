"""The transform, the int8 rounding and the bandwidth probe behind the ABI."""

from __future__ import annotations

import numpy as np
import pytest

from tzcore.backend import native
from tzcore.backend.reference import quantise_activations, quantise_tokens
from tzcore.errors import BackendError
from tzcore.hadamard import rotate


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("block", [1, 2, 4, 8, 16, 32, 64, 512, 4096])
def test_hadamard(block: int, variant: str) -> None:
    x = np.random.default_rng(block).standard_normal((1, 3 * block)).astype(np.float32)
    expected = rotate(x, np.ones(3 * block, np.int8), block) if block > 1 else x
    np.testing.assert_allclose(native.hadamard(x, block, variant), expected, atol=2e-6)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("group", [64, 128])
@pytest.mark.parametrize("length", [64, 128, 192, 200, 576])
def test_quantise_is_exactly_that_of_the_reference(length: int, group: int, variant: str) -> None:
    rng = np.random.default_rng(length)
    for scale in (1.0, 1e-20, 3e37):
        x = (rng.standard_normal(length) * scale).astype(np.float32)
        x[7:9] = 0.5 * scale, -0.5 * scale
        codes, scales = native.quantise(x, group, variant)
        expected_codes, expected_scales = quantise_activations(x[None], group)
        np.testing.assert_array_equal(codes, expected_codes[0])
        np.testing.assert_array_equal(scales, expected_scales[0])


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("length", [64, 192, 200, 576])
def test_one_scale_a_token_is_exactly_that_of_the_reference(length: int, variant: str) -> None:
    rng = np.random.default_rng(length)
    for scale in (1.0, 1e-6, 1e-20, 3e37):
        x = (rng.standard_normal(length) * scale).astype(np.float32)
        codes, scales = native.quantise(x, 0, variant)
        expected_codes, factors = quantise_tokens(x[None])
        np.testing.assert_array_equal(codes, expected_codes[0])
        np.testing.assert_array_equal(scales, 1 / factors[0])
    assert np.isnan(native.quantise(np.array([1.0, np.inf] * 32, np.float32), 0, variant)[1]).all()


@pytest.mark.parametrize("variant", native.variants())
def test_ties_go_to_even(variant: str) -> None:
    x = np.zeros(64, np.float32)
    x[:6] = 127.0, 0.5, 1.5, 2.5, -0.5, -1.5
    codes, scales = native.quantise(x, 64, variant)
    assert scales[0] == 1.0
    assert codes[:6].tolist() == [127, 0, 2, 2, 0, -2]


def test_read_bandwidth_is_plausible() -> None:
    rate = native.Pool(2).read_bandwidth(1 << 26, 2)
    assert 1e8 < rate < 5e12


def test_variants_end_with_what_runs_anywhere() -> None:
    assert native.variants()[-1] == "scalar"


def test_unknown_variant_names_the_known() -> None:
    with pytest.raises(BackendError, match="scalar"):
        native.hadamard(np.ones(64, np.float32), 64, "sse9")


def test_environment_forces_the_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    from tzcore.backend.cpu import CpuBackend

    monkeypatch.setenv(native.VARIANT_VARIABLE, "scalar")
    assert CpuBackend().variant == "scalar"
    assert "scalar" in CpuBackend().describe()
    monkeypatch.setenv(native.VARIANT_VARIABLE, "no-such")
    with pytest.raises(BackendError, match="no-such"):
        CpuBackend()
