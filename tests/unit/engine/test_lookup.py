from __future__ import annotations

import random
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzcore.engine.lookup import CANDIDATES, LEAST, LONGEST, Lookup, Proposal


def expected(text: list[int], token: int, limit: int) -> Proposal | None:
    """By looking at every place: what :meth:`Lookup.propose` promises."""
    whole = [*text, token]
    end = len(whole) - 1
    places = [p for p in range(end - 1, 0, -1) if whole[p - 1 : p + 1] == whole[end - 1 :]][:CANDIDATES]
    if not places or limit < 1:
        return None

    def matched(place: int) -> int:
        count = 0
        while count < LONGEST and count <= place and whole[place - count] == whole[end - count]:
            count += 1
        return count

    best = max(places, key=lambda place: (matched(place), place))
    tokens: list[int] = []
    for i in range(limit):
        tokens.append((whole + tokens)[best + 1 + i])
    return Proposal(matched(best), tokens)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 3), st.integers(0, 9))
def test_it_proposes_what_a_search_of_every_place_finds(text: list[int], token: int, limit: int) -> None:
    assert Lookup(text).propose(token, limit) == expected(text, token, limit)


@pytest.mark.parametrize("seed", range(20))
def test_a_text_that_grows_and_is_cut(seed: int) -> None:
    """As the engine uses it: asked now and then, the text appended to in runs, cut anywhere, appended anew."""
    draw = random.Random(seed)
    text: list[int] = []
    lookup = Lookup(text)
    kinds = draw.choice([2, 5, 40])
    for _ in range(300):
        action = draw.random()
        if action < 0.15:
            length = draw.randint(0, len(text))
            lookup.shorten(length)
            del text[length:]
        elif action < 0.5:
            text.extend(draw.randrange(kinds) for _ in range(draw.randint(1, 12)))
        else:
            token, limit = draw.randrange(kinds), draw.randint(1, 7)
            assert lookup.propose(token, limit) == expected(text, token, limit)


def test_the_longest_match_goes_before_the_latest() -> None:
    text = [7, 1, 2, 3, 50, 9, 2, 3, 60, 7, 1, 2]
    assert Lookup(text).propose(3, 2) == Proposal(4, [50, 9])
    assert Lookup([*text[5:9], 2]).propose(3, 2) == Proposal(2, [60, 2])


def test_a_loop_goes_on() -> None:
    assert Lookup([1, 2, 1, 2, 1]).propose(2, 7) == Proposal(4, [1, 2, 1, 2, 1, 2, 1])
    assert Lookup([5, 5, 5]).propose(5, 4) == Proposal(3, [5, 5, 5, 5])


def test_nothing_to_go_by() -> None:
    for text in ([], [1], [1, 2, 3]):
        assert Lookup(text).propose(1, 7) is None
    assert LEAST == 2


def test_a_long_context_stays_quick_and_small() -> None:
    """Random tokens are the worst case for memory: all pairs differ."""
    draw = random.Random(0)
    text = [draw.randrange(1 << 17) for _ in range(131_072)]
    lookup = Lookup(text)
    began = time.perf_counter()
    lookup.propose(5, 7)
    assert time.perf_counter() - began < 2
    entries = sum(sys.getsizeof(pair) + sys.getsizeof(place) for pair, place in lookup._last.items())
    assert sys.getsizeof(lookup._last) + entries + sys.getsizeof(lookup._before) < 20e6
    same = [3] * 131_072  # the worst case for time: every place is a candidate
    lookup = Lookup(same)
    lookup.propose(3, 7)
    began = time.perf_counter()
    for _ in range(200):
        assert lookup.propose(3, 7) == Proposal(LONGEST, [3] * 7)
        same.append(3)
    assert time.perf_counter() - began < 0.1
