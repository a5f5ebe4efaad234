"""Answers with drafts are those without, token for token, whatever ends them; and nothing is kept that was not said."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_models import TEXT, tiny_folder
from tests.unit.engine.scripted_model import ScriptedModel, ScriptedSequence, engine
from tzcore.backend.base import Choice
from tzcore.engine import steps, texts
from tzcore.engine.drafting import Drafting
from tzcore.engine.generation import Engine
from tzcore.engine.lookup import LONGEST, Lookup, Proposal
from tzcore.engine.request import Event, Finished, PrefillProgress, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.errors import BackendError

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=0.0)
SAMPLINGS = {
    "greedy": GREEDY,
    "greedy with penalties": Sampling(temperature=0, repetition_penalty=1.3, dry_multiplier=0.8, frequency_penalty=0.2),
    "DRY": Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=1.5),
    "seeded": Sampling(seed=7),
    "seeded, all tokens": Sampling(
        temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0, dry_multiplier=0, seed=8
    ),
    "seeded, hot": Sampling(temperature=3.0, top_k=20, top_p=0.9, min_p=0.0, presence_penalty=0.5, seed=9),
}


class Habitual(ScriptedModel):
    """Usually says what it said after the last two tokens before, so that texts repeat; now and then it does not.

    Its logits depend on every token held, and on how much is held, so that a wrong draft left in the text shows.
    """

    def __init__(self, end: int | None = None, surprises: int = 6) -> None:
        super().__init__()
        self.end, self.surprises = end, surprises
        self.steps: list[tuple[int, str]] = []

    def forward(
        self, sequence: ScriptedSequence, tokens: npt.NDArray[np.int32], logits: str = "last"
    ) -> npt.NDArray[np.float32]:
        self.steps.append((int(tokens.size), logits))
        return super().forward(sequence, tokens, logits)

    def row(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        whole = hashlib.sha256(np.asarray(tokens, np.int32).tobytes()).digest()
        row = np.random.default_rng(list(whole)).standard_normal(self.spec.vocabulary, np.float32) * 0.5
        few = 30 + (tokens[-1] * 7 + tokens[-2] * 3) % 12 if len(tokens) > 1 else 30
        row[few] += 8.0
        if whole[0] % self.surprises == 0:
            row[50 + whole[1] % 20] += 16.0
        if self.end is not None and whole[2] % 40 == 0:
            row[self.end] += 40.0
        return row


class Eager(Drafting):
    """Drafts whatever is proposed, in lengths that vary."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def length(self, matched: int, limit: int) -> int:
        self.asked += 1
        return min(limit, 7 if self.asked % 3 else self.asked % 7)


class Told(Lookup):
    """Proposes what ``whole`` goes on with, every sixth token of it wrong."""

    def __init__(self, text: list[int], whole: list[int]) -> None:
        super().__init__(text)
        self._whole = [token if place % 6 else (token + 1) % 400 for place, token in enumerate(whole)]

    def propose(self, token: int, limit: int) -> Proposal | None:
        begin = len(self._text) + 1
        tokens = self._whole[begin : begin + max(limit, 0)]
        return Proposal(LONGEST, tokens) if tokens else None


