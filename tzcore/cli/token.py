"""``tz token``: whether the hub knows the token in use, and whose it is."""

from __future__ import annotations

import argparse

from tzcore.cli.console import Console


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments: the token is the one in ``HF_TOKEN`` or of the saved login."""


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask the hub."""
    from tzcore.hub import repository

    name = repository.who_am_i(None)
    console.done(f"The hub knows this token: it belongs to {name}", name=name)
    return 0
