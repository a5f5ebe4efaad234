"""Texts that share pages, without a card: what is held, copied and given back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.contents import KeyValuePools
from tzcore.backend.cuda.pages import Memory, Pages
from tzcore.backend.cuda.sequence import CudaSequence
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

K4V4 = FORMATS["k4v4"]


class Kept:
    """What the pages of a card hold, as words."""

    def __init__(self, kv: KeyValueFormat) -> None:
        self.pools = KeyValuePools(Region("keys and values", 0, 1 << 40), spec(), 8, kv, 64)
        self.copies: list[tuple[int, int]] = []
        self.data: dict[int, bytes] = {}

    def copy(self, source: int, target: int) -> None:
        self.copies.append((source, target))

    def read(self, page: int, sink: int | None) -> bytes:
        return f"{page} {sink}".encode()

    def write(self, data: bytes, page: int, sink: int | None) -> None:
        if not data:
            raise BackendError("not of this form")
        self.data[page] = data


def text(capacity: int, kv: KeyValueFormat = F16, pages: int = 8) -> tuple[CudaSequence, Kept, Pages]:
    kept, all_pages = Kept(kv), Pages(pages)
    contents: Any = kept
    return CudaSequence(Memory(all_pages, capacity, kv), contents), kept, all_pages


def append(sequence: CudaSequence, count: int) -> None:
    sequence.make_room(count)
    sequence.claim(count)
    sequence.advance(count)


def test_pages_are_taken_as_the_text_grows() -> None:
    sequence, _, pages = text(1024)
    assert (sequence.room, pages.free_tokens()) == (1024, 1024)
    append(sequence, 256)
    assert len(sequence.table()) == 1
    append(sequence, 1)
    assert len(sequence.table()) == 2
    assert sequence.room == 767
    sequence.truncate(256)
    assert len(sequence.table()) == 1
    assert sequence.room == 768
    sequence.close()
    assert pages.free_tokens() == 2048
    with pytest.raises(BackendError, match="closed"):
        sequence.truncate(0)


def test_a_fork_copies_what_is_first_written_to() -> None:
    first, kept, pages = text(1024)
    append(first, 300)
    second = first.fork(280)
    assert list(first.table()) == list(second.table())
    assert kept.copies == []
    assert (first.room, second.room) == (212 + 256, 232 + 256)  # one of the two free pages would be the copy
    append(second, 1)
    assert kept.copies == [(first.table()[1], second.table()[1])]
    assert first.table()[0] == second.table()[0]
    append(first, 1)  # nobody else holds its last page any more
    assert len(kept.copies) == 1
    first.close()
    assert pages.free_tokens() == 1024  # the memory is the second's still
    second.close()
    assert pages.free_tokens() == 2048


def test_a_shortened_text_does_not_write_into_a_page_that_another_reads() -> None:
    first, kept, _ = text(1024)
    append(first, 600)
    second = first.fork(512)
    first.truncate(300)
    before = list(second.table())
    append(first, 1)
    assert kept.copies == [(before[1], first.table()[1])]
    assert list(second.table()) == before
    assert first.table()[1] != before[1]


def test_room_is_what_other_texts_leave() -> None:
    first, _, _ = text(768)
    append(first, 500)
    second = first.fork(0)
    assert (first.room, second.room) == (268, 256)
    append(second, 200)
    assert (first.room, second.room) == (12, 56)
    with pytest.raises(ContextFullError, match=r"500 \+ 13 tokens do not fit beside the other texts .* room for 12"):
        first.make_room(13)
    with pytest.raises(ContextFullError, match=r"500 \+ 300 tokens do not fit into a context of 768"):
        first.make_room(300)
    third = first.fork(500)
    assert first.room == third.room == 0  # either would need a copy of the last page
    second.close()
    assert first.room == 12
    assert (first.length, third.length) == (500, 500)


def test_codes_need_a_page_for_the_first_tokens() -> None:
    first, kept, pages = text(512, K4V4)
    assert (first.room, pages.free_tokens()) == (512, 5 * 256)
    append(first, 10)
    sink = first.header(0)[1]
    assert sink not in first.table()
    second = first.fork(10)
    assert second.header(0)[1] == sink
    assert second.room == 0  # it would need a copy of the page and one of the first tokens'
    first.truncate(0)
    assert first.header(0)[1] == 0
    append(second, 500)
    assert kept.copies == []
    assert second.header(0)[1] == sink


def test_the_first_tokens_are_shared_once_they_are_all_there() -> None:
    first, kept, _ = text(1024, K4V4)
    append(first, 12)
    second = first.fork(12)
    append(second, 1)
    assert len(kept.copies) == 2
    assert first.header(0)[1] != second.header(0)[1]
    append(first, 8)
    third = first.fork(20)
    append(third, 1)
    assert third.header(0)[1] == first.header(0)[1]
    assert len(kept.copies) == 3


def test_whose_the_latest_tokens_are() -> None:
    """The places hold 192 tokens here: 64 of a call, and two blocks."""
    first, kept, _ = text(1024, K4V4)
    assert kept.pools.recent_tokens == 192
    for _ in range(5):
        append(first, 64)
    assert first.header(320) == (0, first.header(0)[1])
    second = first.fork(310)
    append(second, 5)
    assert second.header(315)[0] == 0  # what they have in common was there
    append(first, 5)
    assert first.header(325)[0] == 320  # the second text's now stand where the first one's were
    append(second, 5)
    assert second.header(320)[0] == 315


def test_what_is_left_of_the_latest_tokens_of_a_shortened_text() -> None:
    first, _, _ = text(1024, K4V4)
    for _ in range(5):
        append(first, 64)
    first.truncate(300)
    assert first.header(300)[0] == 0
    first.truncate(180)
    assert first.header(180)[0] == 128  # before that, the tokens from 256 on stood
    first.truncate(100)
    assert first.header(100)[0] == 100


def test_pieces() -> None:
    first, _, _ = text(1024, K4V4)
    append(first, 300)
    pieces = [first.save(0), first.save(1)]
    assert pieces[0] != pieces[1]
    with pytest.raises(BackendError, match="no piece 2"):
        first.save(2)
    second, kept, pages = text(1024, K4V4)
    second.load(iter(pieces), 300)
    assert second.length == 300
    assert [kept.data[page] for page in second.table()] == pieces
    assert second.header(300)[0] == 300
    with pytest.raises(BackendError, match="empty sequences only"):
        second.load(pieces, 300)
    second.close()
    assert pages.free_tokens() == 2048


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
