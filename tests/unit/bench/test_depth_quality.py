"""Measurements at depth, on tiny models: the arithmetic, and that real differences are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import TEXT, tiny_folder
from tzcore.bench.depth_quality import divergence_at_depth
from tzcore.bench.needle import PLACES, Fact, inserted, needles
from tzcore.bench.real_text import open_text, text_paths
from tzcore.errors import RequestError
from tzcore.keyvalues import F16, FORMATS
from tzcore.progress import Progress
from tzcore.quant.evaluation import small_files

SMALL = [FORMATS[name] for name in ("k8v8", "k4v4", "k4v2")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("depth") / "m", "llama3", "i8", "i8")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_fewer_bits_are_further_from_half_precision(model: Path, text: Path) -> None:
    reports: list[Progress] = []
    result = divergence_at_depth(model, SMALL, [400], 60, [text], "reference", 1, reports.append)
    (row,) = result["depths"]
    assert (row["depth"], row["tokens"], row["texts"], row["notice"]) == (400, 400, ["text.txt"], None)
    eight, four, few = (row["formats"][kv.name] for kv in SMALL)
    assert 0 < eight["kl_mean"] < four["kl_mean"] < few["kl_mean"]
    assert eight["kl_mean"] < 0.1 * few["kl_mean"]
    assert eight["top1"] >= four["top1"] >= few["top1"]
    for one in (eight, four, few):
        assert one["kl_mean"] < one["kl_p99"] <= one["kl_p999"]
        assert one["kv_share"] == one["kv_bytes"] / row["kv_bytes"]
    assert reports[-1].done == reports[-1].total - len(SMALL) - 1  # what follows the last token is not known


def test_a_text_that_ends_early_is_said_and_not_repeated(model: Path, text: Path) -> None:
    result = divergence_at_depth(model, SMALL[:1], [5000], 20, [text], "reference", 1)
    (row,) = result["depths"]
    whole = open_text([text], small_files(model), 10**6)
    assert row["tokens"] == len(whole.tokens) < 5000
    longer = divergence_at_depth(model, SMALL[:1], [600], 20, [text, text], "reference", 1)["depths"][0]
    assert longer["tokens"] == 600
    assert longer["notice"].startswith("The model was made for 512 tokens")
    with pytest.raises(RequestError, match="too few to score"):
        divergence_at_depth(model, SMALL[:1], [16], 16, [text], "reference", 1)


def test_texts_follow_one_another_and_the_longest_of_ours_is_first(model: Path, text: Path) -> None:
    twice = open_text([text, text], small_files(model), 10**6)
    once = open_text([text], small_files(model), 10**6)
    assert len(twice.tokens) == 2 * len(once.tokens)
    assert twice.names == ("text.txt", "text.txt")
    assert open_text([text, text], small_files(model), 100).names == ("text.txt",)
    assert text_paths([])[0].name == "novel.txt"


def test_a_fact_stands_between_two_sentences() -> None:
    text = "One is here. Two is there! And three? Four ends it."
    assert inserted(text, "X.", 0.0) == "X. " + text
    assert inserted(text, "X.", 1.0) == text + " X."
    assert inserted(text, "X.", 0.3) == "One is here. X. Two is there! And three? Four ends it."
    assert inserted("", "X.", 0.5) == "X."


def test_facts_are_drawn_from_the_seed() -> None:
    one, same, other = (Fact.drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert len({one.number, *one.wrong}) == 10
    assert one.number in one.sentence
    assert one.number not in one.question


def test_needles_are_asked_for_in_every_format_alike(model: Path, text: Path) -> None:
    """A model with random weights finds nothing, and says so."""
    formats = [F16, FORMATS["k4v4"]]
    result = needles(model, formats, [512], [text], 3, "reference", 1)
    (row,) = result["lengths"]
    assert row["tokens"] <= 512 - 32
    plain, four = (row["formats"][kv.name] for kv in formats)
    assert [answer["place"] for answer in plain["answers"]] == list(PLACES)
    assert [a["number"] for a in plain["answers"]] == [a["number"] for a in four["answers"]]
    assert plain["found"] == 0.0
    assert plain["answers"] != four["answers"]
    assert all(1 <= answer["rank"] <= 10 for answer in plain["answers"])
    assert all((answer["rank"] == 1) == (answer["margin"] > 0) for answer in plain["answers"])
    assert needles(model, formats[:1], [512], [text], 3, "reference", 1)["lengths"][0]["formats"]["f16"] == plain
    with pytest.raises(RequestError, match="too short"):
        needles(model, formats, [300], [text])
