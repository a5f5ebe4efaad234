"""The ternary layer beside ``torch.nn.Linear`` in bfloat16 on the CPU: forward and gradient, in pairs.

``python tests/bench/torch_linear.py [--threads 2] [--pairs 15] [--fmt t1] [--out FILE]``.  Each pair is one call of
either, both after a rest in which threads that still spin go to sleep; of the pairs the medians are given, and the
median of their ratios.  So many layers take turns that no cache holds one until its next turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tzcore import trits
from tzcore.backend import native
from tzcore.hardware import processor
from tzcore.torch import TernaryLinear

SHAPES = ((4096, 14336), (14336, 4096))
ROWS = (1, 8, 64, 512)
REST = 0.02
TURNS = 160 << 20
"""Bytes of the layers that take turns."""


def ternary(cols: int, rows: int, fmt: str) -> TernaryLinear:
    """A layer of random weights; speed does not depend on them."""
    made = TernaryLinear(cols, rows, bias=False, fmt=fmt)
    chosen = trits.format_named(fmt)
    values = torch.randint(chosen.low, chosen.high + 1, (16, cols), dtype=torch.int8)
    made.codes.copy_(torch.from_numpy(trits.pack(values.numpy(), chosen)).expand_as(made.codes))
    assert made.scales is not None
    made.scales.fill_(0.01)
    return made


def stored_bytes(module: nn.Module) -> int:
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def seconds(call: Callable[[], object]) -> float:
    time.sleep(REST)
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def pairs(first: list[nn.Module], second: list[nn.Module], x: torch.Tensor, count: int, backward: bool) -> list[float]:
    """Median seconds of both, and the median of their ratios."""
    found = []
    for number in range(count + 2):
        row = []
        for modules in (first, second):
            module = modules[number % len(modules)]
            if backward:
                y = module(x.requires_grad_())
                gradient = torch.ones_like(y)
                row.append(seconds(lambda y=y, gradient=gradient: torch.autograd.grad(y, x, gradient)))
            else:
                with torch.no_grad():
                    row.append(seconds(lambda module=module: module(x)))
        found.append(row)
    found = found[2:]
    return [
        statistics.median(row[0] for row in found), statistics.median(row[1] for row in found),
        statistics.median(row[0] / row[1] for row in found),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--fmt", default="t1", choices=[name for name in trits.FORMATS if name != "f16"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [
        f"$ python tests/bench/torch_linear.py --threads {args.threads} --pairs {args.pairs} --fmt {args.fmt}",
        f"{time.strftime('%Y-%m-%d')}, {processor().name}, {native.variants()[0]}, torch {torch.__version__}, "
        f"{args.threads} threads",
        "",
    ]

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    print("\n".join(lines))
    for cols, rows in SHAPES:
        dense = [nn.Linear(cols, rows, bias=False, dtype=torch.bfloat16) for _ in range(2)]
        made = ternary(cols, rows, args.fmt)
        size = stored_bytes(made)
        layers = [made, *(ternary(cols, rows, args.fmt) for _ in range(TURNS // size))]
        say(
            f"{cols} in, {rows} out: bfloat16 {stored_bytes(dense[0]) / 1e6:.1f} MB, {args.fmt} {size / 1e6:.1f} MB: "
            f"{stored_bytes(dense[0]) / size:.1f} times fewer"
        )
        for count in ROWS:
            x = torch.randn(count, cols, dtype=torch.bfloat16)
            for what in ("forward", "gradient")[: 1 + (count > 1)]:
                few = args.pairs if count < 64 else max(3, args.pairs // 3)
                plain, ours, ratio = pairs(dense, layers, x.clone(), few, what == "gradient")
                say(
                    f"  {what:8} {count:4} rows: bfloat16 {plain * 1e3:8.2f} ms, {args.fmt} {ours * 1e3:8.2f} ms, "
                    f"{ratio:5.2f} times as fast"
                )
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
