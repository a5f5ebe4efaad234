"""Opens a model folder: validated, memory-mapped, nothing copied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import trits
from tzcore.checkpoint import safetensors
from tzcore.checkpoint.schema import MatrixEntry, Quantization
from tzcore.errors import CheckpointError

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class StoredMatrix:
    """One quantised matrix as it lies on disk: zero-copy views of the map."""

    entry: MatrixEntry
    codes: npt.NDArray[Any]  # uint8 [tiles, tile_bytes], or float16 [tiles, padded cols, 16]
    scales: npt.NDArray[np.float16] | None  # [tiles, groups, 16]
    signs: npt.NDArray[np.int8] | None  # [cols], +1 or -1


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; missing or damaged is a CheckpointError that names it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: the model folder is not complete, convert the model again") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is damaged: it is not a JSON object")
    return value


class ModelFolder:
    """A model folder, open.  Arrays it hands out are views of its maps and keep them alive."""

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        quantization: Quantization,
        receipt: dict[str, Any],
        shards: list[Path],
    ) -> None:
        self.path = path
        self.config = config
        self.quantization = quantization
        self.receipt = receipt
        self._shards = shards
        self._maps = {shard: safetensors.map_file(shard) for shard in shards}
        self._tensors: dict[str, tuple[Path, safetensors.TensorInfo]] = {}

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        """Open and check ``path``: every entry has its tensors, every tensor the shape it must have."""
        path = Path(path)
        if not path.is_dir():
            raise CheckpointError(f"{path} is not a model folder")
        config = read_json(path / "config.json")
        try:
            quantization = Quantization.from_json(config.get("quantization_config"))
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        weight_map = read_json(path / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
            raise CheckpointError(f"{path / INDEX} is damaged: it has no weight_map")
        names = sorted(set(weight_map.values()))
        if any(Path(name).name != name for name in names):
            raise CheckpointError(f"{path / INDEX} points outside the model folder")
        folder = cls._mapped(path, config, quantization, [path / name for name in names])
        for name in weight_map:
            if name not in folder._tensors:
                raise CheckpointError(f"{path}: tensor {name} is missing from {weight_map[name]}")
        for entry in quantization.matrices.values():
            folder.matrix(entry.name)
        return folder

    @classmethod
    def _mapped(cls, path: Path, config: dict[str, Any], quantization: Quantization, shards: list[Path]) -> ModelFolder:
        headers = {shard: safetensors.read_header(shard) for shard in shards}
        folder = cls(path, config, quantization, read_json(path / "receipt.json"), shards)
        for shard, header in headers.items():
            for name, info in header.tensors.items():
                if name in folder._tensors:
                    raise CheckpointError(f"{path}: tensor {name} is stored twice")
                folder._tensors[name] = (shard, info)
        return folder

    def has(self, name: str) -> bool:
        """Whether a stored tensor, or a matrix (name without ``.weight``), is there."""
        return name in self._tensors or name in self.quantization.matrices

    def names(self) -> set[str]:
        """The stored tensors' names."""
        return set(self._tensors)

    def _tensor(self, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if name not in self._tensors:
            raise CheckpointError(f"{self.path}: tensor {name} is missing; convert the model again")
        shard, info = self._tensors[name]
        if (info.dtype, info.shape) != (dtype, shape):
            raise CheckpointError(
                f"{self.path}: tensor {name} is {info.dtype} {list(info.shape)}, expected {dtype} {list(shape)}"
            )
        return safetensors.view(self._maps[shard], info)

    def matrix(self, name: str) -> StoredMatrix:
        """The matrix ``name`` (without ``.weight``)."""
        entry = self.quantization.matrices.get(name)
        if entry is None:
            raise CheckpointError(f"{self.path}: matrix {name} is missing; convert the model again")
        count = trits.tiles(entry.rows)
        if entry.format.packing == "half":
            codes = self._tensor(f"{name}.codes", "F16", (count, trits.padded(entry.cols), trits.LANES))
            scales = None
        else:
            codes = self._tensor(f"{name}.codes", "U8", (count, trits.tile_bytes(entry.format, entry.cols)))
            shape = (count, trits.groups(entry.cols, entry.group), trits.LANES)
            scales = self._tensor(f"{name}.scales", "F16", shape)
        signs = None
        if entry.transform:
            signs = self._tensor(entry.transform.signs, "I8", (entry.cols,))
            if not (np.abs(signs) == 1).all():
                raise CheckpointError(f"{self.path}: {entry.transform.signs} holds something else than ±1")
        return StoredMatrix(entry, codes, scales, signs)

    def vector(self, name: str) -> npt.NDArray[np.float32]:
        """A float32 vector (norm weight, bias) by its full name."""
        shape = self._tensors[name][1].shape if name in self._tensors else ()
        array = self._tensor(name, "F32", shape)
        if array.ndim != 1 or not np.isfinite(array).all():
            raise CheckpointError(f"{self.path}: {name} is not a vector of finite numbers")
        return array

    def verify(self) -> None:
        """Compare every shard with the SHA-256 in the receipt; CheckpointError names the bad one."""
        recorded = self.receipt.get("shards", {})
        for shard in self._shards:
            with open(shard, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != recorded.get(shard.name):
                raise CheckpointError(f"{shard} is damaged (its SHA-256 is not the receipt's): convert the model again")

    def bytes(self) -> int:
        """Bytes of all shards on disk."""
        return sum(len(mapped) for mapped in self._maps.values())

    def close(self) -> None:
        """Let go of the maps.  They stay mapped as long as an array handed out is alive."""
        self._maps.clear()
        self._tensors.clear()


def dequantised(stored: StoredMatrix) -> npt.NDArray[np.float32]:
    """The stored matrix as float32 ``[rows, cols]``, its gain included; a transform is not undone."""
    entry = stored.entry
    if stored.scales is None:
        weights = trits.unpack_half(stored.codes, entry.rows, entry.cols)
    else:
        codes = trits.unpack(stored.codes, entry.format, entry.rows, entry.cols)
        weights = trits.dequantise(codes, trits.unpack_scales(stored.scales, entry.rows), entry.group)
    return weights if entry.gain == 1 else weights * np.float32(entry.gain)
