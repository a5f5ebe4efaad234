"""From a ternarised model to one that trains, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from tzcore import atomic
from tzcore.errors import TrainingError
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.train.latent import LatentLinear

Mode = Literal["latents", "scales", "lora"]
Model = TypeVar("Model", bound=nn.Module)
Original = Callable[[str], torch.Tensor]
"""The float weights ``[rows, cols]`` of a layer, by its name in the model (``model.layers.0.self_attn.q_proj``)."""

HEADS = ("lm_head",)
"""Layers that stay as they are: a head of 8 bits gains nothing."""

STATE = "model.safetensors"


def prepare(
    model: Model,
    *,
    mode: Mode = "latents",
    scales: Literal["learned", "statistical"] = "learned",
    original: Original | None = None,
    rank: int = 16,
    leave: tuple[str, ...] = HEADS,
    seed: int = 0,
) -> Model:
    """Make ``model`` trainable, in place: its :class:`TernaryLinear` layers become :class:`LatentLinear` ones.

    ``mode``: ``latents`` trains codes, scales, norms and biases; ``lora`` the same with codes that move in ``rank``
    directions, for models whose latents do not fit; ``scales`` only scales, norms and biases, with the layers' codes
    untouched.  ``original`` gives the weights that were rounded, so that each latent starts on the side of its code
    where they lie.  Embeddings, heads (``leave``) and all else are frozen.  The model computes what it computed before,
    to the bit.  TrainingError where there is nothing to train.
    """
    if mode == "scales" and scales == "statistical":
        raise TrainingError("statistical scales follow latents: with mode='scales' there are none that move")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    found = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, TernaryLinear)]
    chosen = [(name, layer) for name, layer in found if name.rpartition(".")[2] not in leave and layer.fmt != "f16"]
    if not chosen:
        raise TrainingError(
            "this model has no ternary layers to train: convert it, or call tzcore.torch.ternarize first"
        )
    for count, (name, layer) in enumerate(chosen):
        weights = None if original is None or mode == "scales" else partial(original, name)
        try:
            thin = rank if mode == "lora" else 0
            made = LatentLinear.of(
                layer, weights, statistical=scales == "statistical", rank=thin, fixed=mode == "scales",
                seed=seed + count,
            )  # fmt: skip
        except TrainingError as error:
            raise TrainingError(f"{name}: {error}") from None
        _put(model, name, made)
    for vector in _vectors(model):
        vector.requires_grad_(True)
    _tell(model, quantised=False)
    return model


def convert(model: Model) -> Model:
    """Make codes of latents, in place: what :func:`prepare` began.  The forward stays the same, to the bit."""
    for name, layer in [(n, m) for n, m in model.named_modules() if isinstance(m, LatentLinear)]:
        _put(model, name, layer.to_ternary())
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    _tell(model, quantised=True)
    return model


def save_state(model: nn.Module, folder: Path) -> None:
    """Write the parameters of a model in training to ``folder``, in the file that transformers' Trainer resumes from.

    It is no model that can be loaded, and has no ``config.json``: :func:`convert` makes one.  StorageError where there
    is no room.
    """
    from safetensors.torch import save_file

    # The format refuses two names of the same memory, which tied or shared vectors are.
    tensors, seen = {}, set[int]()
    for name, tensor in model.state_dict().items():
        again = tensor.untyped_storage().data_ptr() in seen
        seen.add(tensor.untyped_storage().data_ptr())
        tensors[name] = tensor.clone() if again else tensor.contiguous()
    with atomic.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{STATE}.partial"
        save_file(tensors, beside, metadata={"format": "pt"})
        beside.replace(folder / STATE)


def parameter_groups(
    model: nn.Module, rate: float = 8e-3, *, scales: float = 0.05, vectors: float = 0.05
) -> list[dict[str, object]]:
    """Groups for an optimiser of torch: latents learn at ``rate`` (levels a step of Adam), ratios of scales at
    ``rate · scales``, norms and biases at ``rate · vectors``; none decays, since latents have no zero to go to."""
    layers = [m for m in model.modules() if isinstance(m, LatentLinear)]
    of_latents = [p for m in layers for n, p in m.named_parameters(recurse=False) if n in ("latents", "up", "down")]
    of_scales = [m.ratio for m in layers if not m.statistical]
    taken = {id(p) for p in [*of_latents, *of_scales]}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {"params": [p for p in of_latents if p.requires_grad], "lr": rate, "weight_decay": 0.0},
        {"params": of_scales, "lr": rate * scales, "weight_decay": 0.0},
        {"params": others, "lr": rate * vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _vectors(model: nn.Module) -> list[nn.Parameter]:
    """Norms' weights and biases: the parameters of one dimension."""
    return [p for p in model.parameters() if p.ndim == 1 and p.is_floating_point()]


def _tell(model: nn.Module, *, quantised: bool) -> None:
    """Let transformers know: codes it neither trains nor converts to another type, latents are as any floats."""
    if getattr(model, "hf_quantizer", None) is not None:
        model.is_quantized = quantised


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    """In the place of the module ``name``."""
    parent, _, last = name.rpartition(".")
    layer.train(model.training)
    setattr(model.get_submodule(parent), last, layer)
