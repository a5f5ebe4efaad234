"""A model folder as a transformers model: the engine's numbers, the engine's words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.parity import backend_logits, distance, prompt, transformers_logits
from tests.tiny_models import FAMILIES, tiny_folder
from tests.unit.torch.folders import engine_says, generated, token_ids
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.errors import CheckpointError, UnsupportedModelError
from tzcore.torch import TernaryLinear, load_model


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_engines(tmp_path: Path, family: str) -> None:
    """Up to the rounding of inputs to int8, which a last bit of a norm's sum can turn to the other side."""
    path = tiny_folder(tmp_path / "m", family, "t2", "i8")
    model = load_model(path)
    logits = transformers_logits(model, prompt(24))
    assert distance(logits, backend_logits(ReferenceBackend("int8"), path, prompt(24))).kl < 5e-4


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3", "phi3_longrope", "granite", "mixtral", "qwen3_moe"])
def test_greedy_text_is_the_engines(tmp_path: Path, family: str) -> None:
    """To the last token where no input is rounded."""
    path = tiny_folder(tmp_path / "m", family, "f16", "f16")
    start = token_ids(20)
    assert generated(load_model(path), start, 12) == engine_says(path, start, 12)


def test_every_projection_has_the_folders_bytes(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "bitnet", "t1", "i8")
    model, folder = load_model(path), ModelFolder.open(path)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, TernaryLinear)}
    for name, layer in layers.items():
        stored = folder.matrix("model.embed_tokens" if name == "lm_head" else name)
        assert np.array_equal(layer.codes.numpy(), stored.codes)
        assert np.array_equal(layer.scales.numpy(), stored.scales)
        assert (layer.signs is None) == (stored.signs is None)
        assert layer.activations == ("group" if name == "lm_head" else "token")
    assert len(layers) == len(folder.quantization.matrices)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


def test_other_types(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "qwen3", "t1", "i8")
    model = load_model(path, torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        logits = model(token_ids(12)).logits[0].float().numpy()
    assert distance(logits, backend_logits(ReferenceBackend("int8"), path, prompt(12))).kl < 0.05


def test_gradients_reach_what_has_them(tmp_path: Path) -> None:
    model = load_model(tiny_folder(tmp_path / "m", "biased", "t1", "i8"))
    ids = token_ids(8)
    model(ids, labels=ids).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_generation_ends_where_the_folder_says(tmp_path: Path) -> None:
    model = load_model(tiny_folder(tmp_path / "m", "llama", "t1", "i8"))
    assert model.generation_config.eos_token_id == 1


def test_a_truncated_folder_is_refused(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    shard = path / "model-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="model-00001"):
        load_model(path)
    shard.unlink()
    with pytest.raises(CheckpointError, match="model-00001"):
        load_model(path)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    config = json.loads((path / "config.json").read_text())

    def change(**changes: object) -> None:
        (path / "config.json").write_text(json.dumps({**config, **changes}))

    change(quantization_config={**config["quantization_config"], "version": 1})
    with pytest.raises(CheckpointError, match="version 1"):
        load_model(path)
    change(quantization_config=None)
    with pytest.raises(CheckpointError, match="tz convert"):
        load_model(path)
    change(model_type="mamba")
    with pytest.raises(UnsupportedModelError, match="mamba"):
        load_model(path)
    with pytest.raises(CheckpointError, match="not a model folder"):
        load_model(tmp_path / "nothing")
