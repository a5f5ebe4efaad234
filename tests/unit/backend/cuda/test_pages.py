from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.ptx import stored_layout
from tests.unit.engine.scripted_model import spec
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.contents import Contents, KeyValuePools
from tzcore.backend.cuda.pages import (
    HEADS,
    Pages,
    context_bytes,
    groups,
    layer_bytes,
    longest,
    padded_head,
    pages_for,
    recent_bytes,
    recent_slots,
    tile_bytes,
)
from tzcore.errors import BackendError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat


def page_bytes(spec: ModelSpec, kv: KeyValueFormat = F16) -> int:
    """Of all layers."""
    return len(spec.layers) * layer_bytes(spec, kv)


def test_pages_are_handed_out_and_taken_back() -> None:
    pages = Pages(5)
    assert pages.free_tokens() == 1280
    first = pages.allocate(257)
    second = pages.allocate(256)
    assert (first, second) == ([0, 1], [2])
    assert pages.free_tokens() == 512
    pages.free(first)
    assert pages.allocate(700) == [0, 1, 3]


def test_a_context_that_cannot_be_had_says_what_could() -> None:
    pages = Pages(4)
    pages.allocate(512)
    with pytest.raises(BackendError, match=r"513 tokens does not fit .* 512 tokens would fit of the 1,024"):
        pages.allocate(513)
    assert pages.free_tokens() == 512
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
    assert layer_bytes(small) == 256 * 2 * 64 * 2 * 2
    assert page_bytes(small) == 2 * layer_bytes(small)
    assert [pages_for(tokens) for tokens in (0, 1, 256, 257)] == [0, 1, 1, 2]
    k4v4 = FORMATS["k4v4"]
    assert layer_bytes(small, k4v4) == 256 * 2 * (64 + 2)  # half a byte a number, a byte a vector


def test_bytes_of_codes_are_those_that_the_kernels_lay_out() -> None:
    for width in HEADS:
        for kv in list(FORMATS.values())[1:]:
            assert tile_bytes(width, kv) == stored_layout.tile_bytes(width, kv)
        assert tile_bytes(width, FORMATS["k4v2"]) * 8 >= 128 * width  # the first tokens find room in a page


def test_a_context_of_codes() -> None:
    small, k4v4 = spec(), FORMATS["k4v4"]
    assert recent_slots(512) == 20  # 640 tokens
    assert recent_slots(1) == 6
    assert recent_bytes(small, F16, 512) == 0
    latest = 2 * 640 * 2 * 64 * 4
    assert recent_bytes(small, k4v4, 512) == latest
    assert context_bytes(small, F16, 257, 512) == 2 * page_bytes(small)
    whole = context_bytes(small, k4v4, 257, 512)
    assert whole == 3 * page_bytes(small, k4v4) + latest
    assert longest(small, k4v4, whole, 512) == 512
    assert longest(small, k4v4, whole - 1, 512) == 256
    assert longest(small, k4v4, 5, 512) == 0


def windowed(window: int = 300) -> ModelSpec:
    """Two layers, of which the second sees so many tokens."""
    small = spec()
    return replace(small, layers=(small.layers[0], replace(small.layers[1], window=window)))


def test_a_window_takes_its_pages_only() -> None:
    """Those of 300 tokens and a call of 64, with a page to go back to, for two texts: 8."""
    made, page = windowed(), layer_bytes(spec())
    assert [(group.window, group.layers) for group in groups(made)] == [(0, (0,)), (300, (1,))]
    assert context_bytes(made, F16, 100 * 256, 64) == (100 + 8) * page
    assert context_bytes(made, F16, 512, 64) == (2 + 2) * page
    assert longest(made, F16, 108 * page, 64) == 100 * 256
    assert longest(made, F16, 108 * page - 1, 64) == 99 * 256
    assert longest(made, F16, 6 * page, 64) == 3 * 256
    k4v4 = FORMATS["k4v4"]
    sinks = 2 * layer_bytes(made, k4v4)
    pages = (100 + 8) * layer_bytes(made, k4v4)
    assert context_bytes(made, k4v4, 100 * 256, 64) == pages + sinks + recent_bytes(made, k4v4, 64)


@pytest.mark.parametrize("kv", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("window", [None, 300])
def test_pools_fill_their_region(kv: KeyValueFormat, window: int | None) -> None:
    made = windowed(window) if window else spec()
    region = Region("keys and values", 0, context_bytes(made, kv, 7000, 64))
    pools = KeyValuePools(region, made, 7000, kv, 64)
    assert region.used == region.size
    assert len(set(pools.keys)) == 2
    assert [any(pools.values), any(pools.recent)] == [not kv.quantised, kv.quantised]
    runs = [run for group in range(len(pools.groups)) for run in pools.runs(group, 2)]
    assert sum(size for _, size in runs) == page_bytes(made, kv)
    assert len({address for address, _ in runs}) == len(runs)


class Device:
    """A card's memory, and nothing else."""

    def __init__(self, size: int) -> None:
        self.memory = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)

    def copy_within(self, target, source, size, stream=None) -> None:
        self.memory[target : target + size] = self.memory[source : source + size]

    def copy_out(self, array, address, stream=None) -> None:
        array[...] = self.memory[address : address + array.size]

    def copy_in(self, address, array, stream=None) -> None:
        self.memory[address : address + array.size] = array

    def synchronize(self, stream=None) -> None: ...


@pytest.mark.parametrize("kv", [F16, FORMATS["k6v5"]], ids=["f16", "k6v5"])
def test_what_is_in_a_page(kv: KeyValueFormat) -> None:
    made = windowed()
    size = context_bytes(made, kv, 1024, 64)
    pools = KeyValuePools(Region("keys and values", 0, size), made, 1024, kv, 64)
    device: Any = Device(size)
    contents = Contents(device, None, pools)
    sinks = [3, 0] if kv.quantised else [None, None]
    saved = contents.read([1, 2], sinks)
    assert len(saved) == 2 + page_bytes(made, kv) + (2 * 2 * 32 * 64 * 4 if kv.quantised else 0)

    before = device.memory.copy()
    contents.copy(0, 1, 2)
    assert contents.read([2, 2], sinks) == saved
    changed = np.flatnonzero(device.memory != before)
    within = [range(address, address + run) for address, run in pools.runs(0, 2)]
    assert all(any(at in run for run in within) for at in changed[::97])

    for group, page in enumerate((1, 2)):
        for address, run in pools.runs(group, page):
            device.memory[address : address + run] = 0
    contents.write(saved, [1, 2], sinks)
    assert contents.read([1, 2], sinks) == saved
    with pytest.raises(BackendError, match="another model or version"):
        contents.write(saved[:-1], [1, 2], sinks)

    without = contents.read([1, None], sinks)
    assert without[:2] == b"\x01\x00"
    contents.write(without, [1, None], sinks)
    contents.write(saved, [1, None], sinks)  # more than is wanted
    with pytest.raises(BackendError, match="let go of before they were saved"):
        contents.write(without, [1, 2], sinks)
