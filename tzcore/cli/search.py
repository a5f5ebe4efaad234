"""``tz search QUERY``: models on the hub that this program can convert, and those it cannot."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from tzcore.cli.console import Console, human_count

SORTS = ("downloads", "likes", "trending", "modified", "created")
"""As :data:`tzcore.hub.search.SORTS`, which takes long to import."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("query", metavar="QUERY", help="words to look for")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="leave out the first N, which were seen")
    parser.add_argument("--supported", action="store_true", help="only what can be converted")
    parser.add_argument("--native", action="store_true", help="only models trained with ternary weights")
    parser.add_argument("--open", action="store_true", help="leave out gated models, which need an account")
    parser.add_argument("--licence", metavar="NAME", help="only under this licence, e.g. apache-2.0")
    parser.add_argument("--max-parameters", type=int, metavar="N", help="no larger than so many weights")
    parser.add_argument("--sort", choices=SORTS, default="downloads", help="by what (default: downloads)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print a table, or with ``--json`` an array of the hub's entries."""
    from tzcore.hub.search import Filters, search

    filters = Filters(
        supported_only=args.supported,
        open_only=args.open,
        max_parameters=args.max_parameters,
        licence=args.licence,
        native_only=args.native,
        sort=args.sort,
    )
    models = search(args.query, limit=args.limit, filters=filters, skip=args.skip)
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
