"""The original that a student follows, from whatever its weights lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tzcore.architecture.registry import check_source, read_spec
from tzcore.architecture.spec import MatrixRef
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import RequestError
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.device import CPU, Device
from tzcore.quant.original_states import OriginalStates
from tzcore.quant.runtime import torch_session
from tzcore.torch.folder import put_parameter, scale_embedding, skeleton
from tzcore.torch.naming import configuration, module_name
from tzcore.torch.train.student import Split
from tzcore.torch.train.targets import Cached, likeliest
from tzcore.torch.train.targets_file import Record, TargetsFile
from tzcore.torch.train.text import Tokens, Windows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Reader = Callable[[Tokens, Callable[[int, str], None]], Iterator[torch.Tensor]]
"""Reads windows ``[n, tokens]`` and gives the logits ``[tokens, vocabulary]`` of each in turn; tells of progress in
tokens read, of which there are as many as the windows have."""

AT_ONCE = 16
"""Windows that pass through the original together, and are on disk before the next do: its weights are read once for
them."""


def reader_of_source(source: WeightSource, device: Device = CPU, threads: int | None = None) -> Reader:
    """An original of which one block is in memory at a time."""

    def read(ids: Tokens, advance: Callable[[int, str], None]) -> Iterator[torch.Tensor]:
        layers, passed = 0, 0

        def tell(tokens: int, detail: str) -> None:
            nonlocal passed
            passed += tokens
            advance(passed // layers, detail)

        with torch_session(threads, device):
            layers = len(read_spec(source.config, set(source.names())).layers)
            states = OriginalStates(source, [row.astype(np.int32) for row in ids], tell)
            for at in range(len(ids)):
                yield torch.from_numpy(states.logits(at))

    return read


def model_of_source(source: WeightSource, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The whole original as transformers' class for it, in memory, whatever file its weights are in.

    UnsupportedModelError for a family that is not supported, SourceError for tensors that do not fit.
    """
    spec = read_spec(source.config, set(source.names()))
    check_source(source, spec)
    model = skeleton(configuration(source.config), dtype)

    def read(name: str) -> torch.Tensor:
        return torch.from_numpy(source.tensor(name)).to(dtype)

    def matrix(ref: MatrixRef) -> torch.Tensor:
        return read(f"{ref.name}.weight")

    of_experts: set[str] = set()
    for layer in spec.layers:
        if layer.router is not None:  # transformers holds the experts of a layer in two tensors
            owner = module_name(spec, layer.router.matrix.name).removesuffix("gate") + "experts"
            gates = [torch.cat([matrix(e.gate), matrix(e.up)]) for e in layer.experts]
            put_parameter(model, f"{owner}.gate_up_proj", torch.stack(gates))
            put_parameter(model, f"{owner}.down_proj", torch.stack([matrix(e.down) for e in layer.experts]))
            of_experts |= {ref.name for e in layer.experts for ref in (e.gate, e.up, e.down)}
    for name in spec.matrices().keys() - of_experts:
        put_parameter(model, f"{module_name(spec, name)}.weight", read(f"{name}.weight"))
    for name in spec.vectors():
        put_parameter(model, module_name(spec, name), read(name))
    scale_embedding(model.get_submodule(module_name(spec, spec.embedding.name)), spec)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def reader_of_model(original: nn.Module) -> Reader:
    """An original that is a module in memory."""
    split = Split(original.eval())

    def read(ids: Tokens, advance: Callable[[int, str], None]) -> Iterator[torch.Tensor]:
        device = next(original.parameters()).device
        for at, row in enumerate(ids):
            with torch.no_grad():
                states = split.body(torch.from_numpy(row)[None].to(device))[0]
                yield split.head(states).float().cpu()
            advance((at + 1) * len(row), "the original")

    return read


def cached(
    path: Path,
    windows: Windows,
    read: Reader,
    made_from: dict[str, str],
    k: int,
    report: Report = ignore,
) -> Cached:
    """The original's ``k`` likeliest tokens on ``windows``, from ``path``; what is missing there is computed first.

    ``made_from`` names the original and its revision.  Phase ``"targets"``, in tokens.  Cancelled or killed at any
    moment, the same call goes on.  Raises CheckpointError for a file of something else, StorageError for a full
    disk, and what reading the original raises.
    """
    about = {**made_from, "text": windows.sha256}
    file = TargetsFile(path, about, len(windows), windows.positions, k)
    total = windows.ids.size
    while file.missing:
        places = file.missing[:AT_ONCE]
        done = (len(windows) - len(file.missing)) * windows.window

        def advance(tokens: int, detail: str, done: int = done) -> None:
            report(Progress("targets", done + tokens, total, "tokens", detail))

        advance(0, "the original")
        logits = read(windows.ids[places], advance)
        following = torch.from_numpy(windows.following(places))
        found = zip(places, logits, following, strict=True)
        file.write([(at, _record(part[windows.scored], text, k)) for at, part, text in found])
    report(Progress("targets", total, total, "tokens", "the original's predictions"))
    return Cached(file)


def _record(logits: torch.Tensor, text: torch.Tensor, k: int) -> Record:
    if k > logits.shape[-1]:
        raise RequestError(f"top_k is {k}, and the vocabulary has {logits.shape[-1]} tokens")
    values, tokens, rest = likeliest(logits, k)
    own = -functional.cross_entropy(logits.float(), text.to(logits.device), reduction="none")
    # Least of half precision: a probability of e^-60000 is as good as none.
    halves = values.clamp(min=-6e4).to(torch.float16).cpu().numpy()
    return halves, tokens.to(torch.int32).cpu().numpy(), rest.float().cpu().numpy(), own.cpu().numpy()
