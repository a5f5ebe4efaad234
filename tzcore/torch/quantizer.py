"""Ternary layers as a quantisation method of transformers.

Imported (and registered) when transformers' own quantisers are: see :mod:`tzcore.torch.registration`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from tzcore.architecture.registry import spec_of
from tzcore.checkpoint import ModelFolder
from tzcore.checkpoint.schema import METHOD, VERSION, Quantization
from tzcore.errors import ConversionError, UnsupportedModelError
from tzcore.torch.experts import EXPERTS
from tzcore.torch.fitting import Recipe
from tzcore.torch.replace import Choice, Left, Report, obstacles, replace_layer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TernaryConfig(QuantizationConfigMixin):
    """How a model is made ternary while it is loaded; the arguments are those of :func:`tzcore.torch.ternarize`.

    In the ``config.json`` of a model folder it is what :mod:`tzcore.checkpoint.schema` says, ``tensors`` above all.
    """

    def __init__(
        self,
        fmt: str = "t1",
        group: int = 128,
        include: Iterable[str] = ("*",),
        exclude: Iterable[str] = ("lm_head",),
        hadamard: bool = True,
        seed: int = 0,
        *,
        version: int = VERSION,
        activations: str = "group",
        tensors: dict[str, Any] | None = None,
        quant_method: str = METHOD,
    ) -> None:
        self.quant_method = quant_method
        self.fmt, self.group, self.hadamard, self.seed = fmt, group, hadamard, seed
        self.include, self.exclude = list(include), list(exclude)
        self.version, self.activations, self.tensors = version, activations, tensors
        if tensors is None:
            self.recipe()  # a format that there is not is refused here, not after a download
        else:
            Quantization.from_json(self.to_dict())

    def recipe(self) -> Recipe:
        return Recipe.checked(self.fmt, self.group, self.hadamard, self.seed)

    def to_dict(self) -> dict[str, Any]:
        stored = ("quant_method", "version", "activations", "tensors")
        fresh = ("quant_method", "fmt", "group", "include", "exclude", "hadamard", "seed")
        return {key: getattr(self, key) for key in (fresh if self.tensors is None else stored)}


class TernaryQuantizer(HfQuantizer):
    """Fills a model from a model folder, or makes the layers of any other ternary while they are loaded."""

    quantization_config: TernaryConfig

    def __init__(self, quantization_config: TernaryConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        self.report = Report()
        self._folder: Path | None = None
        self._dtype = torch.float32
        self._model: weakref.ref[nn.Module] | None = None
        self._chosen: set[str] = set()

    def __deepcopy__(self, memo: dict[int, Any]) -> TernaryQuantizer:
        made = TernaryQuantizer(self.quantization_config, pre_quantized=self.pre_quantized)
        made.report = self.report
        # Part of the copy of a model, it belongs to that.
        copied = None if self._model is None else memo.get(id(self._model()))
        made._model = None if copied is None else weakref.ref(copied)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None if self._model is None else self._model()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["_model"]
        self.__dict__.update(state, _model=None if model is None else weakref.ref(model))

    def validate_environment(self, *_: Any, device_map: Any = None, **__: Any) -> None:
        places = set(device_map.values()) if isinstance(device_map, dict) else {device_map}
        if len(places) > 1 or places & {"disk", "auto", "balanced", "sequential"}:
            raise ConversionError(f"a ternary model is on one device, not on {device_map!r}: pass device_map='cpu'")

    def update_attn_implementation(self, config: Any) -> Any:
        if self.pre_quantized and getattr(config, "dtype", None) is None:
            config.dtype = torch.float32  # else it would be guessed from the type of the scales
        return config

    def update_dtype(self, dtype: torch.dtype) -> torch.dtype:
        self._dtype = dtype
        return dtype

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> None:
        if not self.pre_quantized:
            choice = Choice(tuple(self.quantization_config.include), tuple(self.quantization_config.exclude))
            # The weights are tied only after they have been loaded.
            tied = {name.rpartition(".")[0] for name in model.all_tied_weights_keys}
            chosen, self.report.left = obstacles(model, choice, tied, loaded=False)
            self._chosen = set(chosen)
            return
        from tzcore.torch.folder import hollow
        from tzcore.torch.naming import root_of

        self._folder = Path(kwargs["checkpoint_files"][0]).parent
        if root_of(model) != "model.":
            raise UnsupportedModelError(
                f"a folder has the text part of a {model.config.model_type} alone: load it with tzcore.torch.load_model"
            )
        hollow(model, spec_of(ModelFolder.open(self._folder)))
        model.all_tied_weights_keys = {}
        # All of it comes from the folder at the end, and nothing has to be drawn meanwhile.
        model._keys_to_ignore_on_load_missing = [".*"]
        model._keys_to_ignore_on_load_unexpected = {".*"}
        model.get_input_embeddings()._is_hf_initialized = True

    def update_weight_conversions(self, weight_conversions: list[Any], model: PreTrainedModel) -> list[Any]:
        if not self.pre_quantized:
            return list(super().update_weight_conversions(weight_conversions, model))
        from transformers.core_model_loading import WeightRenaming

        return [WeightRenaming(r"^(.+)$", r"in_the_folder.\1")]

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **kwargs: Any) -> bool:
        module, _, parameter = param_name.rpartition(".")
        return parameter == "weight" and module in self._chosen

    def get_quantize_ops(self) -> Any:
        from tzcore.torch.loading import Ternarise

        return Ternarise(self)

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> None:
        if self.pre_quantized:
            from tzcore.torch.folder import adopt, fill

            assert self._folder is not None
            folder = ModelFolder.open(self._folder)
            device = model.get_input_embeddings().weight.device
            fill(model, folder, spec_of(folder), self._dtype)
            adopt(model, folder)
            model.to(device)
        else:
            recipe = self.quantization_config.recipe()
            for name in sorted(self._chosen):
                module = model.get_submodule(name)
                if type(module).__name__ in EXPERTS:
                    replace_layer(model, name, recipe, self.report)
                elif isinstance(module, nn.Linear) and name not in {one.name for one in self.report.left}:
                    self.report.left.append(Left(name, "its weights were not in the checkpoint"))
            self.attach(model)

    def attach(self, model: PreTrainedModel) -> None:
        """Let ``model.save_pretrained`` write a model folder."""
        self._model = weakref.ref(model)
        model.hf_quantizer = self
        model.is_quantized = True
        model.quantization_method = METHOD
        model.save_pretrained = partial(_save_pretrained, model)

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return True

    @property
    def is_qat_trainable(self) -> bool:
        """Whether codes are being trained: the model has been prepared by :mod:`tzcore.torch.train`."""
        from tzcore.torch.train.latent import LatentLinear

        model = self._model() if self._model is not None else None
        return model is not None and any(isinstance(module, LatentLinear) for module in model.modules())

    @property
    def is_compileable(self) -> bool:
        return True


def _save_pretrained(model: PreTrainedModel, save_directory: Any, *args: Any, **kwargs: Any) -> None:
    """Writes a model folder; adapters on the model are saved alone, as ever, and of a model in training its
    parameters, from which Trainer goes on.  ``tokenizer`` as in :func:`tzcore.torch.save_model`."""
    if getattr(model, "_hf_peft_config_loaded", False):
        type(model).save_pretrained(model, save_directory, *args, **kwargs)
        return
    if kwargs.pop("push_to_hub", False):
        raise ConversionError("save the model to a folder first, and upload that folder")
    if not (args[0] if args else kwargs.get("is_main_process", True)):
        return
    if model.hf_quantizer.is_qat_trainable:
        from tzcore.torch.train.prepare import save_state

        save_state(model, Path(save_directory))
        return
    from tzcore.torch.saving import save_model

    save_model(model, save_directory, tokenizer=kwargs.get("tokenizer"), overwrite=True)


register_quantization_config(METHOD)(TernaryConfig)
register_quantizer(METHOD)(TernaryQuantizer)
