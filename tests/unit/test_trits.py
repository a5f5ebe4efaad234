"""Properties of codes and packing: every value survives, every fit is what it claims to be."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzcore import trits
from tzcore.errors import CheckpointError, ConversionError
from tzcore.trits import FORMATS

CODED = [fmt for fmt in FORMATS.values() if fmt.packing != "half"]
SHAPES = [(1, 1), (16, 64), (17, 576), (40, 200), (3, 128), (33, 1536), (5, 191)]


def random_codes(fmt: trits.Format, shape: tuple[int, int], seed: int = 0) -> trits.Codes:
    return np.random.default_rng(seed).integers(fmt.low, fmt.high + 1, shape).astype(np.int8)


@pytest.mark.parametrize("fmt", CODED, ids=lambda f: f.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pack_round_trip(fmt: trits.Format, shape: tuple[int, int]) -> None:
    codes = random_codes(fmt, shape)
    packed = trits.pack(codes, fmt)
    assert packed.shape == (trits.tiles(shape[0]), trits.tile_bytes(fmt, shape[1]))
    assert np.array_equal(trits.unpack(packed, fmt, *shape), codes)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 800),
    name=st.sampled_from([f.name for f in CODED]),
    seed=st.integers(0, 99),
)
def test_pack_round_trip_on_any_shape(rows: int, cols: int, name: str, seed: int) -> None:
    codes = random_codes(FORMATS[name], (rows, cols), seed)
    assert np.array_equal(trits.unpack(trits.pack(codes, FORMATS[name]), FORMATS[name], rows, cols), codes)


@pytest.mark.parametrize("fmt", CODED, ids=lambda f: f.name)
def test_blocked_packing_equals_packing_at_once(fmt: trits.Format) -> None:
    codes = random_codes(fmt, (16 * 300, 1024))
    whole = trits.pack(codes, fmt)
    assert np.array_equal(whole[100:101], trits.pack(codes[1600:1616], fmt))


@pytest.mark.parametrize(("base", "digits"), [(3, 10), (9, 5)])
def test_every_base3_word_yields_its_digits(base: int, digits: int) -> None:
    """All 59,049 words: the stored fraction gives back each digit by multiplication alone."""
    words = np.arange(trits.WORD_SPAN)
    expected = np.stack([words // base ** (digits - 1 - i) % base for i in range(digits)], -1)
    rest = (words * 65536 + trits.WORD_SPAN - 1) // trits.WORD_SPAN
    assert rest.max() < 65536
    for i in range(digits):
        rest = rest * base
        assert np.array_equal(rest >> 16, expected[:, i])
        rest &= 0xFFFF


def test_slot_layout_is_the_documented_one() -> None:
    """Quad ``s`` of vector ``j`` sits at bit ``2s`` of the lane's four bytes (2-bit slots)."""
    codes = np.full((16, 64), -1, np.int8)
    codes[5, 16 * 2 + 4 * 3 + 1] = 1  # vector 2, quad 3, byte 1, lane 5
    packed = trits.pack(codes, FORMATS["t1"])[0]
    where = 64 * 2 + 4 * 5 + 1
    assert packed[where] == 2 << 6
    assert not np.delete(packed, where).any()


def digits_of(packed: trits.Bytes, base: int) -> npt.NDArray[np.int64]:
    """``[vectors, 16, 2 words, digits]`` of one tile, by division."""
    value = packed.view("<u2").astype(np.int64).reshape(-1, trits.LANES, 2, 1) * trits.WORD_SPAN >> 16
    return value // base ** np.arange(9 if base == 3 else 4, -1, -1) % base


