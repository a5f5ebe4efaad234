"""One running text on the card: the pages that hold its keys and values, shared with texts that begin alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tzcore.backend.cuda.contents import Contents
from tzcore.backend.cuda.pages import PAGE, Memory, pages_for
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import SINK


class CudaSequence:
    """See :class:`tzcore.backend.base.Sequence`.

    Pages are taken as the text grows.  A fork shares all of them; whoever first writes into a page that is shared
    takes a copy of it.
    """

    def __init__(self, memory: Memory, contents: Contents) -> None:
        self._memory, self._contents, self._pools = memory, contents, contents.pools
        self._length = 0
        self._table: list[int] | None = []
        self._sink: int | None = None
        self._stamp, self._exact_from = -1, 0
        self.version = 0
        """Changes with the pages."""
        memory.enter()

    @property
    def length(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        return self._memory.capacity

    @property
    def room(self) -> int:
        spare = self._memory.free - self._besides()
        if spare < 0:
            return 0
        return min(self.capacity - self._length, -self._length % PAGE + spare * PAGE)

    def _besides(self) -> int:
        """Pages that appending takes besides those for more tokens: the first tokens' own, and copies."""
        table = self._open()
        sink = self._memory.sinks and (self._sink is None or self._writes_sink())
        return int(sink) + int(bool(self._length % PAGE) and self._memory.shared(table[-1]))

    def _writes_sink(self) -> bool:
        return self._sink is not None and self._length < SINK and self._memory.shared(self._sink)

    def check_open(self) -> None:
        """BackendError after :meth:`close`."""
        self._open()

    def _open(self) -> list[int]:
        if self._table is None:
            raise BackendError("this sequence is closed")
        return self._table

    def header(self, first: int) -> tuple[int, int]:
        """What the kernels read in front of the table, for a call from position ``first`` on: the first position
        that is held in half precision besides the pages (0 where it makes no difference), and the first tokens' page.
        """
        return (self._exact_from if self._exact_from > max(0, first - first % 64 - 64) else 0), self._sink or 0

    def table(self) -> npt.NDArray[np.int32]:
        """The page of every 256 tokens."""
        return np.array(self._open(), np.int32)

    def make_room(self, count: int) -> None:
        """Take the pages for ``count`` more tokens; ContextFullError where there is no :attr:`room` for them."""
        table, memory = self._open(), self._memory
        if self._length + count > self.capacity:
            raise ContextFullError(f"{self._length} + {count} tokens do not fit into a context of {self.capacity}")
        if count > self.room:
            raise ContextFullError(
                f"{self._length} + {count} tokens do not fit beside the other texts in a context of {self.capacity}: "
                f"there is room for {self.room} more; close one of them"
            )
        self.version += 1
        if memory.sinks:
            if self._sink is None:
                self._sink = memory.take()
            elif self._writes_sink():
                self._sink = self._own(self._sink)
        if self._length % PAGE and memory.shared(table[-1]):
            table[-1] = self._own(table[-1])
        while len(table) < pages_for(self._length + count):
            table.append(memory.take())

    def _own(self, page: int) -> int:
        """A copy of ``page`` that no other text holds."""
        copy = self._memory.take()
        self._contents.copy(page, copy)
        self._memory.let_go(page)
        return copy

    def claim(self, count: int) -> None:
        """Make the places for the latest tokens this text's, before a call with ``count`` tokens writes there."""
        pools = self._pools
        if self._stamp != pools.stamp:
            self._exact_from = self._length
        pools.stamp += 1
        self._stamp = pools.stamp
        self._exact_from = max(self._exact_from, self._length + count - pools.recent_tokens)

    def advance(self, count: int) -> None:
        """Count ``count`` more tokens as held."""
        self._length += count

    def resumable(self, length: int) -> int:
        """All of them: every layer keeps all of its tokens."""
        return length

    def truncate(self, length: int) -> None:
        self._check(length)
        table = self._open()
        for page in table[pages_for(length) :]:
            self._memory.let_go(page)
        del table[pages_for(length) :]
        if not length and self._sink is not None:
            self._memory.let_go(self._sink)
            self._sink = None
        self._length = length
        self._exact_from = min(self._exact_from, length)
        self.version += 1

    def fork(self, length: int) -> CudaSequence:
        self._check(length)
        made = CudaSequence(self._memory, self._contents)
        made._table = [self._memory.share(page) for page in self._open()[: pages_for(length)]]
        made._length = length
        if length and self._sink is not None:
            made._sink = self._memory.share(self._sink)
        made._stamp, made._exact_from = self._stamp, min(self._exact_from, length)
        return made

    def _check(self, length: int) -> None:
        self.check_open()
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot shorten a sequence of {self._length} tokens to {length}")

    def save(self, piece: int) -> bytes:
        table = self._open()
        if not 0 <= piece < len(table):
            raise BackendError(f"a sequence of {self._length} tokens has no piece {piece}")
        return self._contents.read(table[piece], None if piece else self._sink)

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        table = self._open()
        if self._length:
            raise BackendError("keys and values are loaded into empty sequences only")
        if not 0 < length <= self.room:
            raise BackendError(f"there is no room for {length} saved tokens: {self.room} would fit")
        self.make_room(length)
        self._length = length
        try:
            count = 0
            for count, data in enumerate(pieces, 1):
                if count > len(table):
                    break
                self._contents.write(data, table[count - 1], None if count > 1 else self._sink)
            if count != len(table):
                raise BackendError(f"{length} tokens are {len(table)} pieces, and {count} or more were given")
        except BaseException:
            self.truncate(0)
            raise
        self._stamp, self._exact_from = -1, length

    def close(self) -> None:
        if self._table is not None:
            self.truncate(0)
            self._table = None
            self._memory.leave()
