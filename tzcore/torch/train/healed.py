"""The folder of a healed model: saved beside its place, with an account of the training, then moved there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tzcore import atomic
from tzcore.architecture.registry import spec_of
from tzcore.checkpoint import ModelFolder
from tzcore.checkpoint.reader import read_json
from tzcore.errors import ConversionError
from tzcore.torch.naming import module_name
from tzcore.torch.saving import save_model
from tzcore.torch.train.curve import NAME

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OF_THE_BASE = ("settings", "calibration", "licence", "original_bytes", "allocation")
"""What stays true of the model that was trained, and is told of the result as well."""


def modules_of(base: Path) -> dict[str, str]:
    """The stored matrix behind each layer of the model that :func:`tzcore.torch.folder.load_model` loads."""
    opened = ModelFolder.open(base)
    try:
        spec = spec_of(opened)
        return {module_name(spec, name): name for layer in spec.layers for name in layer.names()}
    finally:
        opened.close()


def write(
    model: PreTrainedModel, base: Path, final: Path, identifier: str, training: dict[str, Any], curve: Path
) -> Path:
    """Write ``model``, which was loaded from the folder ``base``, trained and converted, to ``final``; returns it.

    ``training`` becomes part of the receipt, the file ``curve`` of the folder.  ``final`` is there when it is whole.
    ConversionError where it is there already, StorageError for a full disk.
    """
    if final.exists():
        raise ConversionError(f"{final} exists already: remove it first, or choose another name")
    # The library takes a folder of this name for unfinished.
    beside = final.with_name(f"{final.name}.healed.partial")
    shutil.rmtree(beside, ignore_errors=True)
    save_model(model, beside)
    before, saved = read_json(base / "receipt.json"), read_json(beside / "receipt.json")
    told = {key: before[key] for key in _OF_THE_BASE if key in before}
    if isinstance(told.get("allocation"), dict):  # its prediction was of other codes
        told["allocation"] = {key: value for key, value in told["allocation"].items() if key != "predicted_kl"}
    receipt = {
        **told, **saved, "id": identifier, "encoding": before.get("encoding", saved["encoding"]),
        "training": {"base": before.get("id"), **training},
    }  # fmt: skip
    atomic.write(beside / NAME, [curve.read_bytes()])
    atomic.write_json(beside / "receipt.json", receipt)
    with atomic.storage_errors(final):
        os.replace(beside, final)
        atomic.sync_folder(final.parent)
    return final
