"""What storing keys and values in fewer bits does to a model's predictions deep in a text.

A real text is read to its end once for each format, and the distributions of the next token over its last tokens are
compared with those of half precision: the same model, the same text, nothing else changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tzcore.architecture.registry import spec_of
from tzcore.backend import cpu_memory
from tzcore.backend.base import LoadedModel
from tzcore.backend.base import Sequence as Held
from tzcore.bench.real_text import RealText, open_text
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.placement import place
from tzcore.engine.reach import beyond
from tzcore.errors import RequestError
from tzcore.keyvalues import F16, KeyValueFormat
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.divergence import Logits, Tally
from tzcore.quant.evaluation import small_files

READ_AT_ONCE, SCORED_AT_ONCE = 512, 128
"""Tokens of a call: of those that are only read, and of those whose logits are wanted."""


@contextmanager
def model_with(
    folder: ModelFolder, capacity: int, kv: KeyValueFormat, backend: str, threads: int | None
) -> Iterator[tuple[LoadedModel, Held]]:
    """The model, planned for ``capacity`` tokens, and an empty text whose keys and values are stored as ``kv``."""
    placed = place(folder, spec_of(folder), backend, capacity, kv=kv.name)
    model = placed.backend.load(folder, spec_of(folder, capacity), threads)
    try:
        with closing(model.new_sequence(capacity, kv)) as sequence:
            yield model, sequence
    finally:
        model.close()


def divergence_at_depth(
    folder: Path,
    formats: Sequence[KeyValueFormat],
    depths: Sequence[int],
    last: int,
    texts: Sequence[Path] = (),
    backend: str = "auto",
    threads: int | None = None,
    report: Report = ignore,
) -> dict[str, Any]:
    """Compare ``formats`` with half precision over the ``last`` tokens of texts of so many tokens (``depths``).

    ``{"model", "last", "depths": [...]}``; a depth has ``depth``, the ``tokens`` that the texts (``texts``, the
    project's own by default) had for it, their names, a ``notice`` beyond what the model was made for, the
    ``perplexity`` at half precision with its ``kv_bytes``, and by format: ``kl_mean``, ``kl_p99``, ``kl_p999`` (nats),
    ``top1`` (share of positions with the same likeliest token), ``perplexity``, ``kv_bytes`` (as the processor stores
    them) and ``kv_share``.  Phase ``"evaluate"``, in tokens.
    """
    opened = ModelFolder.open(folder)
    try:
        found = [open_text(texts, small_files(folder), depth) for depth in depths]
        for text in found:
            if len(text.tokens) <= last:
                raise RequestError(
                    f"{len(text.tokens):,} tokens of text are too few to score the last {last:,}: give a longer "
                    "--text, or a smaller --last"
                )
        steps = _Steps(report, sum(len(text.tokens) for text in found) * (1 + len(formats)))
        rows = [
            _at_depth(opened, text, depth, formats, last, backend, threads, steps)
            for depth, text in zip(depths, found, strict=True)
        ]
        name = str(opened.receipt.get("id", folder.name))
        return {"model": name, "last": last, "depths": rows}
    finally:
        opened.close()


def _at_depth(
    folder: ModelFolder,
    text: RealText,
    depth: int,
    formats: Sequence[KeyValueFormat],
    last: int,
    backend: str,
    threads: int | None,
    steps: _Steps,
) -> dict[str, Any]:
    spec, length = spec_of(folder), len(text.tokens)
    exact: list[Logits] = []
    tallies: dict[str, Tally] = {}
    for kv in (F16, *(kv for kv in formats if kv.quantised)):
        tally = tallies[kv.name] = Tally()
        with model_with(folder, length, kv, backend, threads) as (model, sequence):
            for number, (window, logits) in enumerate(_last(model, sequence, text, last, kv, steps)):
                if kv is F16:
                    exact.append(logits)
                tally.add(window, 1, logits, None if kv is F16 else exact[number])
    whole = cpu_memory.memory_bytes(spec, length, F16)
    compared = {}
    for kv in formats:
        if kv.quantised:
            taken = cpu_memory.memory_bytes(spec, length, kv)
            measures = tallies[kv.name].measures()
            compared[kv.name] = {
                **{key: measures[key] for key in ("kl_mean", "kl_p999", "top1", "perplexity")},
                "kl_p99": float(np.quantile(np.concatenate(tallies[kv.name].divergence), 0.99)),
                "kv_bytes": taken,
                "kv_share": taken / whole,
            }
    return {
        "depth": depth,
        "tokens": length,
        "texts": list(text.names),
        "notice": beyond(spec, length),
        "perplexity": tallies[F16.name].measures()["perplexity"],
        "kv_bytes": whole,
        "formats": compared,
    }


def _last(
    model: LoadedModel, sequence: Held, text: RealText, last: int, kv: KeyValueFormat, steps: _Steps
) -> Iterator[tuple[np.ndarray[Any, np.dtype[np.int32]], Logits]]:
    """The last tokens in windows, each with the token after it, and the logits of all but that one."""
    tokens, detail = text.tokens, kv.name
    at, first = 0, len(tokens) - 1 - last
    while at < first:
        piece = tokens[at : min(first, at + READ_AT_ONCE)]
        model.forward(sequence, piece, "none")
        at += len(piece)
        steps.advance(len(piece), detail)
    while at < len(tokens) - 1:
        window = tokens[at : min(len(tokens), at + SCORED_AT_ONCE + 1)]
        logits = model.forward(sequence, window[:-1], "all")
        yield window, logits
        at += len(window) - 1
        steps.advance(len(window) - 1, detail)


class _Steps:
    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def advance(self, tokens: int, detail: str) -> None:
        self._done += tokens
        self._report(Progress("evaluate", self._done, self._total, "tokens", f"keys and values as {detail}"))
