from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Tz

PROMPT = "A river begins where rain meets high ground, and the valley widens. " * 12
WORDS = ("--backend", "reference", "--temperature", "0", "--max-tokens", "6", "--json")


def end(tz: Tz, *words: str | Path) -> dict[str, Any]:
    done = tz("run", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_text_that_was_read_is_there_the_next_time(tz: Tz, tiny_model: Path, home: Path) -> None:
    plain = end(tz, tiny_model, PROMPT, *WORDS)
    assert not (home / "contexts").exists(), "nothing is kept unless it is asked for"
    first = end(tz, tiny_model, PROMPT, *WORDS, "--snapshots", "--snapshots-quota", "1GB")
    again = end(tz, tiny_model, PROMPT, *WORDS, "--snapshots")
    assert plain["text"] == first["text"] == again["text"]
    assert plain["prompt_tokens"] > 300
    assert first["cached_tokens"] == 0
    assert again["cached_tokens"] == again["prompt_tokens"] - 1
    assert end(tz, tiny_model, PROMPT, *WORDS, "--no-snapshots")["cached_tokens"] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("--snapshots-quota", "1GB"), 1, "give --snapshots as well"), (("--snapshots-quota", "lots"), 2, "no size")],
)
def test_wrong_words(tz: Tz, tiny_model: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = tz("run", tiny_model, "Hello", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
