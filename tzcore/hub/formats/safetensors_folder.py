"""A Hugging Face model folder: ``config.json``, a tokenizer, and weights as safetensors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import SourceError
from tzcore.hub.formats.safetensors_values import StoredTensor, read_header, read_tensor

INDEX = "model.safetensors.index.json"
CARRIED = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")
_PICKLE = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class SafetensorsFolder:
    """The folder as a weight source.  All headers are read and checked when it is opened."""

    def __init__(self, folder: Path, source_id: str, revision: str, licence: str) -> None:
        self.id, self.revision, self.licence = source_id, revision, licence
        self.config: dict[str, Any] = read_config(folder)
        self.files: dict[str, Path] = carried_files(folder)
        self._tensors: dict[str, StoredTensor] = {}
        for shard in weight_files(folder):
            for name, tensor in read_header(shard).items():
                if name in self._tensors:
                    raise SourceError(f"{name} is stored twice: in {self._tensors[name].file.name} and {shard.name}")
                self._tensors[name] = tensor
        check_index(folder, self._tensors)

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def stored(self, name: str) -> StoredTensor:
        """Where the tensor lies; a missing one is a SourceError."""
        try:
            return self._tensors[name]
        except KeyError:
            raise SourceError(f"{self.id} has no tensor {name}; its files are incomplete") from None

    def shape(self, name: str) -> tuple[int, ...]:
        return self.stored(name).shape

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        return read_tensor(self.stored(name))

    def bytes(self) -> int:
        return sum(tensor.length for tensor in self._tensors.values())

    def close(self) -> None:
        """Nothing is held open between reads."""


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's ``config.json``; SourceError where it is missing or damaged."""
    path = folder / "config.json"
    if not path.is_file():
        raise SourceError(f"{folder} has no config.json, so it is not a model folder")
    return _json_object(path)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise SourceError(f"{path} is not valid JSON: damaged or cut off")
    return content


def carried_files(folder: Path) -> dict[str, Path]:
    """The small files to take into a converted folder; a missing ``tokenizer.json`` is a SourceError."""
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        old = " (a tokenizer.model alone is not enough)" if (folder / "tokenizer.model").is_file() else ""
        raise SourceError(f"{folder} has no tokenizer.json{old}; save the tokenizer with transformers once to get it")
    if "model" not in _json_object(tokenizer):
        raise SourceError(f"{tokenizer} is not a tokenizer: it has no 'model'")
    return {name: folder / name for name in CARRIED if (folder / name).is_file()}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model; SourceError names what is missing."""
    index = folder / INDEX
    if index.is_file():
        shards = [folder / name for name in sorted(set(_weight_map(index).values()))]
        if lost := [shard.name for shard in shards if not shard.is_file()]:
            raise SourceError(f"{folder} lacks {', '.join(lost[:3])}, which its {INDEX} names; download it again")
        return shards
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    found = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("adapter"))
    if len(found) == 1:
        return found
    if found:
        raise SourceError(f"{folder} has several safetensors files and no {INDEX} that says which belong together")
    if any(True for pattern in _PICKLE for _ in folder.glob(pattern)):
        raise SourceError(
            f"{folder} holds pickle weights only, which can run code when opened, so they are never loaded; "
            "save the model as safetensors with transformers, or download such a version"
        )
    if (folder / "adapter_config.json").is_file():
        raise SourceError(f"{folder} is an adapter (LoRA), not a whole model; merge it into its base model first")
    raise SourceError(f"{folder} holds no *.safetensors files")


def _weight_map(index: Path) -> dict[str, str]:
    table = _json_object(index).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise SourceError(f"{index} is damaged: it has no weight_map")
    for name in table.values():
        if not name.endswith(".safetensors") or Path(name).name != name:
            raise SourceError(f"{index} names the unusable file {name!r}")
    return table


def check_index(folder: Path, tensors: dict[str, StoredTensor]) -> None:
    """SourceError unless every tensor that the folder's index names is among ``tensors``."""
    index = folder / INDEX
    if not index.is_file():
        return
    for name, shard in _weight_map(index).items():
        if name not in tensors:
            raise SourceError(f"{folder / shard} lacks {name}, which {INDEX} says is in it; download it again")