@pytest.mark.parametrize(
    ("name", "cols", "quad", "places"),  # places: (vector, word, digit) of each byte of the quad
    [
        ("t1b3", 320, 0 * 16 + 9, [(9, 0, 0), (9, 0, 1), (9, 1, 0), (9, 1, 1)]),
        ("t1b3", 320, 3 * 16 + 7, [(7, 0, 4), (7, 0, 8), (7, 1, 4), (7, 1, 8)]),
        ("t1b3", 640, 80 + 4 * 16, [(16, 0, 5), (16, 0, 9), (16, 1, 5), (16, 1, 9)]),
        ("t1b3", 256, 2 * 13 + 12, [(12, 0, 3), (12, 0, 7), (12, 1, 3), (12, 1, 7)]),  # 13 sets
        ("t1b3", 384, 80 + 3 * 4 + 3, [(19, 0, 4), (19, 0, 8), (19, 1, 4), (19, 1, 8)]),  # and 4
        ("t2b3", 320, 0 * 16 + 5, [(10, 0, 0), (11, 0, 0), (10, 1, 0), (11, 1, 0)]),
        ("t2b3", 320, 3 * 16 + 5, [(11, 0, 1), (11, 0, 3), (11, 1, 1), (11, 1, 3)]),
        ("t2b3", 320, 2 * 16 + 15, [(30, 0, 2), (30, 0, 4), (30, 1, 2), (30, 1, 4)]),
        ("t2b3", 64, 3 + 3, [(6, 0, 1), (6, 0, 3), (6, 1, 1), (6, 1, 3)]),  # three whole sets, one begun
        ("t2b3", 64, 3 + 4 + 4, [(1, 0, 1), (1, 0, 3), (1, 1, 1), (1, 1, 3)]),
    ],
)
def test_base3_layout_is_the_documented_one(
    name: str, cols: int, quad: int, places: list[tuple[int, int, int]]
) -> None:
    fmt = FORMATS[name]
    codes = np.zeros((16, cols), np.int8)
    plain = digits_of(trits.pack(codes, fmt)[0], fmt.levels)
    values = (fmt.low, fmt.high, fmt.high - 1, fmt.low)
    codes[3, 4 * quad : 4 * quad + 4] = values
    for (vector, word, digit), value in zip(places, values, strict=True):
        assert plain[vector, 3, word, digit] == fmt.zero
        plain[vector, 3, word, digit] += value
    assert np.array_equal(digits_of(trits.pack(codes, fmt)[0], fmt.levels), plain)


def digit_at(packed: trits.Bytes, place: int, row: int, fmt: trits.Format) -> int:
    """The digit at a place of :func:`trits.places`, by arithmetic on the bytes of one tile."""
    vector, byte, digit = place >> 8, place >> 4 & 15, place & 15
    at = vector * 64 + row * 4 + byte
    if fmt.packing == "base3":
        base = 3 if fmt.levels == 3 else 9
        rest = int(packed[at]) + 256 * int(packed[at + 1])
        return rest * base ** (digit + 1) // 65536 % base
    bits = {"slots2": 2, "slots4": 4, "slots8": 8}[fmt.packing]
    code = int(packed[at]) >> digit * bits & (1 << bits) - 1
    return code - 256 if bits == 8 and code > 127 else code


