"""What is predicted before anything is quantised, against what is measured afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import tiny_source
from tzcore.quant.allocation import BudgetError
from tzcore.quant.budget import Request
from tzcore.quant.choice import distortion
from tzcore.quant.convert import Settings, convert

QUICK: dict[str, Any] = {"tokens": 4096, "window": 64, "threads": 1, "tuned": False}


def receipt(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "receipt.json").read_text())


@pytest.mark.parametrize(("name", "expected"), [("t1", 0.187), ("q2", 0.13), ("t2", 0.029), ("i4", 0.0093)])
def test_distortion_of_normal_weights(name: str, expected: float) -> None:
    assert distortion(name, 128) == pytest.approx(expected, rel=0.06)
    assert distortion(name, 64) < distortion(name, 128)


@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen2"])
@pytest.mark.parametrize("bits", [3.6, 2.6])
def test_prediction_is_of_the_order_of_the_measurement(family: str, bits: float, tmp_path: Path) -> None:
    request = Request("bits", bits, f"{bits}bpw")
    folder = convert(tiny_source(family), tmp_path / "m", Settings(**QUICK, request=request))
    found = receipt(folder)
    assert found["encoding"] == f"{bits}bpw"
    assert found["bits_per_weight"] <= bits
    allocation = found["allocation"]
    assert allocation["bits_per_weight"] == pytest.approx(found["bits_per_weight"], rel=1e-6)
    assert 0.4 < allocation["predicted_kl"] / found["quality"]["kl_mean"] < 2.5


def test_more_bits_are_nearer_to_the_original(tmp_path: Path) -> None:
    found = []
    for bits in (2.2, 2.8, 3.6, 4.2):
        request = Request("bits", bits, f"{bits}bpw")
        folder = convert(tiny_source("llama"), tmp_path / f"{bits}", Settings(**QUICK, request=request))
        found.append(receipt(folder))
    measured = [one["quality"]["kl_mean"] for one in found]
    predicted = [one["allocation"]["predicted_kl"] for one in found]
    assert measured == sorted(measured, reverse=True)
    assert predicted == sorted(predicted, reverse=True)


@pytest.mark.parametrize("request_", [Request("bits", 1.0, "1bpw"), Request("size", 1000.0, "1kB")])
def test_an_impossible_budget_is_refused_before_anything_is_measured(request_: Request, tmp_path: Path) -> None:
    seen: list[str] = []
    with pytest.raises(BudgetError, match="not enough: the smallest"):
        convert(
            tiny_source("llama"), tmp_path / "m", Settings(**QUICK, request=request_), lambda p: seen.append(p.phase)
        )
    assert "measure" not in seen
