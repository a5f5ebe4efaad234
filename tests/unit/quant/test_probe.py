from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.tiny_models import tiny_source
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import ModelSpec, Router
from tzcore.errors import MissingExtraError
from tzcore.quant import probe
from tzcore.quant.budget import Request
from tzcore.quant.probe import Rates
from tzcore.quant.settings import Settings, Tuning
from tzcore.quant.solver import Effort


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    source = tiny_source("llama")
    return read_spec(source.config, set(source.names()))


@pytest.mark.parametrize("fmt", ["t1b3", "t2b3", "i8", "f16"])
def test_the_probe_measures_something_sensible(fmt: str) -> None:
    rates = probe.measure(192, Settings(format=fmt, threads=1), 0.05)
    assert 1e3 < rates.weights < 1e10
    assert 1e6 < rates.operations < 1e15


def test_more_effort_fits_fewer_weights_a_second() -> None:
    quick = probe.measure(256, Settings(effort=Effort(trials=2, sweeps=0), threads=1), 0.2)
    effort = Effort(trials=64, starts=64, sweeps=64)  # so much more that a busy machine does not hide it
    thorough = probe.measure(256, Settings(effort=effort, threads=1), 0.2)
    assert thorough.weights < quick.weights


def test_operations_are_counted_from_the_shape(spec: ModelSpec) -> None:
    settings = Settings(tokens=1000, window=100, tuned=False)
    projections = 2 * 192 * 192 + 2 * 64 * 192 + 3 * 192 * 320  # q and o, k and v, gate, up and down
    forward = 2 * 1000 * projections + 2 * 2 * 1000 * 100 * 192
    moments = 4 * 1000 * (3 * 192**2 + 320**2)
    cubes = (probe.FACTOR_WORTH / 3 + 2) * (3 * 192**3 + 320**3)
    matrices = 3 * ((2 * 192 + 2 * 64 + 2 * 320) * 192**2 + 192 * 320**2)
    plain = 3 * (2 * forward + moments + cubes + matrices)
    assert probe.operations(spec, settings) == pytest.approx(plain)

    tuned = replace(settings, tuned=True, tuning=Tuning(tokens=500, passes=2))
    head = 2 * 1000 * 500 * 192
    assert probe.operations(spec, tuned) == pytest.approx(plain + probe.BACKWARD * 3 * forward + 3 * head)


def test_a_budget_costs_more(spec: ModelSpec) -> None:
    uniform = Settings(tokens=16384)
    budgeted = replace(uniform, request=Request("bits", 2.5, "2.5bpw"))
    assert 1.1 < probe.operations(spec, budgeted) / probe.operations(spec, uniform) < 3


def test_experts_see_their_share_of_the_tokens(spec: ModelSpec) -> None:
    def widened(count: int, active: int) -> float:
        layer = spec.layers[0]
        (one,) = layer.experts
        experts = tuple(
            replace(one, **{role: replace(getattr(one, role), name=f"{role}{n}") for role in ("gate", "up", "down")})
            for n in range(count)
        )
        router = Router(replace(one.gate, name="router", rows=count), active, True)
        wide = replace(spec, layers=(replace(layer, experts=experts, router=router),))
        return probe.operations(wide, Settings(tokens=100_000))

    assert widened(8, 8) > 2 * widened(8, 2)


def test_the_forecast_adds_both_kinds_of_work(spec: ModelSpec) -> None:
    weights = sum(rows * cols for rows, cols in spec.matrices().values())
    settings = Settings()
    work = probe.operations(spec, settings)
    assert probe.seconds(spec, settings, Rates(weights / 10, work / 5)) == pytest.approx(15)
    assert probe.seconds(spec, Settings(format="i8"), Rates(weights / 10, work / 5)) == pytest.approx(10)


def test_the_number_of_weights_alone_gives_about_the_same() -> None:
    source = tiny_source("llama", hidden_size=1024, intermediate_size=2752, num_attention_heads=16)
    wide = read_spec(source.config, set(source.names()))
    projections = sum(rows * cols for name, (rows, cols) in wide.matrices().items() if "layers" in name)
    rates, settings = Rates(1e30, 1e9), Settings()
    by_shape, by_size = probe.seconds(wide, settings, rates), probe.seconds_by_size(projections, settings, rates)
    assert by_size == pytest.approx(by_shape, rel=0.25)


def test_without_torch_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch"):
        probe.measure(64, Settings())
