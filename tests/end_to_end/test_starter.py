"""The main path with the real starter model: convert, ask, chat, measure."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, Starter, events

pytestmark = pytest.mark.timeout(1500)


def test_conversion_is_quick_and_small(starter: Starter) -> None:
    """The limits of an otherwise idle machine with two cores, doubled in time for one that is not."""
    if starter.seconds is None or starter.peak is None:
        pytest.skip("converted in an earlier run")
    assert starter.seconds <= 2 * 300
    assert starter.peak <= 2.5e9


def test_names_paris(starter: Starter) -> None:
    done = starter.tz("run", "starter", "What is the capital of France?", "--temperature", "0", "--max-tokens", "60")
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout


def test_a_conversation_keeps_what_was_said(starter: Starter) -> None:
    """The later questions mean nothing without the first."""
    turns = "What is the capital of France?\nAnd of Italy?\nAnd of Germany?\n"
    done = starter.tz("chat", "starter", "--json", "--temperature", "0", "--max-tokens", "60", stdin=turns)
    assert done.returncode == 0, done.stderr
    answers = [event for event in events(done.stdout) if event["event"] == "answer"]
    assert len(answers) == 3
    for answer, city in zip(answers, ("Paris", "Rome", "Berlin"), strict=True):
        assert city in answer["text"]
    for before, after in itertools.pairwise(answers):
        assert after["cached_tokens"] >= before["prompt_tokens"]  # nothing is read twice


def test_guessed_tokens_change_nothing(starter: Starter) -> None:
    code = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n"
    code += "    return area(width, height) * depth\n"
    for more in (("--temperature", "0"), ("--temperature", "0.9", "--seed", "4")):
        words = ("run", "starter", f"Repeat this code, word for word:\n{code}", "--max-tokens", "80", "--json", *more)
        ends = [events(starter.tz(*words, *off).stdout)[-1] for off in ((), ("--no-speculation",))]
        assert ends[0]["text"] == ends[1]["text"]
        assert ends[0]["drafted_tokens"] >= ends[0]["accepted_tokens"] >= 0 == ends[1]["drafted_tokens"]


def test_list_names_it(starter: Starter) -> None:
    (model,) = [m for m in json.loads(starter.tz("list", "--json").stdout) if m["id"] == starter.id]
    assert {"id", "path", "encoding", "bytes", "source"} <= model.keys()
    on_disk = sum(file.stat().st_size for file in Path(model["path"]).rglob("*") if file.is_file())
    assert model["bytes"] == pytest.approx(on_disk, rel=0.05)


def test_eval_compares_with_the_original(starter: Starter, tmp_path: Path) -> None:
    text = (ROOT / "resources" / "evaluation" / "prose.txt").read_text(encoding="utf-8")
    (tmp_path / "prose.txt").write_text(text[:12_000], encoding="utf-8")
    done = starter.tz("eval", "starter", "--text", tmp_path / "prose.txt", "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    last = events(done.stdout)[-1]
    assert last["event"] == "done"
    (result,) = last["models"]
    assert result["tokens"] > 1000
    assert 1 < result["original"]["perplexity"] < result["perplexity"] < 3 * result["original"]["perplexity"]
    assert 0 < result["kl_mean"] < 1.5
    assert result["kl_mean"] < result["kl_p999"]
    assert 0.5 < result["top1"] <= 1
    assert result["bytes"] < result["original"]["bytes"]
    assert 1.5 < result["bits_per_weight"] < 8


def test_bench_reports_all_its_numbers(starter: Starter) -> None:
    done = starter.tz("bench", "starter", "--prompt", "64", "--tokens", "16", "--repeat", "3", "--json")
    assert done.returncode == 0, done.stderr
    result = events(done.stdout)[-1]
    for name in ("prefill_tps", "decode_tps", "read_bandwidth", "bandwidth_share", "threads", "bytes_per_token"):
        assert result[name] > 0, name
    assert result["backend"]
    share = result["decode_tps"] * result["bytes_per_token"] / result["read_bandwidth"]
    assert result["bandwidth_share"] == pytest.approx(share)
    assert result["prefill_tps"] > result["decode_tps"]


def test_a_longer_context_than_the_model_was_made_for_is_opened_with_a_warning(starter: Starter) -> None:
    done = starter.tz("run", "starter", "Hello", "--context", "16384", "--max-tokens", "8")
    assert done.returncode == 0, done.stderr
    assert "made for 8,192 tokens" in done.stderr


def test_a_context_that_no_machine_holds_is_refused(starter: Starter) -> None:
    done = starter.tz("run", "starter", "Hello", "--context", "900000000k")
    assert done.returncode == 1
    assert "does not fit" in done.stderr


def test_plan_reads_metadata_alone(starter: Starter) -> None:
    done = starter.tz("plan", "starter", "--json")
    assert done.returncode == 0, done.stderr
    plan = events(done.stdout)[-1]
    assert plan["parameters"] == pytest.approx(134_515_008, rel=0.01)
    assert plan["family"] == "llama"


@pytest.mark.skipif(os.name == "nt", reason="/dev/full")
def test_a_full_disk_behind_stdout_is_one_line(starter: Starter) -> None:
    from tests.end_to_end.conftest import command, environment

    words = command("run", "starter", "Hello", "--temperature", "0", "--max-tokens", "4")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(starter.home), check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
