"""Texts that share pages, without a card: what is held, copied and given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.contents import KeyValuePools
from tzcore.backend.cuda.pages import PAGE, Memory, Pages, sinks
from tzcore.backend.cuda.sequence import CudaSequence, Root
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

K4V4 = FORMATS["k4v4"]


CHUNK = 64


class Kept:
    """What the pages of a card hold, as words."""

    def __init__(self, spec: ModelSpec, kv: KeyValueFormat, context: int) -> None:
        self.pools = KeyValuePools(Region("keys and values", 0, 1 << 40), spec, context, kv, CHUNK)
        self.copies: list[tuple[int, int, int]] = []
        self.data: dict[int, bytes] = {}

    def copy(self, group: int, source: int, target: int) -> None:
        self.copies.append((group, source, target))

    def read(self, pages: list[int | None], sinks: list[int | None]) -> bytes:
        return f"{pages} {sinks}".encode()

    def write(self, data: bytes, pages: list[int | None], sinks: list[int | None]) -> None:
        if not data:
            raise BackendError("not of this form")
        assert pages[0] is not None
        self.data[pages[0]] = data


class Card:
    """What a model keeps, without the model."""

    def __init__(self, kv: KeyValueFormat = F16, context: int = 2048, shape: ModelSpec | None = None) -> None:
        self.kv, self.kept = kv, Kept(shape or spec(), kv, context)
        self.pages = [Pages(count) for count in self.kept.pools.counts]

    def text(self, capacity: int) -> CudaSequence:
        contents: Any = self.kept
        memories = [
            Memory(pages, min(capacity, PAGE * group.pages(capacity, CHUNK)), sinks(self.kv))
            for pages, group in zip(self.pages, self.kept.pools.groups, strict=True)
        ]
        return CudaSequence(Root(memories, capacity), contents)

    @property
    def free(self) -> int:
        return sum(pages.free_tokens() for pages in self.pages)


def text(capacity: int, kv: KeyValueFormat = F16) -> tuple[CudaSequence, Kept, Card]:
    card = Card(kv)
    return card.text(capacity), card.kept, card


def append(sequence: CudaSequence, count: int) -> None:
    """In calls of a few tokens, as a model does."""
    sequence.check_room(count)
    while count:
        call = min(count, CHUNK)
        sequence.begin(call)
        sequence.advance(call)
        count -= call


def table_of(sequence: CudaSequence) -> list[int]:
    return list(sequence.tables[0].numbers())


def test_pages_are_taken_as_the_text_grows() -> None:
    sequence, _, card = text(1024)
    assert (sequence.room, card.free) == (1024, 1024)
    append(sequence, 256)
    assert len(table_of(sequence)) == 1
    append(sequence, 1)
    assert len(table_of(sequence)) == 2
    version = sequence.tables[0].version
    append(sequence, 9)
    assert (sequence.tables[0].version, sequence.exact_from(266)) == (version, 0)  # nothing to tell the card
    sequence.truncate(257)
    assert sequence.room == 767
    sequence.truncate(256)
    assert len(table_of(sequence)) == 1
    assert sequence.room == 768
    sequence.close()
    assert card.free == 2048
    with pytest.raises(BackendError, match="closed"):
        sequence.truncate(0)


def test_a_fork_copies_what_is_first_written_to() -> None:
    first, kept, card = text(1024)
    append(first, 300)
    second = first.fork(280)
    assert table_of(first) == table_of(second)
    assert kept.copies == []
    assert (first.room, second.room) == (212 + 256, 232 + 256)  # one of the two free pages would be the copy
    append(second, 1)
    assert kept.copies == [(0, table_of(first)[1], table_of(second)[1])]
    assert table_of(first)[0] == table_of(second)[0]
    append(first, 1)  # nobody else holds its last page any more
    assert len(kept.copies) == 1
    first.close()
    assert card.free == 1024  # the memory is the second's still
    second.close()
    assert card.free == 2048


def test_a_shortened_text_does_not_write_into_a_page_that_another_reads() -> None:
    first, kept, _ = text(1024)
    append(first, 600)
    second = first.fork(512)
    first.truncate(300)
    before = table_of(second)
    append(first, 1)
    assert kept.copies == [(0, before[1], table_of(first)[1])]
    assert table_of(second) == before
    assert table_of(first)[1] != before[1]


def test_room_is_what_other_texts_leave() -> None:
    first, _, _ = text(768)
    append(first, 500)
    second = first.fork(0)
    assert (first.room, second.room) == (268, 256)
    append(second, 200)
    assert (first.room, second.room) == (12, 56)
    with pytest.raises(ContextFullError, match=r"500 \+ 13 tokens do not fit beside the other texts .* room for 12"):
        first.check_room(13)
    with pytest.raises(ContextFullError, match=r"500 \+ 300 tokens do not fit into a context of 768"):
        first.check_room(300)
    third = first.fork(500)
    assert first.room == third.room == 0  # either would need a copy of the last page
    second.close()
    assert first.room == 12
    assert (first.length, third.length) == (500, 500)


def test_codes_need_a_page_for_the_first_tokens() -> None:
    first, kept, card = text(512, K4V4)
    assert (first.room, card.free) == (512, 6 * 256)
    append(first, 10)
    sink = first.tables[0].sink
    assert sink not in table_of(first)
    second = first.fork(10)
    assert second.tables[0].sink == sink
    assert second.room == 0  # it would need a copy of the page and one of the first tokens'
    first.truncate(0)
    assert first.tables[0].sink is None
    append(second, 500)
    assert kept.copies == []
    assert second.tables[0].sink == sink


def test_the_first_tokens_are_shared_once_they_are_all_there() -> None:
    first, kept, _ = text(1024, K4V4)
    append(first, 12)
    second = first.fork(12)
    append(second, 1)
    assert len(kept.copies) == 2
    assert first.tables[0].sink != second.tables[0].sink
    append(first, 8)
    third = first.fork(20)
    append(third, 1)
    assert third.tables[0].sink == first.tables[0].sink
    assert len(kept.copies) == 3


def test_whose_the_latest_tokens_are() -> None:
    """The places hold 192 tokens here: 64 of a call, and two blocks."""
    first, kept, _ = text(1024, K4V4)
    assert kept.pools.recent_tokens == 192
    for _ in range(5):
        append(first, 64)
    assert first.exact_from(320) == 0
    second = first.fork(310)
    append(second, 5)
    assert second.exact_from(315) == 0  # what they have in common was there
    append(first, 5)
    assert first.exact_from(325) == 320  # the second text's now stand where the first one's were
    append(second, 5)
    assert second.exact_from(320) == 315


def test_what_is_left_of_the_latest_tokens_of_a_shortened_text() -> None:
    first, _, _ = text(1024, K4V4)
    for _ in range(5):
        append(first, 64)
    first.truncate(300)
    assert first.exact_from(300) == 0
    first.truncate(180)
    assert first.exact_from(180) == 128  # before that, the tokens from 256 on stood
    first.truncate(100)
    assert first.exact_from(100) == 100


def test_pieces() -> None:
    first, _, _ = text(1024, K4V4)
    append(first, 300)
    pieces = [first.save(0), first.save(1)]
    assert pieces[0] != pieces[1]
    with pytest.raises(BackendError, match="no piece 2"):
        first.save(2)
    second, kept, card = text(1024, K4V4)
    second.load(iter(pieces), 300)
    assert second.length == 300
    assert [kept.data[page] for page in table_of(second)] == pieces
    assert second.exact_from(300) == 300
    with pytest.raises(BackendError, match="empty sequences only"):
        second.load(pieces, 300)
    second.close()
    assert card.free == 9 * PAGE


@pytest.mark.parametrize(
    ("pieces", "length", "match"),
    [([b"a"], 300, "2 pieces"), ([b"a", b"b", b"c"], 300, "2 pieces"), ([b"a", b""], 300, "form"),
     ([b"a"] * 9, 2000, "no room"), ([], 0, "no room")],
)  # fmt: skip
def test_pieces_that_do_not_fit_leave_the_text_empty(pieces: list[bytes], length: int, match: str) -> None:
    sequence, _, _ = text(1024)
    with pytest.raises(BackendError, match=match):
        sequence.load(pieces, length)
    assert (sequence.length, sequence.room) == (0, 1024)
    append(sequence, 5)


WINDOW = 300


def windowed(kv: KeyValueFormat = F16, context: int = 8192) -> Card:
    """The second layer sees 300 tokens: its pages are 8 at most, those of two texts, where all of them are 32."""
    shape = spec()
    layers = (shape.layers[0], replace(shape.layers[1], window=WINDOW))
    return Card(kv, context, replace(shape, layers=layers, max_context=context))


@pytest.mark.parametrize("kv", [F16, K4V4], ids=["f16", "k4v4"])
def test_a_window_keeps_its_pages_only(kv: KeyValueFormat) -> None:
    card = windowed(kv)
    assert card.kept.pools.counts == [32 + sinks(kv), 8 + sinks(kv)]
    sequence = card.text(8192)
    append(sequence, 8192)
    assert sequence.room == 0
    whole, window = sequence.tables
    assert (len(whole.pages), whole.gone) == (32, 0)
    assert len(window.pages) <= 4
    assert window.gone + len(window.pages) == 32
    assert PAGE * window.gone <= 8192 - WINDOW - PAGE + 64
    assert list(window.numbers()[: window.gone]) == [0] * window.gone
    assert sequence.resumable(8000) == 8000
    assert sequence.resumable(7000) == 0
    with pytest.raises(BackendError, match="cannot go back to 7000"):
        sequence.truncate(7000)
    with pytest.raises(BackendError, match="cannot go back to 7000"):
        sequence.fork(7000)
    sequence.truncate(8000)
    assert sequence.room == 192
    sequence.truncate(0)
    assert (window.gone, window.pages) == (0, [])
    append(sequence, 5000)
    sequence.close()
    assert [pages.free_tokens() for pages in card.pages] == [PAGE * count for count in card.kept.pools.counts]


def test_a_kept_text_holds_on_to_its_window() -> None:
    card = windowed()
    first = card.text(8192)
    append(first, 2000)
    second = first.fork(1990)
    held = list(second.tables[1].pages)
    append(first, 3000)
    assert second.tables[1].pages == held
    assert second.resumable(1990) == 1990
    assert second.room == 8192 - 5120 + 0 + (-1990 % PAGE) - PAGE  # of the other layer's: one is for a copy
    third = second.fork(1990)
    append(second, 100)
    fourth = first.fork(5000)
    assert min(text.room for text in (first, second, third, fourth)) >= 0
    for one in (second, third, fourth):
        one.close()
    assert first.room == 8192 - 5000
    append(first, 1000)


def test_a_text_without_enough_pages_for_its_window_has_no_room() -> None:
    card = windowed()
    first = card.text(8192)
    append(first, 2000)
    others = [first.fork(0) for _ in range(2)]
    append(others[0], 900)
    append(others[1], 200)
    assert others[1].room < 900
    with pytest.raises(ContextFullError, match="beside the other texts"):
        append(others[1], 900)
    assert others[1].length == 200
    others[0].close()
    append(others[1], 900)


def test_pieces_of_a_window() -> None:
    """Saved while they were there, or without them."""
    card = windowed()
    first = card.text(8192)
    append(first, 2000)
    pieces = [first.save(number) for number in range(8)]
    assert b"None" in pieces[0]
    assert b"None" not in pieces[7].split(b"]")[0]
    first.close()
    second = card.text(8192)
    second.load(pieces, 2000)
    assert second.tables[1].gone == (2001 - WINDOW) // PAGE
    assert second.resumable(2000) == 2000
    assert second.resumable(1500) == 0
    append(second, 100)
