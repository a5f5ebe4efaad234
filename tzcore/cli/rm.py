"""``tz rm ID``: remove an installed model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tzcore.cli.console import Console, human_bytes
from tzcore.errors import CheckpointError, RequestError

if TYPE_CHECKING:
    from tzcore.hub.leftovers import Original
    from tzcore.hub.library import InstalledModel


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="ID", help="an installed model (see: tz list)")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    source = "also remove its original, where we fetched it and no other model was made from it"
    parser.add_argument("--source", action="store_true", help=source)
    parser.add_argument("--what", action="store_true", help="only say what that would free")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask, then remove.  Without a terminal to ask on, ``--yes`` is needed."""
    from tzcore.hub import library
    from tzcore.hub.leftovers import original_of, remove_original

    model = library.resolve(args.model)
    if model is None:
        raise RequestError(f"{args.model} is not installed; tz list shows what is")
    original = original_of(model)
    if args.what:
        return _say(model, original, console)
    if not args.yes:
        if console.json or not sys.stdin.isatty():
            raise RequestError(f"removing {model.id} deletes {human_bytes(model.bytes)}: say --yes to confirm")
        question = f"Remove {model.id} ({human_bytes(model.bytes)}, {model.path})? [y/N] "
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            console.note("Nothing was removed.")
            return 0
    freed = _remove_snapshots(model.path) + library.remove(model.id)
    freed += remove_original(original) if args.source else 0
    console.done(f"Removed {model.id}; {human_bytes(freed)} freed", id=model.id, bytes=freed)
    return 0


def _say(model: InstalledModel, original: Original, console: Console) -> int:
    """What removing ``model`` would free."""
    kept = _snapshot_bytes(model.path)
    lines = [f"model          {human_bytes(model.bytes)}", f"conversations  {human_bytes(kept)} kept ready for it"]
    if original.bytes:
        whose = "removed with --source" if original.ours else "in the Hugging Face cache, stays there"
        lines.append(f"original       {human_bytes(original.bytes)} ({whose})")
    console.done(
        "\n".join(lines),
        id=model.id,
        path=str(model.path),
        model_bytes=model.bytes,
        snapshot_bytes=kept,
        source_bytes=original.bytes,
        source_path=str(original.path) if original.path else "",
        source_ours=original.ours,
        source_needed_by=list(original.needed_by),
    )
    return 0


def _snapshot_bytes(model: Path) -> int:
    from tzcore.engine.snapshots import Snapshots

    try:
        return Snapshots().bytes_of(model)
    except CheckpointError:
        return 0


def _remove_snapshots(model: Path) -> int:
    """Remove what is on disk of the model's conversations, which is of no use to any other; the bytes of it."""
    from tzcore.engine.snapshots import Snapshots

    try:
        return Snapshots().remove(model)
    except CheckpointError:  # a folder that is not whole was never opened
        return 0
