"""Linear layers of any model made ternary in place, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from tzcore.errors import ConversionError
from tzcore.torch.experts import EXPERTS, split_experts
from tzcore.torch.fitting import Fitted, Recipe, fitted
from tzcore.torch.linear import TernaryLinear

Step = Callable[[int, int, str], None]
"""Told before each layer: how many are done, how many there are, and the name of the next."""


@dataclass(frozen=True)
class Replaced:
    """A layer that is ternary now.  ``bits`` are those of codes and scales for each weight; ``error`` is the
    distance between stored and original weights over the size of the original ones, both as root mean squares."""

    name: str
    rows: int
    cols: int
    bits: float
    error: float


@dataclass(frozen=True)
class Left:
    """A layer with weights in a matrix that was left as it was, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """What :func:`ternarize` did; ``str()`` of it is for a person."""

    replaced: list[Replaced] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def bits(self) -> float:
        """Bits for each weight of all layers that were replaced."""
        weights = sum(one.rows * one.cols for one in self.replaced)
        return sum(one.bits * one.rows * one.cols for one in self.replaced) / weights if weights else 0.0

    def __str__(self) -> str:
        lines = [f"{one.name}: {one.bits:.2f} bits a weight, error {one.error:.3f}" for one in self.replaced]
        lines += [f"{one.name}: left, because {one.reason}" for one in self.left]
        lines.append(f"{len(self.replaced)} layers ternary, {self.bits:.2f} bits a weight; {len(self.left)} left")
        return "\n".join(lines)


def ternarize(
    model: nn.Module,
    fmt: str = "t1",
    group: int = 128,
    *,
    include: Iterable[str] = ("*",),
    exclude: Iterable[str] = ("lm_head",),
    hadamard: bool = True,
    seed: int = 0,
    progress: Step | None = None,
) -> Report:
    """Put a :class:`TernaryLinear` in place of every ``nn.Linear`` of ``model`` that patterns choose.

    Patterns are those of :mod:`fnmatch`, for a layer's whole name or the last part of it; ``exclude`` wins.
    ``fmt`` and ``group`` are those of a model folder.  ``hadamard``: inputs and weights are turned by a
    random rotation before the weights are rounded, which spreads what is far out.  Weights are fitted without
    calibration: ``tz convert`` gives a better model, this works with any.

    One layer at a time is in memory in both forms.  What cannot be ternary stays, with its reason in the report.
    ConversionError where nothing at all was chosen, or for a format that there is not.
    """
    recipe = Recipe.checked(fmt, group, hadamard, seed)
    include, exclude = tuple(include), tuple(exclude)
    chosen = Choice(include, exclude)
    report = Report()
    todo, report.left = obstacles(model, chosen)
    if not todo:
        raise ConversionError(
            f"no layer can be made ternary; {report.left[0].name}: {report.left[0].reason}"
            if report.left else "no layer can be made ternary: the model has no nn.Linear"
        )  # fmt: skip
    for number, name in enumerate(todo):
        if progress is not None:
            progress(number, len(todo), name)
        replace_layer(model, name, recipe, report)
    _tell_transformers(model, fmt, group, include, exclude, hadamard, seed)
    return report


def _tell_transformers(model: nn.Module, *settings: Any) -> None:
    """Let a model of transformers be saved as a model folder; others know nothing of such."""
    transformers = sys.modules.get("transformers")
    if transformers is not None and isinstance(model, transformers.PreTrainedModel):
        from tzcore.torch.quantizer import TernaryConfig, TernaryQuantizer

        fmt, group, include, exclude, hadamard, seed = settings
        stated = TernaryConfig(fmt, group, include, exclude, hadamard, seed)
        model.config.quantization_config = stated
        TernaryQuantizer(stated, pre_quantized=False).attach(model)


def obstacles(
    model: nn.Module, choice: Choice, tied: Collection[str] = (), loaded: bool = True
) -> tuple[list[str], list[Left]]:
    """The layers to replace, in order, and those that have to be left.

    ``tied`` names modules whose weights will be another's too.  Not ``loaded``: weights are not there yet.
    """
    owners = _owners(model)
    kept = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    todo, left = [], []
    for name, module in model.named_modules():
        reason = _obstacle(name, module, choice, owners, loaded)
        if reason is None and type(module) is nn.Linear and kept.intersection(name.split(".")):
            reason = "transformers keeps it in float32, and asks for its weights"
        if reason is None and name in tied:
            reason = "its weights are those of another layer too"
        if reason is not None:
            left.append(Left(name, reason))
        elif type(module) is nn.Linear or type(module).__name__ in EXPERTS:
            todo.append(name)
    return todo, left


