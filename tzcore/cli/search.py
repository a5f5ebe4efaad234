"""``tz search QUERY``: models on the hub that this program can convert, and those it cannot."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from tzcore.cli.console import Console, human_count


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("query", metavar="QUERY", help="words to look for")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print a table, or with ``--json`` an array of the hub's entries."""
    from tzcore.hub.search import search

    models = search(args.query, limit=args.limit)
    if console.json:
        console.array([asdict(model) for model in models])
        return 0
    if not models:
        console.note(f"The hub has no text model for {args.query!r}.")
        return 0
    width = max(len(model.id) for model in models)
    for model in models:
        size = human_count(model.parameters) if model.parameters else "?"
        print(f"{model.id:<{width}}  {size:>8}  {model.family or '?':<10}  {model.licence}")
    return 0