def tell(monkeypatch: pytest.MonkeyPatch, one: Engine, whole: list[int]) -> None:
    """What ``one`` says from now on is proposed to it, with mistakes."""
    monkeypatch.setattr(texts, "Lookup", functools.partial(Told, whole=whole))
    one._texts.running.forget_pairs()


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "Drafting", Eager)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two engines on the same model, of which the first drafts."""
    made = [engine(tmp_path / str(on), Habitual(), context=300, speculation=on) for on in (True, False)]
    yield made[0], made[1]
    for one in made:
        one.close()


def said(one: Engine, request: Request, cancel_after: int | None = None, close_after: int | None = None) -> list[Any]:
    """The pieces of text, the end as ``(reason, stop string, usage)``, and what the engine holds afterwards, which
    must be what the sequence holds."""
    cancel, events = threading.Event(), list[Any]()
    running = one.generate(request, cancel)
    assert isinstance(running, Generator)
    for event in running:
        if isinstance(event, Finished):
            usage = dataclasses.replace(event.usage, drafted_tokens=0, accepted_tokens=0)
            events.append((event.reason, event.stop_string, usage))
        elif isinstance(event, TextDelta):
            events.append(event)
            if event.tokens == cancel_after:
                cancel.set()
            if event.tokens == close_after:
                running.close()
                break
    assert one._texts.running.sequence.length == len(one._held)
    if isinstance(one._texts.running.sequence, ScriptedSequence):
        assert one._texts.running.sequence.tokens == one._held
    return [*events, list(one._held)]


def drafted(one: Engine, request: Request) -> tuple[int, int]:
    (finished,) = [e for e in one.generate(request) if isinstance(e, Finished)]
    return finished.usage.drafted_tokens, finished.usage.accepted_tokens


def ask(text: str = "one two one two one", **settings: Any) -> Request:
    return Request(**{"prompt": text, "sampling": GREEDY, "max_tokens": 120, **settings})


@pytest.mark.parametrize("name", SAMPLINGS)
def test_every_way_of_choosing(pair: tuple[Engine, Engine], name: str) -> None:
    request = ask(sampling=SAMPLINGS[name], max_tokens=200)
    assert said(pair[0], request) == said(pair[1], request)
    if name in ("greedy", "seeded"):
        count, accepted = drafted(pair[0], request)
        assert 20 < accepted < count  # both ways out of a step were taken
    assert drafted(pair[1], request) == (0, 0)


def test_it_takes_fewer_steps(pair: tuple[Engine, Engine]) -> None:
    fast, slow = pair[0]._model, pair[1]._model
    assert isinstance(fast, Habitual)
    assert isinstance(slow, Habitual)
    for one in pair:
        said(one, ask())
    assert len(fast.steps) < 0.7 * len(slow.steps)
    assert {logits for size, logits in fast.steps if size == 1} == {"last"}


@pytest.mark.parametrize("count", range(1, 21))
def test_every_length(pair: tuple[Engine, Engine], count: int) -> None:
    request = ask(max_tokens=count)
    assert said(pair[0], request) == said(pair[1], request)
    assert isinstance(pair[0]._model, Habitual)
    # Not a token beyond what is wanted is read.
    assert len(pair[0]._held) == len(pair[0].prompts.tokens(request)) + count - 1


def test_no_draft_is_beyond_what_is_wanted(pair: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    fast, slow = pair
    model = fast._model
    assert isinstance(model, Habitual)
    said(slow, ask())
    tell(monkeypatch, fast, list(slow._held))
    for count in range(1, 12):
        model.steps.clear()
        said(fast, ask(max_tokens=count))
        drafting = [size for size, logits in model.steps if logits == "all"]
        assert all(size < count for size in drafting)
        assert isinstance(fast._steps._drafting, Eager)
        assert bool(drafting) == (count > 2) or fast._steps._drafting.asked % 7 == 0


def test_the_end_of_the_context(tmp_path: Path) -> None:
    for context in range(44, 54):
        held = []
        for on in (True, False):
            one = engine(tmp_path, Habitual(), context, speculation=on)
            held.append(said(one, ask(max_tokens=None)))
            assert len(one._held) == context
            one.close()
        assert held[0] == held[1]
        assert held[0][-2][0] == "context"


def test_stop_strings(pair: tuple[Engine, Engine]) -> None:
    whole = "".join(e.text for e in pair[1].generate(ask()) if isinstance(e, TextDelta))
    rng, met = np.random.default_rng(0), 0
    said(pair[0], ask())  # both have the prompt in the cache now
    for _ in range(25):
        start = int(rng.integers(len(whole) // 4, len(whole) - 6))
        stop = whole[start : start + int(rng.integers(1, 6))]
        results = [said(one, ask(stop=[stop])) for one in pair]
        assert results[0] == results[1]
        shown = "".join(e.text for e in results[0] if isinstance(e, TextDelta))
        assert stop not in shown
        met += results[0][-2][1] == stop
    assert met > 15


def test_an_end_token_amid_drafts(tmp_path: Path) -> None:
    """The end token stands in the prompt, so that it is drafted, with tokens after it."""
    made = [engine(tmp_path / str(on), Habitual(end=2), context=300, speculation=on) for on in (True, False)]
    assert 2 in made[0]._ends
    ended = 0
    for number in range(30):
        request = Request(
            prompt=[40 + number, *([31, 2, 33, 34] * 6), 30 + number % 12], sampling=GREEDY, max_tokens=90
        )
        results = [said(one, request) for one in made]
        assert results[0] == results[1]
        ended += results[0][-2][0] == "stop"
        assert 2 not in made[0]._held[26:]  # the text ends before it
    assert ended > 5
    for one in made:
        one.close()


def test_cancelling_and_closing_after_any_token(pair: tuple[Engine, Engine]) -> None:
    for count in range(1, 24):
        results = [said(one, ask(), cancel_after=count) for one in pair]
        assert results[0] == results[1]
        results = [said(one, ask(), close_after=count) for one in pair]
        assert results[0] == results[1]


def test_a_conversation_goes_on(pair: tuple[Engine, Engine]) -> None:
    """What is held after one answer serves the next, also where it is cut back into the answer."""
    rng = np.random.default_rng(1)
    text = pair[0].prompts.tokenizer.encode("one two one two one")
    for turn in range(25):
        request = Request(prompt=text, sampling=GREEDY, max_tokens=int(rng.integers(1, 30)))
        results = [said(one, request) for one in pair]
        assert results[0] == results[1]
        held = pair[0]._held
        keep = int(rng.integers(2, len(held)))
        text = [*held[:keep], *(int(t) for t in rng.integers(30, 50, 5))] if turn % 3 else list(held)
        text = text[:200]


def test_a_failing_step_leaves_what_was_said(pair: tuple[Engine, Engine]) -> None:
    model = pair[0]._model
    assert isinstance(model, Habitual)
    for at in range(1, 12):
        model.fail_at = len(model.calls) + at
        with pytest.raises(BackendError, match="failed"):
            list(pair[0].generate(ask()))
        assert isinstance(pair[0]._texts.running.sequence, ScriptedSequence)
        assert pair[0]._texts.running.sequence.tokens == pair[0]._held
    said(pair[1], ask())
    assert said(pair[0], ask()) == said(pair[1], ask())


def test_damaged_logits_amid_drafts_are_found_where_they_are_without(
    pair: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that comes before them is shown; rows after a wrong draft are not even looked at."""
    for one in pair:
        assert isinstance(one._model, Habitual)

        def row(tokens: list[int], plain: Any = one._model.row) -> npt.NDArray[np.float32]:
            return plain(tokens) * (np.nan if len(tokens) == 60 else 1)

        monkeypatch.setattr(one._model, "row", row)
    results = []
    for one in pair:
        events: list[Event] = []
        with pytest.raises(BackendError, match="not a number"):
            events.extend(e for e in _kept(one.generate(ask()), events))
        results.append((events, list(one._held)))
        assert one._texts.running.sequence.length == len(one._held)
    assert results[0] == results[1]
    assert len(results[0][0]) > 20


