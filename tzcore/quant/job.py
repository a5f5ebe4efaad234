"""One conversion under way: what is converted, how, and where to; shared by its phases."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tzcore import atomic, trits
from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.checkpoint.source import WeightSource
from tzcore.checkpoint.writer import FolderWriter
from tzcore.errors import ConversionError
from tzcore.progress import Progress, Report
from tzcore.quant import rotation
from tzcore.quant.calibration import Calibration
from tzcore.quant.device import Device
from tzcore.quant.originals import Originals
from tzcore.quant.settings import Settings
from tzcore.trits import Codes, Floats, Format, Halves

if TYPE_CHECKING:
    import torch

FIT_CHUNK = 1 << 22
"""Weights fitted at a time without calibration; bounds the temporaries."""


@dataclass
class Job:
    """``formats`` are those chosen matrix by matrix for a budget; empty without one."""

    source: WeightSource
    spec: ModelSpec
    settings: Settings
    originals: Originals
    writer: FolderWriter
    calibration: Calibration | None
    report: Report
    threads: int
    device: Device
    formats: dict[str, str] = field(default_factory=dict)
    done: int = 0

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {first: owner for layer in self.spec.layers for first, owner in layer.transforms().items()}

    # --- progress and notes ------------------------------------------------------------------

    def advance(self, names: Iterable[str], where: str) -> None:
        """Count matrices as converted."""
        for name in names:
            rows, cols = self.originals.shapes[name]
            self.done += rows * cols
            self.tell(f"{where}: {name.rsplit('.', 1)[-1]}")

    def tell(self, detail: str) -> None:
        """Report how far the conversion is."""
        total = sum(rows * cols for rows, cols in self.originals.shapes.values())
        self.report(Progress("convert", self.done, total, "weights", detail))

    def where(self, index: int) -> str:
        """A block, for a person."""
        return f"layer {index + 1} of {len(self.spec.layers)}"

    def note(self, name: str, value: dict[str, Any]) -> None:
        """Keep ``value`` for the receipt and for a rerun."""
        atomic.write_json(self.writer.scratch / f"{name}.json", value)

    def noted(self, name: str) -> dict[str, Any]:
        """What was kept under ``name``, or nothing."""
        return read_object(self.writer.scratch / f"{name}.json")

    # --- matrices ----------------------------------------------------------------------------

    def format_of(self, name: str) -> Format:
        """The format of a matrix: the one chosen for it, or that of all.  A router is never rounded."""
        if name in {ref.name for ref in self.spec.routers()}:
            return trits.format_named("f16")
        ends = (self.spec.embedding.name, self.spec.head.name)
        common = self.settings.head_format if name in ends else self.settings.format
        return trits.format_named(self.formats.get(name, common))

    def transform(self, stage: tuple[MatrixRef, ...]) -> tuple[Transform | None, torch.Tensor | None]:
        """The transform of a stage's input and its signs, which are recorded."""
        import torch

        block = rotation.block_for(stage[0].cols)
        if not self.settings.rotates or block < 2:
            return None, None
        name = f"{self._owners[stage[0].name]}.signs"
        signs = rotation.random_signs(stage[0].cols, self.settings.seed, name)
        if not self.writer.has(name):
            self.writer.add_signs(name, signs)
        return Transform(block, name), torch.as_tensor(signs)

    def store(self, name: str, weights: Floats, transform: Transform | None) -> None:
        """Fit ``weights`` without calibration and write them."""
        fmt = self.format_of(name)
        rows, cols = weights.shape
        group = self.settings.group_for(fmt, cols)
        entry = MatrixEntry(name, rows, cols, fmt, group, transform)
        try:
            if fmt.packing == "half":
                self.writer.add_matrix(entry, trits.pack_half(weights), None)
            else:
                self.add(entry, *_fit(weights, fmt, group))
        except ConversionError as error:
            raise ConversionError(f"{name}.weight: {error}") from None

    def add(self, entry: MatrixEntry, codes: Codes, scales: Halves) -> None:
        """Pack and write a fitted matrix."""
        self.writer.add_matrix(entry, trits.pack(codes, entry.format), trits.pack_scales(scales))

    def add_router(self, index: int) -> None:
        """Write the router of layer ``index``, if it has one."""
        router = self.spec.layers[index].router
        if router is None:
            return
        name = router.matrix.name
        if not self.writer.has(name):
            self.store(name, self.originals.matrix(name), None)
        self.advance([name], self.where(index))

    def add_vectors(self, names: Iterable[str]) -> None:
        """Write norms and biases as they are."""
        for name in names:
            if not self.writer.has(name):
                self.writer.add_vector(name, self.originals.vector(name))


def _fit(weights: Floats, fmt: Format, group: int) -> tuple[Codes, Halves]:
    """:func:`tzcore.trits.fit` in runs of rows."""
    step = max(1, FIT_CHUNK // weights.shape[1])
    parts = [trits.fit(weights[i : i + step], fmt, group) for i in range(0, len(weights), step)]
    return np.concatenate([codes for codes, _ in parts]), np.concatenate([scales for _, scales in parts])


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file that may be missing or torn; then an empty one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
