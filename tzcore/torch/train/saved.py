"""States of a training run on disk: whole or not there, so that a kill at any moment costs the steps since the last.

A state is a safetensors file: trained parameters, the optimiser's moments, random generators, and in its metadata
the position and a CRC-32 of every tensor.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tzcore.checkpoint import safetensors
from tzcore.errors import CheckpointError, TrainingError

_BEST = "best.safetensors"
_NAME = re.compile(r"step-(\d{8})\.safetensors")
_HALF = "bf16:"
"""Marks names of tensors in bfloat16, which NumPy lacks: their bytes are kept as int16."""


@dataclass
class Position:
    """How far a run is: steps taken, tokens read, seconds spent."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {"step": self.step, "tokens": self.tokens, "seconds": round(self.seconds, 3)}


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that change, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def generators() -> dict[str, torch.Tensor]:
    """The states of torch's random generators."""
    found = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found |= {f"random.cuda.{at}": state for at, state in enumerate(torch.cuda.get_rng_state_all())}
    return found


def set_generators(states: Mapping[str, torch.Tensor]) -> None:
    """Put them back; those of cards that are not there any more are left out."""
    torch.set_rng_state(states["random.cpu"])
    cards = [states[name] for name in sorted(states) if name.startswith("random.cuda.")]
    if cards and torch.cuda.is_available() and torch.cuda.device_count() == len(cards):
        torch.cuda.set_rng_state_all(cards)


