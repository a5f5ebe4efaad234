from __future__ import annotations

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.pages import KeyValuePools, Pages, layer_bytes, padded_head, page_bytes, pages_for
from tzcore.errors import BackendError


def test_pages_are_handed_out_and_taken_back() -> None:
    pages = Pages(5)
    assert pages.free_tokens == 1280
    first = pages.allocate(257)
    second = pages.allocate(256)
    assert (first, second) == ([0, 1], [2])
    assert pages.free_tokens == 512
    pages.free(first)
    assert pages.allocate(700) == [0, 1, 3]


def test_a_context_that_cannot_be_had_says_what_could() -> None:
    pages = Pages(4)
    pages.allocate(512)
    with pytest.raises(BackendError, match=r"513 tokens does not fit .* 512 tokens would fit of the 1,024"):
        pages.allocate(513)
    assert pages.free_tokens == 512
    assert pages.allocate(512) == [2, 3]


def test_a_page_is_given_back_once() -> None:
    pages = Pages(2)
    held = pages.allocate(1)
    pages.free(held)
    with pytest.raises(BackendError, match="page 0 is not held"):
        pages.free(held)


def test_heads_are_padded_to_what_kernels_have() -> None:
    assert [padded_head(width) for width in (16, 64, 80, 96, 112, 128, 256)] == [64, 64, 96, 96, 128, 128, 256]
    with pytest.raises(BackendError, match="heads of 257 numbers are too wide"):
        padded_head(257)


def test_bytes_of_a_page() -> None:
    small = spec()  # two layers, two heads of keys of 16 numbers
    assert layer_bytes(small) == 256 * 2 * 64 * 2
    assert page_bytes(small) == 2 * 2 * layer_bytes(small)
    assert [pages_for(tokens) for tokens in (0, 1, 256, 257)] == [0, 1, 1, 2]


def test_pools_fill_their_region() -> None:
    small = spec()
    region = Region("keys and values", 0, 3 * page_bytes(small))
    pools = KeyValuePools(region, small, 3)
    size = 3 * layer_bytes(small)
    assert pools.keys == [0, 2 * size]
    assert pools.values == [size, 3 * size]
    assert region.used == region.size
