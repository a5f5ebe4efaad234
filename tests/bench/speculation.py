"""Writing with and without guessed tokens on the same model, in turn, with the ratio of each pair.

    python tests/bench/speculation.py MODEL [--pairs 3] [--tokens 160] [--threads N] [--sampled]

MODEL is an installed model or a folder.  Every text is answered by two engines in turn, A B A B, so
that a drifting machine touches both alike; the first pair warms up and is not counted.  The answers
must be the same to the token, or the program ends with exit code 1.  Greedy unless ``--sampled``,
which takes the model's own settings and a seed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tzcore.engine.generation import Engine
from tzcore.engine.request import Finished, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.hub import library

CODE = '''\
class Account:
    """Money that belongs to somebody."""

    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
        self.entries = []

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += amount
        self.entries.append(("deposit", amount))
        return self.balance

    def withdraw(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        if amount > self.balance:
            raise ValueError("not enough money")
        self.balance -= amount
        self.entries.append(("withdraw", amount))
        return self.balance
'''
PASSAGE = """\
The lighthouse at Kettle Point was built in 1861 from granite that was cut on the island itself. For
ninety years its keepers rowed to the mainland once a week for bread, oil and letters. In the winter
of 1904 the boat was lost, and the keeper's daughter, Ada Lindqvist, tended the lamp alone for
twenty-three days. The lamp was made electric in 1951, and the last keeper left in 1978. Today the
tower is a museum, which six thousand people visit in a year, most of them in July.
"""
TEXTS = {
    "code": f"Write this class again, word for word, but call it Wallet:\n\n```python\n{CODE}```",
    "passage": f"{PASSAGE}\nQuote what it says about who tended the lamp alone, then summarise the passage.",
    "chat": "What should I think about before I plant an apple tree in a small garden?",
}


def answer(engine: Engine, request: Request) -> tuple[str, Finished]:
    """The text and its end."""
    pieces: list[str] = []
    for event in engine.generate(request):
        if isinstance(event, TextDelta):
            pieces.append(event.text)
        elif isinstance(event, Finished):
            return "".join(pieces), event
    raise AssertionError("the engine always finishes")


def main() -> int:
    """Run the pairs and print a table."""
    parser = argparse.ArgumentParser(description="Decode speed with and without guessed tokens, in pairs")
    parser.add_argument("model")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--show", action="store_true", help="print the answers too")
    args = parser.parse_args()
    installed = library.resolve(args.model)
    path = Path(args.model) if installed is None else installed.path

    def opened(speculation: bool) -> Engine:
        return Engine.open(path, args.backend, context=2048, threads=args.threads, speculation=speculation)

    print(f"{args.model}, {args.pairs} pairs, {args.tokens} tokens at most; medians of tokens/s")
    print(f"{'text':8} {'with':>8} {'without':>8} {'ratio':>6} {'least':>6} {'most':>6}  drafted accepted tokens  same")
    differs = False
    with closing(opened(True)) as fast, closing(opened(False)) as slow:
        chosen = replace(fast.default_sampling, seed=1) if args.sampled else Sampling(temperature=0)
        for name, text in TEXTS.items():
            messages = [{"role": "user", "content": text}]
            request = Request(messages=messages, sampling=chosen, max_tokens=args.tokens)
            pairs = [(answer(fast, request), answer(slow, request)) for _ in range(args.pairs + 1)]
            same = all(a[0] == b[0] and a[1].reason == b[1].reason for a, b in pairs)
            differs |= not same
            rates = [tuple(end.timings.decode_tokens_per_second for _, end in pair) for pair in pairs[1:]]
            ratios = [a / b for a, b in rates]
            a, b = (statistics.median(rate[i] for rate in rates) for i in (0, 1))
            usage = pairs[-1][0][1].usage
            counts = f"{usage.drafted_tokens:7} {usage.accepted_tokens:8} {usage.completion_tokens:6}"
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            speeds = f"{name:8} {a:8.1f} {b:8.1f} {middle:6.2f} {least:6.2f} {most:6.2f}"
            print(f"{speeds}  {counts}  {'yes' if same else 'NO'}", flush=True)
            if args.show:
                print(pairs[0][1][0], end="\n\n")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
