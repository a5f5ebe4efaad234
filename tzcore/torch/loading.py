"""The step of transformers' loading that makes a layer ternary as soon as its weights are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.core_model_loading import ConversionOps

from tzcore.torch.replace import replace_with

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tzcore.torch.quantizer import TernaryQuantizer


class Ternarise(ConversionOps):
    """Takes the weights of one layer and leaves nothing to be loaded."""

    def __init__(self, quantizer: TernaryQuantizer) -> None:
        self.quantizer = quantizer

    def convert(
        self,
        input_dict: dict[str, Any],
        *,
        model: PreTrainedModel,
        full_layer_name: str,
        missing_keys: set[str] | None = None,
        **_: Any,
    ) -> dict[str, torch.Tensor]:
        (value,) = input_dict.values()
        weight = value[0] if isinstance(value, list) else value
        name = full_layer_name.rpartition(".")[0]
        settings = self.quantizer.quantization_config
        if not replace_with(model, name, weight, settings.recipe(), self.quantizer.report):
            return {full_layer_name: weight}
        # Some models draw a layer's weights from the module around it, which is told that they are there.
        model.get_submodule(name.rpartition(".")[0])._is_hf_initialized = True
        if missing_keys is not None:
            missing_keys.discard(full_layer_name)
        return {}
