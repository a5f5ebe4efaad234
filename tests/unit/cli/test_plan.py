from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.native_models import bitnet_model
from tests.tiny_models import tiny_folder, tiny_source
from tests.unit.backend.cuda.pretended_engine import pretended_machine
from tests.unit.cli.conftest import Tz
from tzcore import trits
from tzcore.checkpoint.reader import ModelFolder
from tzcore.cli import plan, plan_result, plan_words, speed
from tzcore.cli.budget_arguments import Budget
from tzcore.cli.plan import Wish, shape_of
from tzcore.cli.plan_result import estimated, result_of
from tzcore.hub import sources
from tzcore.hub.reference import Kind, parse
from tzcore.hub.sources import SourceInfo
from tzcore.quant import probe
from tzcore.quant.allocation import BudgetError
from tzcore.quant.budget import Request
from tzcore.quant.native_import import import_native, recognise
from tzcore.quant.probe import Rates
from tzcore.quant.settings import Settings
from tzcore.quant.stored import stored_as


@pytest.fixture(autouse=True)
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates of a fixed machine: what is measured is tested in test_probe."""
    monkeypatch.setattr(probe, "measure", lambda width, settings: Rates(1e6, 1e9))
    monkeypatch.setattr(speed, "probe", lambda: speed.Machine(30e9, 700e9))


CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
    "max_position_embeddings": 8192,
    "hidden_act": "silu",
}


def info(config: dict[str, Any] | None = CONFIG, parameters: int | None = 134_515_008, **more: Any) -> SourceInfo:
    known = {"supported": True, "licence": "apache-2.0", "gated": False, "download_bytes": 270_000_000, **more}
    return SourceInfo(
        id="org/model", kind=Kind.HUB, revision=None, family="llama", parameters=parameters, config=config, **known
    )


def test_the_shape_comes_from_the_configuration_alone() -> None:
    spec = shape_of(CONFIG)
    assert spec is not None
    assert (len(spec.layers), spec.hidden, spec.tied) == (30, 576, True)
    assert spec.kv_bytes_per_token() == 30 * 2 * 3 * 64 * 2
    assert shape_of({**CONFIG, "model_type": "unheard-of"}) is None
    assert shape_of({}) is None


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3_text", "phi3"])
def test_a_result_is_foreseen_to_the_headers_and_tokenizer(family: str, tmp_path: Path) -> None:
    source = tiny_source(family)
    spec = shape_of(source.config)
    assert spec is not None
    settings = Settings(format="q2", group=64)
    made = result_of(spec, settings)
    folder = tiny_folder(tmp_path / "m", family, format="q2", head_format="i8", group=64)
    stored = ModelFolder.open(folder).bytes()
    assert made.weights is not None
    assert stored <= made.weights <= stored + 20_000
    assert made.formats == {"i8": 1 if spec.tied else 2, "q2": len(spec.matrices()) - (1 if spec.tied else 2)}


def test_an_estimate_without_a_shape_is_that_of_the_formats() -> None:
    for name in ("t2b3", "t2", "i8", "t1b3", "q2"):
        settings = Settings(format=name, group=64)
        fmt = trits.format_named(name)
        each = 8 * trits.tile_bytes(fmt, 8192) / (16 * 8192) + 16 / 64
        tables = plan_result._usual_tables(10**9)
        made = estimated(10**9, settings, None)
        assert made.folder == pytest.approx((10**9 - tables) * each / 8 + tables * 8.25 / 8, rel=1e-6)
        assert made.bits == pytest.approx(each)
    assert estimated(None, Settings(), None).folder is None
    assert estimated(10**9, Settings(), Budget("size", 10**8, "100MB")).folder == 10**8
    assert estimated(10**9, Settings(), Budget("quality", 0, "high")).folder is None


def test_a_plan_adds_up() -> None:
    made = plan.of_source(info(), Wish(context=4096))
    assert made["kv_bytes"] == 4096 * 30 * 2 * 3 * 64 * 2
    assert made["memory_bytes"] == made["weights_bytes"] + made["kv_bytes"] + made["workspace_bytes"]
    assert made["weights_bytes"] < made["result_bytes"] < made["weights_bytes"] + 500_000
    assert made["peak_disk_bytes"] > made["download_bytes"] + made["result_bytes"]
    assert made["context"] == 4096
    assert made["encoding"] == "t2"
    spec = shape_of(CONFIG)
    assert spec is not None
    settings = Settings.default_for(spec)
    assert made["conversion_seconds"] == pytest.approx(probe.seconds(spec, settings, Rates(1e6, 1e9)))


@pytest.mark.parametrize("wanted", [2.35, 3.0, 4.5])
def test_a_plan_for_bits(wanted: float) -> None:
    made = plan.of_source(info(), Wish(Budget("bits", wanted, f"{wanted}bpw")))
    assert wanted - 0.05 < made["bits_per_weight"] <= wanted
    assert made["encoding"] == f"{wanted}bpw"
    assert sum(made["formats"].values()) == 211
    assert not made["note"]
    plain = plan.of_source(info(), Wish())
    assert made["conversion_seconds"] > plain["conversion_seconds"]  # sensitivities are measured first


def test_activations_on_the_disk_are_counted() -> None:
    spec = shape_of(CONFIG)
    assert spec is not None
    settings = Settings(tokens=32768, window=512)
    assert plan.scratch_bytes(spec, settings) == 4 * 32768 * 2 * (7 * 576 + 1536)
    deep = replace(spec, layers=spec.layers * 10)
    request = Request("bits", 2.0, "2bpw")
    assert plan.scratch_bytes(deep, replace(settings, request=request)) == 4 * 301 * 8192 * 576
    assert plan.scratch_bytes(spec, replace(settings, tokens=1000, request=request)) == 4 * 31 * 1000 * 576


def test_a_plan_for_a_size() -> None:
    made = plan.of_source(info(), Wish(Budget("size", 60_000_000, "60MB")))
    assert 59_000_000 < made["result_bytes"] <= 60_000_000
    with pytest.raises(BudgetError, match="smallest this model can be made is"):
        plan.of_source(info(), Wish(Budget("size", 10_000_000, "10MB")))
    made = plan.of_source(info(), Wish(Budget("size", 500_000_000, "500MB")))
    assert "more than the largest formats take" in made["note"]


def for_card(vram: int, context: int, word: str) -> Wish:
    return Wish(Budget("vram", vram, word, context), context=context, vram=vram)


def test_a_plan_for_a_card() -> None:
    made = plan.of_source(info(), for_card(2 * 10**9, 4096, "2GB-4k"))
    card = made["card"]
    assert made["fits"]
    assert card["fits"]
    assert (made["free_memory"], card["budget_bytes"]) == (2 * 10**9, 2 * 10**9)
    assert made["memory_bytes"] == card["total_bytes"] == sum(card["items"].values())
    assert made["kv_bytes"] == card["items"]["keys and values"] == 4096 * 30 * 2 * 3 * 64 * 2
    assert made["weights_bytes"] == sum(card["items"][name] for name in ("weights", "head", "norms and tables"))
    assert made["longest_context"] == card["longest_context"] == 8192
    with pytest.raises(BudgetError, match="for the weights"):
        plan.of_source(info(), for_card(680_000_000, 4096, "680MB-4k"))
    longer = plan.of_source(info(), for_card(2 * 10**9, 16384, "2GB-16k"))
    assert longer["notice"].startswith("The model was made for 8,192 tokens; beyond that")
    # Memory that holds the model, but not what a driver takes besides.
    small = plan.of_source(info(), Wish(encoding="t1", vram=300_000_000))
    assert not small["fits"]
    assert "fits       no" in plan_words.words(small)
    assert "it does not fit on a card of that size" in plan_words.words(small)


LARGE: dict[str, Any] = {
    **CONFIG,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "num_hidden_layers": 80,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}


def test_a_large_model_on_a_card_of_24_gib() -> None:
    """Made for it, and in an encoding of one's own: itemised, with the contexts of every precision."""
    vram = 24 << 30
    made = plan.of_source(info(LARGE, 70_553_706_496), Wish(Budget("vram", vram, "24GiB"), vram=vram))
    assert made["fits"]
    encoded = plan.of_source(info(LARGE, 70_553_706_496), Wish(encoding="t1", packing="slots", vram=vram))
    card = encoded["card"]
    assert card["fits"]
    assert card["items"]["weights"] == pytest.approx(68_451_041_280 * 2.125 / 8, rel=0.002)
    tokens = {row["kv"]: row["tokens"] for row in card["contexts"]}
    assert 15_000 < tokens["f16"] < tokens["k8v8"] < tokens["k6v5"] < 65_536 < tokens["k4v4"] < tokens["k4v2"] < 131_072
    text = plan_words.words(encoded)
    assert "card       it fits on a card of that size: " in text
    assert re.search(r"\n  weights +18\.2 GB\n", text)
    assert re.search(r"\n  keys and values +2\.7 GB   8,192 tokens as f16\n", text)
    assert re.search(r"\n  k4v4 +\d\d,\d{3} tokens   4\.062 bits a number\n", text)
    assert "the model was made for at most 8,192" in text
    assert "fits       yes" in text


