"""``tz receipt MODEL``: what was made from what, how near it is to its original, and what both answered."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from tzcore.cli.console import Console
from tzcore.errors import SourceError

WIDTH = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="an installed model, or a model folder")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the receipt."""
    from tzcore.checkpoint.reader import read_json
    from tzcore.hub import library
    from tzcore.quant import receipt_quality

    model = library.resolve(args.model)
    if model is None:
        raise SourceError(f"no installed model is called {args.model!r}: tz list names them")
    receipt = read_json(model.path / "receipt.json")
    quality = receipt_quality.quality_of(model.path)
    console.done(words(receipt, quality), **{**receipt, "quality": quality})
    return 0


def words(receipt: dict[str, Any], quality: dict[str, Any]) -> str:
    """For a person."""
    from tzcore.cli.convert import about

    source = receipt.get("source") or {}
    made = f"{source.get('id')}, licence {source.get('licence')}"
    lines = [f"model      {receipt.get('id')}", f"made from  {made}, {str(receipt.get('created'))[:10]}"]
    lines += about({**receipt, "quality": quality})
    if (top := quality.get("top1")) is not None:
        lines.append(f"same word  {top:.1%} of the likeliest next tokens are the original's")
    if (perplexity := quality.get("perplexity")) is not None:
        original = quality.get("original_perplexity")
        lines.append(f"perplexity {perplexity:.2f}{'' if original is None else f', the original {original:.2f}'}")
    if not quality.get("samples"):
        lines.append(f"samples    none yet: tz eval {receipt.get('id')} --receipt makes them")
    if skipped := quality.get("skipped"):
        lines.append(f"note       {skipped}")
    for sample in quality.get("samples") or ():
        lines += ["", sample["question"]]
        for who, said in (("original", sample.get("original")), ("this model", sample["converted"])):
            if said is not None:
                flat = " ".join(said.split())
                lines.append(textwrap.fill(f"  {who:10} {flat}", WIDTH, subsequent_indent=" " * 13))
    return "\n".join(lines)
