"""How far a job is over all its phases: never backwards, whatever the child reports and however often it is stopped."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.jobs.course import NEVER_WHOLE, ORDER, Course

RECORDED = Path(__file__).with_name("recorded_conversion.jsonl")
"""What a real ``tz convert starter --json`` said, each line with its second: ``[seconds, event]``."""


def recorded() -> list[tuple[float, dict[str, Any]]]:
    return [tuple(json.loads(line)) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def play(course: Course, moments: list[tuple[float, dict[str, Any]]]) -> list[float]:
    """The fraction after every event."""
    seen = []
    for now, event in moments:
        if event["event"] == "expect":
            course.expect(event["seconds"])
        elif event["event"] == "progress":
            course.advance(event["phase"], event["done"], event["total"], now)
        seen.append(course.fraction)
    return seen


def is_monotone(seen: list[float]) -> bool:
    return all(a <= b for a, b in pairwise(seen))


def test_a_recorded_conversion_rises_to_its_end() -> None:
    moments = recorded()
    phases = {event.get("phase") for _, event in moments}
    assert {"calibrate", "convert", "tune", "answer"} <= phases
    seen = play(Course(), moments)
    assert is_monotone(seen)
    assert seen[-1] == pytest.approx(NEVER_WHOLE)
    # The largest step is the embedding, a fifth of this model's weights, which is stored as it is.
    assert max(b - a for a, b in pairwise(seen)) < 0.15


def test_the_bar_follows_the_clock() -> None:
    """Half of the time is somewhere near half of the bar, because phases are weighted by their seconds."""
    moments = recorded()
    course, (first, last) = Course(), (moments[0][0], moments[-1][0])
    seen = play(course, moments)
    off = [abs(share - (now - first) / (last - first)) for share, (now, _) in zip(seen, moments, strict=True)]
    assert max(off) < 0.25


def test_the_time_left_of_a_recorded_conversion() -> None:
    """From a quarter on it is within a factor of two of the truth."""
    moments, course = recorded(), Course()
    last = moments[-1][0]
    wrong = []
    for now, event in moments:
        play(course, [(now, event)])
        left, truth = course.seconds_left(), last - now
        if truth > 30 and now - moments[0][0] > last / 4 and left is not None:
            wrong.append(not truth / 2 <= left <= truth * 2)
    assert wrong
    assert sum(wrong) <= 0.05 * len(wrong)


@settings(max_examples=60, deadline=None)
@given(stops=st.lists(st.integers(0, 10_000), max_size=4), back=st.floats(0, 1), scale=st.floats(0.1, 10))
def test_stopped_and_resumed_anywhere_it_never_runs_backwards(stops: list[int], back: float, scale: float) -> None:
    """A resumed child begins with its first events again, says other expectations, and reports a phase from
    wherever it finds it."""
    moments = recorded()
    course, seen, at = Course(), [], 0
    for stop in sorted(stop % len(moments) for stop in stops):
        seen += play(course, moments[at:stop])
        course = Course(json.loads(json.dumps(course.as_json())))
        course.begin()
        again = [(now, scaled(event, scale)) for now, event in moments[:5]]
        seen += play(course, again)
        at = round(stop * back)
    seen += play(course, moments[at:])
    assert is_monotone(seen)
    assert all(0 <= share <= NEVER_WHOLE for share in seen)
    assert seen[-1] > 0.95


def scaled(event: dict[str, Any], scale: float) -> dict[str, Any]:
    if event["event"] != "expect":
        return event
    return {**event, "seconds": {name: seconds * scale for name, seconds in event["seconds"].items()}}


EVENTS = st.one_of(
    st.fixed_dictionaries({
        "event": st.just("progress"), "phase": st.sampled_from([*ORDER, "load", ""]),
        "done": st.integers(-5, 10**12), "total": st.integers(0, 10**12),
    }),
    st.fixed_dictionaries({
        "event": st.just("expect"),
        "seconds": st.one_of(
            st.dictionaries(st.sampled_from(ORDER), st.floats(allow_nan=True, allow_infinity=True)),
            st.none(), st.text(), st.dictionaries(st.text(), st.text()),
        ),
    }),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=40))
def test_whatever_a_child_says(events: list[dict[str, Any]]) -> None:
    course = Course()
    seen = play(course, [(float(second), event) for second, event in enumerate(events)])
    assert is_monotone(seen)
    assert all(0 <= share <= NEVER_WHOLE for share in seen)
    left = course.seconds_left()
    assert left is None or left >= 0
    assert Course(json.loads(json.dumps(course.as_json()))).fraction == course.fraction


@pytest.mark.parametrize("kept", [{}, {"fraction": "x", "expected": 3}, {"fraction": 7, "reached": {"convert": "a"}}])
def test_what_was_kept_may_be_anything(kept: dict[str, Any]) -> None:
    assert Course(kept).fraction == 0.0


def test_a_phase_is_weighted_by_its_seconds() -> None:
    course = Course()
    course.expect({"download": 30.0, "convert": 60.0, "tune": 10.0})
    course.advance("download", 100, 100, 0.0)
    assert course.fraction == pytest.approx(0.3)
    course.advance("convert", 1, 2, 30.0)
    assert course.fraction == pytest.approx(0.6)
    course.advance("convert", 2, 2, 60.0)
    course.advance("tune", 0, 2, 60.0)
    assert course.fraction == pytest.approx(0.9)
    assert course.seconds_left() == pytest.approx(10.0 * 30 / 30, rel=0.5)
    assert course.seconds_left(4.0) == pytest.approx(4.0)


def test_weights_that_change_spread_what_is_left() -> None:
    course = Course()
    course.advance("download", 1, 2, 0.0)
    before = course.fraction
    assert before > 0
    course.expect({"download": 5.0, "convert": 1000.0})
    assert course.fraction == before
    course.advance("convert", 500, 1000, 10.0)
    assert course.fraction == pytest.approx(before + (1 - before) / 2, abs=0.02)
