"""Single matrix products of every format, instruction set and awkward shape against NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tzcore import trits
from tzcore.backend import native
from tzcore.backend.reference import quantise_activations, quantise_tokens
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.hadamard import rotate

INTEGER_FORMATS = [name for name in trits.FORMATS if name != "f16"]
SHAPES = [(1, 64), (17, 200), (192, 576), (33, 1536), (16, 192)]
TOKENS = (1, 2, 7, 16, 33)

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def pool() -> native.Pool:
    return native.Pool(2)


def random_codes(rng: np.random.Generator, fmt: trits.Format, rows: int, cols: int) -> npt.NDArray[np.int8]:
    codes = rng.integers(fmt.low, fmt.high + 1, (rows, cols)).astype(np.int8)
    codes[-1, -3:] = fmt.low, fmt.high, fmt.low
    return codes


def stored_matrix(
    rng: np.random.Generator, name: str, rows: int, cols: int, group: int = 0, transform: Transform | None = None
) -> tuple[StoredMatrix, Floats]:
    """A random matrix as stored, and its values ``[rows, cols]``."""
    fmt = trits.format_named(name)
    signs = rng.choice(np.array([-1, 1], np.int8), cols) if transform else None
    entry = MatrixEntry(name, rows, cols, fmt, group, transform)
    if name == "f16":
        weights = rng.standard_normal((rows, cols)).astype(np.float16).astype(np.float32)
        return StoredMatrix(entry, trits.pack_half(weights), None, signs), weights
    codes = random_codes(rng, fmt, rows, cols)
    scales = rng.standard_normal((rows, trits.groups(cols, group))).astype(np.float16)
    weights = trits.dequantise(codes, scales, group)
    return StoredMatrix(entry, trits.pack(codes, fmt), trits.pack_scales(scales), signs), weights


def expected_product(stored: StoredMatrix, weights: Floats, x: Floats) -> tuple[npt.NDArray[np.float64], Floats]:
    """The product in float64 with the kernels' int8 inputs, and the size of its terms for the tolerance."""
    entry = stored.entry
    if entry.transform and stored.signs is not None:
        x = rotate(x, stored.signs, entry.transform.block)
    if entry.group:
        codes, scales = quantise_activations(x, entry.group)
        x = codes.astype(np.float32) * np.repeat(scales, entry.group, axis=1)[:, : x.shape[1]]
    wide = x.astype(np.float64)
    return wide @ weights.T.astype(np.float64), (np.abs(wide) @ np.abs(weights.T)).astype(np.float32)


def run(pool: native.Pool, stored: StoredMatrix, x: Floats, variant: str, bias: Floats | None = None) -> Floats:
    out = np.full((len(x), stored.entry.rows), np.nan, np.float32)
    return native.matmul(pool, stored, x, bias, variant, out)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("group", trits.GROUPS)
@pytest.mark.parametrize("name", INTEGER_FORMATS)
def test_integer_products(pool: native.Pool, name: str, group: int, variant: str) -> None:
    rng = np.random.default_rng(1)
    for rows, cols in SHAPES:
        stored, weights = stored_matrix(rng, name, rows, cols, group)
        for tokens in TOKENS:
            x = rng.standard_normal((tokens, cols)).astype(np.float32)
            expected, size = expected_product(stored, weights, x)
            assert np.all(np.abs(run(pool, stored, x, variant) - expected) <= 2e-6 * size), (rows, cols, tokens)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("group", trits.GROUPS)
@pytest.mark.parametrize("name", ["t1b3", "t2b3"])
def test_base3_products_of_every_width(pool: native.Pool, name: str, group: int, variant: str) -> None:
    """Whole runs with every last run behind them; every other width ends with half a group of 128."""
    rng = np.random.default_rng(8)
    for cols in range(64, 1985, 64):
        stored, weights = stored_matrix(rng, name, 17, cols, group)
        x = rng.standard_normal((16 + 8 + 4 + 2 + 1, cols)).astype(np.float32)
        expected, size = expected_product(stored, weights, x)
        assert np.all(np.abs(run(pool, stored, x, variant) - expected) <= 2e-6 * size), cols


@pytest.mark.parametrize("variant", native.variants())
def test_half_products(pool: native.Pool, variant: str) -> None:
    rng = np.random.default_rng(2)
    for rows, cols in SHAPES:
        stored, weights = stored_matrix(rng, "f16", rows, cols)
        for tokens in TOKENS:
            x = rng.standard_normal((tokens, cols)).astype(np.float32)
            expected, size = expected_product(stored, weights, x)
            assert np.all(np.abs(run(pool, stored, x, variant) - expected) <= 2e-6 * size), (rows, cols, tokens)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("name", ["t1b3", "i4", "f16"])
