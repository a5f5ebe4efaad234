"""How fast answers are while a model is converted beside them: alone, beside a conversion as the window starts it
(``tz convert --background``), and beside one that does not give way.

python tests/bench/chat_beside_conversion.py starter:t2 [--source starter] [--rounds 5] [--out FILE]

Both conversions are under way all the time, each in a home folder of its own, and are stopped by a signal but for
their turn; the three conditions take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tzcore import paths
from tzcore.cli.console import Console
from tzcore.cli.pipeline import find_or_make
from tzcore.engine.generation import Engine, Finished, Request, Sampling

QUESTION = "Tell me a long story about a lighthouse keeper and the sea."
TOKENS = 96
SETTLE = 1.0


@contextmanager
def conversion(source: str, home: Path, *words: str) -> Iterator[psutil.Process]:
    """A conversion that has begun to compute, and is stopped."""
    home.mkdir(parents=True)
    if paths.sources().exists():
        shutil.copytree(paths.sources(), home / "sources")
    command = [sys.executable, "-m", "tzcore.cli", "convert", source, "--json", "--encoding", "t2", *words]
    child = subprocess.Popen(command, env={**os.environ, "TZ_HOME": str(home)}, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if '"convert"' in line and "layer 1 " in line:
                break
        process = psutil.Process(child.pid)
        process.suspend()
        # From here on nobody reads what it says: a pipe of 64 kB holds more than it says in these minutes.
        yield process
    finally:
        child.send_signal(signal.SIGCONT)
        child.kill()
        child.wait()


def answer(engine: Engine) -> tuple[float, float]:
    """Tokens a second of decoding, and seconds to the first one."""
    sampling = Sampling(temperature=0.0, seed=0)
    request = Request(messages=[{"role": "user", "content": QUESTION}], sampling=sampling, max_tokens=TOKENS)
    *_, finished = engine.generate(request)
    assert isinstance(finished, Finished)
    engine.forget([{"role": "user", "content": QUESTION}])
    return finished.timings.decode_tokens_per_second, finished.timings.time_to_first_token or 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--source", default="starter")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"alone": [], "beside, background": [], "beside, as it is": []}
    load = psutil.getloadavg()[0]
    engine = Engine.open(find_or_make(args.model, Console()), speculation=False)
    with tempfile.TemporaryDirectory() as folder, \
            conversion(args.source, Path(folder) / "a", "--background") as polite, \
            conversion(args.source, Path(folder) / "b") as rude:  # fmt: skip
        answer(engine)
        for _ in range(args.rounds):
            for name, process in zip(found, (None, polite, rude), strict=True):
                if process is not None:
                    process.resume()
                time.sleep(SETTLE)
                found[name].append(answer(engine))
                if process is not None:
                    process.suspend()
    engine.close()
    base = [rate for rate, _ in found["alone"]]
    lines = [
        f"{args.model}, {TOKENS} tokens, {psutil.cpu_count()} processors, load {load:.1f} by other programs; "
        f"median (least to most) of {args.rounds}"
    ]
    for name, pairs in found.items():
        rates, firsts = [rate for rate, _ in pairs], [first for _, first in pairs]
        middle = statistics.median(rates)
        share = statistics.median(rate / alone for rate, alone in zip(rates, base, strict=True))
        lines.append(
            f"{name:20} {middle:7.1f} tokens/s ({min(rates):.1f} to {max(rates):.1f}), {share:5.2f} of alone in the "
            f"same round; first word after {1000 * statistics.median(firsts):.0f} ms"
        )
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
