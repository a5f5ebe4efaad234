"""The choice of how many drafts to check, on pretended machines and texts: times are given, none is measured."""

from __future__ import annotations

import random
from collections.abc import Callable

from tzcore.engine.drafting import MOST_DRAFTS, Drafting
from tzcore.engine.lookup import LONGEST


def write(
    drafting: Drafting,
    tokens: int,
    chance: float,
    seconds: Callable[[int], float],
    matched: int = LONGEST,
    seed: int = 0,
) -> tuple[float, float, list[int]]:
    """Write ``tokens`` on a text where a draft is right with ``chance``; seconds taken with and without
    drafts, and how many were drafted in each step."""
    draw, spent, made, lengths = random.Random(seed), 0.0, 0, []
    while made < tokens:
        drafts = drafting.length(matched, MOST_DRAFTS)
        taken = seconds(drafts) * draw.uniform(0.95, 1.05)
        drafting.took(drafts, taken)
        spent += taken
        lengths.append(drafts)
        for place in range(drafts + 1):
            right = draw.random() < chance
            if place < MOST_DRAFTS:
                drafting.checked(matched + place, right)
            made += 1
            if not right:
                break
    return spent, made * seconds(0), lengths


def in_cache(drafts: int) -> float:
    """A step of eight costs two and a half."""
    return 0.005 * (1 + 1.5 * drafts / MOST_DRAFTS)


def memory_bound(drafts: int) -> float:
    return 0.1 * (1 + 0.01 * drafts)


def too_dear(drafts: int) -> float:
    """Every token costs as much as a step of its own, and drafts something beside."""
    return 0.1 * (1 + 1.1 * drafts)


def test_nothing_is_drafted_before_a_plain_step_was_timed() -> None:
    drafting = Drafting()
    assert drafting.length(LONGEST, 7) == 0
    drafting.took(0, 0.01)
    assert drafting.length(LONGEST, 7) > 0
    assert drafting.length(LONGEST, 2) == 2


def test_text_that_repeats_is_written_faster() -> None:
    for seconds, factor in ((in_cache, 2.0), (memory_bound, 4.0)):
        spent, plain, lengths = write(Drafting(), 2000, 0.95, seconds)
        assert plain / spent > factor, seconds.__name__
        assert max(lengths) == MOST_DRAFTS


def test_text_that_never_repeats_costs_next_to_nothing() -> None:
    for seconds in (in_cache, memory_bound, too_dear):
        spent, plain, lengths = write(Drafting(), 3000, 0.0, seconds, matched=2)
        assert spent < 1.02 * plain, seconds.__name__
        assert sum(map(bool, lengths[-500:])) <= 2


def test_where_a_draft_costs_a_step_none_is_made_for_long() -> None:
    spent, plain, lengths = write(Drafting(), 5000, 0.9, too_dear)
    assert spent < 1.03 * plain
    assert 0 < sum(map(bool, lengths[1000:])) < 15  # it is tried again, ever more rarely


def test_the_better_the_chance_the_longer_the_drafts() -> None:
    usual = []
    for chance in (0.4, 0.7, 0.97):
        *_, lengths = write(Drafting(), 3000, chance, in_cache)
        usual.append(sum(lengths[200:]) / len(lengths[200:]))
    assert usual[0] + 0.5 < usual[1] < usual[2] - 0.5


def test_it_never_loses_much_at_any_chance() -> None:
    for seconds in (in_cache, memory_bound, too_dear):
        for tenths in range(11):
            spent, plain, _ = write(Drafting(), 3000, tenths / 10, seconds, seed=tenths)
            assert spent < 1.04 * plain, (seconds.__name__, tenths)


def test_a_text_that_begins_to_repeat_is_noticed_without_drafts() -> None:
    drafting = Drafting()
    *_, lengths = write(drafting, 500, 0.02, in_cache, matched=3)
    assert not any(lengths[-100:])
    *_, lengths = write(drafting, 300, 0.95, in_cache, matched=3)
    assert max(lengths[:60]) > 3


def test_a_machine_that_becomes_free_is_noticed() -> None:
    """Drafts were dear while another program had the processor: it is tried again."""
    for seed in range(4):
        drafting = Drafting()
        *_, lengths = write(drafting, 1000, 0.9, too_dear, seed=seed)
        assert sum(map(bool, lengths[-200:])) <= 3
        *_, lengths = write(drafting, 12_000, 0.9, in_cache, seed=seed)
        assert sum(map(bool, lengths[1100:1200])) > 80


def test_a_machine_that_becomes_slow_is_noticed() -> None:
    drafting = Drafting()
    write(drafting, 1000, 0.6, memory_bound)
    spent, plain, _ = write(drafting, 3000, 0.6, too_dear)
    assert spent < 1.06 * plain


def test_steps_without_drafts_are_timed_again_though_all_drafts_are_right() -> None:
    *_, lengths = write(Drafting(), 5000, 1.0, memory_bound)
    assert lengths[1:].count(0) >= len(lengths) // 70


def test_one_slow_step_says_little() -> None:
    drafting = Drafting()
    write(drafting, 500, 0.9, in_cache)
    before = drafting.cost(7)
    drafting.took(7, 30.0)  # the machine slept
    assert drafting.cost(7) < 2 * before
    drafting.took(0, 30.0)
    for _ in range(20):
        drafting.took(7, in_cache(7))
    assert drafting.cost(7) > 0.75 * before