@pytest.mark.parametrize("block", [2, 8, 64, 512])
def test_transform_and_bias(pool: native.Pool, name: str, block: int, variant: str) -> None:
    rng = np.random.default_rng(3)
    group = 0 if name == "f16" else 128
    stored, weights = stored_matrix(rng, name, 40, 1536, group, Transform(block, "s"))
    x, bias = rng.standard_normal((5, 1536)).astype(np.float32), rng.standard_normal(40).astype(np.float32)
    expected, size = expected_product(stored, weights, x)
    # A transformed value that lies on the border between two int8 codes may fall to either side.
    step = np.abs(x).max() / 32 * np.abs(weights).max() if group else 0.0
    assert np.all(np.abs(run(pool, stored, x, variant, bias) - bias - expected) <= 5e-6 * size + step)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("name", ["t1", "t1b3", "i8", "f16"])
def test_gain_bias_and_one_scale_a_token(pool: native.Pool, name: str, variant: str) -> None:
    rng = np.random.default_rng(8)
    for rows, cols in SHAPES:
        plain, weights = stored_matrix(rng, name, rows, cols, 0 if name == "f16" else 64)
        gain = float(np.float32(0.37))
        stored = replace(plain, entry=replace(plain.entry, gain=gain))
        for tokens in TOKENS:
            x = rng.standard_normal((tokens, cols)).astype(np.float32)
            bias = rng.standard_normal(rows).astype(np.float32)
            rounded = x
            if name != "f16":  # whose inputs stay as they are
                codes, factors = quantise_tokens(x)
                rounded = codes / factors
            expected = rounded.astype(np.float64) @ weights.T * gain + bias
            size = np.abs(rounded) @ np.abs(weights.T) + np.abs(bias)
            out = np.full((tokens, rows), np.nan, np.float32)
            native.matmul(pool, stored, x, bias, variant, out, activations="token")
            assert np.all(np.abs(out - expected) <= 2e-6 * size), (rows, cols, tokens)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("name", trits.FORMATS)
@pytest.mark.parametrize(("cols", "group"), [(320, 64), (576, 128)])
def test_same_bits_for_any_neighbours_and_threads(name: str, cols: int, group: int, variant: str) -> None:
    rng = np.random.default_rng(4)
    stored, _ = stored_matrix(rng, name, 100, cols, 0 if name == "f16" else group)
    x = rng.standard_normal((33, cols)).astype(np.float32)
    together = run(native.Pool(3), stored, x, variant)
    one = native.Pool(1)
    alone = np.concatenate([run(one, stored, row[None], variant) for row in x])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("name", INTEGER_FORMATS)
def test_any_bytes_are_harmless(pool: native.Pool, name: str, variant: str) -> None:
    """Digits outside the format are some number or other, never a fault."""
    fmt, rng = trits.format_named(name), np.random.default_rng(5)
    for cols in (192, 576):
        codes = rng.integers(0, 256, (2, trits.tile_bytes(fmt, cols)), np.uint8)
        scales = np.ones((2, cols // 64, 16), np.float16)
        stored = StoredMatrix(MatrixEntry(name, 32, cols, fmt, 64), codes, scales, None)
        assert np.isfinite(run(pool, stored, np.ones((9, cols), np.float32), variant)).all()


@pytest.mark.parametrize("variant", native.variants())
def test_zero_and_broken_inputs_show(pool: native.Pool, variant: str) -> None:
    rng = np.random.default_rng(6)
    stored, _ = stored_matrix(rng, "t2", 16, 128, 64)
    x = np.zeros((3, 128), np.float32)
    x[1, 5], x[2, 70] = np.nan, np.inf
    result = run(pool, stored, x, variant)
    assert (result[0] == 0).all()
    assert np.isnan(result[1:]).all()


def test_unaligned_weights(pool: native.Pool) -> None:
    rng = np.random.default_rng(7)
    stored, _ = stored_matrix(rng, "t2b3", 48, 256, 128)
    assert stored.scales is not None
    raw = np.empty(stored.codes.nbytes + 1, np.uint8)
    raw[1:] = stored.codes.ravel()
    half = np.empty(stored.scales.nbytes + 1, np.uint8)
    half[1:] = stored.scales.view(np.uint8).ravel()
    scales = np.frombuffer(half.data, np.float16, offset=1).reshape(stored.scales.shape)
    moved = StoredMatrix(stored.entry, raw[1:].reshape(stored.codes.shape), scales, None)
    x = rng.standard_normal((2, 256)).astype(np.float32)
    for variant in native.variants():
        assert np.array_equal(run(pool, moved, x, variant), run(pool, stored, x, variant))