@pytest.mark.parametrize("fmt", CODED, ids=lambda f: f.name)
@pytest.mark.parametrize("cols", [1, 63, 64, 200, 320, 321, 576, 900])
def test_places_say_where_each_code_lies(fmt: trits.Format, cols: int) -> None:
    codes = random_codes(fmt, (33, cols), cols)
    packed = trits.pack(codes, fmt)
    places = trits.places(fmt, cols)
    assert places.dtype == np.uint32
    assert places.shape == (cols,)
    assert np.unique(places).size == cols
    for row in (0, 13, 32):
        found = [digit_at(packed[row // 16], int(place), row % 16, fmt) - fmt.zero for place in places]
        assert np.array_equal(found, codes[row])


def test_halves_have_no_places() -> None:
    with pytest.raises(ValueError, match="halves"):
        trits.places(FORMATS["f16"], 64)


@pytest.mark.parametrize("name", ["t1b3", "t2b3"])
@pytest.mark.parametrize("cols", range(64, 1985, 64))
def test_base3_of_every_width(name: str, cols: int) -> None:
    """In as few vectors as hold the quads, of which a set of words has five."""
    fmt, per_set = FORMATS[name], 1 if name == "t1b3" else 2
    runs = [5] * (cols // 320) + [cols % 320 // 64]
    assert trits.tile_bytes(fmt, cols) == sum(64 * -(-16 * blocks * per_set // 5) for blocks in runs)
    codes = random_codes(fmt, (17, cols), cols)
    assert np.array_equal(trits.unpack(trits.pack(codes, fmt), fmt, 17, cols), codes)


@pytest.mark.parametrize(
    ("name", "cols", "bits"),
    [("t1", 320, 2.0), ("t1b3", 320, 1.6), ("t2b3", 320, 3.2), ("t2", 320, 4.0), ("i8", 320, 8.0)]
    + [("t1b3", 64 * n, bits) for n, bits in ((1, 2.0), (2, 1.75), (4, 1.625))]
    + [("t2b3", 64 * n, bits) for n, bits in ((1, 3.5), (2, 3.25), (4, 3.25))],
)
def test_bits_a_code(name: str, cols: int, bits: float) -> None:
    assert trits.tile_bytes(FORMATS[name], cols) * 8 / (16 * cols) == bits


@pytest.mark.parametrize(("name", "bits"), [("t1b3", 1.602), ("t2b3", 3.204)])
def test_bits_a_code_of_a_wide_row(name: str, bits: float) -> None:
    assert trits.tile_bytes(FORMATS[name], 4096) * 8 / (16 * 4096) <= bits


def test_values_outside_the_format_are_refused() -> None:
    with pytest.raises(ConversionError, match="-1 to 1"):
        trits.pack(np.array([[2]], np.int8), FORMATS["t1"])


def test_a_stored_code_that_is_not_ternary_is_refused() -> None:
    packed = trits.pack(np.zeros((16, 64), np.int8), FORMATS["t1"])
    packed[0, 7] = 0xFF
    with pytest.raises(CheckpointError, match="not t1"):
        trits.unpack(packed, FORMATS["t1"], 16, 64)


def test_wrong_length_is_refused() -> None:
    with pytest.raises(CheckpointError, match="expected uint8"):
        trits.unpack(np.zeros((1, 5), np.uint8), FORMATS["t1"], 16, 64)


def test_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match="t2b3"):
        trits.format_named("x9")


def test_ternary_fit_is_optimal() -> None:
    """Against every assignment of codes, with its own best scale, on short groups."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        weights = rng.standard_normal((1, 7)).astype(np.float32)
        codes, scales = trits.fit(weights, FORMATS["t1"], 64)
        found = ((trits.dequantise(codes, scales, 64) - weights) ** 2).sum()
        best = np.inf
        for raw in itertools.product((-1, 0, 1), repeat=7):
            t = np.array(raw, np.float32)
            alpha = (t @ weights[0]) / max(t @ t, 1)
            best = min(best, ((weights[0] - alpha * t) ** 2).sum())
        assert found <= best * 1.002 + 1e-6  # the scale is rounded to half precision


@pytest.mark.parametrize(
    ("name", "limit"), [("t1", 0.192), ("q2", 0.136), ("t2", 0.0295), ("i4", 0.0098), ("i8", 5e-5)]
)
def test_distortion_of_gaussian_weights(name: str, limit: float) -> None:
    weights = np.random.default_rng(1).standard_normal((128, 1024)).astype(np.float32)
    codes, scales = trits.fit(weights, FORMATS[name], 128)
    assert ((trits.dequantise(codes, scales, 128) - weights) ** 2).mean() <= limit


def test_fit_of_zeros_and_of_nan() -> None:
    codes, scales = trits.fit(np.zeros((2, 64), np.float32), FORMATS["t2"], 64)
    assert not codes.any()
    assert not scales.any()
    with pytest.raises(ConversionError, match="not finite"):
        trits.fit(np.array([[np.nan]], np.float32), FORMATS["t1"], 64)


def test_half_and_scales_round_trip() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((19, 70)).astype(np.float16).astype(np.float32)
    assert np.array_equal(trits.unpack_half(trits.pack_half(weights), 19, 70), weights)
    scales = rng.standard_normal((19, 3)).astype(np.float16)
    assert np.array_equal(trits.unpack_scales(trits.pack_scales(scales), 19), scales)
    with pytest.raises(ConversionError, match="half precision"):
        trits.pack_half(np.array([[1e9]], np.float32))
