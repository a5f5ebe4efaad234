"""Finds a model's family by its ``model_type`` and reads its spec."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from tzcore.architecture import bitnet, gemma, granite, llama, mistral, phi, qwen, smollm
from tzcore.architecture.config import Config
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.schema import METHOD, Activations, read_activations
from tzcore.checkpoint.source import WeightSource
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
    "bitnet": bitnet.spec,
    "granite": granite.spec,
    "smollm3": smollm.smollm3,
    "mixtral": mistral.mixtral,
    "qwen3_moe": qwen.qwen3_moe,
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
    activations = _activations(config)
    if context is not None and context < 1:
        raise UnsupportedModelError(f"a context of {context} tokens is impossible")
    spec = _FAMILIES[family](Config(config, family), Tensors(names, family), context)
    return replace(spec, activations=activations)


def _activations(config: dict[str, Any]) -> Activations:
    """How the network's projections round their inputs.

    Networks trained ternary (``model_type`` bitnet, or another with weights by the method
    ``bitnet`` of transformers) have one scale a token.
    """
    quantised = config.get("quantization_config")
    if not quantised:
        return "token" if config.get("model_type") == "bitnet" else "group"
    stated = Config(quantised if isinstance(quantised, dict) else {}, "quantization_config")
    method = stated.get("quant_method")
    if method == METHOD:
        return read_activations(stated.raw)
    if method != "bitnet":
        raise UnsupportedModelError(
            f"this checkpoint is already quantised ({method or 'unknown method'}); take the unquantised original"
        )
    stated.must_be_off("use_rms_norm")  # a norm with weights of its own before every projection
    left = stated.get("modules_to_not_convert") or []
    if not isinstance(left, list) or not set(left) <= {"lm_head", "embed_tokens", "model.embed_tokens"}:
        raise stated.refuse("modules_to_not_convert", left)
    return "token"


def names_of(folder: ModelFolder) -> set[str]:
    """The original's tensor names, from a converted folder."""
    matrices = folder.quantization.matrices
    parts = {f"{name}.{part}" for name in matrices for part in ("codes", "scales")}
    signs = {entry.transform.signs for entry in matrices.values() if entry.transform}
    return {f"{name}.weight" for name in matrices} | (folder.names() - parts - signs)


def spec_of(folder: ModelFolder, context: int | None = None) -> ModelSpec:
    """Describe a converted model.  Missing tensors, or tensors of other shapes, are a CheckpointError."""
    try:
        spec = read_spec(folder.config, names_of(folder), context)
    except SourceError as error:
        raise CheckpointError(f"{folder.path}: {error}") from None
    check_folder(folder, spec)
    return spec


def check_folder(folder: ModelFolder, spec: ModelSpec) -> None:
    """Check that the folder's tensors have the shapes ``spec`` says; CheckpointError names the first that has not."""

    def shape(name: str) -> tuple[int, ...]:
        entry = folder.quantization.matrices.get(name.removesuffix(".weight"))
        return (entry.rows, entry.cols) if entry else folder.vector(name).shape

    problem = misfit(spec, shape)
    if problem:
        raise CheckpointError(f"{folder.path}: {problem}")


def check_source(source: WeightSource, spec: ModelSpec) -> None:
    """Check an original's tensors in the same way; SourceError names the first that does not fit."""
    problem = misfit(spec, source.shape)
    if problem:
        raise SourceError(f"{source.id}: {problem}")


def misfit(spec: ModelSpec, shape: Callable[[str], tuple[int, ...]]) -> str | None:
    """What is wrong with the first tensor whose shape is not the spec's; ``shape`` takes original names."""
    wanted: dict[str, tuple[int, ...]] = {f"{name}.weight": size for name, size in spec.matrices().items()}
    wanted.update({name: (length,) for name, length in spec.vectors().items()})
    for name, size in wanted.items():
        found = tuple(shape(name))
        if found != size:
            return f"{name} has the shape {list(found)}, and by config.json it should have {list(size)}"
    return None
