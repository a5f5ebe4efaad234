"""The product on a card: the launches run on the interpreter, and agree with the CPU's product."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.unit.backend.cuda.conftest import api as _api
from tests.unit.backend.cuda.pretended_driver import PretendedDriver
from tests.unit.torch.arena_card import ArenaCard
from tzcore import trits
from tzcore.errors import BackendError
from tzcore.torch import TernaryLinear, card
from tzcore.torch.card import TorchCard, product
from tzcore.torch.form import MatrixForm

api = _api
"""The fixture: a driver that is a pretended one."""

pytestmark = pytest.mark.timeout(300)  # kernels, interpreted on a busy machine


@pytest.fixture(scope="module")
def on() -> ArenaCard:
    return ArenaCard()


@pytest.fixture(autouse=True)
def _forgotten(on: ArenaCard) -> None:
    card._known.clear()
    on.queue, on.recorded = 7, False
    on.waited.clear()
    on.launched.clear()


def layer(cols: int, rows: int, fmt: str, *, bias: bool = True, block: int = 0, **form: Any) -> TernaryLinear:
    """A random one."""
    torch.manual_seed(cols + rows)
    made = TernaryLinear(cols, rows, bias, fmt=fmt, block=block, **form)
    plain = TernaryLinear.from_linear(torch.nn.Linear(cols, rows, bias), fmt, made.group or 128)
    state = plain.state_dict()
    if block:
        state["signs"] = torch.randint(0, 2, (cols,), dtype=torch.int8) * 2 - 1
    made.load_state_dict(state)
    return made


def described(made: TernaryLinear) -> MatrixForm:
    fmt = trits.format_named(made.fmt)
    return MatrixForm(made.out_features, made.in_features, fmt, made.group, made.block, made.gain, made.activations)


class Moved:
    """A layer's tensors on the card."""

    def __init__(self, on: ArenaCard, made: TernaryLinear) -> None:
        self.on, self.matrix = on, described(made)
        self.codes: Any
        self.codes, self.scales, self.signs, self.bias = map(on.put, (made.codes, made.scales, made.signs, made.bias))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        there = self.on.put(x)
        assert there is not None
        return product(self.on, there, self.codes, self.scales, self.signs, self.bias, self.matrix)


def agree(on: ArenaCard, made: TernaryLinear, x: torch.Tensor) -> None:
    """The card's result is the CPU's but for the order of sums."""
    found, wanted = Moved(on, made)(x), made(x).detach()
    assert found.dtype == x.dtype
    assert found.shape == wanted.shape
    room = 1e-5 if x.dtype == torch.float32 else 2e-2
    assert float((found.float() - wanted.float()).abs().max()) <= room * float(wanted.float().abs().max())


@pytest.mark.parametrize("fmt", list(trits.FORMATS))
@pytest.mark.parametrize("tokens", [1, 3, 9])
def test_every_format(on: ArenaCard, fmt: str, tokens: int) -> None:
    agree(on, layer(704, 40, fmt), torch.randn(tokens, 704))


@pytest.mark.parametrize("fmt", ["t1b3", "t2", "f16"])
@pytest.mark.parametrize(
    ("cols", "rows", "form"),
    [
        (65, 33, {"group": 64}),
        (6, 5, {"block": 2, "gain": 1.5}),
        (1, 1, {}),
        (256, 40, {"block": 64, "gain": 0.25, "group": 64}),
        (256, 16, {"activations": "token", "bias": False}),
        (2304, 20, {"block": 256, "activations": "token"}),
    ],
)
def test_every_form(on: ArenaCard, fmt: str, cols: int, rows: int, form: dict[str, Any]) -> None:
    agree(on, layer(cols, rows, fmt, **form), torch.randn(2, 2, cols))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_types(on: ArenaCard, kind: torch.dtype) -> None:
    agree(on, layer(128, 32, "t1"), torch.randn(3, 128).to(kind))


@pytest.mark.parametrize("shape", [(0, 128), (128,), (2, 0, 128), (1, 2, 1, 128)])
def test_shapes(on: ArenaCard, shape: tuple[int, ...]) -> None:
    made = layer(128, 32, "t1")
    found = Moved(on, made)(torch.randn(shape))
    assert found.shape == (*shape[:-1], 32)


def test_columns_that_are_split(on: ArenaCard) -> None:
    """Few rows of many columns: blocks share a row, and a kernel adds up."""
    made = layer(8192, 16, "t1")
    moved = Moved(on, made)
    moved(torch.randn(1, 8192))
    assert card._known[moved.codes].stage.splits > 1
    assert on.launched[-1][0] == "finish_logits"
    for tokens in (1, 8):
        agree(on, made, torch.randn(tokens, 8192))


def test_more_tokens_than_a_launch_takes(on: ArenaCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "CHUNK", 16)
    agree(on, layer(128, 32, "t1"), torch.randn(39, 128))


