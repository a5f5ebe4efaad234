"""The account of a conversion that stays with the model: source, settings, bits, errors, quality."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import tzcore
from tzcore.quant.job import Job
from tzcore.quant.originals import stage_names
from tzcore.quant.receipt_quality import of_measures


def compose(job: Job, identifier: str, seconds: float, quality: dict[str, Any]) -> dict[str, Any]:
    """What was done and what came out.  ``quality`` may be empty: nothing was measured."""
    table: dict[str, dict[str, int]] = {}
    projections = {n for layer in job.spec.layers for stage in layer.stages() for n in stage_names(stage)}
    bits = weights = 0
    for name, (rows, cols) in job.originals.shapes.items():
        entry = job.writer.entry(name)
        parts = [f"{name}.codes"] + ([f"{name}.scales"] if entry.group else [])
        size = sum(job.writer.stored_bytes(part) for part in parts)
        row = table.setdefault(entry.format.name, {"matrices": 0, "weights": 0, "bytes": 0})
        row["matrices"] += 1
        row["weights"] += rows * cols
        row["bytes"] += size
        if name in projections:
            bits += 8 * size
            weights += rows * cols
    signs = {e.transform.signs for e in map(job.writer.entry, projections) if e.transform}
    bits += 8 * sum(job.writer.stored_bytes(name) for name in signs)
    receipt: dict[str, Any] = {
        "id": identifier,
        "source": {"id": job.source.id, "revision": job.source.revision, "licence": job.source.licence},
        "encoding": job.settings.encoding,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": tzcore.__version__,
        "settings": job.settings.as_json(),
        "formats": table,
        "bits_per_weight": bits / weights,
        "original_bytes": job.source.bytes(),
        "seconds": round(seconds, 1),
        "device": job.device.words,
    }
    if job.calibration is not None:
        windows = job.calibration.windows
        receipt["calibration"] = {
            "sha256": job.calibration.sha256, "windows": len(windows), "held": job.calibration.held,
            "tokens": int(windows.size), "conversations": job.calibration.chat,
        }  # fmt: skip
        receipt["output_error"] = dict(sorted(job.noted("errors").items()))
    if allocation := job.noted("allocation"):
        receipt["allocation"] = allocation
    if quality:
        receipt["quality"] = of_measures(quality) | quality
    return receipt
