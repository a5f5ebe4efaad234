"""The straight-through rule against its formula, computed anew with dense matrices of torch's own autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tzcore import trits
from tzcore.quant.rotation import random_signs, rotate
from tzcore.torch.form import MatrixForm
from tzcore.torch.train import passes, rounding
from tzcore.torch.train.rounding import packed_scales, rounded
from tzcore.torch.train.straight import Product

SHAPES = [(40, 576, 64), (17, 200, 128), (16, 64, 64), (3, 65, 64)]
CODED = [name for name, fmt in trits.FORMATS.items() if fmt.packing != "half"]


def made(rows: int, cols: int, group: int, fmt: str, block: int = 0, activations: str = "group") -> tuple[object, ...]:
    generator = torch.Generator().manual_seed(rows * cols)
    form = MatrixForm(rows, cols, trits.format_named(fmt), group, block, 0.5, activations)
    reach = form.format.high + 1
    latents = (torch.rand(rows, cols, generator=generator) * 2 - 1) * reach
    scales = (torch.rand(rows, trits.groups(cols, group), generator=generator) * 0.1 + 0.01).half().float()
    x = torch.randn(2, 5, cols, generator=generator)
    signs = torch.from_numpy(random_signs(cols, 1, "x")) if block else None
    bias = torch.randn(rows, generator=generator)
    return form, latents, scales, x, bias, signs


@pytest.mark.parametrize("fmt", CODED)
@pytest.mark.parametrize(("rows", "cols", "group"), SHAPES)
def test_packing_is_numpys(rows: int, cols: int, group: int, fmt: str) -> None:
    form, latents, scales, *_ = made(rows, cols, group, fmt)
    codes = rounded(latents, form.format)
    wanted = trits.pack(codes.to(torch.int8).numpy(), form.format)
    for packed in (passes.packed(latents, form), rounding.packed(latents, form.format)):
        assert np.array_equal(packed.numpy(), wanted)
    halves = trits.pack_scales(scales.half().numpy())
    assert np.array_equal(packed_scales(scales).numpy(), halves)


@pytest.mark.parametrize("activations", ["group", "token"])
@pytest.mark.parametrize(
    ("fmt", "rows", "cols", "block"),
    [("t1", 24, 576, 64), ("t1", 24, 200, 0), ("t2", 8, 192, 64), ("q2", 24, 65, 0), ("i4", 24, 128, 2),
     ("t1", 8, 32, 16)],
)  # fmt: skip
def test_gradients_are_the_rules(fmt: str, rows: int, cols: int, block: int, activations: str) -> None:
    """For more rows than inputs and for fewer, in whole groups and in short ones."""
    form, latents, scales, x, bias, signs = made(rows, cols, 64, fmt, block, activations)
    leaves = [t.clone().requires_grad_() for t in (x, latents, scales, bias)]
    y = Product.apply(*leaves, signs, form)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(5))
    (y * weight).sum().backward()

    # The same with dense matrices: rounding is x + (round(x) - x).detach().
    dense = [t.clone().requires_grad_() for t in (x, latents, scales, bias)]
    flat = dense[0].reshape(10, cols)
    turned = flat if signs is None else rotate(flat, signs, block)
    met = turned + (passes.met(flat, signs, form) - turned).detach()
    codes = dense[1] + (rounded(dense[1], form.format) - dense[1]).detach()
    full = dense[2].repeat_interleave(64, 1)[:, :cols] * codes * form.gain
    same = (met @ full.T + dense[3]).view(2, 5, rows)
    (same * weight).sum().backward()

    assert torch.allclose(y, same, rtol=1e-4, atol=1e-4 * float(same.detach().abs().max()))
    for mine, theirs in zip((leaves[0], leaves[2], leaves[3]), (dense[0], dense[2], dense[3]), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-3, atol=1e-4 * float(theirs.grad.abs().max()))
    mine, theirs = leaves[1].grad, dense[1].grad
    cut = ((latents > form.format.high + 0.5) & (theirs < 0)) | ((latents < form.format.low - 0.5) & (theirs > 0))
    assert cut.any()
    assert not mine[cut].any()
    assert torch.allclose(mine[~cut], theirs[~cut], rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_a_code_of_zero_has_a_gradient() -> None:
    form, latents, scales, x, bias, signs = made(24, 128, 64, "t1")
    leaf = torch.zeros_like(latents).requires_grad_()
    Product.apply(x, leaf, scales, bias, signs, form).square().sum().backward()
    assert (leaf.grad != 0).float().mean() > 0.99


def test_rounded_input_is_the_cores() -> None:
    from tzcore.backend.reference import quantise_activations, quantise_tokens

    x = torch.randn(7, 200)
    x[0] = 0
    codes, steps = quantise_activations(x.numpy(), 64)
    wanted = codes * np.repeat(steps, 64, 1)[:, :200]
    form = MatrixForm(1, 200, trits.format_named("t1"), 64)
    assert np.array_equal(passes.met(x, None, form).numpy(), wanted)
    codes, factors = quantise_tokens(x.numpy())
    by_token = MatrixForm(1, 200, trits.format_named("t1"), 64, activations="token")
    assert np.allclose(passes.met(x, None, by_token).numpy(), codes / factors, rtol=1e-6)
