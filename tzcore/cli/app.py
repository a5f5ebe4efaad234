"""``tz app``: the window."""

from __future__ import annotations

import argparse

from tzcore.cli.console import Console
from tzcore.errors import MissingExtraError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", metavar="ID", help="open a chat with this model")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the window until it is closed."""
    from app.display import display_trouble

    if trouble := display_trouble():
        raise MissingExtraError(trouble)
    try:
        from PySide6 import QtWidgets  # noqa: F401  (the first import to fail where a system library is missing)
    except ImportError as error:
        raise MissingExtraError(
            f"the window cannot start because Qt does not load ({error}); on Debian install its libraries with "
            "apt install libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0"
        ) from None
    from app.application import main

    return main(["--model", args.model] if args.model else [])
