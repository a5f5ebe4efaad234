"""A random folder written to disk, for a backend that reads weights where they are mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tzcore.architecture.registry import spec_of
from tzcore.bench.random_folder import RandomFolder
from tzcore.checkpoint.writer import FolderWriter
from tzcore.progress import Progress, Report, ignore

_SHARD = 256 << 20


def write(folder: RandomFolder, final: Path, report: Report = ignore) -> Path:
    """Store ``folder`` at ``final`` as a conversion would.  Returns ``final``; no room is a StorageError."""
    writer = FolderWriter(final, {"source": str(folder.path)})
    done, total, loose, shards = 0, folder.bytes(), 0, 0
    for name, entry in folder.quantization.matrices.items():
        stored = folder.matrix(name)
        scales = None if stored.scales is None else np.ascontiguousarray(stored.scales)
        codes = np.ascontiguousarray(stored.codes)
        writer.add_matrix(entry, codes, scales)
        if entry.transform is not None and stored.signs is not None and not writer.has(entry.transform.signs):
            writer.add_signs(entry.transform.signs, stored.signs)
        size = codes.nbytes + (0 if scales is None else scales.nbytes)
        done, loose = done + size, loose + size
        report(Progress("convert", done, total, "bytes", name))
        if loose >= _SHARD:
            shards, loose = shards + 1, 0
            writer.seal(f"model-{shards:05d}")
    for name in spec_of(folder).vectors():
        writer.add_vector(name, folder.vector(name))
    return writer.finish(folder.config, {}, {"source": str(folder.path)})
