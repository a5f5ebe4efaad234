"""What may come next, guessed from what the text has said before.

Code that is rewritten, a passage that is quoted, names, lists: answers repeat runs of tokens of
their prompt and of themselves.  Where the last tokens stood before, the tokens that followed
them there are proposed (prompt lookup: Saxena 2023; Yang et al. 2023, LLMA).  No second model
is needed, and a proposal costs microseconds.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

LEAST = 2
"""Tokens that must stand at both places.  One says next to nothing; how much two say differs from text to
text, which :class:`tzcore.engine.drafting.Drafting` learns per length, so that they need not be ruled out here."""
LONGEST = 8
"""Tokens beyond which a longer match is taken for as good: it is right nearly always by then."""
CANDIDATES = 8
"""Places that are compared, latest first.  A pair of frequent tokens has thousands."""


@dataclass(frozen=True)
class Proposal:
    """``tokens`` may follow; ``matched`` tokens (``LEAST`` to ``LONGEST``) before them are the same at both places."""

    matched: int
    tokens: list[int]


class Lookup:
    """Every pair of neighbouring tokens of ``text``, a list that its owner appends to, and where it stood.

    Pairs are entered when a proposal is asked for: each once, in constant time.  A context of
    131,072 tokens takes under 20 MB.
    """

    def __init__(self, text: list[int]) -> None:
        self._text = text
        self._last: dict[int, int] = {}  # pair -> the last place where its second token stands
        self._before = array("i")  # of every place, the one before it with the same pair; −1 for none

    def shorten(self, length: int) -> None:
        """Forget what lies from position ``length`` on.  To be called before the owner cuts the text there."""
        while len(self._before) > length:
            place = len(self._before) - 1
            before = self._before.pop()
            if before >= 0:
                self._last[self._pair(place)] = before
            elif place:
                del self._last[self._pair(place)]

    def propose(self, token: int, limit: int) -> Proposal | None:
        """Up to ``limit`` tokens to follow the text and ``token`` after it; None where nothing stood before.

        Of the last ``CANDIDATES`` places it takes the one with the longest match, the latest among
        equals.  A place that ends with the text itself is a loop, which the proposal goes on with.
        """
        self._catch_up()
        text = self._text
        place = self._last.get(text[-1] << 32 | token, -1) if text else -1
        best = longest = 0
        for _ in range(CANDIDATES):
            if place < 0:
                break
            matched = self._matched(place)
            if matched > longest:
                best, longest = place, matched
            if matched == LONGEST:
                break
            place = self._before[place]
        if not longest or limit < 1:
            return None
        tokens = text[best + 1 : best + 1 + limit]
        if len(tokens) < limit:
            tokens.append(token)
            period = len(text) - best
            while len(tokens) < limit:
                tokens.append(tokens[-period])
        return Proposal(longest, tokens)

    def _pair(self, place: int) -> int:
        return self._text[place - 1] << 32 | self._text[place]

    def _catch_up(self) -> None:
        """Enter what was appended since the last time."""
        text, last, before = self._text, self._last, self._before
        if not before and text:
            before.append(-1)  # a first token ends no pair
        for place in range(len(before), len(text)):
            pair = text[place - 1] << 32 | text[place]
            before.append(last.get(pair, -1))
            last[pair] = place

    def _matched(self, place: int) -> int:
        """How many tokens up to ``place`` equal the last ones of the text and the token after it, of which two do."""
        text, count = self._text, LEAST
        here, there = place - LEAST, len(text) - LEAST
        while count < LONGEST and here >= 0 and text[here] == text[there]:
            count, here, there = count + 1, here - 1, there - 1
        return count
