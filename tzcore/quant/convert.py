"""Conversion: original weights in, a model folder of small integers out, one block at a time.

Calibration windows start as embeddings and pass through the blocks.  In each block the stages
(q/k/v, o, gate/up, down) are quantised in order of execution, each on inputs that its already
quantised predecessors produced, so that errors are met where they arise; then the hidden states
advance through the quantised block.  At most one block of weights is held at a time.

**Resuming.**  Every tensor is on disk when its ``add`` returns, and the hidden states are saved
at every block boundary.  A rerun starts at the last boundary, reads recorded tensors back instead
of solving them again, and so arrives at the same bits as a run that nobody disturbed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tzcore
from tzcore import atomic, trits
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.checkpoint.source import WeightSource
from tzcore.checkpoint.writer import FolderWriter
from tzcore.errors import ConversionError
from tzcore.progress import Progress, Report, ignore
from tzcore.quant import rotation, solver
from tzcore.quant.calibration import Calibration, collect
from tzcore.quant.decoder import Block
from tzcore.quant.originals import Originals, layer_vectors, stage_names
from tzcore.quant.runtime import torch_session
from tzcore.quant.settings import Settings, format_for
from tzcore.trits import Codes, Floats, Format, Halves

if TYPE_CHECKING:
    import torch

__all__ = ["Settings", "convert", "format_for"]

WINDOWS_AT_ONCE = 4
"""Windows in one pass through a stage; bounds the temporaries."""
FIT_CHUNK = 1 << 22
"""Weights fitted at a time without calibration; bounds the temporaries."""


def convert(
    source: WeightSource, final: Path, settings: Settings, report: Report = ignore, identifier: str | None = None
) -> Path:
    """Convert ``source`` with ``settings`` into the model folder ``final``; returns its path.

    ``identifier`` is the installed model's id, by default ``<source id>:<encoding>``.  Reports the
    phases ``"calibrate"`` (tokens) and ``"convert"`` (weights).  Killed or cancelled at any moment,
    the same call resumes.  Raises UnsupportedModelError, SourceError, ConversionError (weights
    that are not finite or have another shape; other settings than begun with), StorageError,
    MissingExtraError.
    """
    with torch_session(settings.threads) as threads:
        spec = read_spec(source.config, set(source.names()))
        return _Conversion(source, spec, Path(final), settings.with_window(spec.max_context), report, threads).run(
            identifier or f"{source.id}:{settings.encoding}"
        )


class _Conversion:
    def __init__(
        self, source: WeightSource, spec: ModelSpec, final: Path, settings: Settings, report: Report, threads: int
    ) -> None:
        self.source, self.spec, self.settings, self.threads = source, spec, settings, threads
        self.report = report
        self.originals = Originals(source, spec)
        self.format = trits.format_named(settings.format)
        self.calibration = self._collect() if settings.calibrates else None
        self.writer = FolderWriter(final, self._fingerprint())
        self.receipt_before = _read_object(self.writer.partial / "receipt.json")
        self.errors: dict[str, float] = self.receipt_before.get("output_error", {})
        self.errors |= _read_object(self.writer.scratch / "errors.json")
        shapes = self.originals.shapes
        self.done, self.total = 0, sum(rows * cols for rows, cols in shapes.values())

    # --- frame -------------------------------------------------------------------------------

    def run(self, identifier: str) -> Path:
        started = time.monotonic()
        self._convert_ends()
        layers = range(len(self.spec.layers))
        if self.calibration is None or self._all_recorded():
            for index in layers:
                self._convert_plain(index)
        else:
            self._convert_calibrated(self.calibration)
        return self.writer.finish(self.source.config, self.source.files, self._receipt(identifier, started))

    def _collect(self) -> Calibration:
        settings = self.settings
        self.report(Progress("calibrate", 0, settings.tokens, "tokens", "reading the calibration text"))
        found = collect(self.source.files, settings.tokens, settings.window, settings.calibration, self.spec.vocabulary)
        size = int(found.windows.size)
        self.report(Progress("calibrate", size, size, "tokens", f"{len(found.windows)} windows"))
        return found

    def _fingerprint(self) -> dict[str, Any]:
        about = {"source": self.source.id, "revision": self.source.revision, "settings": self.settings.as_json()}
        return {**about, "calibration": self.calibration.sha256 if self.calibration else None}

    def _advance(self, name: str, where: str) -> None:
        rows, cols = self.originals.shapes[name]
        self.done += rows * cols
        self._tell(f"{where}: {name.rsplit('.', 1)[-1]}")

    def _tell(self, detail: str) -> None:
        self.report(Progress("convert", self.done, self.total, "weights", detail))

    def _where(self, index: int) -> str:
        return f"layer {index + 1} of {len(self.spec.layers)}"

    def _all_recorded(self) -> bool:
        return all(self.writer.has(name) for name in self._projections())

    def _projections(self) -> list[str]:
        return [n for layer in self.spec.layers for stage in layer.stages() for n in stage_names(stage)]

    # --- embedding, head, vectors --------------------------------------------------------------

    def _convert_ends(self) -> None:
        """Embedding, head and final norm: fitted without calibration, not transformed."""
        fmt = trits.format_named(self.settings.head_format)
        self._tell("embedding and head")
        for name in dict.fromkeys((self.spec.embedding.name, self.spec.head.name)):
            if not self.writer.has(name):
                self._store(name, self.originals.matrix(name), fmt, None)
            self._advance(name, "embedding and head")
        self._add_vectors({self.spec.final_norm: self.spec.hidden})
        self.writer.seal("model-ends")

    def _add_vectors(self, names: dict[str, int]) -> None:
        for name in names:
            if not self.writer.has(name):
                self.writer.add_vector(name, self.originals.vector(name))

    def _store(self, name: str, weights: Floats, fmt: Format, transform: Transform | None) -> None:
        """Fit ``weights`` without calibration and write them."""
        group = self.settings.group_for(fmt, weights.shape[1])
        rows, cols = weights.shape
        entry = MatrixEntry(name, rows, cols, fmt, group, transform)
        try:
            if fmt.packing == "half":
                self.writer.add_matrix(entry, trits.pack_half(weights), None)
            else:
                self._add(entry, *_fit(weights, fmt, group))
        except ConversionError as error:
            raise ConversionError(f"{name}.weight: {error}") from None

    def _add(self, entry: MatrixEntry, codes: Codes, scales: Halves) -> None:
        self.writer.add_matrix(entry, trits.pack(codes, entry.format), trits.pack_scales(scales))

    # --- blocks --------------------------------------------------------------------------------

    def _transform(self, stage: tuple[MatrixRef, ...]) -> tuple[Transform | None, torch.Tensor | None]:
        """The transform of a stage's input, its signs recorded."""
        import torch

        block = rotation.block_for(stage[0].cols)
        if not self.settings.rotates or block < 2:
            return None, None
        name = f"{stage[0].name}.signs"
        signs = rotation.random_signs(stage[0].cols, self.settings.seed, name)
        if not self.writer.has(name):
            self.writer.add_signs(name, signs)
        return Transform(block, name), torch.from_numpy(signs)

    def _convert_plain(self, index: int) -> None:
        """A block without calibration."""
        for stage in self.spec.layers[index].stages():
            transform, signs = self._transform(stage)
            for name in stage_names(stage):
                if not self.writer.has(name):
                    weights = self.originals.matrix_tensor(name)
                    if transform is not None and signs is not None:
                        weights = rotation.rotate(weights, signs, transform.block)
                    self._store(name, weights.numpy(), self.format, transform)
                self._advance(name, self._where(index))
        self._add_vectors(layer_vectors(self.spec, index))
        self.writer.seal(f"model-{index:05d}")

    def _convert_calibrated(self, calibration: Calibration) -> None:
        first, hidden = self._load_hidden()
        if hidden is None:
            hidden = self._embed(calibration)
        for name in (n for layer in self.spec.layers[:first] for s in layer.stages() for n in stage_names(s)):
            self._advance(name, "done before")
        for index in range(first, len(self.spec.layers)):
            hidden = self._convert_block(index, hidden)
            self.writer.seal(f"model-{index:05d}")
            if index + 1 < len(self.spec.layers):
                self._save_hidden(index + 1, hidden)

    def _embed(self, calibration: Calibration) -> torch.Tensor:
        """The windows' embeddings as stored: ``[windows, tokens, hidden]``."""
        import torch

        entry, packed, tiled = self.writer.read_matrix(self.spec.embedding.name)
        ids = calibration.windows
        if tiled is None:
            rows = np.ascontiguousarray(packed[ids // trits.LANES, : entry.cols, ids % trits.LANES], np.float32)
        else:
            codes = trits.unpack(packed, entry.format, entry.rows, entry.cols)[ids.ravel()]
            scales = trits.unpack_scales(tiled, entry.rows)[ids.ravel()]
            rows = trits.dequantise(codes, scales, entry.group).reshape(*ids.shape, entry.cols)
        return torch.from_numpy(rows) * self.spec.embedding_scale

    def _convert_block(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """Quantise layer ``index`` stage by stage; the hidden states behind it."""
        import torch

        vectors = layer_vectors(self.spec, index)
        self._add_vectors(vectors)
        block = Block(self.spec, index, {n: torch.from_numpy(self.originals.vector(n)).clone() for n in vectors})
        stored: dict[str, torch.Tensor] = {}

        def matrices(ref: MatrixRef) -> torch.Tensor:
            return stored[ref.name][ref.start : ref.start + ref.rows]

        stages = block.layer.stages()
        inputs = _batched(block.qkv_input, hidden)
        self._convert_stage(index, stages[0], inputs, stored)
        inputs = _batched(lambda h: block.o_input(h, matrices), inputs)
        self._convert_stage(index, stages[1], inputs, stored)
        hidden = _batched(lambda x, a: block.after_attention(x, a, matrices), hidden, inputs)
        inputs = _batched(block.mlp_input, hidden)
        self._convert_stage(index, stages[2], inputs, stored)
        inputs = _batched(lambda h: block.down_input(h, matrices), inputs)
        self._convert_stage(index, stages[3], inputs, stored)
        return _batched(lambda x, m: block.after_mlp(x, m, matrices), hidden, inputs)

    def _convert_stage(
        self, index: int, stage: tuple[MatrixRef, ...], inputs: torch.Tensor, stored: dict[str, torch.Tensor]
    ) -> None:
        """Solve and record the stage's matrices; ``stored`` gets them dequantised, transform undone."""
        transform, signs = self._transform(stage)
        factored: solver.Factored | None = None
        for name in stage_names(stage):
            if not self.writer.has(name):
                if factored is None:
                    factored = self._factored(inputs, transform, signs, name)
                self._solve(name, factored, transform, signs)
            stored[name] = self._read_back(name, transform, signs)
            self._advance(name, self._where(index))

    def _factored(
        self, inputs: torch.Tensor, transform: Transform | None, signs: torch.Tensor | None, name: str
    ) -> solver.Factored:
        flat = inputs.reshape(-1, inputs.shape[-1])
        hessian = flat.T @ flat
        if transform is not None and signs is not None:
            hessian = rotation.rotate_hessian(hessian, signs, transform.block)
        return solver.factorise(hessian, self.settings.effort.damping, name)

    def _solve(
        self, name: str, factored: solver.Factored, transform: Transform | None, signs: torch.Tensor | None
    ) -> None:
        weights = self.originals.matrix_tensor(name)
        if transform is not None and signs is not None:
            weights = rotation.rotate(weights, signs, transform.block)
        rows, cols = weights.shape
        group = self.settings.group_for(self.format, cols)
        codes, scales = solver.solve(weights, factored, self.format, group, self.settings.effort, self.threads, name)
        stored = solver.dequantised(codes, scales, group)
        self.errors[name] = solver.relative_error(weights, stored, factored.hessian)
        atomic.write_json(self.writer.scratch / "errors.json", self.errors)
        self._add(MatrixEntry(name, rows, cols, self.format, group, transform), codes, scales)

    def _read_back(self, name: str, transform: Transform | None, signs: torch.Tensor | None) -> torch.Tensor:
        entry, packed, tiled = self.writer.read_matrix(name)
        assert tiled is not None
        codes = trits.unpack(packed, entry.format, entry.rows, entry.cols)
        stored = solver.dequantised(codes, trits.unpack_scales(tiled, entry.rows), entry.group)
        if transform is not None and signs is not None:
            stored = rotation.unrotate(stored, signs, transform.block)
        return stored

    # --- hidden states at block boundaries -------------------------------------------------------

    def _hidden_path(self, index: int) -> Path:
        return self.writer.scratch / f"hidden-{index:05d}.f32"

    def _save_hidden(self, index: int, hidden: torch.Tensor) -> None:
        atomic.write(self._hidden_path(index), [memoryview(hidden.numpy()).cast("B")])
        self._hidden_path(index - 1).unlink(missing_ok=True)

    def _load_hidden(self) -> tuple[int, torch.Tensor | None]:
        """The last boundary reached and the hidden states there."""
        import torch

        assert self.calibration is not None
        shape = (*self.calibration.windows.shape, self.spec.hidden)
        for path in sorted(self.writer.scratch.glob("hidden-*.f32"), reverse=True):
            values = np.fromfile(path, np.float32)
            if values.size == np.prod(shape):
                return int(path.stem.split("-")[1]), torch.from_numpy(values.reshape(shape)).clone()
        return 0, None

    # --- receipt ---------------------------------------------------------------------------------

    def _receipt(self, identifier: str, started: float) -> dict[str, Any]:
        """What was done.  A run that died between writing its receipt and the last rename wrote it whole."""
        if self.receipt_before:
            return self.receipt_before
        table: dict[str, dict[str, int]] = {}
        projections = set(self._projections())
        bits = weights = 0
        for name, (rows, cols) in self.originals.shapes.items():
            entry, packed, tiled = self.writer.read_matrix(name)
            size = packed.nbytes + (0 if tiled is None else tiled.nbytes)
            row = table.setdefault(entry.format.name, {"matrices": 0, "weights": 0, "bytes": 0})
            row["matrices"] += 1
            row["weights"] += rows * cols
            row["bytes"] += size
            if name in projections:
                bits += 8 * size
                weights += rows * cols
        for layer in self.spec.layers:
            for stage in layer.stages():
                signs = f"{stage[0].name}.signs"
                bits += 8 * self.writer.stored_bytes(signs) if self.writer.has(signs) else 0
        receipt: dict[str, Any] = {
            "id": identifier,
            "source": {"id": self.source.id, "revision": self.source.revision, "licence": self.source.licence},
            "encoding": self.settings.encoding,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "program": tzcore.__version__,
            "settings": self.settings.as_json(),
            "formats": table,
            "bits_per_weight": bits / weights,
            "original_bytes": self.source.bytes(),
            "seconds": round(time.monotonic() - started, 1),
        }
        if self.calibration is not None:
            windows = self.calibration.windows
            receipt["calibration"] = {
                "sha256": self.calibration.sha256, "windows": len(windows), "tokens": int(windows.size),
                "conversations": self.calibration.chat,
            }  # fmt: skip
            receipt["output_error"] = dict(sorted(self.errors.items()))
        return receipt


def _fit(weights: Floats, fmt: Format, group: int) -> tuple[Codes, Halves]:
    """:func:`tzcore.trits.fit` in runs of rows."""
    step = max(1, FIT_CHUNK // weights.shape[1])
    parts = [trits.fit(weights[i : i + step], fmt, group) for i in range(0, len(weights), step)]
    return np.concatenate([codes for codes, _ in parts]), np.concatenate([scales for _, scales in parts])


def _batched(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """``function`` over a few windows at a time."""
    import torch

    count = len(tensors[0])
    out: torch.Tensor | None = None
    for start in range(0, count, WINDOWS_AT_ONCE):
        part = function(*(t[start : start + WINDOWS_AT_ONCE] for t in tensors))
        if out is None:
            out = torch.empty(count, *part.shape[1:])
        out[start : start + len(part)] = part
    assert out is not None
    return out


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
