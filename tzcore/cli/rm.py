"""``tz rm ID``: remove an installed model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tzcore.cli.console import Console, human_bytes
from tzcore.errors import CheckpointError, RequestError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="ID", help="an installed model (see: tz list)")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask, then remove.  Without a terminal to ask on, ``--yes`` is needed."""
    from tzcore.hub import library

    model = library.resolve(args.model)
    if model is None:
        raise RequestError(f"{args.model} is not installed; tz list shows what is")
    if not args.yes:
        if console.json or not sys.stdin.isatty():
            raise RequestError(f"removing {model.id} deletes {human_bytes(model.bytes)}: say --yes to confirm")
        question = f"Remove {model.id} ({human_bytes(model.bytes)}, {model.path})? [y/N] "
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            console.note("Nothing was removed.")
            return 0
    freed = _remove_snapshots(model.path) + library.remove(model.id)
    console.done(f"Removed {model.id}; {human_bytes(freed)} freed", id=model.id, bytes=freed)
    return 0


def _remove_snapshots(model: Path) -> int:
    """Remove what is on disk of the model's conversations, which is of no use to any other; the bytes of it."""
    from tzcore.engine.snapshots import Snapshots

    try:
        return Snapshots().remove(model)
    except CheckpointError:  # a folder that is not whole was never opened
        return 0
