"""Reading a long text against taking it from the disk in a new engine.

    python tests/bench/resume.py MODEL [--context N ...] [--kv FORMAT] [--backend NAME] [--threads N]

MODEL is an installed model or a folder.  For each N a text of N tokens (``resources/evaluation/novel.txt``, repeated
as needed) is read by an engine, which keeps it on disk and is closed; a second engine then resumes it.  Both times
are those to the first token of the answer, the loading of the weights not counted.  The answers are compared: with
fp16 keys and values they must be the same, or the program ends with exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tzcore import paths
from tzcore.engine.generation import Engine
from tzcore.engine.request import Finished, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.engine.snapshots import Snapshots
from tzcore.hub import library

ANSWER = 24
"""Tokens of each answer."""


@dataclass(frozen=True)
class Answer:
    """What an engine said, the seconds to its first token and until it was closed afterwards."""

    text: str
    cached: int
    first: float
    closing: float


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Time to the first token: reading a text, and resuming it")
    parser.add_argument("model")
    parser.add_argument("--context", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--kv", default="f16", metavar="FORMAT")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    installed = library.resolve(args.model)
    path = Path(args.model) if installed is None else installed.path
    novel = (paths.resources() / "evaluation" / "novel.txt").read_text(encoding="utf-8")

    def answer(count: int, store: Snapshots) -> Answer:
        room = count + ANSWER + 8
        engine = Engine.open(path, args.backend, context=room, threads=args.threads, snapshots=store, kv=args.kv)
        with closing(engine):
            tokens = engine.prompts.tokenizer.encode(novel)
            prompt = (tokens * (count // len(tokens) + 1))[:count]
            request = Request(prompt=prompt, sampling=Sampling(temperature=0), max_tokens=ANSWER)
            *events, last = engine.generate(request)
            assert isinstance(last, Finished)
            first = last.timings.time_to_first_token
            assert first is not None
            began = time.perf_counter()
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        return Answer(text, last.usage.cached_tokens, first, time.perf_counter() - began)

    differs = False
    print(f"{args.model}, keys and values {args.kv}; seconds to the first token")
    print(f"{'tokens':>8} {'read':>9} {'resumed':>9} {'ratio':>8} {'from disk':>10} {'MB':>8} {'saving':>8}  same")
    for count in args.context:
        with tempfile.TemporaryDirectory(prefix="tz-resume-", dir=paths.home()) as folder:
            store = Snapshots(root=Path(folder))
            read = answer(count, store)
            size = store.bytes() / 1e6
            resumed = answer(count, store)
        same = read.text == resumed.text
        differs |= not same
        times = f"{count:8} {read.first:9.2f} {resumed.first:9.3f} {read.first / resumed.first:8.0f}"
        rest = f"{resumed.cached:10} {size:8.1f} {read.closing:8.2f}"
        print(f"{times} {rest}  {'yes' if same else 'no'}", flush=True)
    return int(differs and args.kv == "f16")


if __name__ == "__main__":
    sys.exit(main())
