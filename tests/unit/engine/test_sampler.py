from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tzcore.engine.sampler import DRY_ALLOWED, Sampler, Sampling, _Repeats
from tzcore.errors import BackendError, RequestError

OPEN = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0, dry_multiplier=0.0)
LOGITS = hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-30, 30, width=32))


def allowed(logits: npt.NDArray[np.float32], s: Sampling) -> set[int]:
    """The tokens that may be drawn, written down plainly; ties at an edge are all allowed."""
    p = np.exp((logits.astype(np.float64) - logits.max()) / s.temperature)
    if 0 < s.top_k < p.size:
        p = np.where(logits >= np.sort(logits)[-s.top_k], p, 0)
    if s.top_p < 1:
        order = np.sort(p)[::-1]
        if s.top_k:  # ties at the edge of top-k do not add to the sum
            order = order[: s.top_k]
        count = int(np.searchsorted(np.cumsum(order), s.top_p * order.sum() * (1 - 1e-6))) + 1
        p = np.where(p >= order[min(count, order.size) - 1] * (1 - 1e-6), p, 0)
    return set(np.flatnonzero((p >= s.min_p * (1 - 1e-6)) & (p > 0)).tolist())


@settings(max_examples=200, deadline=None)
@given(
    logits=LOGITS,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 320),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    seed=st.integers(0, 2**63),
)
def test_only_allowed_tokens(
    logits: npt.NDArray[np.float32], temperature: float, top_k: int, top_p: float, min_p: float, seed: int
) -> None:
    s = Sampling(temperature, top_k, top_p, min_p, repetition_penalty=1.0, dry_multiplier=0.0, seed=seed)
    sampler = Sampler(s, logits.size)
    assert {sampler.pick(logits) for _ in range(5)} <= allowed(logits, s)


@settings(max_examples=100, deadline=None)
@given(logits=LOGITS)
def test_greedy_takes_the_first_of_the_largest(logits: npt.NDArray[np.float32]) -> None:
    sampler = Sampler(replace(OPEN, temperature=0), logits.size)
    assert sampler.pick(logits) == int(np.flatnonzero(logits == logits.max())[0])


def test_frequencies_follow_the_distribution() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))
    for s, expected in [
        (OPEN, [0.5, 0.25, 0.15, 0.1]),
        (replace(OPEN, top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (replace(OPEN, top_p=0.6), [2 / 3, 1 / 3, 0, 0]),
        (replace(OPEN, min_p=0.25), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]),
        (replace(OPEN, temperature=0.5), [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345]),
    ]:
        sampler = Sampler(replace(s, seed=1), 4)
        counts = np.bincount([sampler.pick(logits) for _ in range(4000)], minlength=4) / 4000
        np.testing.assert_allclose(counts, expected, atol=0.03)


def test_large_vocabulary_matches_a_plain_nucleus() -> None:
    rng = np.random.default_rng(0)
    for scale in (0.1, 1.0, 4.0):
        logits = (rng.standard_normal(50_000) * scale).astype(np.float32)
        s = replace(OPEN, top_p=0.7, seed=3)
        sampler, permitted = Sampler(s, logits.size), allowed(logits, s)
        assert all(sampler.pick(logits) in permitted for _ in range(50))


def test_seed_repeats_and_differs() -> None:
    logits = np.zeros(1000, np.float32)

    def draw(seed: int | None) -> list[int]:
        sampler = Sampler(replace(OPEN, seed=seed), 1000)
        return [sampler.pick(logits) for _ in range(20)]

    assert draw(7) == draw(7)
    assert draw(-1) == draw(-1)
    assert draw(7) != draw(8)
    assert draw(None) != draw(None)


def test_repetition_penalty_counts_the_answer() -> None:
    sampler = Sampler(replace(OPEN, temperature=0, repetition_penalty=2.0), 4)
    logits = np.array([3.0, 2.0, -1.0, -2.0], np.float32)
    assert sampler.pick(logits) == 0
    assert sampler.pick(logits) == 1  # 3 → 1.5
    assert sampler.pick(logits) == 0  # 1.5 and 1.0
    below = np.array([-1.0, -1.5, -1.2, -9.0], np.float32)
    assert sampler.pick(below) == 2  # −1 → −2, −1.5 → −3
    np.testing.assert_array_equal(logits, np.array([3, 2, -1, -2], np.float32))  # the caller's array is untouched


def _longest_repeats(answer: list[int]) -> dict[int, int]:
    """By definition: for each token, the longest earlier run before it that equals the answer's end."""
    found: dict[int, int] = {}
    for place in range(1, len(answer)):
        length = 0
        while length < place and answer[place - 1 - length] == answer[-1 - length]:
            length += 1
        if length >= DRY_ALLOWED:
            found[answer[place]] = max(length, found.get(answer[place], 0))
    return found


def test_dry_counts_repeats_by_definition() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        repeats, answer = _Repeats(), []
        for token in rng.integers(0, 2, 300).tolist() + [0, 1, 1] * 40:
            repeats.write(token)
            answer.append(token)
            if len(answer) % 7 == 0:
                tokens, lengths = repeats.prolonging()
                assert dict(zip(tokens.tolist(), lengths.tolist(), strict=True)) == _longest_repeats(answer)


def test_dry_ends_a_loop() -> None:
    """A model that would say the same ten tokens for ever."""
    loop = np.full((10, 12), 0.0, np.float32)
    loop[np.arange(10), np.arange(10)] = 9.0

    def said(multiplier: float) -> list[int]:
        sampler = Sampler(replace(OPEN, temperature=0, dry_multiplier=multiplier), 12)
        return [sampler.pick(loop[i % 10]) for i in range(40)]

    assert said(0.0) == list(range(10)) * 4
    assert said(0.8)[:18] == [*range(10), *range(8)]
    assert said(0.8) != said(0.0)


def test_presence_and_frequency_count_the_answer_alone() -> None:
    logits = np.array([1.0, 0.5], np.float32)
    presence = Sampler(replace(OPEN, temperature=0, presence_penalty=0.6), 2)
    assert [presence.pick(logits) for _ in range(4)] == [0, 1, 0, 0]
    frequency = Sampler(replace(OPEN, temperature=0, frequency_penalty=0.3), 2)
    assert [frequency.pick(logits) for _ in range(5)] == [0, 0, 1, 0, 1]


def test_extreme_logits() -> None:
    logits = np.array([-np.inf, 88.0, np.finfo(np.float32).max, -np.inf], np.float32)
    for temperature in (0.0, 1e-300, 1.0, 100.0):
        assert Sampler(replace(OPEN, temperature=temperature, top_p=0.5), 4).pick(logits) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_damaged_logits_are_an_error(bad: float) -> None:
    with pytest.raises(BackendError, match="not a number"):
        Sampler(OPEN, 3).pick(np.array([0.0, bad, 1.0], np.float32))
    with pytest.raises(BackendError, match="not a number"):
        Sampler(OPEN, 2).pick(np.array([-np.inf, -np.inf], np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": "1"},
        {"temperature": True},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_p": 1.1},
        {"top_p": -0.1},
        {"min_p": 2},
        {"repetition_penalty": 0},
        {"repetition_penalty": -1},
        {"presence_penalty": 1e9},
        {"frequency_penalty": math.nan},
        {"seed": 1 << 64},
        {"seed": 1.0},
    ],
)
def test_values_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_recommendations_of_a_model() -> None:
    s = Sampling.from_generation_config({"temperature": 0.6, "top_k": 20, "top_p": None, "min_p": 7, "eos_token_id": 1})
    assert s == Sampling(temperature=0.6, top_k=20)
