from __future__ import annotations

import numpy as np
import pytest
import torch

from tzcore import hadamard
from tzcore.errors import ConversionError
from tzcore.quant import rotation


@pytest.mark.parametrize(("width", "block"), [(576, 64), (1536, 512), (192, 64), (6, 2), (7, 1), (16384, 4096)])
def test_block_is_the_largest_power_of_two_up_to_4096(width: int, block: int) -> None:
    assert rotation.block_for(width) == block


def sylvester(n: int) -> torch.Tensor:
    h = torch.ones(1, 1, dtype=torch.float64)
    while len(h) < n:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return h / n**0.5


@pytest.mark.parametrize(("rows", "width", "block"), [(3, 2, 2), (5, 96, 32), (1, 576, 64), (4, 128, 128)])
def test_rotation_is_the_product_with_the_matrix_it_says(rows: int, width: int, block: int) -> None:
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(1))
    signs = torch.from_numpy(rotation.random_signs(width, 3, "stage"))
    matrix = torch.block_diag(*[sylvester(block)] * (width // block)) * signs.double()
    expected = x.double() @ matrix.T
    before = x.clone()
    assert torch.allclose(rotation.rotate(x, signs, block).double(), expected, atol=1e-5)
    assert torch.equal(x, before)
    assert torch.allclose(rotation.unrotate(rotation.rotate(x, signs, block), signs, block), x, atol=1e-5)
    ours = rotation.rotate(x, signs, block).numpy()
    np.testing.assert_allclose(ours, hadamard.rotate(x.numpy(), signs.numpy(), block), atol=1e-5)


def test_rotated_weights_times_rotated_inputs_is_the_same_product() -> None:
    generator = torch.Generator().manual_seed(0)
    w, x = torch.randn(7, 192, generator=generator), torch.randn(5, 192, generator=generator)
    signs = torch.from_numpy(rotation.random_signs(192, 0, "s"))
    product = rotation.rotate(x, signs, 64) @ rotation.rotate(w, signs, 64).T
    assert torch.allclose(product, x @ w.T, atol=1e-4)


def test_rotated_hessian_is_that_of_rotated_inputs() -> None:
    x = torch.randn(50, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    signs = torch.from_numpy(rotation.random_signs(96, 0, "s"))
    y = rotation.rotate(x, signs, 32)
    assert torch.allclose(rotation.rotate_moment(x.T @ x, signs, 32), y.T @ y, atol=1e-9)


def test_signs_depend_on_seed_and_stage_alone() -> None:
    signs = rotation.random_signs(4096, 1, "a")
    assert signs.dtype == np.int8
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(int(signs.astype(int).sum())) < 300
    assert np.array_equal(signs, rotation.random_signs(4096, 1, "a"))
    assert not np.array_equal(signs, rotation.random_signs(4096, 2, "a"))
    assert not np.array_equal(signs, rotation.random_signs(4096, 1, "b"))


@pytest.mark.parametrize("block", [0, 3, 64])
def test_block_that_does_not_fit_is_refused(block: int) -> None:
    with pytest.raises(ConversionError, match="does not fit 96 columns"):
        rotation.hadamard(torch.zeros(2, 96), block)
