"""Conversion: original weights in, a model folder of small integers out, one block at a time.

1. Where a budget was given, the format of every matrix is chosen (:mod:`tzcore.quant.choice`).
2. Calibration windows start as embeddings and pass through the blocks twice, side by side: through
   the original and through what is made of it (:mod:`tzcore.quant.blocks`).  At most one block
   of weights is held; the windows' states lie in files.
3. What comes out of both last blocks, on windows that calibrated nothing, says how far the
   conversion is from the original (:mod:`tzcore.quant.quality`).
4. Scales and norms follow the original's predictions (:mod:`tzcore.quant.tuning`); the result is
   stored only if the held-out windows come nearer.

**Resuming.**  Every tensor is on disk when its ``add`` returns, and the states are kept at every
block boundary.  A rerun starts at the last boundary, reads recorded tensors back instead of
solving them again, and so arrives at the same bits as a run that nobody disturbed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tzcore.architecture.registry import check_source, read_spec
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.source import WeightSource
from tzcore.checkpoint.writer import FolderWriter
from tzcore.progress import Progress, Report, ignore
from tzcore.quant import quality, tuning
from tzcore.quant.blocks import Streams, convert_calibrated, convert_plain, expect, expect_unwritten
from tzcore.quant.calibration import Calibration, collect
from tzcore.quant.choice import choose
from tzcore.quant.device import find
from tzcore.quant.job import Job, read_object
from tzcore.quant.originals import Originals
from tzcore.quant.receipt import compose
from tzcore.quant.runtime import torch_session
from tzcore.quant.settings import Settings, format_for

__all__ = ["Settings", "convert", "format_for"]


def convert(
    source: WeightSource, final: Path, settings: Settings, report: Report = ignore, identifier: str | None = None
) -> Path:
    """Convert ``source`` with ``settings`` into the model folder ``final``; returns its path.

    ``identifier`` is the installed model's id, by default ``<source id>:<encoding>``.  Reports the
    phases ``"calibrate"`` (tokens), ``"measure"`` (blocks, for a budget), ``"convert"`` (weights) and
    ``"tune"`` (tokens).  Killed or cancelled at any moment, the same call resumes.  Raises
    UnsupportedModelError, SourceError, BudgetError, ConversionError (weights that are not
    finite; other settings than begun with; out of memory), RequestError (a device that is not
    there), StorageError, MissingExtraError.
    """
    device = find(settings.device)
    with torch_session(settings.threads, device) as threads:
        names = set(source.names())
        settings = settings.with_window(read_spec(source.config, names).max_context)
        # Rotary scalings that depend on the length of the text are those of the windows.
        spec = read_spec(source.config, names, settings.window)
        check_source(source, spec)
        calibration = _collect(source, spec, settings, report) if settings.calibrates else None
        writer = FolderWriter(Path(final), _fingerprint(source, settings, calibration))
        job = Job(source, spec, settings, Originals(source, spec), writer, calibration, report, threads, device)
        # A run that died between writing its receipt and the last rename wrote it whole.
        receipt = read_object(writer.partial / "receipt.json")
        if not receipt:
            started = time.monotonic()
            found = _run(job)
            identifier = identifier or f"{source.id}:{settings.encoding}"
            receipt = compose(job, identifier, time.monotonic() - started, found)
        return writer.finish(source.config, source.files, receipt, spec.activations)


def _collect(source: WeightSource, spec: ModelSpec, settings: Settings, report: Report) -> Calibration:
    report(Progress("calibrate", 0, settings.tokens, "tokens", "reading the calibration text"))
    found = collect(source.files, settings.tokens, settings.window, settings.calibration, spec.vocabulary)
    size = int(found.windows.size)
    report(Progress("calibrate", size, size, "tokens", f"{len(found.windows)} windows"))
    return found


def _fingerprint(source: WeightSource, settings: Settings, calibration: Calibration | None) -> dict[str, Any]:
    about = {"source": source.id, "revision": source.revision, "settings": settings.as_json()}
    return {**about, "calibration": calibration.sha256 if calibration else None}


def _run(job: Job) -> dict[str, Any]:
    """All phases; what was found out about the quality."""
    allocation = choose(job) if job.settings.request else None
    if allocation is not None:
        job.formats = allocation.formats
    spec, writer = job.spec, job.writer
    if job.calibration is None:
        expect_unwritten(job)
    elif not writer.has(spec.embedding.name):
        expect(job, 0)
    _convert_end(job, spec.embedding.name, "embedding")
    writer.seal("model-embedding")
    if job.calibration is None:
        job.originals.release(spec.embedding.name)
        convert_plain(job)
        streams = None
    else:
        streams = Streams(job, job.calibration)
        convert_calibrated(job, streams)
    if not spec.tied:
        _convert_end(job, spec.head.name, "head")
    job.add_vectors([spec.final_norm])
    writer.seal("model-head")
    # What is measured at the end reads the original's head and last norm again: they stay until then.
    if streams is None or job.calibration is None or not job.calibration.held:
        return {}
    found: dict[str, Any] = job.noted("quality")
    if not found:
        found = quality.of_states(job, streams.original, streams.converted, quality.Ends.of(job))
        job.note("quality", found)
    if job.settings.tunes:
        start = streams.start(job, job.calibration, writer.scratch / "start.f32")
        found = tuning.tune(job, start, streams.original, found)
    return found


def _convert_end(job: Job, name: str, where: str) -> None:
    """Embedding or head: fitted without calibration, not transformed."""
    if not job.writer.has(name):
        job.store(name, job.originals.matrix(name), None)
    job.advance([name], where)
