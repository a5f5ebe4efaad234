"""``tz reach``: whether the hub answers, through the proxy and at the address that are set."""

from __future__ import annotations

import argparse

from tzcore.cli.console import Console


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask for nothing but an answer."""
    from tzcore.hub import repository

    host, seconds = repository.reach()
    milliseconds = round(1000 * seconds)
    console.done(f"{host} answers, after {milliseconds} ms", host=host, milliseconds=milliseconds)
    return 0
