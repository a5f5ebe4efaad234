"""How near a backend's logits come to transformers' own model, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tests import tiny_models
from tzcore.architecture.registry import spec_of
from tzcore.backend.base import Backend
from tzcore.checkpoint import ModelFolder, dequantised
from tzcore.hadamard import unrotate

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Distance:
    """``difference``: max |Δlogit| over the standard deviation of the wanted logits.

    ``kl``: mean over positions of KL(wanted ‖ got) in nats.
    """

    difference: float
    kl: float


def distance(got: Floats, wanted: Floats) -> Distance:
    """Compare two sets of logits ``[n, vocabulary]``."""
    assert got.shape == wanted.shape
    p, q = (_log_softmax(logits.astype(np.float64)) for logits in (wanted, got))
    kl = (np.exp(p) * (p - q)).sum(-1).mean()
    return Distance(float(np.abs(got - wanted).max() / wanted.std()), float(kl))


def _log_softmax(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def prompt(tokens: int) -> npt.NDArray[np.int32]:
    """The first ``tokens`` tokens of the tiny models' own text."""
    return np.array(tiny_models.tokenizer().encode(tiny_models.TEXT).ids[:tokens], np.int32)


def transformers_logits(model: Any, tokens: npt.NDArray[np.int32]) -> Floats:
    """``[n, vocabulary]`` from transformers, in one prefill."""
    with torch.no_grad():
        logits: Floats = model(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0].numpy()
    return logits


def backend_logits(backend: Backend, path: Path, tokens: npt.NDArray[np.int32]) -> Floats:
    """``[n, vocabulary]`` from a backend, planned for just this context."""
    folder = ModelFolder.open(path)
    model = backend.load(folder, spec_of(folder, len(tokens)))
    sequence = model.new_sequence(len(tokens))
    logits = model.forward(sequence, tokens, "all")
    sequence.close()
    model.close()
    folder.close()
    return logits


def put_folder_into(model: Any, family: str, path: Path) -> None:
    """Replace the model's matrices by the folder's dequantised ones, transforms undone in float64.

    Where the folder's projections round their inputs by token, so do the model's afterwards, by
    transformers' own layer for it.
    """
    folder = ModelFolder.open(path)
    spec = spec_of(folder)
    projections = {ref.name for layer in spec.layers for stage in layer.stages() for ref in stage}
    targets = tiny_models.hub_parts(family, model)
    with torch.no_grad():
        for name in folder.quantization.matrices:
            stored = folder.matrix(name)
            weights = dequantised(stored).astype(np.float64)
            if stored.signs is not None and stored.entry.transform:
                weights = unrotate(weights, stored.signs, stored.entry.transform.block)
            targets[f"{name}.weight"].copy_(torch.from_numpy(weights.astype(np.float32)))
            if spec.activations == "token" and stored.scales is not None and name in projections:
                round_inputs(model, name)
    folder.close()


def round_inputs(model: Any, name: str) -> None:
    """Make the linear layer ``name`` one of transformers' that rounds its inputs by token, weights unchanged."""
    from transformers.integrations.bitnet import AutoBitLinear

    torch.compiler.set_stance("force_eager")  # its functions are marked to be compiled
    old = model.get_submodule(name)
    new = AutoBitLinear(old.in_features, old.out_features, bias=old.bias is not None, dtype=torch.float32)
    with torch.no_grad():
        new.weight.copy_(old.weight)
        if old.bias is not None:
            new.bias.copy_(old.bias)
    model.set_submodule(name, new)
