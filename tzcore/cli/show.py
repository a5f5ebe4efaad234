"""``tz show SOURCE``: what is known of a model, its files and its card, before anything else is fetched."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tzcore.cli.console import Console, human_bytes, human_count

if TYPE_CHECKING:
    from tzcore.hub.model_page import ModelPage


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="org/name, a folder, a .gguf file, pypi:PACKAGE, or starter")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the page."""
    from tzcore.hub import library, reference
    from tzcore.hub.model_page import model_page

    installed = library.resolve(args.source)
    page = model_page(reference.parse(installed.source if installed is not None else args.source))
    console.done(_words(page), **page.as_json())
    return 0


def _words(page: ModelPage) -> str:
    count = human_count(page.parameters) if page.parameters else "?"
    lines = [
        f"model      {page.id}: {page.family or 'family not known'}, {count} parameters, licence {page.licence}",
        f"from       {page.address}",
        f"supported  {'yes' if page.supported else f'no: {page.why}'}",
    ]
    if page.gated:
        lines.append("gated      accept its terms on that page first, then use a token of that account")
    lines += [f"  {file.name:<44} {human_bytes(file.bytes):>9}" for file in page.files if file.needed]
    text = "".join(letter for letter in page.card if letter.isprintable() or letter == "\n")
    return "\n".join([*lines, "", text or f"card       {page.card_note}"])
