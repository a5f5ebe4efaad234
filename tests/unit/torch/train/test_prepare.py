"""Preparing and converting: the same bits there and back, what trains and what does not, learning at all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tzcore.errors import TrainingError
from tzcore.torch import TernaryLinear
from tzcore.torch.train import LatentLinear, convert, parameter_groups, prepare


def model(fmt: str = "t1", group: int = 64) -> nn.Sequential:
    torch.manual_seed(1)
    floats = [nn.Linear(96, 80), nn.Linear(80, 48, bias=False)]
    first, second = (TernaryLinear.from_linear(linear, fmt, group) for linear in floats)
    made = nn.Sequential()
    for name, layer in (("up", first), ("norm", nn.LayerNorm(80)), ("act", nn.GELU()), ("down", second)):
        made.add_module(name, layer)
    made.add_module("lm_head", TernaryLinear.from_linear(nn.Linear(48, 10), "i8", group))
    vars(made)["floats"] = {"up": floats[0].weight.detach(), "down": floats[1].weight.detach()}
    return made


def steps(made: nn.Module, count: int, rate: float = 0.02) -> float:
    torch.manual_seed(2)
    x, wanted = torch.randn(32, 96), torch.randint(0, 10, (32,))
    optimiser = torch.optim.Adam(parameter_groups(made, rate, scales=0.3, vectors=0.3))
    for _ in range(count):
        loss = nn.functional.cross_entropy(made(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(nn.functional.cross_entropy(made(x), wanted))


@pytest.mark.parametrize("fmt", ["t1", "t1b3", "t2", "i4"])
@pytest.mark.parametrize(("mode", "scales"), [
    ("latents", "learned"), ("lora", "learned"), ("scales", "learned"),
    ("latents", "statistical"), ("lora", "statistical"),
])  # fmt: skip
def test_the_same_bits_there_and_back(fmt: str, mode: str, scales: str) -> None:
    made, x = model(fmt), torch.randn(5, 96)
    before = made(x)
    prepare(made, mode=mode, scales=scales, original=made.floats.__getitem__)
    assert torch.equal(made(x), before)
    steps(made, 5)
    with torch.no_grad():
        trained = made(x)
    assert not torch.equal(trained, before)
    convert(made)
    assert torch.equal(made(x), trained)
    assert [type(m) for m in made if isinstance(m, TernaryLinear | LatentLinear)] == [TernaryLinear] * 3


@pytest.mark.parametrize("mode", ["latents", "lora"])
@pytest.mark.parametrize("scales", ["learned", "statistical"])
def test_one_batch_is_learnt_by_heart(mode: str, scales: str) -> None:
    made = prepare(model(), mode=mode, scales=scales)
    codes = made.up.codes()
    first = steps(made, 0)
    assert steps(made, 150) < 0.05 * first
    assert (made.up.codes() != codes).float().mean() > 0.01


def test_scales_alone_leave_the_codes() -> None:
    made = prepare(model(), mode="scales")
    codes, first = made.up.codes(), steps(made, 0)
    assert steps(made, 100, 0.1) < 0.5 * first
    assert torch.equal(made.up.codes(), codes)


def test_latents_lie_on_the_originals_side() -> None:
    made = model()
    prepare(made, original=made.floats.__getitem__)
    layer = made.up
    away = (layer.latents.detach() - layer.codes()).flatten()
    exact = (made.floats["up"] / layer.start.repeat_interleave(64, 1)[:, :96] - layer.codes()).flatten()
    assert away.abs().max() <= 0.49
    assert torch.equal(away.sign(), exact.sign())
    assert (away[exact.argsort()].diff() >= -1e-6).all()  # in the original's order, and few of them near the threshold
    assert (away.abs() > 0.4).float().mean() < 0.02


def test_what_trains() -> None:
    made = prepare(model())
    names = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    ratios = {"up.ratio", "down.ratio"}
    assert names == {"up.latents", "down.latents", "up.bias", "norm.weight", "norm.bias", "lm_head.bias"} | ratios
    assert isinstance(made.lm_head, TernaryLinear)
    assert sum(len(group["params"]) for group in parameter_groups(made)) == len(names)
    thin = prepare(model(), mode="lora", rank=4)
    assert thin.up.up.shape == (80, 4)
    assert thin.up.down.shape == (4, 96)
    fixed = prepare(model(), mode="scales")
    assert fixed.up.base.dtype == torch.int8
    assert not hasattr(fixed.up, "latents")


@pytest.mark.parametrize(("mode", "scales", "times"), [
    ("latents", "learned", 1), ("latents", "statistical", 2), ("lora", "learned", 2), ("scales", "learned", 2),
])  # fmt: skip
def test_latents_that_are_made_are_made_again(
    mode: str, scales: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in the forward, and once in the backward where the graph has not kept them."""
    made, count = prepare(model(), mode=mode, scales=scales).up, 0
    now = LatentLinear._now

    def counted(layer: LatentLinear) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal count
        count += 1
        return now(layer)

    monkeypatch.setattr(LatentLinear, "_now", counted)
    x = torch.randn(3, 96, requires_grad=True)
    made(x).square().sum().backward()
    assert count == times
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_autocast_and_bf16_inputs() -> None:
    made = prepare(model())
    with torch.autocast("cpu", torch.bfloat16):
        y = made(torch.randn(4, 96))
        assert y.dtype == torch.bfloat16
        y.float().square().mean().backward()
    assert made.up.latents.grad.dtype == torch.float32
    assert made.up.latents.grad.abs().max() > 0


def test_refusals() -> None:
    with pytest.raises(TrainingError, match="no ternary layers"):
        prepare(nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(TrainingError, match="statistical scales follow latents"):
        prepare(model(), mode="scales", scales="statistical")
    with pytest.raises(TrainingError, match="up: the original's weights are"):
        prepare(model(), original=lambda name: torch.zeros(3, 3))
    made = prepare(model())
    with torch.no_grad():
        made.up.ratio.fill_(1e9)
    with pytest.raises(TrainingError, match="half precision"):
        convert(made)
