"""``tz list``: the installed models."""

from __future__ import annotations

import argparse

from tzcore.cli.console import Console, human_bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    """Print a table, or with ``--json`` an array of {id, path, encoding, bytes, source}."""
    from tzcore.hub import library

    models = library.installed()
    if console.json:
        console.array(
            [
                {
                    "id": model.id,
                    "path": str(model.path),
                    "encoding": model.encoding,
                    "bytes": model.bytes,
                    "source": model.source,
                }
                for model in models
            ]
        )
    elif not models:
        console.note("No models are installed. A first one: tz convert starter")
    else:
        width = max(len(model.id) for model in models)
        for model in models:
            print(f"{model.id:<{width}}  {human_bytes(model.bytes):>9}  {model.path}")
    if not console.json:
        for folder in library.unfinished():
            console.note(f"{folder.path}: {folder.why} ({human_bytes(folder.bytes)})")
    return 0
