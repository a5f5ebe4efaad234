"""``tz eval --kl-at-depth`` and ``tz eval --needle``: what formats of keys and values do to long contexts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tzcore.cli import context_arguments
from tzcore.cli.console import Console, human_bytes
from tzcore.errors import RequestError

if TYPE_CHECKING:
    from tzcore.keyvalues import KeyValueFormat

DEPTH, LAST = 4096, 1024


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("long contexts")
    add = group.add_argument
    add("--kl-at-depth", action="store_true", help="how far the predictions of formats of keys and values are from f16")
    add("--needle", action="store_true", help="find a number that stands somewhere in a long text")
    add(
        "--kv", type=context_arguments.kv, action="append", metavar="FORMAT",
        help="a format to measure; may be repeated (default: all); with --tasks, the one to answer with (default f16)",
    )  # fmt: skip
    add(
        "--depth", type=context_arguments.context, action="append", metavar="N",
        help="tokens of text, e.g. 32k; may be repeated (default: 4k; with --needle: 1k and its doubles up to what "
        "the model was made for)",
    )  # fmt: skip
    add("--last", type=int, default=LAST, metavar="N", help=f"with --kl-at-depth: tokens scored (default {LAST})")
    add("--seed", type=int, default=0, metavar="N", help="with --needle: what is hidden is drawn from it")


def check(args: argparse.Namespace) -> None:
    """RequestError for what does not go together."""
    if args.kl_at_depth and args.needle:
        raise RequestError("choose one of --kl-at-depth and --needle")
    if not (args.kl_at_depth or args.needle):
        if args.depth:
            raise RequestError("--depth goes with --kl-at-depth or --needle")
        if args.kv and (not args.tasks or len(args.kv) > 1):
            raise RequestError("--kv goes with --kl-at-depth or --needle, and one with --tasks")
        return
    if args.tasks or args.picture:
        raise RequestError("--kl-at-depth and --needle go without --tasks and --picture")
    if args.last < 1:
        raise RequestError("--last must be 1 or more")


def run(folders: list[Path], args: argparse.Namespace, console: Console) -> None:
    """Measure every model, and report."""
    measure, words = (_divergence, divergence_words) if args.kl_at_depth else (_needles, needle_words)
    results = [measure(folder, args, console) for folder in folders]
    for result in results:
        for row in result["depths" if args.kl_at_depth else "lengths"]:
            if row["notice"]:
                console.note(f"{result['model']}: {row['notice']}")
    console.done("\n\n".join(map(words, results)), models=results)


def _divergence(folder: Path, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from tzcore.bench.depth_quality import divergence_at_depth

    formats = [kv for kv in _formats(args) if kv.quantised]
    if not formats:
        raise RequestError("f16 is what the others are compared with: name another --kv")
    result = divergence_at_depth(
        folder, formats, args.depth or [DEPTH], args.last, args.text, args.backend, args.threads, console.report
    )
    for row in result["depths"]:
        if row["tokens"] < row["depth"]:
            console.note(_too_short(row["depth"], row["tokens"]))
    return result


def _needles(folder: Path, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from tzcore.bench.needle import ANSWER, needles

    lengths = args.depth or _doubles(folder)
    result = needles(
        folder, _formats(args), lengths, args.text, args.seed, args.backend, args.threads, console.report
    )  # fmt: skip
    for row in result["lengths"]:
        if row["tokens"] + 3 * ANSWER < row["length"]:
            console.note(_too_short(row["length"], row["tokens"]))
    return result


def _too_short(wanted: int, found: int) -> str:
    return (
        f"The text ends after {found:,} of {wanted:,} tokens, and it was measured there: a longer one can be given "
        "with --text."
    )


def _formats(args: argparse.Namespace) -> list[KeyValueFormat]:
    from tzcore.keyvalues import FORMATS, format_named

    if not args.kv:
        return list(FORMATS.values())
    if "auto" in args.kv:
        raise RequestError("--kv auto is no format to measure: name one, or leave it out for all")
    return [format_named(name) for name in dict.fromkeys(args.kv)]


def _doubles(folder: Path) -> list[int]:
    """1,024 tokens and its doubles up to what the model was made for."""
    from contextlib import closing

    from tzcore.architecture.registry import spec_of
    from tzcore.checkpoint.reader import ModelFolder

    with closing(ModelFolder.open(folder)) as opened:
        longest = spec_of(opened).max_context
    return [length for length in (1024 << n for n in range(32)) if length <= longest] or [longest]


def divergence_words(result: dict[str, Any]) -> str:
    """A table a depth."""
    tables = []
    for row in result["depths"]:
        lines = [
            f"{result['model']}, the last {result['last']:,} of {row['tokens']:,} tokens ({', '.join(row['texts'])})",
            f"{'':6} {'KV':>9} {'of f16':>7} {'perplexity':>10} {'mean KL':>9} {'KL 99':>8} {'KL 99.9':>8} {'same':>8}",
            f"{'f16':6} {human_bytes(row['kv_bytes']):>9} {1:>7.1%} {row['perplexity']:10.3f}",
        ]
        lines += [
            f"{name:6} {human_bytes(one['kv_bytes']):>9} {one['kv_share']:>7.1%} {one['perplexity']:10.3f} "
            f"{one['kl_mean']:9.5f} {one['kl_p99']:8.4f} {one['kl_p999']:8.4f} {one['top1']:8.2%}"
            for name, one in row["formats"].items()
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def needle_words(result: dict[str, Any]) -> str:
    """A line a format and length: by place, ``+`` for a right answer, ``·`` where the right number is at least the
    likeliest of ten, ``–`` where not."""
    places = [answer["place"] for answer in next(iter(result["lengths"][0]["formats"].values()))["answers"]]
    lines = [
        f"{result['model']}, seed {result['seed']}: + answered, · not answered but likelier than nine wrong numbers, – "
        f"neither, by where the number stood ({', '.join(f'{place:.0%}' for place in places)})",
        f"{'tokens':>9} {'KV':6} {'':{len(places)}}  {'answered':>8} {'likeliest':>9} {'margin':>7}",
    ]
    for row in result["lengths"]:
        for name, one in row["formats"].items():
            marks = "".join("+" if a["found"] else "·" if a["rank"] == 1 else "–" for a in one["answers"])
            lines.append(
                f"{row['tokens']:>9,} {name:6} {marks}  {one['found']:>8.0%} {one['first']:>9.0%} {one['margin']:>7.2f}"
            )
    return "\n".join(lines)
