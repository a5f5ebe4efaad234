"""The folder of a healed model: the one it was trained from, with other codes, scales, norms and biases."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import tzcore
from tzcore.architecture.registry import spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint import FolderWriter, ModelFolder
from tzcore.checkpoint.reader import read_json
from tzcore.errors import TrainingError
from tzcore.quant.evaluation import small_files
from tzcore.torch.experts import PARTS
from tzcore.torch.folder import module_name
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.train.curve import NAME

_MARK = "healed from"
_OF_THE_BASE = ("quality", "output_error", "lossless", "bytes", "shards")
"""What a receipt says of codes that are not these any more."""
_NOT_FILES = {"config.json", "receipt.json", "model.safetensors.index.json", "fingerprint.json"}


def modules_of(spec: ModelSpec) -> dict[str, str]:
    """The module of a loaded model (:func:`tzcore.torch.folder.load_model`) for each stored matrix of the blocks."""
    found: dict[str, str] = {}
    for layer in spec.layers:
        for ref in (layer.q, layer.k, layer.v, layer.o):
            found[ref.name] = module_name(spec, ref.name)
        for number, expert in enumerate(layer.experts):
            refs = (expert.gate, expert.up, expert.down)
            if layer.router is None:
                found |= {ref.name: module_name(spec, ref.name) for ref in refs}
                continue
            owner = module_name(spec, layer.router.matrix.name).removesuffix("gate") + f"experts.{number}"
            found |= {ref.name: f"{owner}.{part}" for ref, part in zip(refs, PARTS, strict=True)}
    return found


def write(
    model: nn.Module, base: Path, final: Path, identifier: str, training: dict[str, Any], curve: Path
) -> Path:
    """Write ``model``, which was loaded from the folder ``base``, trained and converted, to ``final``; returns it.

    What does not train (embedding, head, routers, signs) is taken over byte by byte.  ``training`` becomes part of
    the receipt, the file ``curve`` of the folder.  ``final`` is there when it is whole.  ConversionError where it is
    there already, StorageError for a full disk.
    """
    opened = ModelFolder.open(base)
    try:
        spec = spec_of(opened)
        modules = modules_of(spec)
        _clear(final)
        writer = FolderWriter(final, {_MARK: opened.receipt.get("shards")})
        for name, entry in opened.quantization.matrices.items():
            stored = opened.matrix(name)
            codes, scales = stored.codes, stored.scales
            layer = model.get_submodule(modules[name]) if name in modules else None
            if isinstance(layer, TernaryLinear):
                if (layer.out_features, layer.in_features, layer.fmt) != (entry.rows, entry.cols, entry.format.name):
                    raise TrainingError(f"{modules[name]} is not the layer that {base} holds")
                codes, scales = layer.codes.numpy(), None if layer.scales is None else layer.scales.numpy()
            writer.add_matrix(entry, codes, scales)
            if entry.transform and stored.signs is not None and not writer.has(entry.transform.signs):
                writer.add_signs(entry.transform.signs, stored.signs)
        for name in spec.vectors():
            values = model.get_parameter(module_name(spec, name)).detach().float().numpy()
            writer.add_vector(name, np.ascontiguousarray(values))
        kept = {key: value for key, value in opened.receipt.items() if key not in _OF_THE_BASE}
        receipt = {
            **kept, "id": identifier, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "program": tzcore.__version__, "training": {"base": str(opened.receipt.get("id")), **training},
        }  # fmt: skip
        if isinstance(allocation := receipt.get("allocation"), dict):
            receipt["allocation"] = {key: value for key, value in allocation.items() if key != "predicted_kl"}
        config = {key: value for key, value in opened.config.items() if key != "quantization_config"}
        files = {name: path for name, path in small_files(base).items() if name not in _NOT_FILES}
        files[NAME] = curve
        return writer.finish(config, files, receipt, opened.quantization.activations)
    finally:
        opened.close()


def _clear(final: Path) -> None:
    """A killed run's beginning of the same folder goes: written anew it takes seconds."""
    partial = final.with_name(final.name + ".partial")
    if (partial / "fingerprint.json").exists() and _MARK in read_json(partial / "fingerprint.json"):
        shutil.rmtree(partial, ignore_errors=True)
