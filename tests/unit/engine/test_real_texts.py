"""Texts that are kept, in memory and on disk, with the processor's kernels: answers are those of a fresh engine."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.tiny_models import TEXT, tiny_folder
from tests.unit.engine.test_texts import GREEDY
from tzcore.engine.generation import Engine
from tzcore.engine.request import Finished, Request, TextDelta
from tzcore.engine.snapshots import Snapshots


def ask(one: Engine, prompt: list[int], count: int = 12) -> tuple[str, int]:
    """The answer, and the tokens of the prompt that were not read."""
    *events, last = one.generate(Request(prompt=prompt, sampling=GREEDY, max_tokens=count))
    assert isinstance(last, Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), last.usage.cached_tokens


def fresh(one: Engine, prompt: list[int]) -> str:
    one._texts.forget([])
    answer, cached = ask(one, prompt)
    assert cached == 0
    return answer


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "phi3_longrope"])
def test_half_precision_gives_the_same_answers(tmp_path: Path, family: str) -> None:
    folder, store = tiny_folder(tmp_path / "m", family, "t2"), Snapshots(root=tmp_path / "contexts")
    plain = Engine.open(folder, "cpu", context=512, threads=2, kv="f16")
    with closing(plain):
        text = plain.prompts.tokenizer.encode(TEXT)[:420]
        with closing(Engine.open(folder, "cpu", context=512, threads=2, kv="f16", snapshots=store)) as one:
            ask(one, text[:380], 20)
            whole = list(one._held)
            again, edited, follow = text[:380], [*text[:300], *text[10:60]], [*whole, *text[20:60]]
            for prompt, least in ((follow, len(whole)), (edited, 0), (again, 300), (follow, 0)):
                answer, cached = ask(one, prompt)
                assert answer == fresh(plain, prompt)
                assert cached >= least
        with closing(Engine.open(folder, "cpu", context=512, threads=2, kv="f16", snapshots=store)) as one:
            answer, cached = ask(one, follow)
            assert answer == fresh(plain, follow)
            assert cached == len(follow) - 1
            answer, _ = ask(one, edited)
            assert answer == fresh(plain, edited)


@pytest.mark.parametrize("kv", ["k8v8", "k4v2"])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_codes_go_on_where_they_ended(tmp_path: Path, family: str, kv: str) -> None:
    """Not to the bit: what lies shortly before the end is read as codes then."""
    folder, store = tiny_folder(tmp_path / "m", family, "t2"), Snapshots(root=tmp_path / "contexts")
    cached = []
    for _ in range(2):
        with closing(Engine.open(folder, "cpu", context=512, threads=2, kv=kv, snapshots=store)) as one:
            prompt = one.prompts.tokenizer.encode(TEXT)[:420]
            cached.append(ask(one, prompt)[1])
            _, again = ask(one, [*one._held, *prompt[:20]])
            assert again >= 420
    assert cached[0] == 0
    assert cached[1] >= 419 - 127