def _kept(events: Iterator[Event], into: list[Event]) -> Iterator[Event]:
    for event in events:
        if not isinstance(event, PrefillProgress):
            into.append(event)
    return iter(())


class Choosing(Habitual):
    """Chooses by itself, as a card does."""

    def choose(self, sequence: ScriptedSequence, tokens: npt.NDArray[np.int32], choice: Choice) -> int:
        return int(self.forward(sequence, tokens)[0, : choice.vocabulary].argmax())


def test_models_for_which_it_would_not_be_exact_get_no_drafts(tmp_path: Path) -> None:
    inexact = Habitual()
    inexact.exact_chunks = False
    for model in (inexact, Choosing()):
        one = engine(tmp_path, model, speculation=True)
        assert drafted(one, ask()) == (0, 0)
        assert not any(logits == "all" for _, logits in model.steps)
        one.close()


@pytest.mark.parametrize(
    "kind",
    [
        *("llama:t2", "mistral:t1b3", "qwen2:i8", "qwen3:t2b3", "gemma2:t2", "gemma3_text:t1", "phi3_longrope:f16"),
        *("mixtral:t2", "qwen3_moe:i4", "bitnet:t1", "granite:q2", "smollm3:t2"),
    ],
)
def test_whole_models(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of layer, windows and experts among them, on the processor's kernels.

    Random weights seldom repeat themselves: drafts are what the model is known to say, with mistakes.
    """
    family, encoding = kind.split(":")
    folder = tiny_folder(tmp_path / "m", family, encoding, head_format="i8")
    fast, slow = (Engine.open(folder, "cpu", context=160, threads=2, speculation=on) for on in (True, False))
    try:
        for name, sampling in SAMPLINGS.items():
            request = Request(prompt=TEXT[200:350], sampling=sampling)
            expected = said(slow, request)
            tell(monkeypatch, fast, list(slow._held))
            assert said(fast, request)[:-2] == expected[:-2], name
            assert fast._held == slow._held
            count, accepted = drafted(fast, request)
            assert 20 < accepted < count or len(slow._held) < 120, name
    finally:
        fast.close()
        slow.close()


def test_the_reference_gets_no_drafts(tmp_path: Path) -> None:
    one = Engine.open(tiny_folder(tmp_path / "m", "llama"), "reference", context=220)
    assert drafted(one, ask(max_tokens=20)) == (0, 0)
    one.close()
