"""A text cut into pieces that can be parsed and laid out one by one, whole or while it arrives.

A cut is made at blank lines outside fences; where a text has none for long, at the items of its lists, then at
any line, then at a space.  So the time that any piece takes is bounded, whatever a model or a clipboard holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from app.text.fences import ITEM, Fences
from app.text.markdown import Block, Code, Prose, Table, parse, references

_DELIMITER = re.compile(r"^[\s|:-]*-[\s|:-]*$")

PIECE = 1600
"""Characters from which on a piece of a whole text ends at the next blank line."""
LONG = 1800
"""Characters from which on a piece is cut at the items of a list."""
LONGEST = 3000
"""Characters from which on a piece is cut at any line, or within one."""


class Splitter:
    """Finds the cuts of a growing text.  Each completed line is looked at once."""

    def __init__(self, piece: int = 0) -> None:
        """``piece``: no cut at a blank line before so many characters."""
        self.start = 0
        """Where the piece begins that is not finished yet."""
        self.head = ""
        """What that piece is to begin with besides: the head of a table that was cut."""
        self.in_table = False
        self._piece = piece
        self._scanned = 0
        self._fences = Fences()
        self._blank = False
        self._table_head: list[str] = []

    @property
    def in_fence(self) -> bool:
        return bool(self._fences.mark)

    def cuts(self, text: str) -> list[tuple[int, str]]:
        """The cuts that ``text``, a continuation of the one before, makes certain: place, and the head of what
        follows."""
        found: list[tuple[int, str]] = []
        while (end := text.find("\n", self._scanned)) >= 0:
            if self._line(self._scanned, text[self._scanned : end]):
                self.start, self.head = self._scanned, self._head()
                found.append((self.start, self.head))
            if end - self._scanned > LONGEST:
                self._cut_within(text, end, found)
            self._scanned = end + 1
        if len(text) - self._scanned > LONGEST:
            self._cut_within(text, len(text), found)
        return found

    def _head(self) -> str:
        return "\n".join(self._table_head[:2]) + "\n" if self.in_table else ""

    def _line(self, start: int, line: str) -> bool:
        """Take one line; whether a new piece begins with it."""
        was_open = self.in_fence
        size = start - self.start
        blank = not line or line.isspace()
        cut = False
        if not was_open and not blank:
            if self._blank:
                cut = not line[0].isspace() and size >= max(self._piece, 1)
                self.in_table = False
                self._table_head.clear()
            elif size > LONG:
                cut = size > LONGEST or (not self.in_table and bool(ITEM.match(line)))
        still = self._fences.line(line)
        self._follow_table(line, blank or still or was_open)
        self._blank = blank and not still and not was_open
        return cut

    def _follow_table(self, line: str, none: bool) -> None:
        if none or "|" not in line:
            self.in_table = False
            self._table_head.clear()
        elif len(self._table_head) < 2:
            self._table_head.append(line if len(line) < LONGEST else "")
        if len(self._table_head) == 2 and not self.in_table:
            self.in_table = bool(_DELIMITER.match(self._table_head[1]))
            if not self.in_table:
                del self._table_head[0]

    def _cut_within(self, text: str, end: int, found: list[tuple[int, str]]) -> None:
        """Cut a line that goes on and on."""
        if self.in_fence:
            return
        self.head = ""
        while end - self.start > LONGEST:
            space = text.rfind(" ", self.start + LONGEST // 2, self.start + LONGEST)
            self.start = space + 1 if space >= 0 else self.start + LONGEST
            found.append((self.start, ""))
        self._scanned = max(self._scanned, self.start)


def pieces(text: str) -> list[str]:
    """``text`` in pieces of some thousand characters that can each be parsed alone."""
    if len(text) <= PIECE:
        return [text] if text.strip() else []
    splitter = Splitter(PIECE)
    cuts = [(0, ""), *splitter.cuts(text if text.endswith("\n") else text + "\n"), (len(text), "")]
    found = [(head, text[begin:end]) for (begin, head), (end, _) in pairwise(cuts)]
    return [head + piece for head, piece in found if piece.strip()]


def lines_in_pieces(text: str, size: int = 4000) -> list[str]:
    """Plain text in pieces that end with a line, or within one that is longer than a piece."""
    found, start = [], 0
    while start < len(text):
        end = start + size
        if end < len(text):
            line = text.rfind("\n", start, end)
            space = text.rfind(" ", start + size // 2, end)
            end = line + 1 if line > start else space + 1 if space > start else end
        found.append(text[start:end].removesuffix("\n") if end < len(text) else text[start:end])
        start = end
    return found or [""]


class Stream:
    """Blocks of a growing text.  Cost of a ``feed`` is that of the tail alone.

    The finished pieces are in ``pieces``, each as source and blocks; :attr:`tail` are the blocks of the rest.
    """

    def __init__(self) -> None:
        self.text = ""
        self.pieces: list[tuple[str, tuple[Block, ...]]] = []
        self.tail: tuple[Block, ...] = ()
        self._splitter = Splitter()
        self._tail_start = 0
        self._head = ""
        self._references: dict[str, dict[str, str]] = {}
        self._table: Table | None = None
        self._table_end = 0

    @property
    def tail_start(self) -> int:
        """Index into ``text`` where the unfinished piece begins."""
        return self._tail_start

    @property
    def rest(self) -> str:
        """The source of the unfinished piece."""
        return self._head + self.text[self._tail_start :]

    @property
    def frozen(self) -> int:
        """How many blocks will not change any more."""
        return sum(len(blocks) for _, blocks in self.pieces)

    def feed(self, delta: str) -> tuple[Block, ...]:
        """Take more text; return all blocks so far."""
        self.advance(delta)
        return (*(block for _, blocks in self.pieces for block in blocks), *self.tail)

    def advance(self, delta: str) -> int:
        """Take more text; return how many pieces were finished by it."""
        self.text += delta
        cuts = self._splitter.cuts(self.text)
        before = len(self.pieces)
        for cut, head in cuts:
            piece = self.text[self._tail_start : cut]
            if not piece.strip():
                continue
            piece = self._head + piece
            self._references |= references(piece)
            self.pieces.append((piece, parse(piece, self._references)))
            self._tail_start, self._head = cut, head
            self._table = None
        self.tail = self._parse_tail()
        return len(self.pieces) - before

    def _parse_tail(self) -> tuple[Block, ...]:
        tail = self.rest
        if self._splitter.in_fence and len(tail) > LONG and len(self.tail) == 1 and (code := self._code(tail)):
            return (code,)
        if self._splitter.in_table and len(tail) > LONG and (table := self._rows(tail)):
            return (table,)
        return parse(tail, self._references)

    def _code(self, tail: str) -> Code | None:
        """A long block of code that is still open: only its text is another."""
        last = self.tail[0]
        head, _, body = tail.partition("\n")
        if isinstance(last, Code) and not last.depth and re.match(r"(```+|~~~+)[^`]*$", head):
            return Code(body.removesuffix("\n"), last.language, closed=False)
        return None

    def _rows(self, tail: str) -> Table | None:
        """A long table whose rows still arrive: only the new ones are parsed, below its head."""
        end = tail.rfind("\n") + 1
        if self._table is None:
            blocks = parse(tail[:end], self._references)
            if len(blocks) != 1 or not isinstance(blocks[0], Table):
                return None
            self._table = blocks[0]
        elif end > self._table_end:
            head = "".join(line + "\n" for line in tail.split("\n", 2)[:2])
            more = parse(head + tail[self._table_end : end], self._references)
            if len(more) != 1 or not isinstance(more[0], Table):
                self._table = None
                return None
            self._table = Table(self._table.header, (*self._table.rows, *more[0].rows), self._table.align)
        self._table_end = end
        return self._table


def joined(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Blocks with neighbouring prose as one block each."""
    out: list[Block] = []
    for block in blocks:
        if out and isinstance(last := out[-1], Prose) and isinstance(block, Prose):
            out[-1] = join(last, block)
        else:
            out.append(block)
    return tuple(out)


def join(first: Prose, second: Prose) -> Prose:
    """Neighbouring prose as one block; a list that a blank line cut in two becomes one list again."""
    if first.html.endswith("</ol>") and (opening := re.match(r'<ol start="\d+">', second.html)):
        return Prose(first.html[: -len("</ol>")] + second.html[opening.end() :])
    if first.html.endswith("</ul>") and second.html.startswith("<ul>"):
        return Prose(first.html[: -len("</ul>")] + second.html[len("<ul>") :])
    return Prose(first.html + second.html)
