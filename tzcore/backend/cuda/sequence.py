"""One running text on the card: the pages that hold its keys and values, shared with texts that begin alike."""

from __future__ import annotations

from collections.abc import Iterable

from tzcore.backend.cuda.contents import Contents
from tzcore.backend.cuda.pages import PAGE, Memory, pages_for
from tzcore.backend.cuda.table import Table
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import BLOCK


class Root:
    """What texts that were forked from one another share: a memory of ``capacity`` tokens for each group of layers."""

    def __init__(self, memories: list[Memory], capacity: int) -> None:
        self.memories, self.capacity, self.texts = memories, capacity, 0

    def leave(self) -> None:
        """Count one text less; after the last one all pages are given back."""
        self.texts -= 1
        if not self.texts:
            for memory in self.memories:
                memory.release()


class CudaSequence:
    """See :class:`tzcore.backend.base.Sequence`.

    Pages are taken as the text grows.  A fork shares all of them; whoever first writes into a page that is shared
    takes a copy of it.
    """

    def __init__(self, root: Root, contents: Contents) -> None:
        self._root, self._contents, self._pools = root, contents, contents.pools
        self._tables: list[Table] | None = [
            Table(memory, contents, number) for number, memory in enumerate(root.memories)
        ]
        self._length = 0
        self._stamp, self._exact_from = -1, 0
        root.texts += 1

    @property
    def length(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        return self._root.capacity

    @property
    def room(self) -> int:
        rooms = [table.room(self._length) for table in self.tables]
        return min([self.capacity - self._length, *(room for room in rooms if room is not None)])

    @property
    def tables(self) -> list[Table]:
        """One a group of layers; BackendError after :meth:`close`."""
        if self._tables is None:
            raise BackendError("this sequence is closed")
        return self._tables

    def exact_from(self, first: int) -> int:
        """For a call from position ``first`` on: the first position that is held in half precision besides the pages,
        0 where it makes no difference."""
        matters = self._pools.kv.quantised and self._exact_from > first - first % BLOCK - BLOCK
        return self._exact_from if matters else 0

    def check_room(self, count: int) -> None:
        """ContextFullError where there is no :attr:`room` for ``count`` more tokens."""
        if self._length + count > self.capacity:
            raise ContextFullError(f"{self._length} + {count} tokens do not fit into a context of {self.capacity}")
        if count > self.room:
            raise ContextFullError(
                f"{self._length} + {count} tokens do not fit beside the other texts in a context of {self.capacity}: "
                f"there is room for {self.room} more; close one of them"
            )

    def begin(self, count: int) -> None:
        """Take the pages for a call with the next ``count`` tokens, and the places for the latest tokens."""
        for table in self.tables:
            table.grow(self._length, count)
        pools = self._pools
        if self._stamp != pools.stamp:
            self._exact_from = self._length
        pools.stamp += 1
        self._stamp = pools.stamp
        self._exact_from = max(self._exact_from, self._length + count - pools.recent_tokens)

    def advance(self, count: int) -> None:
        """Count ``count`` more tokens as held."""
        self._length += count

    def jump(self, length: int) -> None:
        """An empty text has ``length`` tokens, whatever its pages hold; BackendError where there is no room."""
        if not 0 < length <= self.capacity or not all(table.jump(length) for table in self.tables):
            self.truncate(0)
            raise BackendError(f"there is no room for {length} tokens: a text may have {self.room} now")
        self._length = self._exact_from = length
        self._stamp = -1

    def resumable(self, length: int) -> int:
        """``length``, or 0 where a window has let go of what a token there sees."""
        return length if all(table.resumable(length) for table in self.tables) else 0

    def truncate(self, length: int) -> None:
        self._check(length)
        for table in self.tables:
            table.truncate(length)
        self._length = length
        self._exact_from = min(self._exact_from, length)

    def fork(self, length: int) -> CudaSequence:
        self._check(length)
        made = CudaSequence(self._root, self._contents)
        made._tables = [table.fork(length) for table in self.tables]
        made._length = length
        made._stamp, made._exact_from = self._stamp, min(self._exact_from, length)
        return made

    def _check(self, length: int) -> None:
        tables = self.tables
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot shorten a sequence of {self._length} tokens to {length}")
        if not all(table.resumable(length) for table in tables):
            raise BackendError(
                f"a sequence of {self._length} tokens cannot go back to {length}: layers with a window have let go of "
                "what was seen there; begin again"
            )

    def save(self, piece: int) -> bytes:
        tables = self.tables
        if not 0 <= piece < pages_for(self._length):
            raise BackendError(f"a sequence of {self._length} tokens has no piece {piece}")
        return self._contents.read([table.page(piece) for table in tables], self._sinks(piece))

    def _sinks(self, piece: int) -> list[int | None]:
        return [None if piece else table.sink for table in self.tables]

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        if self._length:
            raise BackendError("keys and values are loaded into empty sequences only")
        self.jump(length)
        wanted = pages_for(length)
        try:
            count = 0
            for count, data in enumerate(pieces, 1):
                if count > wanted:
                    break
                places = [table.page(count - 1) for table in self.tables]
                self._contents.write(data, places, self._sinks(count - 1))
            if count != wanted:
                raise BackendError(f"{length} tokens are {wanted} pieces of {PAGE}, and {count} or more were given")
        except BaseException:
            self.truncate(0)
            raise

    def close(self) -> None:
        if self._tables is not None:
            self.truncate(0)
            self._tables = None
            self._root.leave()
