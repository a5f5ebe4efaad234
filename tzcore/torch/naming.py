"""What transformers calls the tensors that a model folder has under the hub's names, and where a model came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.reader import StoredMatrix, dequantised
from tzcore.errors import UnsupportedModelError
from tzcore.hadamard import unrotate
from tzcore.torch.experts import EXPERTS, PARTS
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.product import stored as stored_matrix

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

MULTIMODAL = {"gemma3": "gemma3_text"}
"""Families whose text part has a ``model_type`` of its own: that part alone is in a folder."""
_MIXTRAL = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}


@dataclass(frozen=True)
class Origin:
    """The folder that a model was loaded from: its place, its ``config.json`` and the original's tensor names.

    Kept at the model as ``ternary_origin``, so that it is saved as it was, whatever transformers makes of its
    configuration.
    """

    path: Path
    config: dict[str, Any]
    names: frozenset[str]


def configuration(config: dict[str, Any]) -> PretrainedConfig:
    """transformers' configuration of the text part, unquantised, from a folder's ``config.json``."""
    from transformers import CONFIG_MAPPING

    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    family = str(plain.get("model_type"))
    if family in MULTIMODAL:
        kept = ("tie_word_embeddings", "dtype", "torch_dtype")
        plain = {**{key: plain[key] for key in kept if key in plain}, **dict(plain["text_config"])}
        family = MULTIMODAL[family]
    if family not in CONFIG_MAPPING:
        raise UnsupportedModelError(f"this version of transformers has no model family {family!r}: update it")
    plain.pop("architectures", None)
    made: PretrainedConfig = CONFIG_MAPPING[family].from_dict(plain)
    return made


def root_of(model: PreTrainedModel) -> str:
    """What the names of the decoder's modules begin with, ``model.`` as a rule."""
    embedding = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is embedding)
    return str(name.removesuffix("embed_tokens"))


def module_name(spec: ModelSpec, stored: str, root: str = "model.") -> str:
    """transformers' name of a module or parameter from the one in a folder."""
    if stored == spec.head.name and not spec.tied:
        return "lm_head"
    name = stored.removeprefix(spec.embedding.name.removesuffix("embed_tokens"))
    if ".block_sparse_moe." in name:
        name = name.replace(".block_sparse_moe.", ".mlp.")
        head, _, last = name.rpartition(".")
        name = f"{head}.{({v: k for k, v in _MIXTRAL.items()}).get(last, last)}"
    return root + name


def hub_names(model: PreTrainedModel, family: str) -> frozenset[str]:
    """The names that the hub has for the model's tensors, as :func:`tzcore.architecture.registry.read_spec` wants."""
    names: set[str] = set()
    for name, module in model.named_modules():
        if isinstance(module, TernaryLinear):
            names |= {f"{name}.weight"} | ({f"{name}.bias"} if module.bias is not None else set())
        elif type(module).__name__ in EXPERTS:
            names |= {f"{name}.{n}.{part}.weight" for n in range(len(module.down_proj)) for part in PARTS}
        else:
            names |= {f"{name}.{own}" for own, _ in module.named_parameters(recurse=False)}
    return frozenset(_mixtral(name) for name in names) if family == "mixtral" else frozenset(names)


def _mixtral(name: str) -> str:
    name = name.replace(".mlp.", ".block_sparse_moe.")
    for part, short in _MIXTRAL.items():
        name = name.replace(f".{part}.weight", f".{short}.weight") if ".experts." in name else name
    return name


def put_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the submodule ``name``."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def matrix_of(layer: TernaryLinear) -> StoredMatrix:
    """The layer's matrix in the engine's form, in main memory; nothing is copied that lies there."""
    codes, scales, signs = (None if t is None else t.detach().cpu() for t in (layer.codes, layer.scales, layer.signs))
    assert codes is not None
    form = (layer.out_features, layer.in_features, layer.fmt, layer.group, layer.block, layer.gain)
    return stored_matrix(codes, scales, signs, *form)


def weights_of(stored: StoredMatrix) -> torch.Tensor:
    """The stored matrix as float32 ``[rows, cols]`` in the basis of the original."""
    weights = dequantised(stored)
    if stored.signs is not None and stored.entry.transform is not None:
        weights = unrotate(weights, stored.signs, stored.entry.transform.block)
    return torch.from_numpy(weights)