@dataclass(frozen=True)
class Choice:
    """Which layers, by patterns for their names."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def reason_against(self, name: str) -> str | None:
        """Why a layer is not chosen; ``None`` where it is."""
        if (hit := _matching(name, self.exclude)) is not None:
            return f"it is excluded by {hit!r}"
        return None if _matching(name, self.include) is not None else "no pattern includes it"


def _matching(name: str, patterns: Iterable[str]) -> str | None:
    last = name.rpartition(".")[2]
    return next((p for p in patterns if fnmatchcase(name, p) or fnmatchcase(last, p)), None)


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """The names that each parameter has."""
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    return owners


def _obstacle(name: str, module: nn.Module, choice: Choice, owners: dict[int, list[str]], loaded: bool) -> str | None:
    """Why a layer cannot be replaced; ``None`` for those that can, and for what is no layer of this kind."""
    if isinstance(module, TernaryLinear):
        return "it is ternary already"
    kind = type(module).__name__
    if kind == "Conv1D":
        return choice.reason_against(name) or "it is a Conv1D of transformers, not an nn.Linear"
    if kind in EXPERTS:
        return choice.reason_against(name) or _unreadable([module.gate_up_proj, module.down_proj], loaded)
    if stacked := _stacked(module):
        return choice.reason_against(name) or f"its {stacked} holds all experts in a form that is not known"
    if not isinstance(module, nn.Linear):
        return None
    if (reason := choice.reason_against(name)) is not None:
        return reason
    if type(module) is not nn.Linear:
        return f"it is a {kind}, which may use its weights in other ways than a product"
    others = [other for other in owners[id(module.weight)] if other != f"{name}.weight"]
    return f"its weights are those of {others[0]} too" if others else _unreadable([module.weight], loaded)


def _unreadable(weights: Iterable[torch.Tensor], loaded: bool) -> str | None:
    for weight in weights:
        if loaded and weight.is_meta:
            return "its weights are not in memory"
        if not weight.is_floating_point():
            return f"its weights are {weight.dtype}: quantised already"
    return None


def _stacked(module: nn.Module) -> str | None:
    """The name of a parameter of the module's own that is a stack of matrices."""
    own = module.named_parameters(recurse=False)
    return next((name for name, p in own if p.dim() == 3 and "proj" in name), None)


def replace_layer(model: nn.Module, name: str, recipe: Recipe, report: Report) -> None:
    """Make one layer, or the experts of one, ternary; the report says what came of it."""
    module = model.get_submodule(name)
    if isinstance(module, nn.Linear):
        replace_with(model, name, module.weight, recipe, report)
        return
    replaced: list[Replaced] = []
    try:
        made = split_experts(module, lambda part, weight: _layer(f"{name}.{part}", weight, recipe, replaced))
    except ConversionError as error:
        report.left.append(Left(name, str(error)))
        return
    report.replaced += replaced
    model.set_submodule(name, made.train(module.training))


def replace_with(model: nn.Module, name: str, weight: torch.Tensor, recipe: Recipe, report: Report) -> bool:
    """Put a layer made from ``weight`` in place of the ``nn.Linear`` called ``name``, whose bias it keeps; whether
    that was possible."""
    module = model.get_submodule(name)
    try:
        made = _layer(name, weight, recipe, report.replaced)
    except ConversionError as error:
        report.left.append(Left(name, str(error)))
        return False
    made.bias = module.bias
    model.set_submodule(name, made.train(module.training))
    return True


def _layer(name: str, weight: torch.Tensor, recipe: Recipe, replaced: list[Replaced]) -> TernaryLinear:
    found: Fitted = fitted(weight, recipe)
    rows, cols = weight.shape
    replaced.append(Replaced(name, rows, cols, found.bits, found.error))
    return found.layer.to(weight.device)
