"""A model folder that does not exist: random weights in a real model's shape, made of views when they are asked for.

Every tile of a matrix is a window of one pool of packed random codes, each a little further on than the one
before, so that a model of 70 billion weights takes some megabytes of main memory and no disk.  It loads the way
that any model does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import trits
from tzcore.architecture.registry import read_spec
from tzcore.checkpoint.reader import ModelFolder, StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry, Quantization
from tzcore.hub.formats.synthetic import Synthetic
from tzcore.quant.settings import Settings
from tzcore.quant.stored import stored_as
from tzcore.trits import Format

_STEP = 64
"""Bytes from one tile's window to the next: a whole vector, so that every word stays one that packing gives."""
_WORDS = 5 * trits.COLUMN_PAD
"""Columns of the pool's rows come in such runs: base-3 words are whole then."""


class RandomFolder(ModelFolder):
    """``synthetic`` with its matrices stored as ``entries`` say.  Weights have about the size that trained ones
    have, so that nothing overflows."""

    def __init__(self, synthetic: Synthetic, entries: Mapping[str, MatrixEntry]) -> None:
        super().__init__(Path(synthetic.id), synthetic.config, Quantization(dict(entries)), {}, [])
        self._synthetic = synthetic
        self._added = {name for name in entries if name.endswith(("o_proj", "down_proj"))}
        self._layers = int(synthetic.config["num_hidden_layers"])
        self._signs = {e.transform.signs for e in entries.values() if e.transform}

    def has(self, name: str) -> bool:
        return name in self.quantization.matrices or name in self.names()

    def names(self) -> set[str]:
        vectors = {name for name in self._synthetic.names() if len(self._synthetic.shape(name)) == 1}
        return vectors | self._signs

    def vector(self, name: str) -> npt.NDArray[np.float32]:
        return self._synthetic.tensor(name)

    def matrix(self, name: str) -> StoredMatrix:
        """Views of pools; see :class:`tzcore.checkpoint.reader.ModelFolder`."""
        entry = self.quantization.matrices[name]
        tiles, fmt = trits.tiles(entry.rows), entry.format
        share = (2 * self._layers) ** -0.5 if name in self._added else 1.0
        signs = None
        if entry.transform is not None:
            rng = np.random.default_rng(len(entry.transform.signs))
            signs = rng.choice(np.array([-1, 1], np.int8), entry.cols)
        if fmt.packing == "half":
            shape = (tiles, trits.padded(entry.cols), trits.LANES)
            return StoredMatrix(entry, _normal(shape, share * entry.cols**-0.5), None, signs)
        size = trits.tile_bytes(fmt, entry.cols)
        codes = _windows(_codes(fmt, size + _STEP * tiles), tiles, size, _STEP)
        scale = share * (entry.cols * _square(fmt)) ** -0.5
        groups = trits.groups(entry.cols, entry.group)
        scales = _uniform((tiles, groups, trits.LANES), scale)
        return StoredMatrix(entry, codes, scales, signs)

    def bytes(self) -> int:
        """Bytes of all matrices as they would lie on the disk."""
        sizes = 0
        for entry in self.quantization.matrices.values():
            tile = trits.tile_bytes(entry.format, entry.cols)
            tile += 2 * trits.LANES * (trits.groups(entry.cols, entry.group) if entry.group else 0)
            sizes += trits.tiles(entry.rows) * tile
        return sizes


def random_folder(synthetic: Synthetic, fmt: str, head: str, rotated: bool | None = None) -> RandomFolder:
    """Every projection as ``fmt``, embedding and head as ``head``, routers as halves; ``rotated`` None transforms
    the inputs where a conversion to ``fmt`` does."""
    spec = read_spec(synthetic.config, set(synthetic.names()))
    settings = Settings(format=fmt, head_format=head, rotate=rotated)
    formats = dict.fromkeys(spec.matrices(), fmt) | dict.fromkeys((spec.embedding.name, spec.head.name), head)
    formats |= {ref.name: "f16" for ref in spec.routers()}
    return RandomFolder(synthetic, stored_as(spec, formats, settings))


def _windows(pool: npt.NDArray[Any], count: int, size: int, step: int) -> npt.NDArray[Any]:
    """``[count, size]``: views of ``pool`` (one-dimensional), ``step`` items from one to the next."""
    every = np.lib.stride_tricks.sliding_window_view(pool, size)
    return every[::step][:count]


@cache
def _codes(fmt: Format, size: int) -> npt.NDArray[np.uint8]:
    """``size`` bytes of packed random codes of ``fmt``."""
    cols = 64 * _WORDS
    rows = trits.LANES * -(-size // trits.tile_bytes(fmt, cols))
    codes = np.random.default_rng(size).integers(fmt.low, fmt.high + 1, (rows, cols)).astype(np.int8)
    return trits.pack(codes, fmt).reshape(-1)[:size]


def _square(fmt: Format) -> float:
    """The mean square of the codes."""
    return float(np.mean(np.arange(fmt.low, fmt.high + 1) ** 2))


@cache
def _uniform(shape: tuple[int, int, int], scale: float) -> npt.NDArray[np.float16]:
    """Halves between 0.5 and 1.5 times ``scale``, windows of a pool."""
    tiles, *rest = shape
    pool = np.random.default_rng(tiles).uniform(0.5, 1.5, int(np.prod(rest)) + trits.LANES * tiles) * scale
    return _windows(pool.astype(np.float16), tiles, int(np.prod(rest)), trits.LANES).reshape(shape)


@cache
def _normal(shape: tuple[int, int, int], scale: float) -> npt.NDArray[np.float16]:
    tiles, *rest = shape
    pool = np.random.default_rng(tiles).standard_normal(int(np.prod(rest)) + trits.LANES * tiles, np.float32) * scale
    return _windows(pool.astype(np.float16), tiles, int(np.prod(rest)), trits.LANES).reshape(shape)
