"""What each step of a conversion is worth: the model without it, on text that calibrated nothing.

    python tests/bench/ablation.py [SOURCE] --format t2b3 --work DIR [--text FILE ...] [--limit N]

Every variant is converted into DIR (those that are there are taken as they are) and compared with the
original by ``tzcore.quant.evaluation.compare``.  Prints a table, and with ``--json FILE`` writes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tzcore.backend.select import select
from tzcore.hub import reference, sources
from tzcore.progress import Progress
from tzcore.quant.convert import Settings, convert
from tzcore.quant.evaluation import compare
from tzcore.quant.solver import Effort

GPTQ = Effort(correction=0.0, sweeps=0)
DESCENT = Effort(correction=0.0)
VARIANTS: dict[str, dict[str, Any]] = {
    "nearest codes, best scales": {"calibrated": False, "rotate": False, "tuned": False},
    "+ transform": {"calibrated": False, "rotate": True, "tuned": False},
    "GPTQ without transform": {"rotate": False, "tuned": False, "effort": GPTQ},
    "GPTQ + transform": {"tuned": False, "effort": GPTQ},
    "+ descent on codes, scales refitted": {"tuned": False, "effort": DESCENT},
    "+ half of the drift corrected": {"tuned": False},
    "+ scales and norms tuned (the default)": {},
    "all but the transform": {"rotate": False},
    "all but the correction": {"effort": DESCENT},
}


def made(name: str, changes: dict[str, Any], args: argparse.Namespace) -> tuple[Path, float]:
    """The variant's folder and the seconds that making it took (its receipt's)."""
    folder = args.work / name.replace(" ", "-").replace(",", "").replace("+", "and")
    if not folder.exists():
        source = sources.open_source(reference.parse(args.source))
        began = time.monotonic()

        def report(progress: Progress) -> None:
            if sys.stderr.isatty():
                print(f"\r{name}: {progress.phase} {progress.done:,}/{progress.total:,}  ", end="", file=sys.stderr)

        settings = Settings(format=args.format, tokens=args.tokens, **changes)
        convert(source, folder, settings, report, identifier=name)
        source.close()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return folder, json.loads((folder / "receipt.json").read_text())["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="starter")
    parser.add_argument("--format", default="t2b3")
    parser.add_argument("--tokens", type=int, default=Settings().tokens)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--text", type=Path, action="append", default=[])
    parser.add_argument("--limit", type=int, help="windows of each text")
    parser.add_argument("--only", action="append", help="a variant's name; may be repeated")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    chosen = {name: changes for name, changes in VARIANTS.items() if not args.only or name in args.only}
    folders = {name: made(name, changes, args) for name, changes in chosen.items()}
    backend, _ = select("auto")
    source = sources.open_source(reference.parse(args.source))
    results = compare([folder for folder, _ in folders.values()], args.text, source, backend, limit=args.limit)
    original = results[0]["original"]["perplexity"]
    print(f"{args.source} as {args.format}: original {original:.2f} over {results[0]['tokens']:,} tokens")
    print(f"{'':42}{'perplexity':>11}{'ratio':>7}{'KL':>8}{'top 1':>7}{'bits':>6}{'seconds':>8}")
    for (name, (_, seconds)), row in zip(folders.items(), results, strict=True):
        row["seconds"] = seconds
        print(
            f"{name:42}{row['perplexity']:11.2f}{row['perplexity'] / original:7.3f}{row['kl_mean']:8.4f}"
            f"{row['top1']:7.1%}{row['bits_per_weight']:6.2f}{seconds:8.0f}"
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
