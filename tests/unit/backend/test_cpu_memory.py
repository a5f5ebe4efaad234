"""The bytes of keys and values, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cpu_memory import longest, memory_bytes, pages, read_bytes
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

K8, K6V5, K4 = FORMATS["k8v8"], FORMATS["k6v5"], FORMATS["k4v4"]


def windowed(window: int, head_dim: int = 16) -> ModelSpec:
    """Two layers, of which the second has a window; two heads of keys and values."""
    made = spec(max_context=1 << 20)
    return replace(made, head_dim=head_dim, layers=(made.layers[0], replace(made.layers[1], window=window)))


def test_half_precision_is_two_bytes_a_number_in_whole_pages() -> None:
    assert memory_bytes(spec(), 64, F16) == 2 * 2 * 2 * 64 * 16 * 2  # layers · heads · (k, v) · tokens · head · 2
    assert memory_bytes(spec(), 65, F16) == memory_bytes(spec(), 128, F16) == 2 * memory_bytes(spec(), 64, F16)


def test_a_head_is_padded_to_sixteen() -> None:
    odd = replace(spec(), head_dim=24)
    assert memory_bytes(odd, 64, F16) == 2 * memory_bytes(spec(), 64, F16)


@pytest.mark.parametrize(("stored", "bits"), [(K8, 16), (K6V5, 11), (K4, 8), (FORMATS["k4v2"], 6)])
def test_a_quantised_page_has_scales_and_a_memory_its_half_precision(stored: KeyValueFormat, bits: int) -> None:
    page = 2 * (64 * 16 * bits // 8 + 2 * 64)
    # Ring of keys and values; the sink's values, and its keys twice as many · layers · heads · head · 2
    half = (2 * 256 + 3 * 16) * 2 * 2 * 16 * 2
    assert memory_bytes(spec(), 640, stored) == 2 * 10 * page + half


def test_layers_with_a_window_have_a_few_windows() -> None:
    made = windowed(100)
    assert pages(64 * 100, None) == 100
    assert pages(64 * 100, 100) == 4 * 5 + 5  # 100 tokens and 3 pages behind them, four times, and some to spare
    assert pages(64 * 3, 100) == 3
    assert memory_bytes(made, 64 * 100, F16) == (100 + 25) * 2 * 64 * 16 * 4


@pytest.mark.parametrize("stored", FORMATS.values())
@pytest.mark.parametrize("made", [spec(max_context=1 << 20), windowed(100), windowed(1 << 18)])
@pytest.mark.parametrize("budget", [0, 300_000, 5_000_000, 80_000_000])
def test_the_longest_fits_and_a_page_more_does_not(stored: KeyValueFormat, made: ModelSpec, budget: int) -> None:
    most = made.max_context
    tokens = longest(made, stored, budget, most)
    assert tokens % 64 == 0
    assert tokens == 0 or memory_bytes(made, tokens, stored) <= budget
    assert tokens == most or memory_bytes(made, tokens + 1, stored) > budget


def test_the_longest_is_no_more_than_was_wanted() -> None:
    assert longest(spec(), F16, 1 << 40, 1000) == 1000


def test_what_a_token_reads() -> None:
    assert read_bytes(windowed(100), 999, F16) == (1000 + 100) * 2 * 2 * 16 * 2
    assert read_bytes(windowed(100), 999, K4) == (1000 + 100) * 2 * (2 * 16 // 2 + 2)
