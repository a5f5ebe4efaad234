"""What was read is not read again, whichever way a conversation goes; and never is anything else taken for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import TEXT, tiny_folder
from tests.unit.engine.scripted_model import ScriptedModel, ScriptedSequence, engine
from tzcore.engine import texts
from tzcore.engine.generation import Engine
from tzcore.engine.request import Finished, Request, TextDelta, Usage
from tzcore.engine.sampler import Sampling
from tzcore.engine.texts import MOST, shared
from tzcore.errors import BackendError, ContextFullError

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=0.0)
Make = Callable[..., Engine]


def tokens(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(10, 250, count).tolist()


SYSTEM = tokens(0, 90)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Engine] = []

    def build(context: int = 2048, window: int | None = None) -> Engine:
        made.append(engine(tmp_path, ScriptedModel(window=window), context, speculation=False))
        return made[-1]

    yield build
    for one in made:
        model, sequences = one._model, one._model.sequences  # type: ignore[attr-defined]
        one.close()
        assert all(sequence.closed for sequence in sequences), model


def say(one: Engine, prompt: list[int], count: int = 20) -> tuple[str, Usage]:
    """The answer and its usage; what was read must be what was not cached, and what is held what was said."""
    model = one._model
    assert isinstance(model, ScriptedModel)
    model.calls.clear()
    events = list(one.generate(Request(prompt=prompt, sampling=GREEDY, max_tokens=count)))
    *_, last = events
    assert isinstance(last, Finished)
    assert sum(model.calls) == len(prompt) - last.usage.cached_tokens + last.usage.completion_tokens - 1
    check(one)
    return "".join(e.text for e in events if isinstance(e, TextDelta)), last.usage


def check(one: Engine) -> None:
    for text in one._texts._kept:
        assert isinstance(text.sequence, ScriptedSequence)
        assert text.sequence.tokens == text.tokens
    assert len(one._texts._kept) <= MOST


def answered(one: Engine, prompt: list[int], count: int = 20) -> tuple[str, Usage, list[int]]:
    """:func:`say`, and the whole text, which the next turn goes on with."""
    text, usage = say(one, prompt, count)
    return text, usage, list(one._held)


@pytest.fixture
def fresh(make: Make) -> Callable[[list[int]], str]:
    """What an engine that has nothing kept says."""
    one = make()

    def answer(prompt: list[int]) -> str:
        one._texts.forget([])
        text, usage = say(one, prompt)
        assert usage.cached_tokens == 0
        return text

    return answer


def test_a_second_turn_reads_what_is_new(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    _, usage, whole = answered(one, SYSTEM)
    assert usage.cached_tokens == 0
    follow = [*whole, *tokens(1, 12)]
    text, usage = say(one, follow)
    assert usage.cached_tokens == len(whole)
    assert text == fresh(follow)
    assert len(one._texts._kept) == 1, "a conversation that goes on needs no fork"


def test_another_answer_leaves_the_first(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    text, _, first = answered(one, SYSTEM)
    for _ in range(3):
        again, usage = say(one, SYSTEM, 30)
        assert usage.cached_tokens == len(SYSTEM) - 1
        assert again.startswith(text)
    follow = [*first, *tokens(1, 9)]
    text, usage = say(one, follow)
    assert usage.cached_tokens == len(first)
    assert text == fresh(follow)


def test_a_short_end_is_not_worth_a_branch(make: Make) -> None:
    one = make()
    say(one, SYSTEM, 3)
    say(one, SYSTEM, 3)
    assert len(one._texts._kept) == 1


def test_an_edited_message_a_branch_and_back(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    _, _, first = answered(one, SYSTEM)
    _, _, second = answered(one, [*first, *tokens(1, 30)])
    third = [*second, *tokens(2, 30)]
    say(one, third)
    edited = [*first, *tokens(3, 25)]
    text, usage, branch = answered(one, edited)
    assert usage.cached_tokens == len(first)
    assert text == fresh(edited)
    for place in range(4):  # to and fro, each time a little further
        back = [*third, *tokens(10, 40 * (place + 1))]
        text, usage, third = answered(one, back)
        assert usage.cached_tokens >= len(second) + 30
        assert text == fresh(back)
        there = [*branch, *tokens(20 + place, 15)]
        text, usage, branch = answered(one, there)
        assert usage.cached_tokens == len(there) - 15
        assert text == fresh(there)
        third = back


def test_two_conversations_in_turn(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    talks = [[*SYSTEM, *tokens(1, 50)], [*SYSTEM, *tokens(2, 70)], tokens(3, 40)]
    for turn in range(4):
        for number, talk in enumerate(talks):
            text, usage, whole = answered(one, talk)
            assert text == fresh(talk)
            if turn:
                assert usage.cached_tokens == len(talk) - 11
            elif number == 1:
                assert usage.cached_tokens == len(SYSTEM)
            talks[number] = [*whole, *tokens(100 * turn + number, 11)]


def test_the_least_used_text_goes_when_room_is_short(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make(context=512)
    a, b, c = (tokens(seed, 150) for seed in (1, 2, 3))
    for talk in (a, b):
        say(one, talk)
    assert len(one._texts._kept) == 2
    assert say(one, a)[1].cached_tokens == len(a) - 1  # now b is the older one
    assert say(one, c)[0] == fresh(c)
    assert say(one, a)[1].cached_tokens == len(a) - 1
    text, usage = say(one, b)
    assert usage.cached_tokens == 0
    assert text == fresh(b)


def test_one_text_can_fill_the_context_beside_others(make: Make) -> None:
    one = make(context=256)
    for seed in (1, 2, 3):
        say(one, tokens(seed, 50))
    prompt = tokens(4, 40)
    *_, last = one.generate(Request(prompt=prompt, sampling=GREEDY))
    assert isinstance(last, Finished)
    assert last.reason == "context"
    assert last.usage.completion_tokens == 256 - 40 + 1
    assert len(one._held) == 256
    check(one)
    whole = tokens(5, 255)
    assert say(one, whole, 2)[1].completion_tokens == 2


def test_no_more_texts_than_are_worth_keeping(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make(context=4096)
    for seed in range(MOST + 5):
        say(one, tokens(seed, 30))
    assert say(one, tokens(6, 30))[1].cached_tokens == 29
    assert say(one, tokens(0, 30))[1].cached_tokens == 0


def test_a_cancelled_prompt_stays_as_far_as_it_was_read(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    other = tokens(1, 100)
    say(one, other)
    prompt, cancel = tokens(2, 1500), threading.Event()
    events = one.generate(Request(prompt=prompt, sampling=GREEDY, max_tokens=3), cancel)
    while (event := next(events)).done < 100:  # type: ignore[union-attr]
        pass
    cancel.set()
    assert isinstance(list(events)[-1], Finished)
    check(one)
    assert say(one, other)[1].cached_tokens == 99
    text, usage = say(one, prompt)
    assert usage.cached_tokens >= event.done  # type: ignore[union-attr]
    assert text == fresh(prompt)


def test_a_failure_leaves_every_text_as_it_was(make: Make, fresh: Callable[[list[int]], str]) -> None:
    one = make()
    model = one._model
    assert isinstance(model, ScriptedModel)
    talks = [[*SYSTEM, *tokens(seed, 40)] for seed in (1, 2)]
    for talk in talks:
        say(one, talk)
    for at in range(12):
        model.calls.clear()
        model.fail_at = at
        with pytest.raises(BackendError, match="failed"):
            list(one.generate(Request(prompt=[*SYSTEM, *tokens(50 + at, 60)], sampling=GREEDY, max_tokens=30)))
        check(one)
        for talk in talks:
            text, usage = say(one, talk)
            assert usage.cached_tokens == len(talk) - 1
            assert text == fresh(talk)


def test_a_fork_that_finds_no_room_makes_some_or_goes_on_in_place(
    make: Make, fresh: Callable[[list[int]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(context=512)
    model = one._model
    assert isinstance(model, ScriptedModel)
    say(one, SYSTEM)
    say(one, tokens(1, 50))

    def full(sequence: ScriptedSequence) -> None:
        if sequence.tokens:
            raise ContextFullError("no page is free")

    monkeypatch.setattr(model, "before_fork", full)
    edited = [*SYSTEM[:60], 251, *tokens(2, 60)]
    text, usage = say(one, edited)
    assert usage.cached_tokens == 60
    assert text == fresh(edited)
    assert len(one._texts._kept) == 1


@pytest.mark.parametrize("window", [40, 300])
def test_with_windows_one_goes_back_to_the_ends_of_prompts(
    make: Make, fresh: Callable[[list[int]], str], window: int
) -> None:
    one = make(window=window)
    _, _, first = answered(one, SYSTEM, 60)
    second = [*first, *tokens(1, 30)]
    say(one, second, 60)
    text, usage = say(one, second)  # another answer
    assert usage.cached_tokens == len(second) - 1
    assert text == fresh(second)
    edited = [*first[: len(first) - 3], *tokens(2, 30)]  # back into the first answer: to the end of its question
    text, usage = say(one, edited)
    assert usage.cached_tokens == (len(SYSTEM) - 1 if window == 40 else len(first) - 3)
    assert text == fresh(edited)
    follow = [*second, *tokens(3, 30)]
    assert say(one, follow)[1].cached_tokens >= len(second) - 1


@pytest.mark.parametrize("window", [None, 50])
@pytest.mark.parametrize("context", [384, 2048])
def test_any_walk_gives_what_a_fresh_engine_gives(
    make: Make, fresh: Callable[[list[int]], str], context: int, window: int | None
) -> None:
    one = make(context, window)
    rng = np.random.default_rng(context)
    known: list[list[int]] = [[]]
    spared = 0
    for turn in range(40):
        base = known[rng.integers(len(known))]
        keep = len(base) if turn % 2 else int(rng.integers(len(base) + 1))
        prompt = [*base[:keep], *tokens(turn, int(rng.integers(1, 60)))][: min(context, 400) - 30]
        text, usage, whole = answered(one, prompt)
        assert text == fresh(prompt)
        spared += usage.cached_tokens
        known = [*known[-12:], whole]
    assert spared > 300


def test_what_is_forgotten_is_read_again(make: Make) -> None:
    one = make()
    mine, other = [*SYSTEM, *tokens(1, 40)], [*SYSTEM, *tokens(2, 40)]
    say(one, mine)
    say(one, other)
    one._texts.forget(mine[:110])
    assert say(one, mine)[1].cached_tokens == len(SYSTEM)
    assert say(one, other)[1].cached_tokens == len(other) - 1
    one._texts.forget(other)  # the one that ran last
    assert say(one, other)[1].cached_tokens == len(SYSTEM)


def test_beginnings_are_compared_to_the_token() -> None:
    whole = tokens(0, 1000)
    for common in (0, 1, 255, 256, 257, 511, 512, 999, 1000):
        other = [*whole[:common], *(token + 1 for token in whole[common:])]
        assert shared(whole, other) == shared(other, whole) == common
        assert shared(whole[:700], other) == min(common, 700)
    assert texts._STRIDE == 256


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_on_a_real_model(tmp_path: Path, family: str) -> None:
    folder = tiny_folder(tmp_path / "m", family)
    one, other = (Engine.open(folder, "reference", context=512) for _ in range(2))

    def ask(engine: Engine, prompt: list[int], count: int = 12) -> tuple[str, int]:
        *events, last = engine.generate(Request(prompt=prompt, sampling=GREEDY, max_tokens=count))
        assert isinstance(last, Finished)
        return "".join(e.text for e in events if isinstance(e, TextDelta)), last.usage.cached_tokens

    try:
        text = one.prompts.tokenizer.encode(TEXT)
        assert len(text) > 400
        ask(one, text[:120], 20)
        first = list(one._held)
        prompts = [text[:120], [*first, *text[200:230]], [*text[:80], *text[300:350]], [*first, *text[200:260]]]
        expected = (119, len(first), 80, len(first) + 30)
        for prompt, cached in zip(prompts, expected, strict=True):
            answer, found = ask(one, prompt)
            assert found == cached
            other._texts.forget([])
            fresh, found = ask(other, prompt)
            assert found == 0
            assert answer == fresh
    finally:
        one.close()
        other.close()
