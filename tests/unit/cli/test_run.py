from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tz

GREEDY = ("--temperature", "0", "--max-tokens", "12")


def test_the_answer_is_alone_on_stdout_and_greedy_is_repeatable(tz: Tz, tiny_model: Path) -> None:
    first = tz("run", tiny_model, "A river begins", *GREEDY)
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip()
    assert tz("run", tiny_model, "A river begins", *GREEDY).stdout == first.stdout


def test_the_prompt_can_come_from_standard_input(tz: Tz, tiny_model: Path) -> None:
    typed = tz("run", tiny_model, "A river begins", *GREEDY)
    piped = tz("run", tiny_model, "-", *GREEDY, stdin="A river begins")
    assert piped.stdout == typed.stdout
    assert piped.returncode == 0


def test_json_gives_the_same_text_with_its_numbers(tz: Tz, tiny_model: Path) -> None:
    plain = tz("run", tiny_model, "A river begins", *GREEDY)
    done = tz("run", tiny_model, "A river begins", *GREEDY, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["text"].rstrip("\n") == plain.stdout.rstrip("\n")
    assert "".join(e["text"] for e in events if e["event"] == "delta") == events[-1]["text"]
    assert 1 <= events[-1]["completion_tokens"] <= 12
    assert events[-1]["prompt_tokens"] > 0


def test_guessed_tokens_change_nothing_but_the_numbers(tz: Tz, tiny_model: Path) -> None:
    words = ("run", tiny_model, "one two three " * 10, "--temperature", "0", "--max-tokens", "60", "--json")
    with_drafts, without = (tz(*words, *more) for more in ((), ("--no-speculation",)))
    ends = [json.loads(done.stdout.splitlines()[-1]) for done in (with_drafts, without)]
    assert ends[0]["text"] == ends[1]["text"]
    assert ends[0]["completion_tokens"] == ends[1]["completion_tokens"]
    assert 0 <= ends[0]["accepted_tokens"] <= ends[0]["drafted_tokens"]
    assert ends[1]["accepted_tokens"] == ends[1]["drafted_tokens"] == 0


def test_a_seed_repeats_an_answer_and_another_changes_it(tz: Tz, tiny_model: Path) -> None:
    def answer(seed: str) -> str:
        words = ("--temperature", "1.5", "--max-tokens", "24", "--top-k", "0", "--top-p", "1", "--seed", seed)
        return tz("run", tiny_model, "A river", *words).stdout

    assert answer("7") == answer("7")
    assert len({answer(seed) for seed in "123"}) > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--temperature", "-1"), "temperature"),
        (("--top-p", "2"), "top_p"),
        (("--max-tokens", "0"), "max_tokens"),
        (("--context", "900000000k"), "context"),
    ],
)
def test_values_out_of_range_are_one_line(tz: Tz, tiny_model: Path, arguments: tuple[str, ...], words: str) -> None:
    done = tz("run", tiny_model, "A river", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tz: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_prompt_longer_than_the_context_is_refused_not_cut(tz: Tz, tiny_model: Path) -> None:
    done = tz("run", tiny_model, "river " * 400, "--context", "64")
    assert (done.returncode, done.stdout) == (1, "")
    assert "64" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_answer_that_fills_the_context_says_so(tz: Tz, tiny_model: Path) -> None:
    done = tz("run", tiny_model, "A river begins", "--temperature", "0", "--context", "48", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if events[-1]["finish_reason"] != "context":
        pytest.skip("this random model ends its text before the context is full")
    assert any(e["event"] == "note" and "full" in e["message"] for e in events)
