"""``tz import PATH``: install a model that lies on this machine.

One that is natively ternary keeps its codes and scales, unless ``--encoding`` says otherwise;
any other is ternarised.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tzcore.cli.console import Console
from tzcore.cli.convert import configure_order, convert_and_report
from tzcore.errors import SourceError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("path", metavar="PATH", type=Path, help="a Hugging Face folder (safetensors) or a .gguf file")
    configure_order(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Import or convert the folder or file; nothing is ever fetched."""
    path = args.path.expanduser().absolute()
    if not path.exists():
        raise SourceError(f"there is no file or folder {args.path}; to fetch a model by its id use tz convert")
    return convert_and_report(str(path), args, console)
