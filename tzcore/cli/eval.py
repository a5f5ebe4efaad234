"""``tz eval MODEL --text FILE``: perplexity, and how far the model is from its original."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tzcore.cli.console import Console, human_bytes
from tzcore.errors import CheckpointError, RequestError

if TYPE_CHECKING:
    from tzcore.checkpoint.source import WeightSource


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="an installed model, a folder, or a source")
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="UTF-8 text to read")
    parser.add_argument("--window", type=int, default=512, metavar="N", help="tokens read at a time (default 512)")
    parser.add_argument("--source", metavar="SOURCE", help="the original (default: the one the model was made from)")
    parser.add_argument("--no-original", action="store_true", help="measure the model alone")
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    parser.add_argument("--backend", default="auto", metavar="NAME", help="auto, or a backend's name")


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure and report; the original is fetched where it is not here."""
    text = read_text(args.text)
    if args.window < 2:
        raise RequestError("--window must be 2 or more")
    from tzcore.backend.select import select
    from tzcore.cli.pipeline import find_or_make
    from tzcore.quant.evaluation import evaluate

    folder = find_or_make(args.model, console)
    backend, _ = select(args.backend)
    source = None if args.no_original else original_of(folder, args.source, console)
    try:
        result = evaluate(folder, text, source, backend, console.report, args.window, args.threads)
    finally:
        if source is not None:
            source.close()
    console.done(words(result), **result)
    return 0


def read_text(path: Path) -> str:
    """The file's text; what cannot be read as text is a RequestError that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text") from None


def original_of(folder: Path, named: str | None, console: Console) -> WeightSource:
    """The weights that the model in ``folder`` was made from, or those the user names."""
    from tzcore.checkpoint.reader import read_json
    from tzcore.hub import reference, sources

    recorded = read_json(folder / "receipt.json").get("source")
    name = named or (recorded.get("id") if isinstance(recorded, dict) else None)
    if not isinstance(name, str):
        raise CheckpointError(f"{folder} does not record its original: name it with --source, or use --no-original")
    return sources.open_source(reference.parse(name), report=console.report)


def words(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [
        f"perplexity       {result['perplexity']:10.3f}   over {result['tokens']:,} tokens",
        f"bits per weight  {result['bits_per_weight']:10.3f}   of the projections, from stored bytes",
        f"size             {human_bytes(result['bytes']):>10}",
    ]
    if original := result.get("original"):
        lines += [
            f"original         {original['perplexity']:10.3f}   perplexity, {human_bytes(original['bytes'])}",
            f"KL divergence    {result['kl_mean']:10.4f}   mean, {result['kl_p999']:.3f} at the 99.9th percentile",
            f"same top token   {result['top1']:10.1%}",
        ]
    return "\n".join(lines)
