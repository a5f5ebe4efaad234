"""``tz list``: the installed models."""

from __future__ import annotations

import argparse
from typing import Any

from tzcore.cli.console import Console, human_bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    more = "with --json: an object that also says which folders there are, and which cannot be reached"
    parser.add_argument("--folders", action="store_true", help=more)


def run(args: argparse.Namespace, console: Console) -> int:
    """Print a table, or with ``--json`` an array of {id, path, encoding, bytes, source}."""
    from tzcore.hub import library

    models = library.installed()
    rows = [
        {
            "id": model.id,
            "path": str(model.path),
            "encoding": model.encoding,
            "bytes": model.bytes,
            "source": model.source,
            "licence": model.licence,
            "created": model.created,
        }
        for model in models
    ]
    if console.json and args.folders:
        console.done("", models=rows, folders=_roots())
    elif console.json:
        console.array(rows)
    elif not models:
        console.note("No models are installed. A first one: tz convert starter")
    else:
        width = max(len(model.id) for model in models)
        for model in models:
            print(f"{model.id:<{width}}  {human_bytes(model.bytes):>9}  {model.path}")
    if not console.json:
        for folder in library.unfinished():
            console.note(f"{folder.path}: {folder.why} ({human_bytes(folder.bytes)})")
        for path, why in library.unavailable():
            console.note(f"{path} cannot be reached ({why}); models in it are not shown")
    return 0


def _roots() -> list[dict[str, Any]]:
    """The folders of models: the first takes new ones; ``why`` says why one cannot be reached."""
    import shutil

    from tzcore import paths
    from tzcore.hub import library

    gone = dict(library.unavailable())
    rows = []
    for folder in paths.model_folders():
        there = folder not in gone and folder.is_dir()
        rows.append(
            {
                "path": str(folder),
                "available": folder not in gone,
                "why": gone.get(folder, ""),
                "free_bytes": shutil.disk_usage(folder).free if there else None,
            }
        )
    return rows
