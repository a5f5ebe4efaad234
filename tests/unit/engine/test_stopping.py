from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tzcore.engine.stopping import StopFilter

AB = st.text("ab", max_size=30)


@given(pieces=st.lists(AB, max_size=8), stops=st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
def test_same_as_cutting_the_whole_text(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    places = [whole.find(stop) for stop in stops if stop in whole]
    filtered = StopFilter(stops)
    shown = ""
    for piece in pieces:
        shown += filtered.push(piece)
        assert not any(stop in shown for stop in stops)
    if not places:
        assert filtered.found is None
        assert shown + filtered.finish() == whole
        return
    assert filtered.found in stops
    assert filtered.finish() == ""
    # A stop string is met as soon as it is whole, so the cut is at the one that ends first.
    ends = min(whole.find(stop) + len(stop) for stop in stops if stop in whole)
    assert len(shown) <= ends
    assert whole.startswith(shown)


def test_held_text_comes_once_it_cannot_be_a_stop() -> None:
    filtered = StopFilter(["STOP", "\nUser:"])
    assert filtered.push("one ST") == "one "
    assert filtered.push("ART\nUs") == "START"
    assert filtered.push("e") == ""
    assert filtered.push("d ST") == "\nUsed "
    assert filtered.push("OP and more") == ""
    assert filtered.found == "STOP"
    assert filtered.push("more") == ""
    assert filtered.finish() == ""


def test_nothing_is_held_without_reason() -> None:
    assert StopFilter().push("abc") == "abc"
    assert StopFilter(["xyz"]).push("abc") == "abc"