def test_signs_are_shared_by_the_matrices_of_a_stage() -> None:
    spec = shape_of(CONFIG)
    assert spec is not None
    formats = dict.fromkeys(spec.matrices(), "t2b3")
    entries = stored_as(spec, formats, Settings())
    assert entries.keys() == spec.matrices().keys()
    layer = spec.layers[0]
    q, k, down = (entries[ref.name].transform for ref in (layer.q, layer.k, layer.experts[0].down))
    assert q is not None
    assert down is not None
    assert q == k
    assert (q.block, down.block) == (64, 512)
    assert entries[spec.head.name].transform is None
    assert all(entry.transform is None for entry in stored_as(spec, formats, Settings(rotate=False)).values())


def test_this_machines_card_is_planned_for(tmp_path: Path) -> None:
    assert plan.of_source(info(), Wish())["card"] is None
    with pretended_machine(tmp_path):
        made = plan.of_source(info(), Wish(context=1000))
        text = plan_words.words(made)
    assert made["card"]["name"] == "NVIDIA GeForce RTX 4090"
    assert made["card"]["context"] == made["context"] == 1000
    assert made["free_memory"] != made["card"]["budget_bytes"]
    assert "card       it fits on NVIDIA GeForce RTX 4090: " in text


def test_a_card_for_an_encoding_by_the_program(tz: Tz, tmp_path: Path) -> None:
    folder = tmp_path / "original"
    tiny_source("llama").model.save_pretrained(folder)
    done = tz("plan", folder, "--encoding", "t1", "--vram", "8GiB", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["encoding"], made["budget"]) == ("t1", None)
    assert made["card"]["budget_bytes"] == 8 << 30
    assert tz("convert", folder, "--encoding", "t1", "--vram", "8GiB").returncode == 2


