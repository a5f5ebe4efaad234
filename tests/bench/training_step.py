"""A training step with latents beside the same model's plain one, on the CPU, in pairs.

``python tests/bench/training_step.py [--threads 1] [--pairs 7] [--layers 30] [--fmt t1] [--out FILE]``.  Both have the
shape of the starter model (a Llama of 135 million parameters) with random weights, train their blocks under bfloat16
autocast with AdamW, and have a frozen embedding and head; one has ``nn.Linear`` layers and a float head, the other
ternary ones in training and a head of 8 bits.  Each pair is one step of either, the first taking turns; of the pairs
the medians are given, and the median of their ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from tzcore.backend import native
from tzcore.hardware import processor
from tzcore.torch import TernaryLinear, ternarize
from tzcore.torch.train import parameter_groups, prepare

BATCH, WINDOW = 2, 512
PARTS = ("forward", "backward", "optimiser")
GOAL = 1.25


def plain(layers: int) -> Any:
    """The model with float layers, random, embedding and head frozen."""
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=layers, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=False, use_cache=False,
    )  # fmt: skip
    torch.manual_seed(0)
    made = LlamaForCausalLM(config)
    for module in (made.get_input_embeddings(), made.get_output_embeddings()):
        module.requires_grad_(False)
    return made.train()


def trained(layers: int, fmt: str) -> Any:
    """The same model, ternarised and prepared."""
    made = plain(layers)
    ternarize(made, fmt=fmt)
    made.lm_head = TernaryLinear.from_linear(made.lm_head, "i8")
    return prepare(made).train()


class Step:
    """A model with its optimiser; called, it trains a step and gives the seconds of the parts."""

    def __init__(self, model: nn.Module, groups: Any) -> None:
        self.model, self.optimiser = model, torch.optim.AdamW(groups, lr=1e-4, weight_decay=0.0, fused=True)

    def __call__(self, ids: torch.Tensor) -> list[float]:
        times = [time.perf_counter()]
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model(input_ids=ids, labels=ids).loss
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        self.optimiser.step()
        self.optimiser.zero_grad()
        times.append(time.perf_counter())
        return [after - before for before, after in pairwise(times)]


def table(pairs: list[tuple[list[float], list[float]]], fmt: str) -> list[str]:
    """A line for each part and one for the whole."""

    def line(what: str, rows: list[tuple[float, float]]) -> str:
        first, second = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(after / before for before, after in rows)
        return f"{what:10} {first * 1e3:12.0f} ms {second * 1e3:12.0f} ms {ratio:8.2f}"

    found = [f"{'':10} {'nn.Linear':>15} {'latents, ' + fmt:>15} {'ratio':>8}"]
    for number, part in enumerate(PARTS):
        found.append(line(part, [(one[number], other[number]) for one, other in pairs]))
    whole = [(sum(one), sum(other)) for one, other in pairs]
    ratios = sorted(after / before for before, after in whole)
    found.append(line("step", whole))
    return [*found, f"ratios of the pairs {ratios[0]:.2f} to {ratios[-1]:.2f}; the goal is at most {GOAL}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--fmt", default="t1")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [
        f"$ python tests/bench/training_step.py --threads {args.threads} --pairs {args.pairs} --layers {args.layers} "
        f"--fmt {args.fmt}",
        f"{time.strftime('%Y-%m-%d')}, {processor().name}, {native.variants()[0]}, torch {torch.__version__}, "
        f"{args.threads} threads, {BATCH} x {WINDOW} tokens, bfloat16 autocast, AdamW (fused)",
        "",
    ]
    one, other = plain(args.layers), trained(args.layers, args.fmt)
    steps = (Step(one, [p for p in one.parameters() if p.requires_grad]), Step(other, parameter_groups(other, 1e-3)))
    ids = torch.randint(0, 49152, (BATCH, WINDOW))
    for step in steps:
        step(ids)  # makes the optimiser's moments
    pairs = []
    for number in range(args.pairs):
        first = number % 2
        found = {place: steps[place](ids) for place in (first, 1 - first)}
        pairs.append((found[0], found[1]))
    lines += table(pairs, args.fmt)
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
