"""The account that goes into a folder saved from a transformers model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import tzcore
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint import FolderWriter
from tzcore.checkpoint.reader import read_json
from tzcore.errors import CheckpointError
from tzcore.torch.naming import Origin

UNKNOWN = {"id": "transformers", "revision": "", "licence": "unknown"}


def receipt_of(name: str, spec: ModelSpec, writer: FolderWriter, origin: Origin | None) -> dict[str, Any]:
    """What is stored and how; ``source`` is that of the folder which the model came from, if any."""
    projections = {ref.name for layer in spec.layers for stage in layer.stages() for ref in stage}
    table: dict[str, dict[str, int]] = {}
    kinds: dict[str, int] = {}
    bits = weights = 0
    for matrix, (rows, cols) in spec.matrices().items():
        entry = writer.entry(matrix)
        parts = [f"{matrix}.codes"] + ([f"{matrix}.scales"] if entry.group else [])
        size = sum(map(writer.stored_bytes, parts))
        row = table.setdefault(entry.format.name, {"matrices": 0, "weights": 0, "bytes": 0})
        row["matrices"] += 1
        row["weights"] += rows * cols
        row["bytes"] += size
        if matrix in projections:
            bits, weights = bits + 8 * size, weights + rows * cols
            kinds[entry.format.encoding] = kinds.get(entry.format.encoding, 0) + rows * cols
    signs = {e.transform.signs for e in map(writer.entry, projections) if e.transform}
    bits += 8 * sum(map(writer.stored_bytes, signs))
    encoding = max(kinds, key=lambda kind: kinds[kind])
    return {
        "id": f"{name}:{encoding}",
        "source": _source(origin),
        "encoding": encoding,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": tzcore.__version__,
        "saved_from": "a transformers model",
        "formats": table,
        "bits_per_weight": bits / weights,
    }


def _source(origin: Origin | None) -> dict[str, Any]:
    if origin is None:
        return UNKNOWN
    try:
        source = read_json(origin.path / "receipt.json").get("source")
    except CheckpointError:
        return UNKNOWN
    return source if isinstance(source, dict) else UNKNOWN
