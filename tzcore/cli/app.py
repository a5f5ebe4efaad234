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
    try:
        from app import application
    except ImportError as error:
        raise MissingExtraError(
            f"the window cannot start because Qt does not load ({error}); on Debian install the libraries with "
            "apt install libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1"
        ) from None
    if not application.display_available():
        raise MissingExtraError("there is no display here to open a window on; in a terminal use: tz chat MODEL")
    return application.main(["--model", args.model] if args.model else [])
