"""Our CPU core beside llama.cpp and PyTorch: ``python -m tests.bench.peers [--home FOLDER] [--out FILE]``.

Builds the peers from package registries under ``--home`` (once), writes models of random weights in
the shapes of Llama 3.2 1B and 3B there, and measures in pairs: every round asks each side in turn,
one after the other, each in a process of its own that sleeps meanwhile.  Ratios are medians over
rounds of the quotient within a round.  The memory's read bandwidth is measured in the same rounds.
``--only`` takes sections: products, decode, prefill, avx2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers import environments
from tzcore import hardware
from tzcore.bench.random_folder import random_folder
from tzcore.bench.written_folder import write
from tzcore.hub.formats.synthetic import Synthetic
from tzcore.hub.formats.synthetic_shapes import SHAPES

HERE = Path(__file__).parent
FAR = 320 << 20
"""Bytes of weights in a pass: far beyond any cache here."""
SECTIONS = ("products", "decode", "prefill", "avx2")
MODELS = {"1B": "llama-3.2-1b", "3B": "llama-3.2-3b"}


class Side:
    """A worker process of one side."""

    def __init__(self, python: Path, module: str) -> None:
        self._process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[2])} if module != "ggml" else None,
        )

    def ask(self, what: str, **order: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"what": what, **order}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a side gave up on {what} {order}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Bench:
    """Everything that the sections need."""

    home: Path
    rounds: int
    say: Callable[[str], None]
    sides: dict[str, Side]

    def side(self, name: str) -> Side:
        if name not in self.sides:
            here = Path(sys.executable)
            python = here if name in ("ours", "torch") else environments.interpreter(self.home, name)
            self.sides[name] = Side(python, name if name in ("ours", "torch") else "ggml")
        return self.sides[name]

    def release(self, *names: str) -> None:
        for name in names:
            if name in self.sides:
                self.sides.pop(name).close()

    def rounds_of(self, orders: dict[str, tuple[str, dict[str, Any]]], what: str) -> dict[str, list[dict[str, Any]]]:
        """The answers of every order, asked in turn; the first round warms up."""
        found: dict[str, list[dict[str, Any]]] = {label: [] for label in orders}
        for number in range(self.rounds + 1):
            for label, (side, order) in orders.items():
                time.sleep(0.02)  # until a side's threads have stopped spinning
                answer = self.side(side).ask("bandwidth" if label == "read" else what, **order)
                if number:
                    found[label].append(answer)
        return found

    def gguf(self, size: str, kind: str) -> str:
        path = self.home / f"{size}-{kind}.gguf"
        if not path.exists():
            python = environments.interpreter(self.home, "native")
            config = json.dumps(SHAPES[MODELS[size]])
            partial = path.with_suffix(".partial")
            subprocess.run([str(python), str(HERE / "random_gguf.py"), str(partial), kind, config], check=True)
            partial.rename(path)
        return str(path)

    def folder(self, size: str, fmt: str, head: str) -> str:
        path = self.home / f"{size}-{fmt}-{head}"
        if not path.exists():
            write(random_folder(Synthetic(MODELS[size], None, size, {}), fmt, head), path)
        return str(path)


def ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], key: str) -> str:
    """Median, least and most of how many times as fast we are."""
    quotients = [b[key] / a[key] for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(quotients):5.2f} ({min(quotients):.2f}–{max(quotients):.2f})"


def median(answers: list[dict[str, Any]], key: str) -> float:
    return statistics.median(answer[key] for answer in answers)


def share(answers: list[dict[str, Any]], reads: list[dict[str, Any]], key: str) -> float:
    """Median over rounds of bytes a second by the read bandwidth of the round."""
    return statistics.median(a["bytes"] / a[key] / r["rate"] for a, r in zip(answers, reads, strict=True))


def _peer(variant: str | None) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """llama.cpp as it was built for our ``variant``, its types, and what is added to our orders."""
    return ("avx2", ("TQ2_0",), {"variant": variant}) if variant else ("native", ("TQ2_0", "TQ1_0", "Q4_0"), {})


def _heading(what: str, count: int, reads: list[dict[str, Any]], variant: str | None) -> str:
    rate = median(reads, "rate") / 1e9
    return (
        f"\n{what}, {count} thread{'s'[: count > 1]}; memory reads {rate:.1f} GB/s{', ' + variant if variant else ''}"
    )


def products(bench: Bench, threads: list[int], variant: str | None = None) -> None:
    """Matrix–vector products beyond the caches, and few and many tokens."""
    peer, kinds, force = _peer(variant)
    for rows, cols in ((4096, 14336), (8192, 28672)):
        for count in threads:
            common = {"rows": rows, "cols": cols, "threads": count, "least": FAR}
            orders = {"read": ("ours", {"threads": count})}
            for kind in ("t1", "t1b3", "t2", "t2b3"):
                orders[kind] = ("ours", {**common, **force, "kind": kind, "tokens": 1})
            for kind in kinds:
                orders[kind] = (peer, {**common, "kind": kind, "tokens": 1})
            for tokens in (4, 8):
                orders[f"t1 M={tokens}"] = ("ours", {**common, **force, "kind": "t1", "tokens": tokens})
            found = bench.rounds_of(orders, "matmul")
            bench.say(_heading(f"{rows} × {cols}", count, found["read"], variant))
            bench.say(f"{'':8} {'µs':>8} {'GB/s':>6} {'of read':>8}  times as fast as TQ2_0")
            for label, answers in found.items():
                if label == "read":
                    continue
                seconds = median(answers, "seconds")
                against = ratio(answers, found["TQ2_0"], "seconds")
                if label.startswith("t1 "):
                    against = f"{ratio(found['t1'], answers, 'seconds')} × the time of one token"
                rate = answers[0]["bytes"] / seconds / 1e9
                part = share(answers, found["read"], "seconds")
                bench.say(f"{label:8} {seconds * 1e6:8.0f} {rate:6.1f} {part:8.0%}  {against}")
    bench.release("ours", peer)


def many(bench: Bench, count: int) -> None:
    """Products of 512 tokens."""
    rows, cols, tokens = 4096, 4096, 512
    common = {"rows": rows, "cols": cols, "threads": count, "least": 1, "tokens": tokens}
    orders = {kind: ("ours", {**common, "kind": kind}) for kind in ("t1", "t1b3", "t2", "t2b3", "i8")}
    orders |= {kind: ("native", {**common, "kind": kind}) for kind in ("TQ2_0", "Q4_0")}
    orders["bfloat16"] = ("torch", {**common, "kind": ""})
    found = bench.rounds_of(orders, "matmul")
    bench.say(f"\n{rows} × {cols}, {tokens} tokens, {count} threads")
    bench.say(f"{'':8} {'GOP/s':>8}  times as fast as TQ2_0, as torch")
    for label, answers in found.items():
        speed = 2 * rows * cols * tokens / median(answers, "seconds") / 1e9
        pair = "  ".join(ratio(answers, found[peer], "seconds") for peer in ("TQ2_0", "bfloat16"))
        bench.say(f"{label:8} {speed:8.0f}  {pair}")
    bench.release("ours", "native", "torch")


def decode(bench: Bench, size: str, count: int, ours: dict[str, tuple[str, str]], variant: str | None = None) -> None:
    """Tokens one by one after a prompt of 64."""
    peer, kinds, force = _peer(variant)
    length = {"threads": count, "prompt": 64, "tokens": 24}
    orders = {"read": ("ours", {"threads": count})}
    for label, form in ours.items():
        orders[label] = ("ours", {**length, **force, "path": bench.folder(size, *form)})
    for kind in kinds:
        orders[kind] = (peer, {**length, "path": bench.gguf(size, kind)})
    found = bench.rounds_of(orders, "model")
    bench.say(_heading(f"{size}, decoding after 64 tokens", count, found["read"], variant))
    bench.say(f"{'':14} {'tokens/s':>9} {'of read':>8}  times as fast as {', '.join(kinds)}")
    for label, answers in found.items():
        if label == "read":
            continue
        part = f"{share(answers, found['read'], 'decode'):8.0%}" if "bytes" in answers[0] else " " * 8
        pairs = "  ".join(ratio(answers, found[kind], "decode") for kind in kinds)
        bench.say(f"{label:14} {1 / median(answers, 'decode'):9.1f} {part}  {pairs}")
    bench.release("ours", peer)


def prefill(bench: Bench, size: str, count: int) -> None:
    """512 tokens at once."""
    length = {"threads": count, "prompt": 512, "tokens": 0}
    orders: dict[str, Any] = {}
    for label, form in {"t1, head i8": ("t1", "i8"), "t1b3, head i8": ("t1b3", "i8")}.items():
        orders[label] = ("ours", {**length, "path": bench.folder(size, *form)})
    for kind in ("TQ2_0", "Q4_0"):
        orders[kind] = ("native", {**length, "path": bench.gguf(size, kind)})
    facts = {**SHAPES[MODELS[size]]}
    facts.pop("rope_scaling", None)
    orders["bfloat16"] = ("torch", {**length, "path": json.dumps(facts)})
    found = bench.rounds_of(orders, "model")
    bench.say(f"\n{size}, 512 tokens at once, {count} threads")
    bench.say(f"{'':14} {'tokens/s':>9}  times as fast as TQ2_0, Q4_0, torch in bfloat16")
    for label, answers in found.items():
        pairs = "  ".join(ratio(answers, found[kind], "prefill") for kind in ("TQ2_0", "Q4_0", "bfloat16"))
        bench.say(f"{label:14} {512 / median(answers, 'prefill'):9.1f}  {pairs}")
    bench.release("ours", "native", "torch")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("peers"), help="for the peers and the random models (10 GB)")
    parser.add_argument("--out", type=Path, help="also write the tables there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(SECTIONS), help=", ".join(SECTIONS))
    args = parser.parse_args()
    args.home.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        if args.out:
            args.out.write_text("\n".join(lines) + "\n")

    processor = hardware.processor()
    everything = max(1, min(processor.physical, processor.usable))
    threads = sorted({1, everything})
    bench = Bench(args.home.resolve(), args.rounds, say, {})
    wanted = args.only.split(",")
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: bench.release(*list(bench.sides)))
        about = bench.side("native").ask("versions")
        say(f"python {' '.join(['-m', 'tests.bench.peers', *sys.argv[1:]])}")
        say(f"{time.strftime('%Y-%m-%d')}, {processor.name}, {everything} cores; medians of {args.rounds} rounds")
        say(f"llama-cpp-python {about['version']}: {about['system'].strip()}")
        heads = {f"{fmt}, head {head}": (fmt, head) for head in ("i8", "i4") for fmt in ("t1", "t1b3")}
        if "products" in wanted:
            products(bench, threads)
            many(bench, everything)
        if "decode" in wanted:
            for size in MODELS:
                for count in threads:
                    decode(bench, size, count, heads)
        if "prefill" in wanted:
            for size in MODELS:
                prefill(bench, size, everything)
        if "avx2" in wanted:
            products(bench, threads, variant="avx2")
            decode(bench, "1B", everything, {"t1, head i8": ("t1", "i8")}, "avx2")


if __name__ == "__main__":
    main()
