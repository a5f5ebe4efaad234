"""One running text on the card: the pages that hold its keys and values."""

from __future__ import annotations

import numpy as np

from tzcore.backend.cuda.pages import Pages
from tzcore.errors import BackendError


class CudaSequence:
    """Pages for ``capacity`` tokens, taken at once: a context that was promised can be filled."""

    def __init__(self, pages: Pages, capacity: int) -> None:
        self._pages, self._capacity, self._length = pages, capacity, 0
        self._held: list[int] | None = pages.allocate(capacity)
        self.table = np.array(self._held, np.int32)
        """The page of every 256 tokens."""

    @property
    def length(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        return self._capacity

    def check_open(self) -> None:
        """BackendError after :meth:`close`."""
        if self._held is None:
            raise BackendError("this sequence is closed")

    def advance(self, count: int) -> None:
        """Count ``count`` more tokens as held."""
        self._length += count

    def truncate(self, length: int) -> None:
        self.check_open()
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot shorten a sequence of {self._length} tokens to {length}")
        self._length = length

    def close(self) -> None:
        if self._held is not None:
            self._pages.free(self._held)
            self._held = None
