"""Import without loss: a natively ternary model keeps its own codes and scales, bit for bit.

Nothing is fitted, calibrated or transformed.  Matrices that are ternary (the blocks' projections
always; embedding and head where the original's are) become ``t1`` with the file's scales; a matrix
with one scale that half precision would round keeps it as the entry's gain.  Embedding and head
that are not ternary are stored as ``f16``, which holds nearly all of bfloat16; the receipt counts
what it rounded.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tzcore
from tzcore import atomic, trits
from tzcore.architecture.registry import check_source, read_spec
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.reader import read_json
from tzcore.checkpoint.schema import MatrixEntry, Quantization
from tzcore.checkpoint.source import WeightSource
from tzcore.checkpoint.ternary import Scheme, TernaryMatrix, TernarySource
from tzcore.checkpoint.writer import FolderWriter
from tzcore.errors import ConversionError
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.settings import format_for
from tzcore.quant.ternary_detection import exact_ternary
from tzcore.trits import Floats, Halves

ENCODING = "t1"
_KEPT = "kept.json"


def recognise(source: WeightSource) -> Scheme | None:
    """How ``source`` is natively ternary, or ``None`` if it is not.

    Either the file says so of every projection of the blocks, or the first block's are exactly
    {0, ±s}, which is the only case in which weights are read.  UnsupportedModelError or SourceError
    as from :func:`~tzcore.architecture.registry.read_spec`.
    """
    spec = read_spec(source.config, set(source.names()))
    wanted = frozenset(name for layer in _layers(spec) for name in layer)
    if isinstance(source, TernarySource) and source.scheme is not None:
        return source.scheme if wanted <= source.scheme.matrices else None
    for name in _layers(spec)[0]:
        found = exact_ternary(source.tensor(f"{name}.weight"))
        if found is None or not found.codes.any():
            return None
    return Scheme("plain numbers that are ternary", "as found in the values", wanted)


def import_native(
    source: WeightSource,
    scheme: Scheme,
    final: Path,
    report: Report = ignore,
    identifier: str | None = None,
    packing: str | None = None,
) -> Path:
    """Import ``source``, which :func:`recognise` found to follow ``scheme``, into the model folder ``final``.

    ``packing`` is ``"base3"`` (the default) or ``"slots"``.  A folder that is there already is returned
    if it was made in the same way.  Reports the phase ``"convert"`` (weights).  Killed or cancelled
    at any moment, the same call resumes.  Raises UnsupportedModelError, SourceError (a code or a
    scale that cannot be, a wrong shape), ConversionError (a matrix that is not ternary after all,
    values that are not finite, ``final`` made otherwise), StorageError.
    """
    spec = read_spec(source.config, set(source.names()))
    check_source(source, spec)
    settings = {"import": scheme.form, "format": format_for(ENCODING, packing)}
    if final.exists():
        _check_same(final, source, settings)
        return final
    return _Import(source, spec, scheme, final, settings, report).run(identifier or f"{source.id}:{ENCODING}")


class _Import:
    def __init__(
        self,
        source: WeightSource,
        spec: ModelSpec,
        scheme: Scheme,
        final: Path,
        settings: dict[str, Any],
        report: Report,
    ) -> None:
        self.source, self.spec, self.scheme, self.settings, self.report = source, spec, scheme, settings, report
        self.format = trits.format_named(settings["format"])
        self.shapes = spec.matrices()
        self.done, self.total = 0, sum(rows * cols for rows, cols in self.shapes.values())
        self.writer = FolderWriter(final, {"source": source.id, "revision": source.revision, "settings": settings})
        self.receipt_before = _read_object(self.writer.partial / "receipt.json")
        self.kept = _read_object(self.writer.scratch / _KEPT)

    def run(self, identifier: str) -> Path:
        started = time.monotonic()
        layers = _layers(self.spec)
        self._add_all([self.spec.embedding.name, self.spec.head.name], "embedding and head")
        self.writer.seal("model-ends")
        for index, names in enumerate(layers):
            self._add_all(names, f"layer {index + 1} of {len(layers)}")
            self.writer.seal(f"model-{index:05d}")
        ends = {self.spec.embedding.name, self.spec.head.name}
        self._add_all([n for n in self.shapes if n not in ends.union(*layers)], "what is not quantised")
        for name in self.spec.vectors():
            if not self.writer.has(name):
                self.writer.add_vector(name, self.source.tensor(name))
        receipt = self.receipt_before or self._receipt(identifier, started)
        return self.writer.finish(self.source.config, self.source.files, receipt, self.spec.activations)

    # --- tensors -----------------------------------------------------------------------------

    def _add_all(self, names: list[str], where: str) -> None:
        for name in dict.fromkeys(names):
            if not self.writer.has(name):
                self._add(name)
            rows, cols = self.shapes[name]
            self.done += rows * cols
            self.report(Progress("convert", self.done, self.total, "weights", f"{where}: {name.rsplit('.', 1)[-1]}"))

    def _add(self, name: str) -> None:
        found = self._read(name)
        rows, cols = self.shapes[name]
        if not isinstance(found, TernaryMatrix):
            self._add_half(name, found)
            return
        entry = MatrixEntry(name, rows, cols, self.format, found.group, gain=found.gain)
        self.writer.add_matrix(entry, trits.pack(found.codes, self.format), trits.pack_scales(found.scales))

    def _read(self, name: str) -> TernaryMatrix | Floats:
        """The matrix by its own codes; as numbers if it is none of the projections and not ternary."""
        declared = name in self.scheme.matrices
        if declared and isinstance(self.source, TernarySource):
            return self.source.ternary(f"{name}.weight")
        weights = self.source.tensor(f"{name}.weight")
        found = exact_ternary(weights)
        if declared and found is None:
            raise ConversionError(
                f"{name}.weight is not ternary (each of its rows, or every 64 or 128 columns of one, should have "
                "0 and ±one value only), though the first layer's matrices are; with --encoding the model is "
                "converted like any other"
            )
        return weights if found is None else found

    def _add_half(self, name: str, weights: Floats) -> None:
        rows, cols = weights.shape
        if not np.isfinite(weights).all():
            raise ConversionError(f"{name}.weight holds values that are not finite: the original is damaged")
        tiled, gain = _halves(weights)
        off = np.abs(trits.unpack_half(tiled, rows, cols) * np.float32(gain) - weights)
        self.kept[name] = {
            "format": "f16", "weights": weights.size, "changed": int(np.count_nonzero(off)),
            "largest_error": float(off.max()),
        }  # fmt: skip
        atomic.write_json(self.writer.scratch / _KEPT, self.kept)
        self.writer.add_matrix(MatrixEntry(name, rows, cols, trits.format_named("f16"), 0, gain=gain), tiled, None)

    # --- receipt -----------------------------------------------------------------------------

    def _receipt(self, identifier: str, started: float) -> dict[str, Any]:
        """``lossless``: no stored number differs from the original's.  ``kept`` has what is not ternary, and
        how many of its values ``f16`` rounded, by how much at most."""
        table: dict[str, dict[str, int]] = {}
        projections = {name for layer in _layers(self.spec) for name in layer}
        bits = weights = 0
        for name, (rows, cols) in self.shapes.items():
            entry, packed, tiled = self.writer.read_matrix(name)
            size = packed.nbytes + (0 if tiled is None else tiled.nbytes)
            row = table.setdefault(entry.format.name, {"matrices": 0, "weights": 0, "bytes": 0})
            row["matrices"] += 1
            row["weights"] += rows * cols
            row["bytes"] += size
            if name in projections:
                bits, weights = bits + 8 * size, weights + rows * cols
        return {
            "id": identifier,
            "source": {"id": self.source.id, "revision": self.source.revision, "licence": self.source.licence},
            "encoding": ENCODING,
            "lossless": not any(kept["changed"] for kept in self.kept.values()),
            "import": {
                "form": self.scheme.form, "scales": self.scheme.scales, "activations": self.spec.activations,
            },
            "kept": dict(sorted(self.kept.items())),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "program": tzcore.__version__,
            "settings": self.settings,
            "formats": table,
            "bits_per_weight": bits / weights,
            "original_bytes": self.source.bytes(),
            "seconds": round(time.monotonic() - started, 1),
        }  # fmt: skip


def _halves(weights: Floats) -> tuple[Halves, float]:
    """``weights`` as f16 tiles and a gain.

    Half precision has as many bits as bfloat16 and more, but not its range.  Where it would round, all
    are multiplied by the power of two that brings the largest to 2^14 … 2^15: then the smallest keep
    13 more bits, or so, and only what is 2^29 times smaller than the largest, or longer, is rounded.
    """
    with np.errstate(over="ignore"):
        if np.array_equal(weights.astype(np.float16), weights):
            return trits.pack_half(weights), 1.0
    exponent = int(np.frexp(np.abs(weights).max())[1])
    shift = min(15 - exponent, 126)  # the gain stays a normal float32
    return trits.pack_half(np.ldexp(weights, shift)), float(np.ldexp(np.float32(1), -shift))


def _layers(spec: ModelSpec) -> list[list[str]]:
    """The names of each layer's projections, without ``.weight``."""
    return [list(dict.fromkeys(ref.name for stage in layer.stages() for ref in stage)) for layer in spec.layers]


def _check_same(folder: Path, source: WeightSource, settings: dict[str, Any]) -> None:
    """ConversionError unless what is in ``folder`` is what importing now would give."""
    Quantization.from_json(read_json(folder / "config.json").get("quantization_config"))  # refuses older formats
    receipt = read_json(folder / "receipt.json")
    origin = receipt.get("source")
    origin = origin if isinstance(origin, dict) else {}
    if (origin.get("id"), origin.get("revision")) != (source.id, source.revision):
        what = f"made from {origin.get('id')} {origin.get('revision')}"
    elif receipt.get("settings") != settings:
        what = "made with other settings"
    else:
        return
    raise ConversionError(f"{folder} exists already, {what}: remove it first (tz rm), or choose another --name")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
