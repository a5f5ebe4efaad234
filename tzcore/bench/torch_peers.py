"""What cuBLAS does with the same shapes, where a CUDA build of torch is installed.  The engine needs none."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from tzcore.bench.timing import SPAN, launches, rotation


def available() -> bool:
    """Whether torch is here and sees a card."""
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def half_seconds(rows: int, cols: int, tokens: int, l2_bytes: int, repeat: int) -> float:
    """Seconds of a product of ``tokens`` inputs with fp16 weights beyond the cache."""
    import torch

    count = rotation(2 * rows * cols, l2_bytes)
    weights = [torch.randn(rows, cols, device="cuda", dtype=torch.float16) for _ in range(count)]
    inputs = torch.randn(tokens, cols, device="cuda", dtype=torch.float16)
    times = launches(2 * rows * cols, count, SPAN)
    try:
        return _median([partial(torch.nn.functional.linear, inputs, one) for one in weights], times, repeat)
    finally:
        weights.clear()
        torch.cuda.empty_cache()


def int8_operations(rows: int, cols: int, tokens: int, repeat: int) -> float | None:
    """Operations a second of an int8 product with int32 sums; None where this torch has none on the card."""
    import torch

    inputs = torch.randint(-127, 128, (tokens, cols), device="cuda", dtype=torch.int8)
    weights = torch.randint(-127, 128, (rows, cols), device="cuda", dtype=torch.int8)
    try:
        seconds = _median([partial(torch._int_mm, inputs, weights.T)], 2, repeat)
    except (RuntimeError, AttributeError):
        return None
    finally:
        torch.cuda.empty_cache()
    return 2 * rows * cols * tokens / seconds


def _median(works: list[Callable[[], Any]], times: int, repeat: int) -> float:
    """Seconds of one of ``works``, done in turn ``times`` times in a graph."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for work in works[:2]:
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for number in range(times):
            works[number % len(works)]()
    first, second = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    found = []
    for _ in range(repeat + 1):
        first.record()
        graph.replay()
        second.record()
        second.synchronize()
        found.append(first.elapsed_time(second) / 1000 / times)
    return statistics.median(found[1:])
