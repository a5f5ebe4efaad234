"""Event streams cut anywhere give the same events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine import server_sent_events
from app.engine.server_sent_events import EventStream

LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5), ENDS, st.lists(st.integers(0, 400)))
def test_cut_anywhere(events: list[list[str]], end: str, cuts: list[int]) -> None:
    text = "".join(
        f": a comment{end}id: 7{end}" + "".join(f"data: {line}{end}" for line in event) + end for event in events
    )
    data = (text + ":" + end).encode()  # a \r at the very end would wait for its \n
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    stream = EventStream()
    got = [event for start, stop in pairwise(places) for event in stream.feed(data[start:stop])]
    assert got == ["\n".join(event) for event in events]


def test_what_is_no_data_is_skipped() -> None:
    assert EventStream().feed(b"event: x\nretry: 5\n\n\n\ndata\ndata:two\n\n") == ["\ntwo"]


def test_what_cannot_be_an_event_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="utf-8"):
        EventStream().feed(b"data: \xff\n\n")
    monkeypatch.setattr(server_sent_events, "LONGEST_EVENT", 100)
    with pytest.raises(ValueError, match="too long"):
        EventStream().feed(b"data: " + b"x" * 200)
