"""``tz eval MODEL --receipt``: measure models that are here already, and write the result into their receipts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tzcore.cli import samples
from tzcore.cli.console import Console
from tzcore.cli.eval import open_original, original_of, words
from tzcore.errors import SourceError

WINDOWS = 2
"""Windows of each text, unless told otherwise: some six thousand tokens, which settle the numbers well enough."""
_TORCH = 40e9
"""Operations a second that an ordinary processor does for the original."""


def installed(names: list[str]) -> list[Path]:
    """The folders of models that are here: a receipt is nothing to make a model for."""
    from tzcore.hub import library

    found = [library.resolve(name) for name in names]
    for name, model in zip(names, found, strict=True):
        if model is None:
            raise SourceError(f"no installed model is called {name!r}: tz list names them")
    return [model.path for model in found if model is not None]


def run(folders: list[Path], args: argparse.Namespace, console: Console) -> int:
    """Measure each and report; the original is fetched where it is not here."""
    results = [_one(folder, args, console) for folder in folders]
    text = "\n\n".join(f"{words(result)}\n{_about(result['quality'])}" for result in results)
    console.done(text, id=results[0]["model"] if len(results) == 1 else None, models=results)
    return 0


def _one(folder: Path, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from tzcore.backend.select import select
    from tzcore.checkpoint.reader import read_json
    from tzcore.quant.device import find
    from tzcore.quant.evaluation import compare

    backend, _ = select(args.backend)
    if console.json:
        console.event("expect", seconds=_expected(folder, args))
    native = bool(read_json(folder / "receipt.json").get("lossless"))
    source = None if native and args.source is None else open_original(args.source or original_of(folder), console)
    try:
        (result,) = compare(
            [folder], [], source, backend, console.report, args.window, args.windows or WINDOWS, args.threads,
            find(args.device),
        )  # fmt: skip
        original = result["original"] or {}
        measures = {**result, "original_perplexity": original.get("perplexity")}
        quality = samples.complete(folder, lambda: source, console.report, None, measures)
    finally:
        if source is not None:
            source.close()
    return {**result, "quality": quality}


def _expected(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Seconds by phase, roughly: the original reads in torch, both answer."""
    from tzcore.architecture.registry import spec_of
    from tzcore.checkpoint.reader import ModelFolder
    from tzcore.quant.settings import parameters
    from tzcore.quant.texts import default_paths

    opened = ModelFolder.open(folder)
    try:
        weights = parameters(spec_of(opened))
    finally:
        opened.close()
    tokens = len(default_paths()) * args.window * (args.windows or WINDOWS)
    return {"evaluate": 1.0 + 2 * tokens * weights / _TORCH, "answer": 5.0 + min(60.0, weights / 1e7)}


def _about(quality: dict[str, Any]) -> str:
    if skipped := quality.get("skipped"):
        return f"note             {skipped}"
    return f"samples          {len(quality.get('samples') or ())} questions, in the receipt"
