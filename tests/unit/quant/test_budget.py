from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import tiny_folder, tiny_source
from tzcore.architecture.registry import read_spec, spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import ConversionError
from tzcore.quant import budget
from tzcore.quant.allocation import END_MENU, MENU, BudgetError, Item, largest, smallest, total_bytes
from tzcore.quant.budget import Allocation, Overhead, Request
from tzcore.trits import Format, format_named

NONE = Overhead(0, 0, 0)


def group_for(_fmt: Format, _cols: int) -> int:
    return 64


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    source = tiny_source("llama")
    return read_spec(source.config, set(source.names()))


@pytest.fixture(scope="module")
def items(spec: ModelSpec) -> list[Item]:
    rng = np.random.default_rng(0)
    losses = {
        name: {fmt: loss * float(np.exp(rng.normal())) for fmt, loss in table.items()}
        for name, table in budget.assumed_losses(spec).items()
    }
    return budget.items_of(spec, losses, group_for)


def projections(items: list[Item]) -> list[Item]:
    return [item for item in items if not item.end]


def bits(items: list[Item], size: int) -> float:
    return 8 * size / sum(item.weights for item in items)


def test_items_have_the_bytes_the_folder_will_have(spec: ModelSpec, items: list[Item]) -> None:
    names = [name for item in items for name in item.names]
    assert sorted(names) == sorted(spec.matrices())
    assert [list(item.choices) for item in items if item.end] == [list(END_MENU)] * 2
    assert all(list(item.choices) == list(MENU) for item in projections(items))
    down = next(item for item in items if item.names[0].endswith("down_proj"))
    assert down.weights == 192 * 320
    assert down.choices["i8"].bytes == 192 * 320 + 192 * 5 * 2


def test_the_experts_of_a_layer_are_one_item(spec: ModelSpec) -> None:
    layer = spec.layers[0]
    (one,) = layer.experts
    experts = tuple(
        replace(one, **{role: replace(getattr(one, role), name=f"{role}.{n}") for role in ("gate", "up", "down")})
        for n in range(3)
    )
    few = replace(spec, layers=(replace(layer, experts=experts),))
    losses = {f"down.{n}": {"t1b3": 0.5 * n, "q2": 0.25} for n in range(3)}
    (item,) = budget.items_of(few, losses, group_for)
    assert item.names == ("down.0", "down.1", "down.2")
    assert item.choices["t1b3"].loss == 1.5
    assert item.weights == 3 * 192 * 320
    assert len(budget.items_of(few, budget.assumed_losses(few), group_for)) == 2 + 4 + 3


@pytest.mark.parametrize("wanted", [2.15, 2.35, 2.7, 3.4, 5.0])
def test_bits_count_the_projections_and_their_signs(items: list[Item], wanted: float) -> None:
    chosen = budget.resolve(Request("bits", wanted, f"{wanted}bpw"), items, Overhead(1000, 10**9, 10**9))
    sizes = [item.choices[chosen.formats[item.names[0]]].bytes for item in projections(items)]
    assert chosen.bits_per_weight == pytest.approx(bits(projections(items), sum(sizes) + 1000))
    assert wanted - 0.15 < chosen.bits_per_weight <= wanted
    assert {chosen.formats[name] for item in items if item.end for name in item.names} == {"i8"}
    assert sum(chosen.counts.values()) == len(items)
    assert not chosen.note


