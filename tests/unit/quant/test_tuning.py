"""Tuning of scales and norms: its gradients, its gate, and what it stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny_source
from tzcore.checkpoint import ModelFolder
from tzcore.progress import Progress
from tzcore.quant import tuning
from tzcore.quant.convert import Settings, convert
from tzcore.quant.settings import Tuning

QUICK: dict[str, Any] = {"format": "t1", "tokens": 2048, "window": 64, "threads": 1}


def receipt(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "receipt.json").read_text())


def test_held_out_text_comes_nearer_to_the_original_and_codes_stay(tmp_path: Path) -> None:
    reports: list[Progress] = []
    plain = convert(tiny_source("llama"), tmp_path / "plain", Settings(**QUICK, tuned=False))
    tuned = convert(tiny_source("llama"), tmp_path / "tuned", Settings(**QUICK), reports.append)
    quality = receipt(tuned)["quality"]
    assert quality["tuning"]["kept"]
    assert quality["kl_mean"] == quality["tuning"]["after"]["kl_mean"] < receipt(plain)["quality"]["kl_mean"]
    assert quality["tuning"]["before"] == receipt(plain)["quality"]
    before, after = ModelFolder.open(plain), ModelFolder.open(tuned)
    after.verify()
    moved = 0
    for name, entry in after.quantization.matrices.items():
        ours, theirs = after.matrix(name), before.matrix(name)
        assert np.array_equal(ours.codes, theirs.codes)
        if entry.format.name == "t1":
            moved += not np.array_equal(ours.scales, theirs.scales)
    assert moved == 7 * len([n for n in after.quantization.matrices if n.endswith("q_proj")])
    done = [report.done for report in reports if report.phase == "tune"]
    assert done == sorted(done)
    assert done[-1] == next(report.total for report in reports if report.phase == "tune")


def test_what_does_not_help_is_thrown_away(tmp_path: Path) -> None:
    plain = convert(tiny_source("llama"), tmp_path / "plain", Settings(**QUICK, tuned=False))
    wild = convert(tiny_source("llama"), tmp_path / "wild", Settings(**QUICK, tuning=Tuning(rate=30.0)))
    quality = receipt(wild)["quality"]
    assert not quality["tuning"]["kept"]
    assert quality["kl_mean"] == receipt(plain)["quality"]["kl_mean"] < quality["tuning"]["after"]["kl_mean"]
    for shard in plain.glob("*.safetensors"):
        assert (wild / shard.name).read_bytes() == shard.read_bytes()


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_gradients_are_those_of_the_divergence(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step's gradients against the change of the loss along them."""
    caught: list[tuple[tuning.Tuner, dict[str, torch.Tensor]]] = []

    def run(self: tuning.Tuner) -> None:
        found: dict[str, torch.Tensor] = {}
        parameters = self._parameters()
        by_identity = {id(p): name for name, p in parameters.items()}

        def step(parameter: Any, gradient: torch.Tensor, *_: Any) -> None:
            found[by_identity[id(parameter)]] = (gradient * parameter.unit).clone()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tuning._Parameter, "step", step)
            self._step([0, 1], 0.0)
            at_start = dict(found)
            caught.append((self, at_start))
            size, losses = 3e-4, []
            for sign in (1, -1):
                for name, parameter in parameters.items():
                    parameter.moved = sign * size * at_start[name].sign()
                losses.append(self._step([0, 1], 0.0))
            length = sum(float(gradient.abs().sum()) for gradient in at_start.values())
            assert (losses[0] - losses[1]) / (2 * size) == pytest.approx(length, rel=0.03)
            for parameter in parameters.values():
                parameter.moved = torch.zeros_like(parameter.start)

    monkeypatch.setattr(tuning.Tuner, "run", run)
    convert(tiny_source(family), tmp_path / "m", Settings(**QUICK))
    assert len(caught) == 1
    assert all(torch.isfinite(g).all() for g in caught[0][1].values())