class SavedStates:
    """The states of one run in ``folder``, the last ``keep`` of them, and the best parameters.

    ``fingerprint`` is what must be the same for a run to go on: states of another are a TrainingError.
    ``note`` is told what was found damaged and passed over.
    """

    def __init__(
        self, folder: Path, fingerprint: Mapping[str, Any], keep: int = 2, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder, self._keep, self._note = folder, keep, note
        self._fingerprint = json.dumps(dict(fingerprint), sort_keys=True)
        for torn in sorted(folder.glob("*.safetensors.tmp")):
            torn.unlink()
            note(f"{torn.name} was being written when an earlier run was stopped, and is passed over")

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer, position: Position,
             random: Mapping[str, torch.Tensor]) -> Path:  # fmt: skip
        """Store the state after a step; on disk when this returns, and older ones than the last ``keep`` gone.

        StorageError where there is no room: what was there stays.
        """
        tensors = {f"model.{name}": value.detach() for name, value in trained(model).items()}
        numbers: dict[str, Any] = {}
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                name = f"optimiser.{index}.{key}"
                if isinstance(value, torch.Tensor):
                    tensors[name] = value
                else:
                    numbers[name] = value
        path = self.folder / f"step-{position.step:08}.safetensors"
        self._write(path, {**tensors, **random}, position, {"numbers": json.dumps(numbers)})
        for old in self._states()[self._keep :]:
            old.unlink()
        return path

    def restore(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Position | None:
        """Put the last whole state into ``model``, ``optimiser`` and torch's generators; None where there is none."""
        for path in self._states():
            try:
                tensors, metadata = self._read(path)
            except CheckpointError as error:
                self._note(f"a saved state cannot be used and is passed over: {error}")
                continue
            self._fill(path, model, tensors)
            state: dict[int, dict[str, Any]] = {}
            for name, value in [*tensors.items(), *json.loads(metadata["numbers"]).items()]:
                if name.startswith("optimiser."):
                    _, index, key = name.split(".", 2)
                    state.setdefault(int(index), {})[key] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
            set_generators({name: value for name, value in tensors.items() if name.startswith("random.")})
            return Position(**json.loads(metadata["position"]))
        return None

    @property
    def last(self) -> Path | None:
        """The newest state."""
        return next(iter(self._states()), None)

    # --- the best parameters --------------------------------------------------------------------

    def save_best(self, model: nn.Module, position: Position, measures: Mapping[str, float]) -> None:
        """Keep these parameters as the best so far."""
        tensors = {f"model.{name}": value.detach() for name, value in trained(model).items()}
        self._write(self.folder / _BEST, tensors, position, {"measures": json.dumps(dict(measures))})

    def best(self) -> tuple[Position, dict[str, float]] | None:
        """When the best parameters were reached, and what was measured of them."""
        try:
            metadata = safetensors.read_header(self.folder / _BEST).metadata
            self._same(self.folder / _BEST, metadata)
            return Position(**json.loads(metadata["position"])), json.loads(metadata["measures"])
        except (CheckpointError, KeyError):
            return None

    def restore_best(self, model: nn.Module) -> None:
        """Put the best parameters into ``model``."""
        path = self.folder / _BEST
        self._fill(path, model, self._read(path)[0])

    # --- files ----------------------------------------------------------------------------------

    def _states(self) -> list[Path]:
        """Saved states, the newest first."""
        return sorted((p for p in self.folder.glob("step-*") if _NAME.fullmatch(p.name)), reverse=True)

    def _write(
        self, path: Path, tensors: Mapping[str, torch.Tensor], position: Position, more: Mapping[str, str]
    ) -> None:
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise TrainingError(f"{name} is not finite at step {position.step}: this state is not kept")
        arrays = dict(_array(name, value) for name, value in tensors.items())
        sums = json.dumps({name: _sum(array) for name, array in arrays.items()})
        metadata = {"run": self._fingerprint, "position": json.dumps(position.as_json()), "sums": sums, **more}
        safetensors.write_file(path, arrays, metadata)

    def _read(self, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """CheckpointError for a file that is torn or damaged, TrainingError for one of another run."""
        header = safetensors.read_header(path)
        try:
            sums = json.loads(header.metadata["sums"])
            json.loads(header.metadata["position"])
        except (KeyError, ValueError):
            raise CheckpointError(f"{path} is damaged: it has no position") from None
        self._same(path, header.metadata)
        with open(path, "rb") as file:  # not mapped: the file may be deleted while its tensors are in use
            content = np.frombuffer(file.read(), np.uint8)
        arrays = {name: safetensors.view(content, info) for name, info in header.tensors.items()}
        for name, array in arrays.items():
            if _sum(array) != sums.get(name):
                raise CheckpointError(f"{path} is damaged: the sum of {name} is another")
        return dict(_tensor(name, array) for name, array in arrays.items()), header.metadata

    def _same(self, path: Path, metadata: Mapping[str, str]) -> None:
        if metadata.get("run") == self._fingerprint:
            return
        before, now = json.loads(metadata.get("run", "{}")), json.loads(self._fingerprint)
        other = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        raise TrainingError(
            f"{path.parent} holds a training run that was begun otherwise ({', '.join(other)}): go on as it was begun, "
            "or begin anew"
        )

    def _fill(self, path: Path, model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
        found = {name[6:]: value for name, value in tensors.items() if name.startswith("model.")}
        wanted = trained(model)
        same = found.keys() == wanted.keys() and all(found[n].shape == wanted[n].shape for n in found)
        if not same:
            raise TrainingError(f"{path} is of a model with other parameters: go on with that one, or begin anew")
        with torch.no_grad():
            for name, parameter in wanted.items():
                parameter.copy_(found[name])


def _array(name: str, value: torch.Tensor) -> tuple[str, npt.NDArray[Any]]:
    plain = value.detach().to("cpu").contiguous()
    if plain.dtype == torch.bfloat16:
        return _HALF + name, plain.view(torch.int16).numpy()
    return name, plain.numpy()


def _tensor(name: str, array: npt.NDArray[Any]) -> tuple[str, torch.Tensor]:
    made = torch.from_numpy(array.copy())
    return (name.removeprefix(_HALF), made.view(torch.bfloat16)) if name.startswith(_HALF) else (name, made)


def _sum(array: npt.NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
