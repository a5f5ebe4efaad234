"""Running texts of the NumPy truth: their keys and values in plain arrays, and a count of the memory they share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tzcore import keyvalues
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import PIECE
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import BLOCK, SINK, KeyValueFormat

Floats = npt.NDArray[np.float32]

PAGE = 64
"""Tokens whose memory is counted together."""


class Memory:
    """Pages for ``capacity`` tokens; what texts have in common is counted once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = -(-capacity // PAGE)

    def table(self) -> PageTable:
        """The pages of a new text, none yet."""
        return PageTable(self, [])


class _Page:
    users = 1


class PageTable:
    """The pages of one text.  A partly filled page that others use too is counted anew once it is added to."""

    def __init__(self, memory: Memory, pages: list[_Page]) -> None:
        self._memory = memory
        self._pages = pages

    def room(self, length: int) -> int:
        """Tokens that can follow the ``length`` that are held."""
        filled = length % PAGE
        own = PAGE - filled if filled and self._pages[-1].users == 1 else -filled
        return max(0, min(self._memory.capacity - length, self._memory.free * PAGE + own))

    def grow(self, length: int, count: int) -> None:
        """Count ``count`` more tokens after ``length``; ContextFullError where there is no room."""
        if count > self.room(length):
            taken = "" if length + count > self._memory.capacity else " that other texts share"
            raise ContextFullError(
                f"{length} + {count} tokens do not fit into a context of {self._memory.capacity}{taken}"
            )
        if length % PAGE and self._pages[-1].users > 1:
            self.shorten(length - length % PAGE)
        missing = -(-(length + count) // PAGE) - len(self._pages)
        self._memory.free -= missing
        self._pages += [_Page() for _ in range(missing)]

    def shorten(self, length: int) -> None:
        """Let go of the pages from position ``length`` on."""
        while len(self._pages) > -(-length // PAGE):
            page = self._pages.pop()
            page.users -= 1
            self._memory.free += page.users == 0

    def fork(self, length: int) -> PageTable:
        """The pages of the first ``length`` tokens, shared."""
        shared = self._pages[: -(-length // PAGE)]
        for page in shared:
            page.users += 1
        return PageTable(self._memory, shared)


class ReferenceSequence:
    """Keys and values in arrays ``[2, capacity, kv_heads, head_dim]``, a layer each, keys first.

    ``exact`` are as they were appended, in ``dtype``.  With a quantised format they are turned, and ``coded``
    are what comes back of their codes.  ``exact_from`` is the first position that is read in half precision
    where the format says so: a text that was loaded has codes alone of what lies before, except for the
    first :data:`SINK` tokens.  Tests set it to what another backend still has.
    """

    def __init__(
        self, spec: ModelSpec, capacity: int, dtype: npt.DTypeLike, stored: KeyValueFormat, pages: PageTable
    ) -> None:
        shape = (2, capacity, spec.kv_heads, spec.head_dim)
        self._spec, self._capacity, self._stored, self._pages = spec, capacity, stored, pages
        self._dtype = np.dtype(np.float16 if stored.quantised else dtype)
        try:
            self.exact = [np.zeros(shape, self._dtype) for _ in spec.layers]
            self.coded = [np.zeros(shape, np.float32) for _ in spec.layers] if stored.quantised else []
        except (MemoryError, ValueError) as error:
            needed = len(spec.layers) * int(np.prod(shape)) * self._dtype.itemsize
            raise BackendError(f"a context of {capacity} tokens needs {needed / 2**30:.1f} GiB of memory") from error
        self._length = 0
        self.exact_from = 0
        self._open = True

    @property
    def length(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def quantised(self) -> bool:
        """Whether keys and values are turned, and read as their codes but for the ends."""
        return self._stored.quantised

    @property
    def room(self) -> int:
        self.check_open()
        return self._pages.room(self._length)

    def check_open(self) -> None:
        """BackendError after :meth:`close`."""
        if not self._open:
            raise BackendError("this sequence is closed")

    def grow(self, count: int) -> None:
        """Take memory for ``count`` more tokens, which :meth:`put` fills; ContextFullError where there is none."""
        self._pages.grow(self._length, count)
        self._length += count

    def put(self, layer: int, start: int, keys: Floats, values: Floats) -> None:
        """Store what a layer made of tokens from ``start`` on, ``[n, kv_heads, head_dim]`` each."""
        place = slice(start, start + len(keys))
        parts = ((0, keys, self._stored.key_bits), (1, values, self._stored.value_bits))
        for part, vectors, bits in parts:
            if self.quantised:
                vectors = keyvalues.turned(vectors)
                self.coded[layer][part, place] = keyvalues.stored(vectors, bits)
            self.exact[layer][part, place] = vectors

    def seen(self, layer: int, block: int, stop: int) -> Floats:
        """Keys and values ``[2, stop, kv_heads, head_dim]`` as a token of ``block`` sees them."""
        exact = self.exact[layer][:, :stop].astype(np.float32)
        if not self.quantised:
            return exact
        positions = np.arange(stop)
        near = (positions >= (block - 1) * BLOCK) & (positions >= self.exact_from)
        return np.where(((positions < SINK) | near)[:, None, None], exact, self.coded[layer][:, :stop])

    def resumable(self, length: int) -> int:
        self.check_open()
        return min(length, self._length)

    def truncate(self, length: int) -> None:
        self.check_open()
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot shorten a sequence of {self._length} tokens to {length}")
        self._pages.shorten(length)
        self._length = length
        self.exact_from = min(self.exact_from, length)

    def fork(self, length: int) -> ReferenceSequence:
        self.check_open()
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot fork a sequence of {self._length} tokens at {length}")
        pages = self._pages.fork(length)
        made = ReferenceSequence(self._spec, self._capacity, self._dtype, self._stored, pages)
        for mine, theirs in zip(self._arrays(), made._arrays(), strict=True):
            theirs[:, :length] = mine[:, :length]
        made._length, made.exact_from = length, min(self.exact_from, length)
        return made

    def save(self, piece: int) -> bytes:
        self.check_open()
        start = piece * PIECE
        if not 0 <= start < self._length:
            raise BackendError(f"a sequence of {self._length} tokens has no piece {piece}")
        stop = min(start + PIECE, self._length)
        return b"".join(array[:, start:stop].tobytes() for array in self._arrays())

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        self.check_open()
        if self._length:
            raise BackendError("only an empty sequence can be loaded into")
        try:
            self.grow(length)
            at = 0
            for piece in pieces:
                at += self._take(piece, at, length)
                if at == length:
                    break
            if at < length:
                raise BackendError(f"there are {at} tokens in the pieces, not {length}")
        except ContextFullError as error:
            raise BackendError(str(error)) from None
        except BaseException:
            self.truncate(0)
            raise
        self.exact_from = length

    def _take(self, piece: bytes, at: int, length: int) -> int:
        """Put a piece at position ``at``, cut at ``length``; the tokens that were taken."""
        arrays = self._arrays()
        sizes = [array[:, 0].nbytes for array in arrays]  # of one token
        held, rest = divmod(len(piece), sum(sizes))
        if rest or not 0 < held <= PIECE or (held < PIECE and at + held < length):
            raise BackendError("a saved piece is not of this model's form")
        count, offset = min(held, length - at), 0
        for array, size in zip(arrays, sizes, strict=True):
            shape = (2, held, *array.shape[2:])
            saved = np.frombuffer(piece, array.dtype, held * size // array.itemsize, offset).reshape(shape)
            array[:, at : at + count] = saved[:, :count]
            offset += held * size
        return count

    def _arrays(self) -> list[npt.NDArray[np.floating]]:
        return [*self.exact, *self.coded]

    def close(self) -> None:
        if self._open:
            self._pages.shorten(0)
            self._length, self._open = 0, False
            self.exact, self.coded = [], []
