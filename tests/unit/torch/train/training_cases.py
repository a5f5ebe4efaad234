"""A tiny model, its ternarised student, and a text, for the tests of training."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.tiny_models import tiny_model, write_small_files
from tzcore.torch import TernaryLinear
from tzcore.torch.train import prepare
from tzcore.torch.train.loop import Loop, Outcome
from tzcore.torch.train.measure import Held
from tzcore.torch.train.settings import TrainSettings
from tzcore.torch.train.targets import Live, Targets
from tzcore.torch.train.text import Windows

SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2}
SMALL |= {"num_key_value_heads": 1}
WINDOW = 24


def original() -> Any:
    return tiny_model("llama", **SMALL)


def ternary(fmt: str = "t1") -> Any:
    """The original with its blocks' projections ternarised, not prepared."""
    model = copy.deepcopy(original())
    for name, layer in list(model.model.named_modules()):
        if isinstance(layer, torch.nn.Linear):
            parent, _, last = name.rpartition(".")
            setattr(model.model.get_submodule(parent), last, TernaryLinear.from_linear(layer, fmt, 64))
    return model


def student(**options: Any) -> Any:
    return prepare(ternary(), **options)


def windows(count: int = 8, seed: int = 0) -> Windows:
    return Windows(np.random.default_rng(seed).integers(0, 500, (count, WINDOW)))


def settings(**changes: Any) -> TrainSettings:
    plain = {"steps": 6, "tokens": 4 * WINDOW, "window": WINDOW, "batch": 2, "rate": 1e-2, "eval_every": 2,
             "save_every": 2, "top_k": 0, "warmup": 0.0}  # fmt: skip
    return TrainSettings(**{**plain, **changes})


def loop(folder: Path, model: Any, text: Windows | None = None, targets: Targets | None = None, **more: Any) -> Loop:
    """A loop on ``text`` with the original in memory."""
    text = text or windows()
    chosen = more.pop("settings", None) or settings()
    held_text = windows(2, seed=9)
    held = more.pop("held", Held(held_text, Live(original(), held_text.scored)))
    targets = targets or Live(original(), text.scored, layers=True)
    return Loop(model, text, targets, chosen, folder, held=held, **more)


def run(folder: Path, model: Any, **more: Any) -> Outcome:
    return loop(folder, model, **more).run()


def files(folder: Path) -> dict[str, Path]:
    """A tokenizer's files."""
    return write_small_files(folder)


def tensors(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
