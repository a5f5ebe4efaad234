"""The layer against NumPy's truth, and as PyTorch wants a layer to be."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tzcore import trits
from tzcore.backend import native
from tzcore.errors import BackendError
from tzcore.hadamard import unrotate
from tzcore.torch import TernaryLinear
from tzcore.torch.core import pool
from tzcore.torch.product import stored, ternary_linear

SHAPES = [(576, 1536), (64, 16), (65, 17), (200, 1), (1, 33)]
TYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def layer(cols: int, rows: int, fmt: str, bias: bool = True) -> tuple[nn.Linear, TernaryLinear]:
    torch.manual_seed(cols * rows)
    linear = nn.Linear(cols, rows, bias)
    return linear, TernaryLinear.from_linear(linear, fmt, 64)


def turned_layer(cols: int, rows: int, fmt: str, block: int) -> TernaryLinear:
    """A layer whose input is turned, with a gain."""
    _, plain = layer(cols, rows, fmt)
    made = TernaryLinear(cols, rows, fmt=fmt, group=64, block=block, gain=1.5)
    state = plain.state_dict()
    made.load_state_dict(state | {"signs": torch.randint(0, 2, (cols,), dtype=torch.int8) * 2 - 1})
    return made


def weight_of(made: TernaryLinear) -> torch.Tensor:
    """The weights, from NumPy's truth."""
    fmt, rows, cols = trits.format_named(made.fmt), made.out_features, made.in_features
    if made.scales is None:
        found = trits.unpack_half(made.codes.numpy(), rows, cols)
    else:
        codes = trits.unpack(made.codes.numpy(), fmt, rows, cols)
        found = trits.dequantise(codes, trits.unpack_scales(made.scales.numpy(), rows), made.group)
    if made.signs is not None:
        found = unrotate(found, made.signs.numpy(), made.block)
    return torch.from_numpy(found * np.float32(made.gain))


def bits(made: TernaryLinear) -> dict[str, bytes]:
    """What is stored."""
    return {name: tensor.numpy().tobytes() for name, tensor in made.named_buffers()}


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
    exact = x.reshape(6, cols) @ weight_of(made).T + linear.bias.detach()
    assert torch.allclose(y.reshape(6, rows), exact, atol=0.05 * float(exact.abs().max()))


def test_threads_do_not_change_a_bit() -> None:
    """Of a product that is large enough for several."""
    _, made = layer(2048, 1024, "t1")
    x = torch.randn(9, 2048)
    alone, count = made(x), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(made(x), alone)
    finally:
        torch.set_num_threads(count)


@pytest.mark.parametrize("fmt", list(trits.FORMATS))
@pytest.mark.parametrize(("cols", "rows"), [*SHAPES, (704, 33)])
def test_dequantised_is_numpys(cols: int, rows: int, fmt: str) -> None:
    _, made = layer(cols, rows, fmt)
    assert torch.equal(made.dequantised(), weight_of(made))


@pytest.mark.parametrize("block", [2, 64, 128])
def test_a_turned_layer(block: int) -> None:
    made = turned_layer(256, 40, "t2", block)
    torch.testing.assert_close(made.dequantised(), weight_of(made), rtol=1e-5, atol=1e-6)
    x = torch.randn(3, 256, requires_grad=True)
    y = made(x)
    assert made.bias is not None
    exact = (x @ weight_of(made).T + made.bias).detach()
    assert torch.allclose(y, exact, atol=0.05 * float(exact.abs().max()))
    gradient = torch.randn(3, 40)
    y.backward(gradient)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, gradient @ weight_of(made), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("fmt", ["t1", "t1b3", "t2b3", "i8", "f16"])
def test_gradients_go_straight_through(fmt: str, kind: torch.dtype) -> None:
    """In every type of the input; of more rows than are unpacked at once."""
    _, made = layer(128, 2100, fmt)
    x = torch.randn(5, 128, dtype=kind, requires_grad=True)
    gradient = torch.randn(5, 2100, dtype=kind)
    made(x).backward(gradient)
    assert x.grad is not None
    assert x.grad.dtype == kind
    wanted = gradient.double() @ weight_of(made).double()
    room = {torch.float32: 1e-5, torch.float64: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}[kind]
    assert (x.grad.double() - wanted).abs().max() < room * wanted.abs().max()
    assert made.bias is not None
    assert made.bias.grad is not None
    assert torch.allclose(made.bias.grad, gradient.sum(0).float(), rtol=1e-2, atol=0.1)


@pytest.mark.parametrize("kind", TYPES)
def test_types(kind: torch.dtype) -> None:
    _, made = layer(64, 32, "t1")
    x = torch.randn(3, 64).to(kind)
    y = made(x)
    assert y.dtype == kind
    assert torch.equal(y, made(x.float()).to(kind))


@pytest.mark.parametrize("shape", [(0, 64), (2, 0, 64), (64,), (1, 1, 1, 64)])
def test_shapes(shape: tuple[int, ...]) -> None:
    _, made = layer(64, 32, "t1")
    x = torch.randn(shape, requires_grad=True)
    y = made(x)
    assert y.shape == (*shape[:-1], 32)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


def test_inputs_that_are_views() -> None:
    _, made = layer(64, 32, "t1")
    whole = torch.randn(4, 128, 6)
    for view in (whole[:, :64].transpose(1, 2), whole.permute(2, 0, 1)[..., ::2], torch.randn(64).expand(5, 64)):
        assert torch.equal(made(view), made(view.contiguous()))
    y = made(whole[:, :64].transpose(1, 2).requires_grad_())
    y.transpose(1, 2).backward(torch.ones(()).expand(4, 32, 6))