def test_a_plan_for_a_quality_names_the_range() -> None:
    made = plan.of_source(info(), Wish(Budget("quality", 0, "balanced")))
    least, most = made["result_between"]
    assert 30_000_000 < least < 60_000_000 < 120_000_000 < most
    assert made["result_bytes"] is None
    assert made["fits"] is None
    assert "between" in plan_words.words(made)
    assert "measured when it is converted" in plan_words.words(made)


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan.of_source(info(None, None, download_bytes=None), Wish())
    assert made["result_bytes"] is made["memory_bytes"] is made["conversion_seconds"] is None
    assert plan_words.words(made).count("not known") >= 3
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    made = plan.of_source(info(), Wish())
    assert made["conversion_seconds"] is None
    assert made["result_bytes"]
    assert "time       of the conversion not known" in plan_words.words(made)


@pytest.mark.parametrize("packing", [None, "slots"])
def test_a_natively_ternary_source_keeps_its_own(packing: str | None, tmp_path: Path) -> None:
    """The plan is that of the import, and of a conversion only where another encoding is asked for."""
    bitnet_model(tmp_path / "m", "unpacked")
    reference = parse(str(tmp_path / "m"))
    known = sources.describe(reference)
    made = plan.of_source(known, Wish(packing=packing))
    source = sources.open_source(reference)
    scheme = recognise(source)
    assert scheme is not None
    stored = ModelFolder.open(import_native(source, scheme, tmp_path / "out", packing=packing)).bytes()
    assert made["encoding"] == "t1"
    assert "taken over" in made["note"]
    # A matrix of one scale is stored in the longest groups that divide its width, which no plan knows.
    assert made["weights_bytes"] == pytest.approx(stored, abs=20_000)
    assert "taken over" not in plan.of_source(known, Wish(encoding="t2"))["note"]


