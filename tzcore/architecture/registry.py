"""Finds a model's family by its ``model_type`` and reads its spec."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tzcore.architecture import gemma, llama, mistral, phi, qwen
from tzcore.architecture.config import Config
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.schema import METHOD
from tzcore.errors import CheckpointError, SourceError, UnsupportedModelError

_FAMILIES: dict[str, Callable[[Config, Tensors, int | None], ModelSpec]] = {
    "llama": llama.spec,
    "mistral": mistral.spec,
    "qwen2": qwen.qwen2,
    "qwen3": qwen.qwen3,
    "gemma2": gemma.gemma2,
    "gemma3": gemma.gemma3,
    "gemma3_text": gemma.gemma3_text,
    "phi3": phi.spec,
}

SUPPORTED: tuple[str, ...] = tuple(_FAMILIES)
"""The supported values of ``model_type``."""


def read_spec(config: dict[str, Any], names: Collection[str], context: int | None = None) -> ModelSpec:
    """Describe the model that ``config`` (a ``config.json``) and its tensor ``names`` make up.

    ``names`` are the original's (``….weight``).  ``context`` is the planned context in tokens:
    some rotary scalings depend on it; ``None`` plans for the longest the model supports.

    UnsupportedModelError names an unknown family or a setting that is not implemented;
    SourceError names tensors that are missing.
    """
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        raise UnsupportedModelError(
            f"the model family {family!r} is not supported; supported are {', '.join(SUPPORTED)}"
        )
    quantised = config.get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    if quantised and method != METHOD:
        raise UnsupportedModelError(
            f"this checkpoint is already quantised ({method or 'unknown method'}); take the unquantised original"
        )
    if context is not None and context < 1:
        raise UnsupportedModelError(f"a context of {context} tokens is impossible")
    return _FAMILIES[family](Config(config, family), Tensors(names, family), context)


def names_of(folder: ModelFolder) -> set[str]:
    """The original's tensor names, from a converted folder."""
    matrices = folder.quantization.matrices
    parts = {f"{name}.{part}" for name in matrices for part in ("codes", "scales")}
    signs = {entry.transform.signs for entry in matrices.values() if entry.transform}
    return {f"{name}.weight" for name in matrices} | (folder.names() - parts - signs)


def spec_of(folder: ModelFolder, context: int | None = None) -> ModelSpec:
    """Describe a converted model.  Missing tensors are a CheckpointError."""
    try:
        return read_spec(folder.config, names_of(folder), context)
    except SourceError as error:
        raise CheckpointError(f"{folder.path}: {error}") from None
