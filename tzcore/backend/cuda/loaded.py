"""A model's folder brought to the card: stages of matrices, vectors, tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tzcore.architecture.spec import LayerSpec, MatrixRef, ModelSpec, Rope
from tzcore.backend.cuda import experts
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.device import Device
from tzcore.backend.cuda.experts import ExpertStages, routed
from tzcore.backend.cuda.layout import KBLOCK, kind_of
from tzcore.backend.cuda.pages import CHUNK
from tzcore.backend.cuda.products import GROUPS, HALVES, TOKENS, Form, Part, Stage, stage
from tzcore.backend.cuda.weights import Embedding, Matrix, Uploader, put, runs
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.errors import BackendError
from tzcore.progress import Progress, Report


@dataclass(frozen=True)
class DenseStages:
    """The products of an MLP."""

    gate_up: Stage
    down: Stage


@dataclass(frozen=True)
class LayerStages:
    """A layer's products."""

    qkv: Stage
    o: Stage
    mlp: DenseStages | ExpertStages


class Loaded:
    """Everything of the model that lies still."""

    def __init__(
        self,
        device: Device,
        folder: ModelFolder,
        spec: ModelSpec,
        uploader: Uploader,
        head: Region,
        tables: Region,
        report: Report,
        chunk: int = CHUNK,
    ) -> None:
        self._chunk = chunk
        self._spec, self._device, self._folder = spec, device, folder
        self._signs: dict[str, int] = {}
        self._tables = tables
        self.vectors = {name: put(device, tables, folder.vector(name), name) for name in spec.vectors()}
        self._frequencies = [
            put(device, tables, rope.inverse_frequencies.astype(np.float32), "rope") for rope in spec.ropes
        ]
        self._matrices: dict[str, Matrix] = {}
        self._uploader, self._report = uploader, report
        self._done, self._total = 0, folder.bytes()
        self.layers = [self._layer(layer) for layer in spec.layers]
        self._bring([spec.head], head)
        self.head = self._stage([spec.head], blocks=False)
        stored = folder.matrix(spec.embedding.name)
        self.embedding = Embedding.put(device, stored, tables)
        self.embedding_kind = kind_of(stored.entry.format).name

    def transform(self, entry: MatrixEntry) -> tuple[int, int]:
        """Address of the signs and block of the transform before a matrix; 0 and 1 without one."""
        if entry.transform is None:
            return 0, 1
        name = entry.transform.signs
        if name not in self._signs:
            signs = self._folder.matrix(entry.name).signs
            assert signs is not None
            self._signs[name] = put(self._device, self._tables, signs, name)
        return self._signs[name], entry.transform.block

    def ropes(self, angles: int) -> list[tuple[Rope, int, int]]:
        """Each rotary embedding with the addresses of its frequencies and, from ``angles`` on, of its angles."""
        found = []
        for rope, frequencies in zip(self._spec.ropes, self._frequencies, strict=True):
            found.append((rope, frequencies, angles))
            angles += 8 * self._chunk * len(rope.inverse_frequencies)
        return found

    def close(self) -> None:
        """Let go of the pinned embedding."""
        self._device.free_host(self.embedding.buffer)

    def routed(self) -> Iterable[tuple[str, str]]:
        """File and name of every kernel that layers of experts need."""
        for layer in self.layers:
            if isinstance(layer.mlp, ExpertStages):
                yield from experts.names(layer.mlp)

    def products(self) -> Iterable[tuple[Form, Part]]:
        """Every product of all tokens alike."""
        stages = [self.head]
        for layer in self.layers:
            stages += [layer.qkv, layer.o]
            stages += [layer.mlp.gate_up, layer.mlp.down] if isinstance(layer.mlp, DenseStages) else [layer.mlp.router]
        for made in stages:
            for form, parts in made.inputs:
                yield from ((form, part) for part in parts)

    def _layer(self, layer: LayerSpec) -> LayerStages:
        qkv, o = self._blocks((layer.q, layer.k, layer.v)), self._blocks((layer.o,))
        pairs = [tuple(self._blocks(refs) for refs in expert.stages()) for expert in layer.experts]
        if layer.router is None:
            return LayerStages(qkv, o, DenseStages(*pairs[0]))
        self._bring([layer.router.matrix])
        router = self._stage([layer.router.matrix], blocks=False)
        stages = (
            routed(one, layer.router.active, self._device.multiprocessors, self._table)
            for one in zip(*pairs, strict=True)
        )
        return LayerStages(qkv, o, ExpertStages(router, *stages))

    def _blocks(self, refs: Sequence[MatrixRef]) -> Stage:
        self._bring(refs)
        return self._stage(refs, blocks=True)

    def _table(self, table: npt.NDArray[np.uint64]) -> int:
        return put(self._device, self._tables, table, "the experts' places")

    def _bring(self, refs: Iterable[MatrixRef], region: Region | None = None) -> None:
        """Upload the matrices of ``refs`` that are not there yet."""
        for names in runs(self._folder, refs):
            if names[0] in self._matrices:
                continue
            stored = [self._folder.matrix(name) for name in names]
            self._report(Progress("load", self._done, self._total, "bytes", names[0]))
            self._matrices |= self._uploader.run(stored, region)
            sizes = (one.codes.nbytes + (0 if one.scales is None else one.scales.nbytes) for one in stored)
            self._done += sum(sizes)

    def _stage(self, refs: Iterable[MatrixRef], blocks: bool) -> Stage:
        parts: list[tuple[Form, Part]] = []
        column = 0
        for ref in refs:
            entry = self._folder.quantization.matrices[ref.name]
            if ref.cols != entry.cols:
                raise BackendError(f"{ref.name} has {entry.cols} columns where the model needs {ref.cols}")
            mode = HALVES if entry.format.packing == "half" else GROUPS
            if mode == GROUPS and blocks and self._spec.activations == "token":
                mode = TOKENS
            matrix = self._matrices[ref.name].part(ref.start, ref.rows)
            parts.append((Form(*self.transform(entry), mode, entry.group or KBLOCK), Part(matrix, column)))
            column += ref.rows
        return stage(_joined(parts), column, self._device.multiprocessors)


def _joined(parts: list[tuple[Form, Part]]) -> list[tuple[Form, Part]]:
    """Neighbours that lie one behind the other on the card as one."""
    found: list[tuple[Form, Part]] = []
    for form, part in parts:
        if found:
            before_form, before = found[-1]
            a, b = before.matrix, part.matrix
            shape = a.shape
            follows = a.codes + shape.tiles * shape.tile_bytes == b.codes and shape.rows % 16 == 0
            same = (shape.fmt, shape.cols, shape.group) == (b.shape.fmt, b.shape.cols, b.shape.group)
            if before_form == form and same and follows and b.scales == a.scales + shape.tiles * shape.groups * 32:
                rows = shape.rows + b.shape.rows
                joined = Matrix(type(shape)(shape.fmt, rows, shape.cols, shape.group), a.codes, a.scales, a.gains)
                found[-1] = (form, Part(joined, before.column))
                continue
        found.append((form, part))
    return found


def staging(regions: Iterable[Region]) -> tuple[int, int]:
    """Address and size of the largest of ``regions``: memory that nothing uses before the first token."""
    largest = max(regions, key=lambda region: region.size)
    return largest.address, largest.size
