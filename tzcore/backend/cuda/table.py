"""The pages of one text in the layers that have the same window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tzcore.backend.cuda.contents import Contents
from tzcore.backend.cuda.pages import PAGE, Group, Memory, pages_for
from tzcore.keyvalues import SINK


class Table:
    """Pages of ``memory``, for every 256 tokens of a text; with a window the first ones are let go of.

    Pages may be shared with other texts; one that is written to while it is shared becomes a copy.
    """

    def __init__(self, memory: Memory, contents: Contents, number: int) -> None:
        self.number = number
        """Of the group."""
        self.group: Group = contents.pools.groups[number]
        self.pages: list[int] = []
        """Those held, of which the first is for the tokens from 256 · ``gone`` on."""
        self.gone = 0
        self.sink: int | None = None
        """The page of the first tokens in half precision."""
        self.version = 0
        """Changes with the pages."""
        self._memory, self._contents = memory, contents
        self._steady = self.group.needs(contents.pools.chunk)

    def resumable(self, length: int) -> bool:
        """Whether all that a token at position ``length`` sees is held."""
        return not self.gone or not length or length + 1 >= PAGE * self.gone + self.group.window

    def room(self, length: int) -> int | None:
        """Tokens that the memory has left for a text of ``length``; None: as many as one likes."""
        spare = self._memory.free - self._besides(length)
        if spare < 0:
            return 0
        if self.group.window:
            own = sum(not self._memory.shared(page) for page in self.pages)
            if spare + own >= self._steady:
                return None
        return -length % PAGE + spare * PAGE

    def _besides(self, length: int) -> int:
        """Pages that appending takes besides those for more tokens: the first tokens' own, and copies."""
        sink = self._memory.sinks and (self.sink is None or self._writes_sink(length))
        return int(sink) + int(self._writes_last(length))

    def _writes_sink(self, length: int) -> bool:
        return self.sink is not None and length < SINK and self._memory.shared(self.sink)

    def _writes_last(self, length: int) -> bool:
        return bool(length % PAGE) and self._memory.shared(self.pages[-1])

    def grow(self, length: int, count: int) -> None:
        """Take what the next ``count`` tokens need, and let go of what they and one page more do not see."""
        memory = self._memory
        self._let_go(length - PAGE)
        if memory.sinks:
            if self.sink is None:
                self.sink = memory.take()
                self.version += 1
            elif self._writes_sink(length):
                self.sink = self._own(self.sink)
        needed = pages_for(length + count) - self.gone - len(self.pages)
        if memory.free < needed + self._writes_last(length):
            self._let_go(length)
        if self._writes_last(length):
            self.pages[-1] = self._own(self.pages[-1])
        for _ in range(needed):
            self.pages.append(memory.take())
            self.version += 1

    def _let_go(self, length: int) -> None:
        """Of the pages that a token at ``length`` does not see."""
        if not self.group.window:
            return
        while self.pages and PAGE * (self.gone + 1) <= length + 1 - self.group.window:
            self._memory.let_go(self.pages.pop(0))
            self.gone += 1
            self.version += 1

    def _own(self, page: int) -> int:
        """A copy of ``page`` that no other text holds."""
        copy = self._memory.take()
        self._contents.copy(self.number, page, copy)
        self._memory.let_go(page)
        self.version += 1
        return copy

    def jump(self, length: int) -> bool:
        """Take, while it is empty, the pages that a text of ``length`` tokens has; whether there were enough."""
        if self.group.window:
            self.gone = max(0, length + 1 - self.group.window) // PAGE
        count = pages_for(length) - self.gone
        enough = self._memory.free >= count + self._memory.sinks
        if enough:
            self.pages = [self._memory.take() for _ in range(count)]
            self.sink = self._memory.take() if self._memory.sinks else None
        else:
            self.gone = 0
        self.version += 1
        return enough

    def truncate(self, length: int) -> None:
        """Let go of what is after the first ``length`` tokens."""
        kept = max(0, pages_for(length) - self.gone)
        for page in self.pages[kept:]:
            self._memory.let_go(page)
            self.version += 1
        del self.pages[kept:]
        if not length:
            self.gone = 0
            if self.sink is not None:
                self._memory.let_go(self.sink)
                self.sink = None
                self.version += 1

    def fork(self, length: int) -> Table:
        """The same of the first ``length`` tokens."""
        made = Table(self._memory, self._contents, self.number)
        if length:
            made.gone = self.gone
            made.pages = [self._memory.share(page) for page in self.pages[: pages_for(length) - self.gone]]
            made.sink = None if self.sink is None else self._memory.share(self.sink)
        return made

    def page(self, piece: int) -> int | None:
        """The page of the tokens from 256 · ``piece`` on; None where it was let go of."""
        return self.pages[piece - self.gone] if piece >= self.gone else None

    def numbers(self) -> npt.NDArray[np.int32]:
        """As the kernels read it, 0 for what is gone."""
        return np.array([0] * self.gone + self.pages, np.int32)
