"""How far converted models are from their original: perplexity, KL divergence, agreement.

The texts are cut into windows that a model reads each on its own.  The original is run once for all
the models made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tzcore.architecture.registry import spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import Backend, LoadedModel
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import RequestError
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.device import CPU, Device
from tzcore.quant.divergence import Logits, Tally, pooled
from tzcore.quant.original_states import OriginalStates
from tzcore.quant.originals import stage_names
from tzcore.quant.runtime import torch_session
from tzcore.quant.texts import Text, open_texts, windows_of


def projection_bits(folder: ModelFolder, spec: ModelSpec) -> float:
    """Stored bits per weight of the projections: codes, scales and signs."""
    stored = weights = 0
    signs: dict[str, int] = {}  # which stages, and experts, share
    for layer in spec.layers:
        for stage in layer.stages():
            for name in stage_names(stage):
                matrix = folder.matrix(name)
                stored += matrix.codes.nbytes + (0 if matrix.scales is None else matrix.scales.nbytes)
                weights += matrix.entry.rows * matrix.entry.cols
                if matrix.entry.transform is not None and matrix.signs is not None:
                    signs[matrix.entry.transform.signs] = matrix.signs.nbytes
    return 8 * (stored + sum(signs.values())) / weights


def small_files(folder: Path) -> dict[str, Path]:
    """The tokenizer's and the chat template's files in a model folder, by name."""
    return {path.name: path for path in (*folder.glob("*.json"), *folder.glob("*.jinja"))}


@dataclass(frozen=True)
class _Model:
    """A model to measure: its folder, opened, and the texts as it reads them."""

    opened: ModelFolder
    spec: ModelSpec
    texts: list[Text]


def evaluate(
    folder: Path,
    text: str,
    source: WeightSource | None,
    backend: Backend,
    report: Report = ignore,
    window: int = 512,
    threads: int | None = None,
) -> dict[str, Any]:
    """:func:`compare` for one model and one text in memory; its one dictionary."""
    opened = ModelFolder.open(folder)
    try:
        spec = spec_of(opened)
        cuts = windows_of(text, small_files(folder), max(2, min(window, spec.max_context)))
        return _measured([_Model(opened, spec, [Text("text", *cuts)])], source, backend, report, threads)[0]
    finally:
        opened.close()


def compare(
    folders: Sequence[Path],
    texts: Sequence[Path],
    source: WeightSource | None,
    backend: Backend,
    report: Report = ignore,
    window: int = 512,
    limit: int | None = None,
    threads: int | None = None,
    device: Device = CPU,
) -> list[dict[str, Any]]:
    """Run ``texts`` through the models in ``folders`` and, with a ``source``, through their original, once.

    ``limit`` takes that many windows of each text; no ``texts`` means the project's own.  The original
    is computed by torch, on ``device``.  A
    dictionary a model: ``model`` (its id), ``encoding``, ``bytes``, ``bits_per_weight`` (projections), all
    texts as one as in :meth:`Tally.measures`, ``texts`` with the same for each by name, and
    ``original: {id, perplexity, bytes}``.  Without a source ``original`` is null and ``note`` says so.
    RequestError where models with one original read a text as different tokens.  Phase
    ``"evaluate"``, in tokens.
    """
    models: list[_Model] = []
    try:
        for folder in folders:
            opened = ModelFolder.open(folder)
            try:
                spec = spec_of(opened)
                longest = max(2, min(window, spec.max_context))
                models.append(_Model(opened, spec, open_texts(texts, small_files(folder), longest, limit)))
            except BaseException:
                opened.close()
                raise
        if source is not None:
            _check_same_tokens(models)
        return _measured(models, source, backend, report, threads, device)
    finally:
        for model in models:
            model.opened.close()


def _check_same_tokens(models: Sequence[_Model]) -> None:
    for model in models[1:]:
        for ours, theirs in zip(models[0].texts, model.texts, strict=True):
            same = ours.first == theirs.first and len(ours.windows) == len(theirs.windows)
            if not same or not all(map(np.array_equal, ours.windows, theirs.windows)):
                paths = f"{models[0].opened.path} and {model.opened.path}"
                raise RequestError(f"{paths} read {ours.name} as different tokens; evaluate them one by one")


def _measured(
    models: Sequence[_Model],
    source: WeightSource | None,
    backend: Backend,
    report: Report,
    threads: int | None,
    device: Device = CPU,
) -> list[dict[str, Any]]:
    tokens = sum(text.tokens for model in models for text in model.texts)
    if source is None:
        steps = _Steps(report, tokens)
        return [_one(model, None, None, backend, steps, threads) for model in models]
    texts, layers = models[0].texts, len(models[0].spec.layers)
    windows = [window for text in texts for window in text.windows]
    steps = _Steps(report, tokens + sum(map(len, windows)), layers)
    with torch_session(threads, device):
        original = OriginalStates(source, windows, lambda count, detail: steps.advance(count, detail, 1))
        device.give_back()
        return [_one(model, source, original, backend, steps, threads) for model in models]


def _one(
    model: _Model,
    source: WeightSource | None,
    original: OriginalStates | None,
    backend: Backend,
    steps: _Steps,
    threads: int | None,
) -> dict[str, Any]:
    """One model's dictionary."""
    receipt = model.opened.receipt
    name = str(receipt.get("id", model.opened.path.name))
    tallies = [Tally() for _ in model.texts]
    loaded = backend.load(model.opened, model.spec, threads)
    try:
        at = 0
        for text, tally in zip(model.texts, tallies, strict=True):
            for window, ours in zip(text.windows, _converted(loaded, text), strict=True):
                tally.add(window, text.first, ours, None if original is None else original.logits(at))
                steps.advance(len(window), name)
                at += 1
    finally:
        loaded.close()
    measures = pooled(tallies).measures()
    perplexity = measures.pop("original_perplexity", None)
    result = {
        "model": name,
        "encoding": receipt.get("encoding"),
        "bytes": model.opened.bytes(),
        "bits_per_weight": projection_bits(model.opened, model.spec),
        **measures,
        "texts": {text.name: tally.measures() for text, tally in zip(model.texts, tallies, strict=True)},
    }
    if source is None:
        note = "the original is not here, so there is nothing to compare with: tz pull fetches it"
        return {**result, "original": None, "note": note}
    return {**result, "original": {"id": source.id, "perplexity": perplexity, "bytes": source.bytes()}}


@dataclass
class _Steps:
    """Progress in tokens read, by the original and by every model; ``layers`` parts make a reading."""

    report: Report
    tokens: int
    layers: int = 1
    done: int = 0

    def advance(self, tokens: int, detail: str, parts: int | None = None) -> None:
        """``tokens`` passed through ``parts`` layers (default: all)."""
        self.done += tokens * (self.layers if parts is None else parts)
        self.report(Progress("evaluate", self.done // self.layers, self.tokens, "tokens", detail))


def _converted(model: LoadedModel, text: Text) -> Iterator[Logits]:
    sequence = model.new_sequence(max(map(len, text.windows)))
    try:
        for window in text.windows:
            sequence.truncate(0)
            yield model.forward(sequence, window, "all")
    finally:
        sequence.close()