def test_inputs_that_kernels_cannot_read_in_place(on: ArenaCard) -> None:
    """Views, and rows that begin at odd places, are copied; whole rows are not."""
    made = layer(128, 32, "t1")
    moved = Moved(on, made)
    whole = on.put(torch.randn(4, 256))
    assert whole is not None
    for view in (whole[:, ::2], whole.reshape(-1)[1:129], whole[:2].reshape(-1, 128)):
        y = product(on, view, moved.codes, moved.scales, None, moved.bias, moved.matrix)
        torch.testing.assert_close(y, made(view).detach(), rtol=1e-5, atol=1e-5)
    odd = on.empty(moved.codes.numel() + 1, dtype=torch.uint8)[1:].view(moved.codes.shape).copy_(moved.codes)
    x = on.put(torch.randn(2, 128))
    assert x is not None
    y = product(on, x, odd, moved.scales, None, moved.bias, moved.matrix)
    torch.testing.assert_close(y, made(x).detach(), rtol=1e-5, atol=1e-5)


def arrangements(on: ArenaCard) -> int:
    return sum(name == "arrange_slots2" for name, _ in on.launched)


def test_codes_are_arranged_once_and_again_when_they_change(on: ArenaCard) -> None:
    made = layer(128, 32, "t1")
    moved, x = Moved(on, made), torch.randn(2, 128)
    before = moved(x)
    assert torch.equal(moved(x), before)
    assert arrangements(on) == 1
    assert {stream for _, stream in on.launched} == {7}
    moved.codes.copy_(moved.codes.flip(0))
    assert not torch.equal(moved(x), before)
    assert arrangements(on) == 2
    moved.scales = on.put(2 * moved.scales)
    moved(x)
    assert arrangements(on) == 3


def test_what_is_arranged_goes_with_the_codes(on: ArenaCard) -> None:
    moved = Moved(on, layer(128, 32, "t1"))
    moved(torch.randn(2, 128))
    assert len(card._known) == 1
    del moved
    gc.collect()
    assert not len(card._known)


def test_another_stream_waits_for_the_arrangement(on: ArenaCard) -> None:
    moved, x = Moved(on, layer(128, 32, "t1")), torch.randn(2, 128)
    moved(x)
    assert not on.waited
    on.queue, before = 8, len(on.launched)
    moved(x)
    assert on.waited == ["behind 7"]
    assert {stream for _, stream in on.launched[before:]} == {8}


def test_a_captured_product_serves_other_inputs(on: ArenaCard) -> None:
    """Kernels alone are queued, nothing waits, and nothing is loaded; a first product says that it cannot be."""
    made = layer(128, 32, "t1", bias=False)
    moved = Moved(on, made)
    x = on.put(torch.randn(2, 128))
    assert x is not None
    on.recorded = True
    with pytest.raises(BackendError, match="run the model once before"):
        product(on, x, moved.codes, moved.scales, None, None, moved.matrix)
    on.recorded = False
    product(on, x, moved.codes, moved.scales, None, None, moved.matrix)
    on.recorded, on.queue = True, 8
    on.device.begin_capture(8)
    y = product(on, x, moved.codes, moved.scales, None, None, moved.matrix)
    graph = on.device.end_capture(8)
    assert not on.waited
    for _ in range(2):
        x.copy_(torch.randn(2, 128))
        graph.launch(8)
        torch.testing.assert_close(y, made(x).detach(), rtol=1e-5, atol=1e-5)


def test_torchs_stream_and_context_are_used(api: PretendedDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a pretended driver: all launches go to the stream that torch names, and no call waits or takes memory."""
    stream = SimpleNamespace(cuda_stream=0, record_event=lambda: "event", wait_event=lambda event: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda place: stream)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "device", lambda place: nullcontext())
    found = TorchCard(0)
    monkeypatch.setattr(found, "empty", lambda *shape, dtype: torch.empty(shape, dtype=dtype))
    made, x = layer(128, 32, "t1", block=64), torch.randn(2, 128)
    before = len(api.calls)
    for handle in (0, 0x55):
        stream.cuda_stream = handle
        y = product(found, x, made.codes, made.scales, made.signs, made.bias, described(made))
        assert y.shape == (2, 32)
    launched = [(name, call["stream"]) for name, call in api.launched]
    prepared = ["norm_prepare", "product_few_slots2_g128_m8"]
    assert launched == [(name, 0) for name in ("arrange_slots2", "arrange_scales", *prepared)] + [
        (name, 0x55) for name in prepared
    ]
    called = {name for name, _ in api.calls[before:]}
    harmless = {"cuCtxSetCurrent", "cuModuleLoadDataEx", "cuModuleGetFunction", "cuFuncSetAttribute"}
    assert called == harmless | {"cuLaunchKernel"}


def test_the_operator_is_there_for_cards_and_gets_the_layers_own_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the tensor that the module holds it finds what was arranged."""
    from tzcore.torch import product as operator

    for name in ("ternary_linear", "ternary_linear_gradient"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"tzcore::{name}", "CUDA")
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(operator, "check", lambda x, width, codes, *rest: seen.append(codes))
    made = layer(128, 32, "t1")
    made(torch.randn(2, 128))
    made(torch.randn(2, 128, requires_grad=True)).sum().backward()
    assert len(seen) == 3
    assert all(codes is made.codes for codes in seen)
