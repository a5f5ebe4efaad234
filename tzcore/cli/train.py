"""``tz train MODEL``: heal an installed model by letting it follow its original's predictions."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tzcore.cli.console import Console, human_bytes, human_count, human_time
from tzcore.errors import Cancelled, MissingExtraError, RequestError, SourceError
from tzcore.progress import Progress, Report

if TYPE_CHECKING:
    from tzcore.hub.library import InstalledModel
    from tzcore.torch.train.heal import Task
    from tzcore.torch.train.settings import TrainSettings

_NEEDED = ("torch", "transformers", "accelerate")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="an installed model (tz list), or a model folder")
    add("--original", metavar="SOURCE", help="what it follows (default: the source that it was made from)")
    add(
        "--text", type=Path, action="append", default=[], metavar="FILE",
        help="UTF-8 text, or conversations in .jsonl, to train on; may be repeated (default: the project's own)",
    )  # fmt: skip
    add(
        "--eval-text", type=Path, action="append", default=[], metavar="FILE",
        help="text to measure with, never trained on (default: a part of --text, or the project's own)",
    )  # fmt: skip
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, metavar="N", help="steps to train (default 300)")
    length.add_argument("--minutes", type=float, metavar="N", help="train for N minutes instead")
    add("--tokens", type=int, metavar="N", help="tokens a step (default 4096)")
    add("--window", type=int, metavar="N", help="tokens read at a time (default 512)")
    add("--batch", type=int, metavar="N", help="windows worked on at a time: fewer take less memory (default 2)")
    add("--rate", type=float, metavar="R", help="learning rate, in levels of a weight a step (default 0.008)")
    add(
        "--mode", choices=("latents", "scales", "lora"),
        help="latents: codes, scales and norms learn (default); lora: the same with less memory; scales: scales and "
        "norms alone, for very large models",
    )  # fmt: skip
    add("--rank", type=int, metavar="N", help="with --mode lora: directions in which a matrix can move (default 16)")
    add(
        "--top-k", type=int, metavar="N",
        help="follow the N likeliest tokens of the original, kept on disk (default 64); 0: all, with the original in "
        "memory",
    )  # fmt: skip
    add("--text-share", type=float, metavar="S", help="share of the text itself in the loss, 0 to 1 (default 0)")
    add(
        "--hidden-share", type=float, metavar="S",
        help="with --top-k 0: follow the original's hidden states behind every layer too, with this weight (default 0)",
    )  # fmt: skip
    add("--seed", type=int, metavar="N", help="decides the order of the text (default 0)")
    add("--bf16", action="store_true", default=None, help="compute in bfloat16 where that is faster")
    add("--checkpointing", action="store_true", default=None, help="recompute activations: less memory, more time")
    add("--eval-every", type=int, metavar="N", help="steps between measurements (default 50)")
    add("--save-every", type=int, metavar="N", help="steps between saved states (default 50)")
    add("--device", default="auto", metavar="NAME", help="where to compute, as in tz convert")
    add("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    add("--out", type=Path, metavar="DIR", help="write the model folder there instead of installing it")
    add("--name", metavar="ID", help="install it under this name (default: MODEL-healed)")
    add("--fresh", action="store_true", help="begin anew: what a stopped run has done is deleted")
    add("--background", action="store_true", help="take only what processor and disk others leave")


def run(args: argparse.Namespace, console: Console) -> int:
    """Train and report; a run that was stopped goes on."""
    from tzcore.cli.eval import open_original, original_of
    from tzcore.hub import library

    model = library.resolve(args.model)
    if model is None:
        raise SourceError(f"no installed model is called {args.model!r}: tz list names them, tz convert makes them")
    _check(args)
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(f'training needs {" and ".join(missing)}: pip install "ternary-zero[train]"')
    if args.background:
        from tzcore.priority import give_way

        give_way()
        # Read when torch loads: threads that wait sleep.  Alone on the machine it is faster that they spin.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from tzcore.cli.pipeline import torch_computes
    from tzcore.torch.train.heal import heal

    task = _task(model, args)
    name = args.original or original_of(model.path)
    console.note(torch_computes(task.device))
    with _stopping(console.report) as report:
        folder = heal(task, lambda: open_original(name, console), report, console.note)
    return _report(folder, console)


def _check(args: argparse.Namespace) -> None:
    for path in (*args.text, *args.eval_text):
        if not path.is_file():
            raise RequestError(f"cannot read {path}: there is no such file")
    if args.out is not None and args.name is not None:
        raise RequestError("--out goes without --name")


def _task(model: InstalledModel, args: argparse.Namespace) -> Task:
    from tzcore import paths
    from tzcore.hub import library
    from tzcore.quant.device import find
    from tzcore.torch.train.heal import Task

    recorded = json.loads((model.path / "receipt.json").read_text(encoding="utf-8"))["id"]
    if args.name is not None:
        identifier = library.installed_id(args.name, model.encoding)
        final = library.folder_for(args.name, model.encoding)
    else:
        identifier, final = f"{recorded}-healed", paths.models() / f"{model.path.name}-healed"
    if args.out is not None:
        final = args.out.absolute()
    mark = hashlib.sha256(str(final).encode()).hexdigest()[:8]
    working = paths.training() / f"{final.name}-{mark}"
    return Task(
        model.path, final, identifier, working, _settings(args), tuple(args.text), tuple(args.eval_text),
        find(args.device), args.threads, args.fresh,
    )  # fmt: skip


def _settings(args: argparse.Namespace) -> TrainSettings:
    from tzcore.torch.train.settings import TrainSettings

    names = ("steps", "minutes", "tokens", "window", "batch", "rate", "mode", "rank", "top_k", "text_share",
             "hidden_share", "seed", "bf16", "checkpointing", "eval_every", "save_every")  # fmt: skip
    return TrainSettings(**{name: value for name in names if (value := getattr(args, name)) is not None})


@contextmanager
def _stopping(report: Report) -> Iterator[Report]:
    """A report that raises Cancelled once the program was asked to stop: between steps, so that none is half done.

    Asked again it stops at once, as other verbs do; what was saved last stays.
    """
    asked = False
    before: dict[int, Any] = {}

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for again, handler in before.items():
            signal.signal(again, handler)

    def watched(progress: Progress) -> None:
        if asked:
            raise Cancelled
        report(progress)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            number = getattr(signal, name)
            before[number] = signal.signal(number, ask)
    try:
        yield watched
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(folder: Path, console: Console) -> int:
    from tzcore.hub import library

    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    model = library.resolve(str(folder))
    assert model is not None
    curve = folder / "training.jsonl"
    ready = f"{model.id} is ready: {human_bytes(model.bytes)} in {model.path}"
    console.done(
        "\n".join([ready, *words(receipt["training"]), f"curve      {curve}"]),
        id=model.id, path=str(model.path), encoding=model.encoding, bytes=model.bytes, source=model.source,
        curve=str(curve), gap_closed=gap_closed(receipt["training"]), training=receipt["training"], receipt=receipt,
    )  # fmt: skip
    return 0


def gap_closed(training: dict[str, Any]) -> float | None:
    """The share of the distance in log perplexity to the original that training has won back; None without one."""
    import math

    before, after = training["before"], training["after"]
    if not before or not after:
        return None
    gap = math.log(before["perplexity"]) - math.log(before["original_perplexity"])
    won = math.log(before["perplexity"]) - math.log(after["perplexity"])
    return won / gap if gap > 0 else None


def words(training: dict[str, Any]) -> list[str]:
    """What training did, for a person."""
    before, after, settings = training["before"], training["after"], training["settings"]
    followed = f"its {settings['top_k']} likeliest tokens" if settings["top_k"] else "all tokens"
    lines = [
        f"trained    {training['step']:,} steps, {human_count(training['tokens'])} tokens in "
        f"{human_time(training['seconds'])}; the best state is that of step {training['best_step']:,}",
        f"perplexity {before['perplexity']:.2f} before, {after['perplexity']:.2f} now, the original "
        f"{after['original_perplexity']:.2f}, on {training['held_tokens']:,} held-out tokens",
        f"divergence {before['kl']:.3f} nats a token before, {after['kl']:.3f} now (mean KL from the original, "
        f"{followed})",
    ]
    closed = gap_closed(training)
    if training["best_step"] == 0:
        lines.append("note       training brought it no nearer: try a lower --rate, more steps, or more text")
    elif closed is not None:
        lines.append(f"won back   {closed:.0%} of the log perplexity that the conversion had cost")
    return lines