def test_state_dict_round_trip() -> None:
    _, made = layer(576, 48, "t1b3")
    other = TernaryLinear(576, 48, fmt="t1b3", group=64)
    other.load_state_dict(made.state_dict())
    x = torch.randn(4, 576)
    assert torch.equal(made(x), other(x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies(copied: Any) -> None:
    made = turned_layer(128, 32, "t1", 64)
    twin = copied(made)
    assert bits(twin) == bits(made)
    x = torch.randn(3, 128)
    assert torch.equal(twin(x), made(x))
    twin.codes.zero_()
    assert bits(twin) != bits(made)


@pytest.mark.parametrize("fmt", ["t1", "f16"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.to(torch.bfloat16), lambda m: m.half(), lambda m: m.double(), lambda m: m.bfloat16(),
        lambda m: m.float(), lambda m: m.type(torch.float32), lambda m: m.to("cpu", torch.float64),
    ],
)  # fmt: skip
def test_conversions_leave_what_is_stored(convert: Any, fmt: str) -> None:
    """The bias takes the type; a scale that was rounded to another one would be a wrong scale."""
    made = turned_layer(128, 32, fmt, 64)
    before, x = bits(made), torch.randn(3, 128)
    y = made(x)
    whole = convert(nn.Sequential(made))
    assert whole[0] is made
    assert bits(made) == before
    assert made.bias is not None
    assert made.bias.dtype == convert(nn.Linear(1, 1)).bias.dtype
    room = 1e-6 if made.bias.dtype in (torch.float32, torch.float64) else 1e-2
    torch.testing.assert_close(made(x), y, rtol=room, atol=room)


def test_without_memory() -> None:
    made = turned_layer(128, 32, "t1", 64).to("meta")
    assert made.scales is not None
    assert made.scales.dtype == torch.float16
    assert made(torch.empty(3, 128, device="meta")).shape == (3, 32)
    with torch.device("meta"):
        assert TernaryLinear(128, 32).codes.is_meta
    back = made.to_empty(device="cpu")
    back.load_state_dict(turned_layer(128, 32, "t1", 64).state_dict())
    assert back(torch.randn(3, 128)).shape == (3, 32)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_autocast_is_as_with_linear(kind: torch.dtype) -> None:
    linear, made = layer(64, 32, "t1")
    with torch.autocast("cpu", kind):
        for own in TYPES:
            x = torch.randn(3, 64).to(own).requires_grad_()
            y = made(x)
            if own != torch.float64:
                assert y.dtype == linear(x).dtype == kind
            y.sum().backward()
            assert x.grad is not None
            assert x.grad.dtype == own
    assert made(torch.randn(3, 64)).dtype == torch.float32


@pytest.mark.parametrize("block", [0, 64])
def test_compiled_in_one_graph(block: int) -> None:
    made = turned_layer(128, 32, "t1", block) if block else layer(128, 32, "t1")[1]
    model = nn.Sequential(nn.LayerNorm(128), made, nn.GELU())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for count in (1, 3, 5):
        x, same = (torch.ones(count, 128).cumsum(1).sin().requires_grad_() for _ in range(2))
        torch.testing.assert_close(compiled(x), model(same), rtol=1e-3, atol=1e-3)
        compiled(x).sum().backward()
        model(same).sum().backward()
        torch.testing.assert_close(x.grad, same.grad, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.compile(made, fullgraph=True, backend="aot_eager")(torch.randn(3, 128)).dtype == torch.bfloat16


@pytest.mark.parametrize("fmt", ["t1", "f16"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_operator_is_well_formed(fmt: str, kind: torch.dtype) -> None:
    made = turned_layer(128, 32, fmt, 64)
    for x in (torch.randn(2, 128), torch.randn(2, 3, 256)[..., ::2], torch.randn(0, 128)):
        x = x.to(kind).requires_grad_()
        arguments = (x, made.codes, made.scales, made.signs, made.bias, 32, 128, fmt, made.group, 64, 1.5, "group")
        torch.library.opcheck(ternary_linear, arguments)


WRONG = {
    "takes floating-point inputs": lambda m: m(torch.ones(2, 128, dtype=torch.long)),
    r"shape \(2, 64\)": lambda m: m(torch.randn(2, 64)),
    r"shape \(\)": lambda m: m(torch.randn(())),
    "the input is on meta": lambda m: m(torch.randn(2, 128, device="meta")),
    "scales must be torch.float16": lambda m: setattr(m, "scales", m.scales.bfloat16()) or m(torch.randn(2, 128)),
    "scales must be .* missing": lambda m: setattr(m, "scales", None) or m(torch.randn(2, 128)),
    "codes must be": lambda m: setattr(m, "codes", m.codes[:1]) or m(torch.randn(2, 128)),
    "signs must be": lambda m: setattr(m, "signs", m.signs.int()) or m(torch.randn(2, 128)),
    "bias has the shape": lambda m: setattr(m, "bias", nn.Parameter(torch.zeros(3))) or m(torch.randn(2, 128)),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_fit_is_one_sentence(message: str) -> None:
    made: Any = turned_layer(128, 32, "t1", 64)
    with pytest.raises(BackendError, match=message) as caught:
        WRONG[message](made)
    assert "\n" not in str(caught.value)
