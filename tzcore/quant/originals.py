"""Checked access to a source's tensors: shapes against the spec, values finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.checkpoint.source import PassingSource, WeightSource
from tzcore.errors import ConversionError
from tzcore.trits import Floats

if TYPE_CHECKING:
    import torch


def layer_vectors(spec: ModelSpec, index: int) -> dict[str, int]:
    """Norms and biases of layer ``index`` by full name, with the length each must have."""
    return spec.layers[index].vectors(spec.head_dim)


def stage_names(stage: tuple[MatrixRef, ...]) -> list[str]:
    """The stored matrices of a stage, each once (q, k and v can be parts of one)."""
    return list(dict.fromkeys(ref.name for ref in stage))


class Originals:
    """A :class:`WeightSource` held to its spec.  Everything wrong is said before work begins,
    as far as headers tell; values are checked when they are read."""

    def __init__(self, source: WeightSource, spec: ModelSpec) -> None:
        self._source, self._spec = source, spec
        self.shapes: dict[str, tuple[int, int]] = {}
        projections = [ref for layer in spec.layers for stage in layer.stages() for ref in stage]
        for ref in (spec.embedding, spec.head, *spec.routers(), *projections):
            self.shapes[ref.name] = self._matrix_shape(ref)
        self._vectors = {spec.final_norm: spec.hidden}
        for index in range(len(spec.layers)):
            self._vectors |= layer_vectors(spec, index)
        for name, size in self._vectors.items():
            if tuple(source.shape(name)) != (size,):
                raise ConversionError(f"{name} has shape {list(source.shape(name))}, expected [{size}]")

    # --- sources that keep only what is about to be read ---------------------------------------

    def expect(self, parts: Iterable[int | str]) -> None:
        """From now on these parts are read, in this order: layers by index, matrices and norms by name.

        Means something to a :class:`PassingSource` alone, as :meth:`release` does.
        """
        if isinstance(self._source, PassingSource):
            self._source.expect([name for part in parts for name in self._tensors(part)])

    def release(self, *parts: int | str) -> None:
        """These parts have been used."""
        if isinstance(self._source, PassingSource):
            self._source.release([name for part in parts for name in self._tensors(part)])

    def ends(self) -> list[str]:
        """Head and last norm: what is read after the layers."""
        return [self._spec.head.name, self._spec.final_norm]

    def start(self) -> list[str]:
        """The embedding, unless it is the head as well, which is needed to the end."""
        return [] if self._spec.tied else [self._spec.embedding.name]

    def _tensors(self, part: int | str) -> list[str]:
        if isinstance(part, str):
            return [part if part in self._vectors else f"{part}.weight"]
        return [*layer_vectors(self._spec, part), *(f"{name}.weight" for name in self._spec.layers[part].names())]

    def _matrix_shape(self, ref: MatrixRef) -> tuple[int, int]:
        shape = tuple(self._source.shape(f"{ref.name}.weight"))
        if len(shape) != 2 or shape[1] != ref.cols or shape[0] < ref.start + ref.rows:
            raise ConversionError(
                f"{ref.name}.weight has shape {list(shape)}, expected [{ref.start + ref.rows}, {ref.cols}]"
            )
        return shape[0], shape[1]

    def _read(self, name: str, shape: tuple[int, ...]) -> Floats:
        values = self._source.tensor(name)
        if values.shape != shape:
            raise ConversionError(f"{name} has shape {list(values.shape)}, its header says {list(shape)}")
        # One sum finds NaN and infinity without an array of flags; overflow of the sum is checked.
        if not np.isfinite(values.sum(dtype=np.float64)) and not np.isfinite(values).all():
            raise ConversionError(f"{name} holds values that are not finite (NaN or infinity): the original is damaged")
        return np.ascontiguousarray(values, np.float32)

    def matrix(self, name: str) -> Floats:
        """The whole matrix ``name`` (no ``.weight``), float32 ``[rows, cols]``."""
        return self._read(f"{name}.weight", self.shapes[name])

    def vector(self, name: str) -> Floats:
        """A norm or bias by its full name."""
        return self._read(name, (self._vectors[name],))

    def layer(self, index: int) -> dict[str, torch.Tensor]:
        """All matrices of a layer by name, as :meth:`matrix_tensor` gives them."""
        return {name: self.matrix_tensor(name) for name in self._spec.layers[index].names()}

    def matrix_tensor(self, name: str) -> torch.Tensor:
        """:meth:`matrix` in torch's own memory (another alignment may change a product's last bit)."""
        import torch

        return torch.tensor(self.matrix(name))