def test_what_contexts_cost_by_format() -> None:
    made = plan.of_source(info(), Wish(context=10_000))
    assert [row["tokens"] for row in made["contexts"]] == [4096, 8192, 10_000]
    formats = made["contexts"][0]["formats"]
    assert list(formats) == ["f16", "k8v8", "k6v5", "k4v4", "k4v2"]
    assert formats["f16"] == {
        "kv_bytes": 4096 * 30 * 2 * 3 * 64 * 2,
        "total_bytes": made["weights_bytes"] + made["workspace_bytes"] + 4096 * 30 * 2 * 3 * 64 * 2,
        "fits": True,
    }
    text = plan_words.words(made)
    assert re.search(r"\n +tokens +f16 +k8v8 +k6v5 +k4v4 +k4v2\n", text)
    assert re.search(r"\n +4,096 +94\.4 MB ✓ ", text)
    assert re.search(r"\n +10,000 .* more than the model was made for\n", text)
    assert "The model was made for 8,192 tokens; beyond that" in text


def test_a_format_by_name() -> None:
    made = plan.of_source(info(), Wish(context=4096, kv="k4v4"))
    assert made["kv"] == "k4v4"
    assert made["kv_bytes"] == made["contexts"][0]["formats"]["k4v4"]["kv_bytes"]
    assert "keys and values in 4 bits, as asked for" in plan_words.words(made)


def test_the_words_of_a_plan() -> None:
    text = plan_words.words(plan.of_source(info(), for_card(10**9, 4096, "1GB-4k")))
    assert "org/model: llama, 134.5 M parameters, licence apache-2.0" in text
    assert "4,096 tokens of context 94.4 MB" in text
    assert "of 1.0 GB that are free" in text
    assert "8,192 tokens would fit" in text
    assert "fits       yes" in text


def test_the_bar_shows_shares() -> None:
    parts = {"weights": 50, "context": 25, "workspace": 0, "kept free": 5}
    assert plan_words.bar(parts, 100, 20) == "██████████▓▓▓▓▓·    "
    assert plan_words.bar({**parts, "context": 60}, 100, 20) == "██████████▓▓▓▓▓▓▓▓▓!"
    assert plan_words.bar(dict.fromkeys(parts, 0), 0, 10) == " " * 10


def test_a_package_that_does_not_exist(tz: Tz, tmp_path: Path) -> None:
    done = tz("plan", "pypi:no-such-package", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no wheel of no-such-package" in done.stderr


def test_a_local_model_by_the_program(tz: Tz, tmp_path: Path) -> None:
    folder = tmp_path / "original"
    tiny_source("llama").model.save_pretrained(folder)
    done = tz("plan", folder, "--bits", "3.1", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert 2.9 < made["bits_per_weight"] <= 3.1
    assert made["conversion_seconds"] > 0
    refused = tz("plan", folder, "--bits", "1.1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not enough" in refused.stderr
