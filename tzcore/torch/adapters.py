"""Low-rank adapters of peft on ternary layers."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import Linear

from tzcore.errors import ConversionError
from tzcore.torch.linear import TernaryLinear


def for_adapters(config: LoraConfig) -> LoraConfig:
    """The same configuration, for models with ternary layers: pass it to ``get_peft_model``, or as ``config=`` to
    ``PeftModel.from_pretrained``."""
    config._register_custom_module({TernaryLinear: TernaryLora})
    return config


class TernaryLora(Linear):
    """``y = ternary(x) + scaling·B·A·x``.  Only A and B are trained, and nothing can be merged into integers."""

    def _get_in_out_features(self, module: TernaryLinear) -> tuple[int, int]:
        return module.in_features, module.out_features

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        raise ConversionError(
            "an adapter cannot be merged into integer codes: keep it beside the model, or train the codes "
            "themselves with tzcore.torch.train"
        )

    def get_delta_weight(self, adapter: str) -> torch.Tensor:
        """What the adapter adds to the weights, ``[rows, cols]``."""
        delta: Any = self.lora_B[adapter].weight @ self.lora_A[adapter].weight
        return delta * self.scaling[adapter]
