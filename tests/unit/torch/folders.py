"""What tests of the bridge to transformers have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file

from tests.parity import prompt
from tests.tiny_models import hub_tensors, tiny_model, write_small_files
from tzcore.architecture.registry import spec_of
from tzcore.backend.cpu import CpuBackend
from tzcore.checkpoint import ModelFolder, safetensors


def token_ids(count: int) -> torch.Tensor:
    """``[1, count]``, the beginning of the tiny models' text."""
    return torch.from_numpy(prompt(count).astype(np.int64))[None]


def generated(model: Any, start: torch.Tensor, count: int) -> list[int]:
    """What ``generate`` says after ``start``, greedily."""
    with torch.no_grad():
        out = model.generate(start, max_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0)
    return out[0, start.shape[1] :].tolist()


def engine_says(path: Path, start: torch.Tensor, count: int) -> list[int]:
    """What the engine says after ``start``, greedily."""
    folder = ModelFolder.open(path)
    model = CpuBackend().load(folder, spec_of(folder, start.shape[1] + count))
    sequence = model.new_sequence(start.shape[1] + count)
    said: list[int] = []
    logits = model.forward(sequence, start[0].numpy().astype(np.int32), "last")
    while len(said) < count:
        said.append(int(logits[-1].argmax()))
        logits = model.forward(sequence, np.array(said[-1:], np.int32), "last")
    sequence.close()
    model.close()
    folder.close()
    return said


def contents(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every tensor of a model folder, and its table of matrices."""
    found: dict[str, npt.NDArray[Any]] = {}
    for shard in sorted(path.glob("*.safetensors")):
        mapped = safetensors.map_file(shard)
        for name, info in safetensors.read_header(shard).tensors.items():
            found[name] = np.array(safetensors.view(mapped, info))
    return found


def assert_same_folder(one: Path, other: Path) -> None:
    """The same matrices and vectors, to the byte, stored in the same way."""
    opened, again = ModelFolder.open(one), ModelFolder.open(other)
    assert opened.quantization == again.quantization
    wanted, found = contents(one), contents(other)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert value.dtype == found[name].dtype
        assert np.array_equal(value, found[name]), name


def original(folder: Path, family: str, **changes: Any) -> Path:
    """A checkpoint of floats, as the hub has them, with random weights."""
    model = tiny_model(family, **changes)
    write_small_files(folder)
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    tensors = {name: value.astype(np.float16) for name, value in hub_tensors(family, model).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
