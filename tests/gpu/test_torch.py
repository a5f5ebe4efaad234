"""The ternary layer on a card, as torch uses it; it needs a torch that has CUDA."""

from __future__ import annotations

from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("this torch has no card", allow_module_level=True)


def layer(cols: int, rows: int, fmt: str) -> Any:
    from tzcore.torch import TernaryLinear

    torch.manual_seed(0)
    return TernaryLinear.from_linear(torch.nn.Linear(cols, rows), fmt)


@pytest.mark.parametrize("fmt", ["t1", "t1b3", "t2", "t2b3", "q2", "i4", "i8", "f16"])
@pytest.mark.parametrize("tokens", [1, 5, 33, 700])
def test_the_cards_results_are_the_cpus(fmt: str, tokens: int) -> None:
    made = layer(704, 200, fmt)
    x = torch.randn(tokens, 704)
    wanted = made(x).detach()
    found = made.to("cuda")(x.to("cuda")).detach().cpu()
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("fmt", ["t1", "t1b3", "i8", "f16"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients(fmt: str, kind: Any) -> None:
    made = layer(256, 5000, fmt)
    gradient = torch.randn(3, 5000).to(kind)
    wanted = gradient.float() @ made.dequantised()
    x = torch.randn(3, 256, device="cuda", dtype=kind, requires_grad=True)
    made.to("cuda")(x).backward(gradient.cuda())
    assert (x.grad.float().cpu() - wanted).abs().max() <= (1e-4 if kind == torch.float32 else 2e-2) * wanted.abs().max()


def test_captured_in_a_graph() -> None:
    made = layer(256, 64, "t1").to("cuda")
    x = torch.randn(1, 256, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(side):
        made(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        y = made(x)
    for _ in range(3):
        x.copy_(torch.randn(1, 256))
        graph.replay()
        assert torch.equal(y, made(x))