@pytest.mark.parametrize("kind", ["size", "memory"])
def test_sizes_count_everything(items: list[Item], kind: str) -> None:
    overhead = Overhead(100, 2000, 30000)
    beside = 2100 + (30000 if kind == "size" else 0)
    least, most = smallest(items) + beside, largest(items) + beside
    for value in (least, (least + most) // 2, most):
        chosen = budget.resolve(Request(kind, value, "x"), items, overhead)
        assert value - 0.05 * most < chosen.bytes + beside <= value
    assert "more than the largest" in chosen.note
    assert {chosen.formats[item.names[0]] for item in items} == {"i8"}
    with pytest.raises(BudgetError, match="smallest this model can be made is"):
        budget.resolve(Request(kind, least - 1, "x"), items, overhead)


def test_too_few_bits_say_how_many_are_needed(items: list[Item]) -> None:
    with pytest.raises(BudgetError, match=r"1.2 bits a weight is not enough: .* (\d\.\d\d) bits a weight") as caught:
        budget.resolve(Request("bits", 1.2, "1.2bpw"), items, NONE)
    least = float(str(caught.value).split(" is ")[-1].split()[0])
    chosen = budget.resolve(Request("bits", least, "x"), items, NONE)  # what it says is true
    assert chosen.counts["t1b3"] > 15
    with pytest.raises(BudgetError, match="not enough"):
        budget.resolve(Request("bits", least - 0.011, "x"), items, NONE)


def test_many_bits_take_the_largest_and_say_so(items: list[Item]) -> None:
    chosen = budget.resolve(Request("bits", 12, "12bpw"), items, NONE)
    assert set(chosen.counts) == {"i8"}
    assert "8.25 bits a weight" in chosen.note


def test_a_size_above_the_originals_is_refused(items: list[Item]) -> None:
    request = Request("size", 5e6, "5MB")
    with pytest.raises(BudgetError, match=r"5.0 MB is more than the original takes \(4.0 MB\)"):
        budget.resolve(request, items, NONE, original=4_000_000)
    assert budget.resolve(request, items, NONE, original=5_000_000).note


def test_quality_is_the_smallest_within_the_bound(items: list[Item]) -> None:
    best = sum(min(c.loss for c in item.choices.values()) for item in items)
    worst = sum(max(c.loss for c in item.choices.values()) for item in items)
    before = 10**12
    for bound in np.geomspace(best * 1.01, worst, 5):
        request = Request("quality", float(bound), "balanced")
        chosen = budget.resolve(request, items, NONE)
        assert chosen.predicted_kl <= bound * (1 + 1e-9)
        assert chosen.bytes <= before
        before = chosen.bytes
        # The reverse problem agrees: in fewer bytes no allocation keeps the bound.
        if chosen.bytes > smallest(items):
            tighter = budget.resolve(Request("memory", chosen.bytes - 1, "x"), items, NONE)
            assert tighter.predicted_kl > bound
    with pytest.raises(BudgetError, match="--quality"):
        budget.resolve(Request("quality", best * 0.9, "high"), items, NONE)


def test_an_allocation_survives_its_json(items: list[Item]) -> None:
    chosen = budget.resolve(Request("bits", 2.35, "2.35bpw"), items, NONE)
    assert Allocation.from_json(json.loads(json.dumps(chosen.as_json()))) == chosen
    assert chosen.as_json()["request"] == {"kind": "bits", "value": 2.35, "word": "2.35bpw"}
    assert chosen.as_json()["counts"] == chosen.counts


@pytest.mark.parametrize("request_", [Request("bits", 2.35, "2.35bpw"), Request("quality", 0.05, "high")])
def test_swaps_are_within_the_budget_and_can_be_made(items: list[Item], request_: Request) -> None:
    chosen = budget.resolve(request_, items, NONE)
    for swap in budget.alternatives(chosen, items, 4):
        made = budget.swapped(chosen, swap, items, NONE)
        assert made.bytes - chosen.bytes == swap.bytes
        assert made.predicted_kl - chosen.predicted_kl == pytest.approx(swap.loss, abs=1e-12)
        changed = {name for name in made.formats if made.formats[name] != chosen.formats[name]}
        assert changed == set(swap.formats)
        governed = [item for item in items if request_.governs_ends or not item.end]
        assert total_bytes(governed, [made.formats[item.names[0]] for item in governed]) <= chosen.limit


@pytest.mark.parametrize("family", ["llama", "phi3", "gemma3_text"])
def test_the_overhead_covers_the_folder_that_is_written(tmp_path: Path, family: str) -> None:
    path = tiny_folder(tmp_path / "m", family, format="t2b3", head_format="i8")
    folder = ModelFolder.open(path)
    spec = spec_of(folder)
    copied = {file.name: file for file in path.iterdir() if file.name.startswith(("tokenizer", "chat_", "generation"))}
    overhead = Overhead.of(spec, True, copied)
    matrices = signs = 0
    for name in spec.matrices():
        stored = folder.matrix(name)
        matrices += stored.codes.nbytes + (0 if stored.scales is None else stored.scales.nbytes)
    for name in folder.names():
        signs += folder._tensors[name][1].stop - folder._tensors[name][1].start if name.endswith(".signs") else 0
    total = sum(file.stat().st_size for file in path.iterdir())
    assert overhead.signs == signs > 0
    assert folder.bytes() <= matrices + signs + overhead.rest <= folder.bytes() + 20_000
    assert total <= matrices + signs + overhead.rest + overhead.files <= total + 60_000
    assert Overhead.of(spec, False).signs == 0


def test_requests_are_checked() -> None:
    with pytest.raises(ConversionError, match="bytes"):
        Request("bytes", 5, "5")
    with pytest.raises(ConversionError, match="impossible"):
        Request("bits", 0, "0bpw")
    with pytest.raises(BudgetError, match="nothing to choose"):
        budget.resolve(Request("bits", 2, "2bpw"), [], NONE)
    assert format_named("i8").name in budget.DISTORTION
    assert set(budget.DISTORTION) == set(MENU)
