"""The layer against NumPy's truth, and as PyTorch wants a layer to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tzcore import trits
from tzcore.backend import native
from tzcore.torch import TernaryLinear
from tzcore.torch.product import pool, stored, ternary_linear, weight_rows

SHAPES = [(576, 1536), (64, 16), (65, 17), (200, 1), (1, 33)]


def layer(cols: int, rows: int, fmt: str, bias: bool = True) -> tuple[nn.Linear, TernaryLinear]:
    torch.manual_seed(cols * rows)
    linear = nn.Linear(cols, rows, bias)
    return linear, TernaryLinear.from_linear(linear, fmt, 64)


@pytest.mark.parametrize("fmt", list(trits.FORMATS))
@pytest.mark.parametrize(("cols", "rows"), SHAPES)
def test_forward_is_the_cores(cols: int, rows: int, fmt: str) -> None:
    linear, made = layer(cols, rows, fmt)
    x = torch.randn(2, 3, cols)
    y = made(x).detach()
    assert y.shape == (2, 3, rows)
    matrix = stored(made.codes, made.scales, made.signs, rows, cols, fmt, made.group, 0, 1.0)
    same = native.matmul(pool(), matrix, x.reshape(6, cols).numpy(), linear.bias.detach().numpy())
    assert np.array_equal(y.reshape(6, rows).numpy(), same)
    exact = x.reshape(6, cols) @ weight_rows(matrix, 0, rows).T + linear.bias.detach()
    assert torch.allclose(y.reshape(6, rows), exact, atol=0.05 * float(exact.abs().max()))


def test_gradients_go_straight_through() -> None:
    _, made = layer(128, 40, "t2")
    x = torch.randn(5, 128, requires_grad=True)
    made(x).square().sum().backward()
    matrix = stored(made.codes, made.scales, None, 40, 128, "t2", 64, 0, 1.0)
    weight = weight_rows(matrix, 0, 40)
    wanted = 2 * made(x.detach()) @ weight
    assert x.grad is not None
    assert made.bias is not None
    assert torch.allclose(x.grad, wanted, rtol=1e-4, atol=1e-4)
    assert made.bias.grad is not None


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_types(kind: torch.dtype) -> None:
    _, made = layer(64, 32, "t1")
    assert made(torch.randn(3, 64).to(kind)).dtype == kind
    assert made(torch.randn(0, 64).to(kind)).shape == (0, 32)


def test_state_dict_round_trip() -> None:
    _, made = layer(576, 48, "t1b3")
    other = TernaryLinear(576, 48, fmt="t1b3", group=64)
    other.load_state_dict(made.state_dict())
    x = torch.randn(4, 576)
    assert torch.equal(made(x), other(x))


def test_operator_is_well_formed() -> None:
    _, made = layer(128, 32, "t1")
    x = torch.randn(2, 128, requires_grad=True)
    arguments = (x, made.codes, made.scales, None, made.bias, 32, 128, "t1", 64, 0, 1.0, "group")
    torch.library.opcheck(ternary_linear, arguments)
