"""A model folder as a transformers model, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from tzcore.architecture.registry import names_of, spec_of
from tzcore.architecture.spec import LayerSpec, MatrixRef, ModelSpec
from tzcore.checkpoint import ModelFolder
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.errors import CheckpointError
from tzcore.torch.experts import Expert, TernaryExperts
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.naming import Origin, configuration, module_name, put_module, root_of, weights_of
from tzcore.torch.saving import save_model

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def load_model(folder: Path | str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The model in ``folder``, which ``tz convert`` wrote, as transformers' class for it, in evaluation mode.

    Projections and head are :class:`TernaryLinear` with the folder's own codes; the embedding is the stored
    one as floats, and it, norms and biases are of ``dtype``.  CheckpointError for a folder that is damaged, or of
    another version; UnsupportedModelError for a family that transformers has no class for.
    """
    from transformers import AutoModelForCausalLM

    opened = ModelFolder.open(Path(folder))
    spec_of(opened)
    config = configuration(opened.config)
    config.quantization_config = opened.quantization.as_json()
    opened.close()
    with _no_bar():
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype)
    return model


@contextmanager
def _no_bar() -> Iterator[None]:
    """transformers' progress would be that of a few norms: the rest is put in at the end."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def adopt(model: PreTrainedModel, folder: ModelFolder) -> None:
    """Let a model that was filled from ``folder`` know it, and be saved as it came."""
    from tzcore.torch.quantizer import TernaryConfig, TernaryQuantizer

    config = {key: value for key, value in folder.config.items() if key != "quantization_config"}
    model.ternary_origin = Origin(folder.path, config, frozenset(names_of(folder)))
    # The head is a layer with codes of its own, which no embedding can be tied to.
    model.config.tie_word_embeddings = False
    model.all_tied_weights_keys = {}
    stated = TernaryConfig(**folder.quantization.as_json())
    model.config.quantization_config = stated
    model.hf_quantizer = TernaryQuantizer(stated)
    model.hf_quantizer.attach(model)


def skeleton(config: PretrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """A causal language model without memory for its weights, for whoever fills it with others than a folder's; tables
    that it computes itself are real."""
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    with init_empty_weights(include_buffers=False), no_init_weights():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model


def fill(model: PreTrainedModel, folder: ModelFolder, spec: ModelSpec, dtype: torch.dtype) -> None:
    """Put the folder's weights in place of the model's, which may lie on the meta device."""
    kind, root = folder.quantization.activations, root_of(model)
    vectors = {module_name(spec, name, root): folder.vector(name) for name in spec.vectors()}
    values: dict[str, torch.Tensor] = {
        name: torch.from_numpy(array.copy()).to(dtype) for name, array in vectors.items()
    }

    def layer_of(ref: MatrixRef, activations: str = kind) -> TernaryLinear:
        bias = values.pop(f"{module_name(spec, ref.name, root)}.bias", None)
        return stored_linear(folder.matrix(ref.name), bias, activations)

    for layer in spec.layers:
        for ref in dense_matrices(layer):
            put_module(model, module_name(spec, ref.name, root), layer_of(ref))
        if layer.router is not None:
            router = module_name(spec, layer.router.matrix.name, root)
            values[f"{router}.weight"] = weights_of(folder.matrix(layer.router.matrix.name)).to(dtype)
            experts = router.removesuffix("gate") + "experts"
            made = [Expert(*map(layer_of, (e.gate, e.up, e.down))) for e in layer.experts]
            put_module(model, experts, TernaryExperts(made, model.get_submodule(experts).act_fn))
    # The head's input has a scale for each group even in networks whose blocks have one for each token.
    put_module(model, "lm_head", layer_of(spec.head, "group"))
    embedding = module_name(spec, spec.embedding.name, root)
    values[f"{embedding}.weight"] = weights_of(folder.matrix(spec.embedding.name)).to(dtype)
    scale_embedding(model.get_submodule(embedding), spec)
    for name, value in values.items():
        put_parameter(model, name, value)
    left = [name for name, tensor in _tensors(model) if tensor.is_meta]
    if left:
        raise CheckpointError(f"{folder.path}: transformers' model has weights that the folder lacks: {left[0]}")


def stored_linear(stored: StoredMatrix, bias: torch.Tensor | None, activations: str = "group") -> TernaryLinear:
    """The layer of a stored matrix, with a copy of its codes: the folder can be closed, moved or deleted."""
    entry = stored.entry
    with torch.device("meta"):
        made = TernaryLinear(
            entry.cols, entry.rows, False, fmt=entry.format.name, group=entry.group or 128,
            block=entry.transform.block if entry.transform else 0, gain=entry.gain, activations=activations,
        )  # fmt: skip
    made.codes = torch.from_numpy(stored.codes.copy())
    made.scales = None if stored.scales is None else torch.from_numpy(stored.scales.copy())
    made.signs = None if stored.signs is None else torch.from_numpy(stored.signs.copy())
    made.bias = None if bias is None else nn.Parameter(bias)
    return made


def hollow(model: PreTrainedModel, spec: ModelSpec) -> None:
    """Take out every module that :func:`fill` puts in, so that nobody makes or draws weights for it meanwhile."""
    root = root_of(model)
    for layer in spec.layers:
        for ref in dense_matrices(layer):
            put_module(model, module_name(spec, ref.name, root), nn.Identity())
        if layer.router is not None:
            experts = module_name(spec, layer.router.matrix.name, root).removesuffix("gate") + "experts"
            put_module(model, experts, TernaryExperts([], model.get_submodule(experts).act_fn))
    put_module(model, "lm_head", nn.Identity())


def put_parameter(model: nn.Module, name: str, value: torch.Tensor) -> None:
    """Replace the parameter ``name``; CheckpointError where there is none of this shape."""
    parent, _, last = name.rpartition(".")
    try:
        module = model.get_submodule(parent)
        old = module.get_parameter(last)
    except AttributeError:
        raise CheckpointError(f"transformers' model has no parameter {name}: update transformers") from None
    if old.shape != value.shape:
        raise CheckpointError(f"{name} has the shape {list(value.shape)}, and transformers' has {list(old.shape)}")
    setattr(module, last, nn.Parameter(value, requires_grad=value.is_floating_point()))


def dense_matrices(layer: LayerSpec) -> list[MatrixRef]:
    """The matrices of a layer outside a mixture, each once: q, k and v can be parts of one."""
    experts = () if layer.router else layer.experts
    refs = (layer.q, layer.k, layer.v, layer.o, *(r for e in experts for r in (e.gate, e.up, e.down)))
    return list({ref.name: ref for ref in refs}.values())


def scale_embedding(embedding: nn.Module, spec: ModelSpec) -> None:
    """Gemma's models scale the embedding by a number of the type in which they were published, whatever
    type they are loaded in."""
    scale = getattr(embedding, "embed_scale", None)
    if isinstance(scale, torch.Tensor):
        embedding.embed_scale = torch.tensor(spec.embedding_scale, dtype=scale.dtype)
        embedding.scalar_embed_scale = spec.embedding_scale


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


__all__ = ["load_model", "save_model"]
