"""The picture of a healing: ``python tests/bench/healing_curve.py MODEL_FOLDER/training.jsonl --out curve.svg``.

Above, perplexity on held-out text, with the original's as a line; below, the divergence from the original, with the
loss of every step.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tzcore.torch.train.curve import read

SMOOTH = 10
"""Steps whose losses are averaged: each is of other text."""


def draw(lines: list[dict[str, Any]], out: Path) -> None:
    measured = [line for line in lines if "kl" in line]
    steps = [line for line in lines if "loss" in line]
    tokens = [line["tokens"] / 1000 for line in measured]
    figure = Figure(figsize=(7.5, 6), dpi=150, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(tokens, [line["perplexity"] for line in measured], marker="o", markersize=4, label="healed")
    above.axhline(measured[0]["original_perplexity"], color="grey", linestyle="--", label="original")
    above.set(yscale="log", ylabel="perplexity, held-out text")
    above.yaxis.set_major_formatter("{x:g}")
    above.yaxis.set_minor_formatter("{x:g}")
    means = [sum(line["loss"] for line in steps[max(0, at - SMOOTH + 1) : at + 1]) / min(at + 1, SMOOTH)
             for at in range(len(steps))]  # fmt: skip
    below.plot([line["tokens"] / 1000 for line in steps], means, linewidth=1, label=f"loss, mean of {SMOOTH} steps")
    below.plot(tokens, [line["kl"] for line in measured], marker="o", markersize=4, label="KL, held-out text")
    below.set(xlabel="thousand tokens", ylabel="nats a token")
    for axes in (above, below):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curve", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    draw(read(args.curve), args.out)


if __name__ == "__main__":
    main()
