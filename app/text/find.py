"""Finding words in the messages of a conversation: in what is read, not in the marks around it.  No Qt here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.text.markdown import Block, parse, references
from app.text.plain import of_block
from app.text.stream import pieces

Match = tuple[int, int]
"""Which message, and which of the places in it."""


def count(text: str, query: str) -> int:
    """How often ``query`` stands in ``text``, in whatever letters."""
    return text.lower().count(query.lower()) if query else 0


def count_in_block(block: Block, query: str) -> int:
    """How often ``query`` is to be read in a block."""
    return count(of_block(block, formulas=False), query)


def matches(texts: Sequence[tuple[str, bool]], query: str) -> Iterator[Match | None]:
    """All places where ``query`` stands, from the first message to the last.

    ``texts``: what each message says, and whether it is Markdown.  ``None`` comes after every piece of work, so that
    a caller can stop whenever its time is over.
    """
    for index, (text, markdown) in enumerate(texts):
        if not markdown:
            found = count(text, query)
            yield from ((index, number) for number in range(found))
            yield None
            continue
        number = 0
        defined = references(text)
        for piece in pieces(text):
            for block in parse(piece, defined):
                for _ in range(count_in_block(block, query)):
                    yield index, number
                    number += 1
            yield None
