"""``tz eval MODEL ...``: perplexity, how far models are from their original, and what they know."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tzcore.cli import depth_eval
from tzcore.cli.console import Console, human_bytes
from tzcore.errors import CheckpointError, RequestError

if TYPE_CHECKING:
    from tzcore.checkpoint.source import WeightSource

Result = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="installed models, folders, or sources; several make a table")
    add(
        "--text", type=Path, action="append", default=[], metavar="FILE",
        help="UTF-8 text, or conversations in .jsonl; may be repeated (default: the project's own texts)",
    )  # fmt: skip
    add("--window", type=int, default=512, metavar="N", help="tokens read at a time (default 512)")
    add("--windows", type=int, metavar="N", help="read no more than N windows of each text")
    add("--source", metavar="SOURCE", help="the original (default: the one the model was made from)")
    add("--no-original", action="store_true", help="measure the models alone")
    add("--picture", type=Path, metavar="FILE", help="draw quality against size (.svg, .png or .pdf)")
    add("--tasks", metavar="A,B", help="answer these tasks of lm-evaluation-harness instead of reading texts")
    add("--limit", type=int, metavar="N", help="with --tasks: the first N questions of each")
    add("--shots", type=int, metavar="N", help="with --tasks: examples before each question")
    add("--task-folder", type=Path, metavar="DIR", help="with --tasks: task files (.yaml) of your own")
    add("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    add("--device", default="auto", metavar="NAME", help="where the original is computed, as in tz convert")
    add("--backend", default="auto", metavar="NAME", help="auto, or a backend's name")
    add(
        "--receipt", action="store_true",
        help="write the result into the models' receipts, with sample answers of each and of its original",
    )  # fmt: skip
    add("--background", action="store_true", help="take only what processor and disk others leave")
    depth_eval.declare(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure and report; originals are fetched where they are not here."""
    _check(args)
    from tzcore.cli.pipeline import find_or_make

    if args.background:
        from tzcore.priority import give_way

        give_way()
    if args.receipt:
        from tzcore.cli import receipt_eval

        return receipt_eval.run(receipt_eval.installed(args.models), args, console)
    if args.tasks:
        from tzcore.cli import tasks

        tasks.check()
        results = [tasks.answer(find_or_make(name, console), args, console) for name in args.models]
        console.done(tasks.table(results), models=results)
        return 0
    if args.kl_at_depth or args.needle:
        depth_eval.run([find_or_make(name, console) for name in args.models], args, console)
        return 0
    if args.picture is not None:
        from tzcore.quant import quality_picture

        quality_picture.check(args.picture)
    results = _measured([find_or_make(name, console) for name in args.models], args, console)
    if args.picture is not None:
        _draw(args.picture, results)
        console.note(f"The picture is in {args.picture}")
    console.done(words(results[0]) if len(results) == 1 else table(results), models=results)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.window < 2:
        raise RequestError("--window must be 2 or more")
    for name in ("windows", "limit"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise RequestError(f"--{name} must be 1 or more")
    for path in args.text:
        if not path.is_file():
            raise RequestError(f"cannot read {path}: there is no such file")
    if args.tasks and (args.text or args.picture):
        raise RequestError("--tasks goes without --text and --picture")
    if not args.tasks and (args.limit or args.shots is not None or args.task_folder):
        raise RequestError("--limit, --shots and --task-folder go with --tasks")
    if args.receipt and (args.tasks or args.picture or args.text or args.no_original):
        raise RequestError("--receipt goes without --tasks, --picture, --text and --no-original")
    depth_eval.check(args)


def _measured(folders: list[Path], args: argparse.Namespace, console: Console) -> list[Result]:
    """A result a folder, in their order; models with the same original are measured together."""
    from tzcore.backend.select import select
    from tzcore.cli.pipeline import torch_computes
    from tzcore.quant.device import CPU, find
    from tzcore.quant.evaluation import compare

    backend, _ = select(args.backend)
    together: dict[str | None, list[Path]] = {}
    for folder in folders:
        name = None if args.no_original else args.source or original_of(folder)
        together.setdefault(name, []).append(folder)
    device = CPU
    if any(name is not None for name in together):
        device = find(args.device)
        console.note(f"The original: {torch_computes(device)}")
    found: dict[Path, Result] = {}
    for name, group in together.items():
        source = None if name is None else open_original(name, console)
        try:
            results = compare(
                group, args.text, source, backend, console.report, args.window, args.windows, args.threads,
                device,
            )  # fmt: skip
        finally:
            if source is not None:
                source.close()
        found |= zip(group, results, strict=True)
    return [found[folder] for folder in folders]


def original_of(folder: Path) -> str:
    """What the model in ``folder`` was made from, as the user would name it."""
    from tzcore.checkpoint.reader import read_json

    recorded = read_json(folder / "receipt.json").get("source")
    name = recorded.get("id") if isinstance(recorded, dict) else None
    if not isinstance(name, str):
        raise CheckpointError(f"{folder} does not record its original: name it with --source, or use --no-original")
    return name


def open_original(name: str, console: Console) -> WeightSource:
    """The weights of an original, fetched where they are not here."""
    from tzcore.hub import reference, sources

    return sources.open_source(reference.parse(name), report=console.report)


def words(result: Result) -> str:
    """One model's result for a person."""
    lines = [
        f"perplexity       {result['perplexity']:10.3f}   over {result['tokens']:,} tokens",
        f"bits per weight  {result['bits_per_weight']:10.3f}   of the projections, from stored bytes",
        f"size             {human_bytes(result['bytes']):>10}",
    ]
    if original := result["original"]:
        lines += [
            f"original         {original['perplexity']:10.3f}   perplexity, {human_bytes(original['bytes'])}",
            f"KL divergence    {result['kl_mean']:10.4f}   mean, {result['kl_p999']:.3f} at the 99.9th percentile",
            f"same top token   {result['top1']:10.1%}",
        ]
    if len(result["texts"]) > 1:
        lines.append("")
        for name, one in result["texts"].items():
            against = f", original {one['original_perplexity']:.3f}, KL {one['kl_mean']:.4f}" if original else ""
            lines.append(f"{name:16} {one['perplexity']:10.3f}   over {one['tokens']:,} tokens{against}")
    return "\n".join(lines)


def table(results: list[Result]) -> str:
    """Several models for a person: a line each, under their original, the smallest last."""
    names = [result["model"] for result in results] + [r["original"]["id"] for r in results if r["original"]]
    width = max(map(len, names))
    lines = [f"{'':{width}}  {'bits':>6} {'size':>9} {'perplexity':>10} {'mean KL':>8} {'KL 99.9':>8} {'same top':>8}"]
    shown: set[str] = set()
    for result in sorted(results, key=lambda r: ((r["original"] or {"id": ""})["id"], -r["bytes"])):
        original = result["original"]
        if original and original["id"] not in shown:
            shown.add(original["id"])
            lines.append(
                f"{original['id']:{width}}  {'':6} {human_bytes(original['bytes']):>9} {original['perplexity']:10.3f}"
            )
        line = f"{result['model']:{width}}  {result['bits_per_weight']:6.3f} {human_bytes(result['bytes']):>9} "
        line += f"{result['perplexity']:10.3f}"
        if original:
            line += f" {result['kl_mean']:8.4f} {result['kl_p999']:8.3f} {result['top1']:8.1%}"
        lines.append(line)
    return "\n".join(lines)


def _draw(path: Path, results: list[Result]) -> None:
    """Mean KL against size; perplexity where there is nothing to compare with.  A series an original."""
    from tzcore.quant.quality_picture import Point, Series, draw

    compared = all(result["original"] for result in results)
    by_original: dict[str, list[Point]] = {}
    for result in results:
        series = result["original"]["id"] if compared else "models"
        loss = result["kl_mean"] if compared else result["perplexity"]
        label = result["encoding"] or result["model"]
        by_original.setdefault(series, []).append(Point(result["bytes"] / 1e6, loss, label))
    loss = "mean KL divergence from the original, nats a token" if compared else "perplexity"
    draw(path, [Series(name, tuple(points)) for name, points in by_original.items()], "size, MB", loss)
