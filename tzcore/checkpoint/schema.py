"""What a model folder says about itself: the ``quantization_config`` of its ``config.json``.

A folder is a Hugging Face checkpoint in layout: ``config.json`` (the original's, plus
``quantization_config``), ``*.safetensors`` with ``model.safetensors.index.json``,
``tokenizer.json``, ``tokenizer_config.json``, ``chat_template.jinja`` (where the model has one),
``generation_config.json`` and ``receipt.json``.

A quantised matrix ``NAME.weight`` of the original is stored as ``NAME.codes`` and
``NAME.scales`` (see :mod:`tzcore.trits` for the bytes); an ``f16`` matrix as ``NAME.codes``
alone.  Everything else (norms, biases) keeps its name and is stored as float32.  A matrix
whose input is transformed names its signs, an int8 vector of ±1 with one entry a column;
matrices fed by the same input (q, k and v; gate and up) share one signs tensor.

``activations`` is one of :data:`Activations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tzcore.errors import CheckpointError
from tzcore.trits import GROUPS, Format, format_named

METHOD = "ternary_zero"
VERSION = 2

Activations = Literal["group", "token"]
"""How the blocks' quantised projections round their inputs to int8: with a scale for each group of
columns, or with one for each token, in networks that were trained so."""


@dataclass(frozen=True)
class Transform:
    """x ↦ H·(signs ⊙ x)/√block on each run of ``block`` columns, H the Sylvester–Hadamard matrix.

    The stored matrix is the original times the inverse, so that the product is unchanged.
    ``block`` is a power of two that divides the width.
    """

    block: int
    signs: str


@dataclass(frozen=True)
class MatrixEntry:
    """How the matrix ``name`` (without ``.weight``) is stored.  ``group`` is 0 for ``f16``.

    ``gain`` is a float32 that multiplies the whole product: a matrix of one scale, as networks that
    were trained ternary have, keeps it there to the last bit (group scales are fp16) and has group
    scales of 1.
    """

    name: str
    rows: int
    cols: int
    format: Format
    group: int
    transform: Transform | None = None
    gain: float = 1.0

    def as_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"shape": [self.rows, self.cols], "format": self.format.name}
        if self.group:
            entry["group"] = self.group
        if self.transform:
            entry["hadamard"] = {"block": self.transform.block, "signs": self.transform.signs}
        if self.gain != 1:
            entry["gain"] = self.gain
        return entry

    @classmethod
    def from_json(cls, name: str, raw: object) -> MatrixEntry:
        """Parse one entry; anything missing, mistyped or out of range names the matrix."""
        try:
            assert isinstance(raw, dict)
            rows, cols = (int(n) for n in raw["shape"])
            fmt = format_named(raw["format"])
            group = int(raw.get("group", 0))
            hadamard = raw.get("hadamard")
            transform = Transform(int(hadamard["block"]), str(hadamard["signs"])) if hadamard else None
            gain = float(raw.get("gain", 1.0))
        except CheckpointError as error:
            raise CheckpointError(f"{name}: {error}") from None
        except (AssertionError, KeyError, TypeError, ValueError):
            raise CheckpointError(f"{name}: its entry in quantization_config is malformed") from None
        if rows < 1 or cols < 1 or rows > 1 << 24 or cols > 1 << 24:
            raise CheckpointError(f"{name}: impossible shape {rows} × {cols}")
        if group not in ((0,) if fmt.packing == "half" else GROUPS):
            raise CheckpointError(f"{name}: group size {group} is not supported")
        if transform and (transform.block & (transform.block - 1) or transform.block < 2 or cols % transform.block):
            raise CheckpointError(f"{name}: a Hadamard block of {transform.block} does not fit {cols} columns")
        if not 0 < gain < float(np.finfo(np.float32).max) or float(np.float32(gain)) != gain:
            raise CheckpointError(f"{name}: a gain of {gain} is not a positive float32")
        return cls(name, rows, cols, fmt, group, transform, gain)


def read_activations(raw: dict[str, Any]) -> Activations:
    """The ``activations`` of a ``quantization_config``; CheckpointError for a kind that is not known."""
    found: Activations = raw.get("activations", "group")
    if found not in get_args(Activations):
        raise CheckpointError(f"this folder has activations by {found!r}, which this program does not know: update it")
    return found


@dataclass(frozen=True)
class Quantization:
    """The whole ``quantization_config``: one entry a matrix, keyed by name without ``.weight``."""

    matrices: dict[str, MatrixEntry]
    activations: Activations = "group"

    def as_json(self) -> dict[str, Any]:
        return {
            "quant_method": METHOD,
            "version": VERSION,
            "activations": self.activations,
            "tensors": {name: entry.as_json() for name, entry in sorted(self.matrices.items())},
        }

    @classmethod
    def from_json(cls, raw: object) -> Quantization:
        if not isinstance(raw, dict) or raw.get("quant_method") != METHOD:
            raise CheckpointError("this folder was not written by tz convert (no ternary_zero quantization_config)")
        if raw.get("version") != VERSION:
            raise CheckpointError(
                f"this folder has format version {raw.get('version')!r}, this program reads {VERSION}: "
                "remove it (tz rm) and convert the model again, or update the program"
            )
        tensors = raw.get("tensors")
        if not isinstance(tensors, dict):
            raise CheckpointError("quantization_config has no table of tensors")
        activations = read_activations(raw)
        entries = {str(name): MatrixEntry.from_json(str(name), entry) for name, entry in tensors.items()}
        return cls(entries, activations)
