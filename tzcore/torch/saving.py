"""A transformers model with ternary layers as a model folder that ``tz`` runs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tzcore import trits
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import LayerSpec
from tzcore.atomic import storage_errors
from tzcore.checkpoint import FolderWriter, ModelFolder, Transform
from tzcore.checkpoint.schema import Activations
from tzcore.errors import CheckpointError, ConversionError, SourceError, UnsupportedModelError
from tzcore.torch.experts import EXPERTS, PARTS
from tzcore.torch.fitting import fitted_with
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.naming import Origin, hub_names, matrix_of, module_name, root_of, weights_of
from tzcore.torch.saved_receipt import receipt_of
from tzcore.torch.train.latent import LatentLinear
from tzcore.trits import Codes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GROUP = 128
SMALL_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_BEGUN = {"saved": "a transformers model"}


def save_model(
    model: PreTrainedModel,
    folder: Path | str,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    rest: str = "i8",
    overwrite: bool = False,
) -> Path:
    """Write ``model`` to ``folder``, one layer at a time.

    Ternary layers keep their codes and scales to the byte; so do embedding and head that came from a folder
    and have not changed.  Linear layers that are not ternary, and an embedding that is new, become ``rest``
    (``"i8"`` or ``"f16"``).  The tokenizer is ``tokenizer``'s, or that of the place the model came from.

    ``overwrite``: put the files into a folder that is there already.  UnsupportedModelError for a model that
    ``tz`` cannot run; ConversionError for one that is not ready to be saved, which says why.
    """
    final = Path(folder)
    if rest not in ("i8", "f16"):
        raise ConversionError(f"what is not ternary can be stored as i8 or f16, not {rest!r}")
    saved = _Saved(model, rest)
    with tempfile.TemporaryDirectory() as scratch:
        files = _small_files(model, tokenizer, Path(scratch))
        if not (overwrite and final.exists()):
            return saved.write(final, files)
        beside = final.with_name(f".{final.name}.saving")
        shutil.rmtree(beside, ignore_errors=True)
        _move_into(saved.write(beside, files), final)
    return final


def _move_into(made: Path, final: Path) -> None:
    """The files of a finished folder into one that exists; other weights that lie there are deleted."""
    with storage_errors(final):
        for old in final.glob("model*.safetensors*"):
            old.unlink()
        for path in sorted(made.iterdir()):
            os.replace(path, final / path.name)
        made.rmdir()


class _Saved:
    """A model and how its tensors are called in a folder."""

    def __init__(self, model: PreTrainedModel, rest: str) -> None:
        self.model, self.rest = model, rest
        self.origin: Origin | None = getattr(model, "ternary_origin", None)
        self.embedding, self.head = model.get_input_embeddings(), model.get_output_embeddings()
        adapted = next((name for name, _ in model.named_modules() if name.endswith(".base_layer")), None)
        if adapted is not None:
            raise ConversionError(
                f"{adapted.removesuffix('.base_layer')} has an adapter: save that with its own save_pretrained, and "
                "the model without it"
            )
        latent = next((name for name, module in model.named_modules() if isinstance(module, LatentLinear)), None)
        if latent is not None:
            raise ConversionError(f"{latent} is in training: call tzcore.torch.train.convert(model) first")
        if self.head is None or self.embedding is None:
            raise UnsupportedModelError(f"{type(model).__name__} is not a causal language model, which tz could run")
        self.root = root_of(model)
        self.tied = self._is_tied()
        self.config = self._config()
        try:
            self.spec = read_spec(self.config, self._names())
        except SourceError as error:
            raise ConversionError(f"the model cannot be saved: {error}") from None
        self.activations = self._activations()

    def _is_tied(self) -> bool:
        """Whether head and embedding are one matrix, be it that the head has its codes."""
        stored = getattr(self.head, "weight", None)
        if stored is not None:
            return stored is self.embedding.weight
        stated = self.origin.config if self.origin else {}
        flag = stated.get("tie_word_embeddings", (stated.get("text_config") or {}).get("tie_word_embeddings"))
        declared = "lm_head.weight" not in self.origin.names if self.origin and flag is None else bool(flag)
        return declared and isinstance(self.head, TernaryLinear) and self._same(self.head)

    def _same(self, stored: TernaryLinear) -> bool:
        """Whether the embedding still is what codes say."""
        weight = self.embedding.weight
        return weight.shape == (stored.out_features, stored.in_features) and torch.equal(
            weights_of(matrix_of(stored)).to(weight.dtype), weight.detach().cpu()
        )

    def _config(self) -> dict[str, Any]:
        if self.origin is not None:
            config: dict[str, Any] = json.loads(json.dumps(self.origin.config))
        else:
            config = json.loads(self.model.config.to_json_string(use_diff=False))
            config.setdefault("architectures", [type(self.model).__name__])
        for key in ("quantization_config", "_name_or_path"):
            config.pop(key, None)
        for table in (config, config.get("text_config")):
            if table is not None:
                table["tie_word_embeddings"] = self.tied
                if "vocab_size" in table or (table is config and "text_config" not in config):
                    table["vocab_size"] = self.embedding.weight.shape[0]
        return config

    def _names(self) -> frozenset[str]:
        family = str(self.config.get("model_type"))
        names = self.origin.names if self.origin else hub_names(self.model, family)
        return names | ({"lm_head.weight"} if not self.tied and not any("lm_head" in n for n in names) else set())

    def _activations(self) -> Activations:
        kinds = {
            module.activations: name
            for name, module in self.model.named_modules()
            if isinstance(module, TernaryLinear) and module is not self.head
        }
        if len(kinds) > 1:
            raise ConversionError(f"the layers {' and '.join(kinds.values())} round their inputs differently")
        return "token" if "token" in kinds else "group"

    def write(self, final: Path, files: dict[str, Path]) -> Path:
        _forget_begun(final)
        writer = FolderWriter(final, _BEGUN)
        self._write_outer(writer)
        writer.seal("model-embedding")
        for number, layer in enumerate(self.spec.layers):
            self._write_layer(writer, layer)
            for name in layer.vectors(self.spec.head_dim):
                writer.add_vector(name, self._vector(name))
            writer.seal(f"model-{number:05d}")
        writer.add_vector(self.spec.final_norm, self._vector(self.spec.final_norm))
        receipt = receipt_of(final.name, self.spec, writer, self.origin)
        return writer.finish(self.config, files, receipt, self.activations)

    def _write_outer(self, writer: FolderWriter) -> None:
        """Embedding and head."""
        spec = self.spec
        if self.tied and isinstance(self.head, TernaryLinear):
            _add_layer(writer, spec.embedding.name, self.head, None)
            return
        if (kept := self._kept_embedding()) is not None:
            _add_layer(writer, spec.embedding.name, kept, None)
        else:
            self._add_floats(writer, spec.embedding.name, self.embedding.weight, None)
        if not self.tied:
            self._add(writer, spec.head.name, self.head, None)

    def _kept_embedding(self) -> TernaryLinear | None:
        """The embedding's codes in the folder that the model came from, if that is there and nothing has changed."""
        if self.origin is None:
            return None
        from tzcore.torch.folder import stored_linear

        try:
            folder = ModelFolder.open(self.origin.path)
            stored = stored_linear(folder.matrix(self.spec.embedding.name), None)
        except CheckpointError:
            return None
        return stored if self._same(stored) else None

    def _write_layer(self, writer: FolderWriter, layer: LayerSpec) -> None:
        found = {name: self._matrix(name) for name in layer.names()}
        owners = layer.transforms()
        turns: dict[str, tuple[int, Codes, str]] = {}
        owner_of: dict[str, str] = {}
        for stage in layer.stages():
            for ref in stage:
                owner_of[ref.name] = owner = owners[stage[0].name]
                matrix = found[ref.name]
                if isinstance(matrix, TernaryLinear) and matrix.signs is not None:
                    signs = matrix.signs.cpu().numpy()
                    known = turns.setdefault(owner, (matrix.block, signs, ref.name))
                    if known[0] != matrix.block or not np.array_equal(known[1], signs):
                        raise ConversionError(
                            f"{known[2]} and {ref.name} have the same input and turn it differently: make both "
                            "ternary with the same settings"
                        )
        for owner, (_, signs, _) in turns.items():
            writer.add_signs(f"{owner}.signs", signs)
        for name, matrix in found.items():
            owner = owner_of.get(name, "")
            block, signs, _ = turns.get(owner, (0, None, ""))
            transform = Transform(block, f"{owner}.signs") if signs is not None else None
            if isinstance(matrix, TernaryLinear) and transform is not None and matrix.signs is None:
                raise ConversionError(
                    f"{turns[owner][2]} turns its input and {name} does not turn the same one: make both ternary "
                    "with the same settings"
                )
            router = layer.router is not None and name == layer.router.matrix.name
            self._add(writer, name, matrix, transform, signs, "f16" if router else None)

    def _add(
        self,
        writer: FolderWriter,
        name: str,
        matrix: nn.Module | torch.Tensor,
        transform: Transform | None,
        signs: Codes | None = None,
        fmt: str | None = None,
    ) -> None:
        if isinstance(matrix, TernaryLinear):
            _add_layer(writer, name, matrix, transform)
            return
        weight = matrix if isinstance(matrix, torch.Tensor) else getattr(matrix, "weight", None)
        if not isinstance(weight, torch.Tensor) or not isinstance(matrix, torch.Tensor | nn.Linear):
            raise ConversionError(f"{name} is a {type(matrix).__name__}: convert the model back before it is saved")
        self._add_floats(writer, name, weight, transform, signs, fmt)

    def _add_floats(
        self,
        writer: FolderWriter,
        name: str,
        weight: torch.Tensor,
        transform: Transform | None,
        signs: Codes | None = None,
        fmt: str | None = None,
    ) -> None:
        chosen = trits.format_named(fmt or self.rest)
        try:
            made = fitted_with(weight, chosen, GROUP, transform.block if transform else 0, signs).layer
        except ConversionError as error:
            raise ConversionError(f"{name}: {error}") from None
        _add_layer(writer, name, made, transform)

    def _matrix(self, name: str) -> nn.Module | torch.Tensor:
        """The module, or for routers and stacked experts the tensor, of a stored matrix."""
        place = module_name(self.spec, name, self.root)
        base, _, part = place.partition(".experts.")
        if part and type(experts := self.model.get_submodule(f"{base}.experts")).__name__ in EXPERTS:
            number, _, kind = part.partition(".")
            if kind == PARTS[2]:
                return experts.down_proj[int(number)].detach()
            return experts.gate_up_proj[int(number)].detach().chunk(2)[PARTS.index(kind)]
        module = self.model.get_submodule(place)
        return module.weight.detach() if type(module).__name__.endswith("Router") else module

    def _vector(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        place = module_name(self.spec, name, self.root)
        return self.model.get_parameter(place).detach().to("cpu", torch.float32).numpy()


def _add_layer(writer: FolderWriter, name: str, layer: TernaryLinear, transform: Transform | None) -> None:
    stored = matrix_of(layer)
    writer.add_matrix(replace(stored.entry, name=name, transform=transform), stored.codes, stored.scales)


def _forget_begun(final: Path) -> None:
    """A save that was killed cannot be gone on with: the model has changed since."""
    partial = final.with_name(final.name + ".partial")
    note = partial / "fingerprint.json"
    if note.exists() and _BEGUN.items() <= json.loads(note.read_text(encoding="utf-8")).items():
        shutil.rmtree(partial, ignore_errors=True)


def _small_files(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, scratch: Path) -> dict[str, Path]:
    """Paths of what goes into the folder beside the weights, by name."""
    if tokenizer is not None:
        tokenizer.save_pretrained(scratch)
        found = {name: scratch / name for name in SMALL_FILES if (scratch / name).exists()}
    else:
        found = dict(_beside(model))
    if "tokenizer.json" not in found:
        raise ConversionError(
            "the model's tokenizer is not known: pass tokenizer=AutoTokenizer.from_pretrained(...) to save_model"
        )
    if model.generation_config is not None:
        (scratch / "generation_config.json").write_text(
            model.generation_config.to_json_string(use_diff=True), encoding="utf-8"
        )
        found["generation_config.json"] = scratch / "generation_config.json"
    return found


def _beside(model: PreTrainedModel) -> Iterator[tuple[str, Path]]:
    """The small files where the model came from: its folder, or what the hub's client has of its repository."""
    from transformers.utils import cached_file

    place = str(getattr(model, "name_or_path", "") or "")
    for name in SMALL_FILES if place else ():
        found = Path(place) / name
        if not Path(place).is_dir():
            with suppress(OSError):  # a path that is no more is a bad name for a repository
                found = Path(cached_file(place, name, local_files_only=True) or found)
        if found.exists():
            yield name, found
