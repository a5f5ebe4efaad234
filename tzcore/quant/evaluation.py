"""How far a converted model is from its original: perplexity, KL divergence, agreement.

The text is cut into windows that the model reads each on its own.  The original streams through
torch one block at a time; its last hidden states are kept, and logits exist for one window only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tzcore.architecture.registry import read_spec, spec_of
from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.backend.base import Backend, LoadedModel
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import RequestError
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.calibration import leading_tokens, open_tokenizer
from tzcore.quant.decoder import Block, logits
from tzcore.quant.originals import Originals, layer_vectors, stage_names
from tzcore.quant.runtime import torch_session

if TYPE_CHECKING:
    import torch

POSITIONS_AT_ONCE = 128
"""Rows of logits compared at a time, in float64."""

Window = npt.NDArray[np.int32]


def windows_of(folder: Path, text: str, window: int) -> list[Window]:
    """``text`` in windows of ``window`` tokens, each with what the tokenizer puts before a text.

    The last one may be shorter.  RequestError where the text has fewer than two tokens.
    """
    tokenizer = open_tokenizer({"tokenizer.json": folder / "tokenizer.json"})
    leading = leading_tokens(tokenizer)[: window - 1]
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    span = window - len(leading)
    cuts = [np.array(leading + ids[i : i + span], np.int32) for i in range(0, len(ids), span)]
    found = [cut for cut in cuts if len(cut) > max(1, len(leading))]
    if not found:
        raise RequestError("the text is too short to evaluate: it needs at least two tokens")
    return found


def projection_bits(folder: ModelFolder, spec: ModelSpec) -> float:
    """Stored bits per weight of the projections: codes, scales and signs."""
    stored = weights = 0
    for layer in spec.layers:
        for stage in layer.stages():
            signs = 0
            for name in stage_names(stage):
                matrix = folder.matrix(name)
                stored += matrix.codes.nbytes + (0 if matrix.scales is None else matrix.scales.nbytes)
                weights += matrix.entry.rows * matrix.entry.cols
                signs = 0 if matrix.signs is None else matrix.signs.nbytes
            stored += signs
    return 8 * stored / weights


@dataclass
class _Tally:
    """Sums over scored positions; ``first`` positions of every window are given, not predicted."""

    first: int
    loss: float = 0.0
    original_loss: float = 0.0
    agreed: int = 0
    tokens: int = 0
    divergence: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, window: Window, ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32] | None) -> None:
        """Count one window; logits ``[tokens, vocabulary]``."""
        start = max(0, self.first - 1)
        for at in range(start, len(window) - 1, POSITIONS_AT_ONCE):
            stop = min(at + POSITIONS_AT_ONCE, len(window) - 1)
            targets = window[at + 1 : stop + 1].astype(np.int64)[:, None]
            q = _log_softmax(ours[at:stop])
            self.loss -= float(np.take_along_axis(q, targets, 1).sum())
            self.tokens += stop - at
            if theirs is not None:
                p = _log_softmax(theirs[at:stop])
                self.original_loss -= float(np.take_along_axis(p, targets, 1).sum())
                self.agreed += int((p.argmax(1) == q.argmax(1)).sum())
                self.divergence.append((np.exp(p) * (p - q)).sum(1))


def _log_softmax(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = x.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide


def evaluate(
    folder: Path,
    text: str,
    source: WeightSource | None,
    backend: Backend,
    report: Report = ignore,
    window: int = 512,
    threads: int | None = None,
) -> dict[str, Any]:
    """Run ``text`` through the model in ``folder`` and, with a ``source``, through the original.

    Keys: ``perplexity``, ``tokens`` (scored), ``bytes``, ``bits_per_weight`` (projections); with a
    source ``kl_mean`` and ``kl_p999`` (nats, original against converted, per token), ``top1`` (share of
    positions with the same likeliest token) and ``original: {perplexity, bytes}``.  Without one
    ``original`` is null and ``note`` says so.  Phase ``"evaluate"``, in tokens.
    """
    opened = ModelFolder.open(folder)
    try:
        spec = spec_of(opened)
        window = max(2, min(window, spec.max_context))
        windows = windows_of(folder, text, window)
        steps = _Steps(report, sum(map(len, windows)), 1 if source is None else 1 + len(spec.layers))
        first = len(leading_tokens(open_tokenizer({"tokenizer.json": folder / "tokenizer.json"})))
        tally = _Tally(first)
        model = backend.load(opened, spec, threads)
        try:
            if source is None:
                for cut, ours in zip(windows, _converted(model, windows), strict=True):
                    tally.add(cut, ours, None)
                    steps.advance(len(cut), "the converted model")
            else:
                with torch_session(threads):
                    _compare(model, windows, source, tally, steps)
        finally:
            model.close()
        return _result(tally, opened, spec, source)
    finally:
        opened.close()


def _result(tally: _Tally, opened: ModelFolder, spec: ModelSpec, source: WeightSource | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "perplexity": float(np.exp(tally.loss / tally.tokens)),
        "tokens": tally.tokens,
        "bytes": opened.bytes(),
        "bits_per_weight": projection_bits(opened, spec),
    }
    if source is None:
        note = "the original is not here, so there is nothing to compare with: tz pull fetches it"
        return {**result, "original": None, "note": note}
    divergence = np.concatenate(tally.divergence)
    return {
        **result,
        "kl_mean": float(divergence.mean()),
        "kl_p999": float(np.quantile(divergence, 0.999)),
        "top1": tally.agreed / tally.tokens,
        "original": {"perplexity": float(np.exp(tally.original_loss / tally.tokens)), "bytes": source.bytes()},
    }


@dataclass
class _Steps:
    """Progress in tokens read, the original's blocks counted as one reading each."""

    report: Report
    tokens: int
    passes: int
    done: int = 0

    def advance(self, tokens: int, detail: str) -> None:
        self.done += tokens
        self.report(Progress("evaluate", self.done // self.passes, self.tokens, "tokens", detail))


def _converted(model: LoadedModel, windows: list[Window]) -> Iterator[npt.NDArray[np.float32]]:
    sequence = model.new_sequence(max(map(len, windows)))
    try:
        for window in windows:
            sequence.truncate(0)
            yield model.forward(sequence, window, "all")
    finally:
        sequence.close()


def _compare(model: LoadedModel, windows: list[Window], source: WeightSource, tally: _Tally, steps: _Steps) -> None:
    import torch

    spec = read_spec(source.config, set(source.names()))
    originals = Originals(source, spec)
    hidden = _original_hidden(spec, originals, windows, steps)
    head = originals.matrix_tensor(spec.head.name)[spec.head.start : spec.head.start + spec.head.rows]
    final_norm = torch.from_numpy(originals.vector(spec.final_norm))
    for index, ours in enumerate(_converted(model, windows)):
        theirs = logits(hidden[index][0], final_norm, head, spec)
        tally.add(windows[index], ours, theirs.numpy())
        steps.advance(len(windows[index]), "comparing with the original")


def _original_hidden(spec: ModelSpec, originals: Originals, windows: list[Window], steps: _Steps) -> list[torch.Tensor]:
    """The original's last hidden states, one ``[1, tokens, hidden]`` a window."""
    import torch

    table = originals.matrix(spec.embedding.name)
    hidden = [torch.from_numpy(table[window])[None] * spec.embedding_scale for window in windows]
    del table
    for index in range(len(spec.layers)):
        vectors = {name: torch.from_numpy(originals.vector(name)) for name in layer_vectors(spec, index)}
        block = Block(spec, index, vectors)
        names = [name for stage in block.layer.stages() for name in stage_names(stage)]
        weights = {name: originals.matrix_tensor(name) for name in names}

        def matrices(ref: MatrixRef, weights: dict[str, torch.Tensor] = weights) -> torch.Tensor:
            return weights[ref.name][ref.start : ref.start + ref.rows]

        for at, x in enumerate(hidden):
            hidden[at] = block.forward(x, matrices)
            steps.advance(len(windows[at]), f"the original, layer {index + 1} of {len(spec.layers)}")
    return hidden
