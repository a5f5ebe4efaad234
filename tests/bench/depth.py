"""Decoding deep in a text on the processor, by the format of keys and values, against what memory allows.

    python tests/bench/depth.py MODEL [--depth 0 --depth 4k --depth 32k] [--kv f16 ...] [--rounds 5] [--tokens 16]

All formats decode in turn within each round, so that a drifting machine touches all alike; ratios are medians over
rounds.  The floor is the time in which the weights and the keys and values that a token reads come from memory at the
bandwidth that was measured in the same round."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tzcore import hardware
from tzcore.architecture.registry import spec_of
from tzcore.backend.base import PIECE, LoadedModel, Sequence
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.cpu_memory import read_bytes
from tzcore.checkpoint.reader import ModelFolder
from tzcore.cli.context_arguments import context, kv
from tzcore.hub import library
from tzcore.keyvalues import FORMATS, KeyValueFormat

AT_ONCE = 512


def filled(model: LoadedModel, depth: int, tokens: int, stored: KeyValueFormat) -> tuple[Sequence, float]:
    """A text of ``depth`` tokens with room for ``tokens`` more, and the seconds that making it took.

    Speed does not depend on what tokens say: a long text is a short one of random tokens over and over, taken from
    its saved pieces, where the model has no windows.
    """
    sequence = model.new_sequence(depth + tokens, stored)
    began = time.perf_counter()
    if depth > AT_ONCE and all(layer.window is None for layer in model.spec.layers):
        short, _ = filled(model, AT_ONCE, 0, stored)
        first, *others = [short.save(number) for number in range(AT_ONCE // PIECE)]
        short.close()
        sequence.load(itertools.chain([first], itertools.cycle(others)), depth)
        return sequence, time.perf_counter() - began
    ids = np.random.default_rng(0).integers(0, model.spec.vocabulary, depth, np.int32)
    for at in range(0, depth, AT_ONCE):
        model.forward(sequence, ids[at : at + AT_ONCE], "none")
    return sequence, time.perf_counter() - began


def decoded(model: LoadedModel, sequence: Sequence, depth: int, tokens: int) -> float:
    """Seconds a token; the text is as long as before afterwards."""
    token = np.array([7], np.int32)
    began = time.perf_counter()
    for _ in range(tokens):
        model.forward(sequence, token)
    seconds = (time.perf_counter() - began) / tokens
    sequence.truncate(depth)
    return seconds


def at_depth(
    backend: CpuBackend, model: LoadedModel, depth: int, formats: list[KeyValueFormat], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row a format."""
    texts = {}
    for stored in formats:
        texts[stored], seconds = filled(model, depth, args.tokens, stored)
        print(f"{stored.name}: {depth:,} tokens read in {seconds:.1f} s", file=sys.stderr, flush=True)
    times: dict[KeyValueFormat, list[float]] = {stored: [] for stored in formats}
    rates = []
    for sequence in texts.values():
        decoded(model, sequence, depth, 2)
    for _ in range(args.rounds):
        rates.append(backend.read_bandwidth(args.threads))
        for stored, sequence in texts.items():
            times[stored].append(decoded(model, sequence, depth, args.tokens))
    for sequence in texts.values():
        sequence.close()
    rows = []
    for stored in formats:
        held = read_bytes(model.spec, depth + args.tokens // 2, stored)
        least = model.weight_bytes_per_token() + held
        floors = [least / rate / seconds for rate, seconds in zip(rates, times[stored], strict=True)]
        ratios = [plain / seconds for plain, seconds in zip(times[formats[0]], times[stored], strict=True)]
        rows.append(
            {
                "depth": depth, "kv": stored.name, "kv_bytes": held, "tps": 1 / statistics.median(times[stored]),
                "of_floor": statistics.median(floors), "ratio": statistics.median(ratios), "least": min(ratios),
                "most": max(ratios),
            }
        )  # fmt: skip
    print(f"read bandwidth at {depth:,}: {statistics.median(rates) / 1e9:.1f} GB/s", file=sys.stderr, flush=True)
    return rows


def table(rows: list[dict[str, Any]], first: str) -> str:
    """The rows for a person."""
    lines = [f"{'depth':>7} {'KV':6} {'KV read':>10} {'tokens/s':>9} {'of floor':>9}   against {first} (least, most)"]
    lines += [
        f"{row['depth']:>7,} {row['kv']:6} {row['kv_bytes'] / 1e6:>7.1f} MB {row['tps']:9.1f} {row['of_floor']:9.0%}   "
        f"{row['ratio']:.2f} ({row['least']:.2f}, {row['most']:.2f})"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="an installed model or a folder")
    parser.add_argument("--depth", type=context, action="append", help="tokens before (0 is always measured)")
    parser.add_argument("--kv", type=kv, action="append", help="formats (default: all); the first is compared with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=16, help="tokens decoded in a round")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    found = library.resolve(args.model)
    path = found.path if found is not None else Path(args.model)
    if not path.is_dir():
        raise SystemExit(f"{args.model} is not installed: tz convert makes it")
    formats = [FORMATS[name] for name in args.kv or FORMATS]
    depths = [0, *(args.depth or (4096, 32768))]
    folder = ModelFolder.open(path)
    backend = CpuBackend()
    model = backend.load(folder, spec_of(folder, max(depths) + args.tokens), args.threads)
    rows = [row for depth in depths for row in at_depth(backend, model, depth, formats, args)]
    about = f"{hardware.processor().name}, {backend.variant}, {model.threads} threads"
    name = found.id if found is not None else path.name
    print(f"{name}, {about}; weights {model.weight_bytes_per_token() / 1e6:.1f} MB a token")
    model.close()
    print(table(rows, formats[0].name))


if __name__ == "__main__":
    main()
