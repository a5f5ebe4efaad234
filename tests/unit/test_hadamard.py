"""The fast transform against the matrix it stands for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tzcore.hadamard import hadamard, rotate, unrotate


def _sylvester(size: int) -> npt.NDArray[np.float64]:
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@pytest.mark.parametrize("block", [1, 2, 4, 32, 64, 256])
@pytest.mark.parametrize("blocks", [1, 3])
def test_it_is_the_sylvester_matrix(block: int, blocks: int) -> None:
    x = np.random.default_rng(block).standard_normal((5, 2, block * blocks))
    wanted = (x.reshape(5, 2, blocks, block) @ _sylvester(block) / block**0.5).reshape(x.shape)
    before = x.copy()
    assert np.allclose(hadamard(x, block), wanted, atol=1e-12)
    assert np.array_equal(x, before)
    single = hadamard(x.astype(np.float32), block)
    assert single.dtype == np.float32
    assert np.allclose(single, wanted, atol=1e-5)


def test_a_view_is_read_as_it_looks() -> None:
    x = np.random.default_rng(0).standard_normal((64, 6)).T[::2]
    assert np.array_equal(hadamard(x, 64), hadamard(np.ascontiguousarray(x), 64))


def test_it_is_its_own_inverse_and_signs_come_off() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((7, 192))
    signs = rng.choice(np.array([-1, 1], np.int8), 192)
    assert np.allclose(hadamard(hadamard(x, 64), 64), x)
    assert np.allclose(unrotate(rotate(x, signs, 64), signs, 64), x)
    assert not np.allclose(rotate(x, signs, 64), hadamard(x, 64))


def test_a_product_is_unchanged() -> None:
    rng = np.random.default_rng(2)
    weights, x = rng.standard_normal((20, 96)), rng.standard_normal(96)
    signs = rng.choice(np.array([-1, 1], np.int8), 96)
    assert np.allclose(rotate(weights, signs, 32) @ rotate(x, signs, 32), weights @ x)


def test_an_outlier_is_spread() -> None:
    x = np.zeros(128, np.float32)
    x[17] = 128**0.5
    assert np.allclose(np.abs(hadamard(x, 128)), 1)


@pytest.mark.parametrize(("width", "block"), [(192, 128), (192, 48), (64, 0), (64, 128)])
def test_a_block_that_does_not_fit(width: int, block: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        hadamard(np.zeros(width), block)
