"""Our formats of keys and values and llama.cpp's cache types: each against its own half precision, on one text.

    python tests/bench/kv_peers.py MODEL.gguf OURS [OURS ...] --peer-python VENV/bin/python [--depth 4k] [--last 1024]

OURS are installed models made from MODEL.gguf; one with ``--encoding f16`` has the same weights, so that nothing but
the cache differs.  The tokens are those of our tokenizer for all.  The divergence is over the next token's
distribution behind each of the last tokens, in nats; the texts are the project's own evaluation texts, the longest
first, or ``--text``.  ``plain`` is llama.cpp's half precision without flash attention: what it differs by is not the
cache's doing, but that of sums in another order, which its rounded activations make larger.  Bits are those of a
number on average, scales included; our tokens in half precision (the first 16 and the last 64 to 127) come besides,
and are in the share of f16's bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tzcore.architecture.registry import spec_of
from tzcore.bench.depth_quality import divergence_at_depth
from tzcore.bench.real_text import open_text
from tzcore.checkpoint.reader import ModelFolder
from tzcore.cli.context_arguments import context, kv
from tzcore.hub import library
from tzcore.keyvalues import FORMATS
from tzcore.progress import Progress
from tzcore.quant.evaluation import small_files

PEER = Path(__file__).with_name("llama_peer.py")
KINDS = ("f16", "plain", "q8_0", "q5_1", "q5_0", "q8_0/q4_0", "q4_1", "q4_0")
BITS = {"f16": 16.0, "plain": 16.0, "q8_0": 8.5, "q5_1": 6.0, "q5_0": 5.5, "q4_1": 5.0, "q4_0": 4.5}
"""Of ggml's types: blocks of 32 numbers with one or two half-precision numbers."""


def bits(kind: str) -> float:
    """Bits of a number of a cache of this kind: a type, or ``KEYS/VALUES``."""
    parts = kind.split("/")
    return sum(BITS[part] for part in parts) / len(parts)


def ours(folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a format."""
    formats = [FORMATS[name] for name in args.kv or FORMATS]
    result = divergence_at_depth(
        folder, formats, [args.depth], args.last, args.text, threads=args.threads, report=_say
    )  # fmt: skip
    opened = ModelFolder.open(folder)
    head = spec_of(opened).head_dim
    opened.close()
    (row,) = result["depths"]
    for name, one in row["formats"].items():
        yield {"model": result["model"], "kv": name, "bits": FORMATS[name].bits(head), **one}


def theirs(folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a cache type."""
    tokens = open_text(args.text, small_files(folder), args.depth).tokens
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "tokens.npy"
        np.save(path, tokens[:-1])  # ours scores what is behind all tokens but the last
        command = [args.peer_python, str(PEER), "cache", args.gguf, "--tokens", str(path), "--last", str(args.last)]
        command += ["--threads", str(args.threads), "--kinds", *args.kinds]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                row = json.loads(line)
                print(f"llama.cpp {row['kv']}", file=sys.stderr, flush=True)
                yield {"model": "llama.cpp", "bits": bits(row["kv"]), "kv_share": bits(row["kv"]) / 16, **row}
    if process.returncode:
        raise SystemExit(f"the peer stopped: {' '.join(command)}")


def table(rows: list[dict[str, Any]]) -> str:
    """By bits, the most first."""
    width = max(len(row["model"]) for row in rows)
    lines = [f"{'':{width}} {'KV':10} {'bits':>6} {'of f16':>7} {'mean KL':>9} {'KL 99':>8} {'same top':>9}"]
    lines += [
        f"{row['model']:{width}} {row['kv']:10} {row['bits']:6.3f} {row['kv_share']:7.1%} {row['kl_mean']:9.5f} "
        f"{row['kl_p99']:8.4f} {row['top1']:9.2%}"
        for row in sorted(rows, key=lambda row: -row["bits"])
        if row["kv"] != "f16"
    ]
    return "\n".join(lines)


def _say(progress: Progress) -> None:
    print(f"{progress.done:,} of {progress.total:,} tokens, {progress.detail}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gguf", help="the model as llama.cpp reads it")
    parser.add_argument("ours", nargs="+", help="installed models made from it")
    parser.add_argument("--peer-python", required=True, help="an interpreter with llama-cpp-python")
    parser.add_argument("--depth", type=context, default=4096, help="tokens of text")
    parser.add_argument("--last", type=int, default=1024, help="tokens scored")
    parser.add_argument("--kinds", nargs="*", default=KINDS, help="cache types; the first is what others are held to")
    parser.add_argument("--kv", nargs="*", type=kv, default=[], help="our formats (default: all)")
    parser.add_argument("--text", nargs="*", type=Path, default=[], help="texts (default: the project's)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("ours", "theirs"), help="measure one side")
    parser.add_argument("--json", type=Path, help="keep the rows there; those that it has of other runs are shown too")
    args = parser.parse_args()
    folders = []
    for name in args.ours:
        found = library.resolve(name)
        if found is None:
            raise SystemExit(f"{name} is not installed: tz convert makes it")
        folders.append(found.path)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    if args.json is not None and args.json.exists():
        rows = {(row["model"], row["kv"]): row for row in json.loads(args.json.read_text(encoding="utf-8"))}
    measured = itertools.chain(*(ours(folder, args) for folder in folders if args.only != "theirs"))
    for row in itertools.chain(measured, theirs(folders[0], args) if args.only != "ours" else ()):
        rows[row["model"], row["kv"]] = row
        if args.json is not None:
            args.json.write_text(json.dumps([*rows.values()], indent=1), encoding="utf-8")
    print(table([*rows.values()]))


if __name__ == "__main__":
    main()
