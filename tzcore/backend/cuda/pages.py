"""Keys and values on the device: pages of 256 tokens, and which of them are free.

A page holds its tokens' keys and values of every layer.  In half precision a layer's keys are
``[page][kv_heads][256][Dp]``, its values ``[page][kv_heads][Dp][256]``: transposed, as attention reads a page of them
along the tokens.  As codes both are ``[page][kv_heads][8 tiles]``, a tile being 32 tokens (``kernels/cuda/codes.cuh``);
beside the pages each layer then has places for the latest tokens in half precision, and a text one page more for its
first :data:`~tzcore.keyvalues.SINK` tokens.  ``Dp`` is the head's width rounded up to one that the kernels have.
"""

from __future__ import annotations

from collections.abc import Iterable

from tzcore.architecture.spec import ModelSpec
from tzcore.errors import BackendError
from tzcore.keyvalues import BLOCK, F16, KeyValueFormat

PAGE = 256
"""Tokens of a page."""
TILE = 32
"""Tokens of a tile."""
HEADS = (64, 96, 128, 256)
"""Widths of heads that the attention kernels have."""


def padded_head(head_dim: int) -> int:
    """``head_dim`` rounded up to a width that the kernels have."""
    for width in HEADS:
        if head_dim <= width:
            return width
    raise BackendError(f"attention heads of {head_dim} numbers are too wide for the CUDA kernels (at most {HEADS[-1]})")


def pages_for(tokens: int) -> int:
    """Pages that hold ``tokens`` tokens."""
    return -(-tokens // PAGE)


def sinks(kv: KeyValueFormat) -> int:
    """Pages that a text needs besides, for its first tokens in half precision."""
    return int(kv.quantised)


def tile_bytes(width: int, kv: KeyValueFormat) -> int:
    """Bytes of 32 tokens' keys and values of one head of ``width`` numbers, as codes."""
    # The signs of values of 5 bits are kept for 64 columns at a time.
    signs = -(-width // 64) * 64 - width if kv.value_bits == 5 else 0
    return TILE * (width * (kv.key_bits + kv.value_bits) + signs) // 8 + 2 * TILE


def exact_tile_bytes(width: int) -> int:
    """The same in half precision."""
    return 2 * TILE * 2 * width


def layer_bytes(spec: ModelSpec, kv: KeyValueFormat = F16) -> int:
    """Bytes of a page in one layer: keys and values."""
    width = padded_head(spec.head_dim)
    return PAGE // TILE * spec.kv_heads * (tile_bytes(width, kv) if kv.quantised else exact_tile_bytes(width))


def page_bytes(spec: ModelSpec, kv: KeyValueFormat = F16) -> int:
    """Bytes of a page: keys and values of all layers."""
    return len(spec.layers) * layer_bytes(spec, kv)


def recent_slots(chunk: int) -> int:
    """Tiles of the latest tokens: a call's, and of those before it what its first token reads in half precision."""
    return -(-(chunk + 2 * BLOCK) // BLOCK) * BLOCK // TILE


def recent_bytes(spec: ModelSpec, kv: KeyValueFormat, chunk: int) -> int:
    """Bytes of the latest tokens' keys and values in half precision, of all layers; 0 where pages are so themselves."""
    if not kv.quantised:
        return 0
    return len(spec.layers) * spec.kv_heads * recent_slots(chunk) * exact_tile_bytes(padded_head(spec.head_dim))


def context_bytes(spec: ModelSpec, kv: KeyValueFormat, tokens: int, chunk: int) -> int:
    """Bytes of all keys and values of a context of ``tokens`` tokens, that of calls of up to ``chunk`` among them."""
    return (pages_for(tokens) + sinks(kv)) * page_bytes(spec, kv) + recent_bytes(spec, kv, chunk)


def longest(spec: ModelSpec, kv: KeyValueFormat, size: int, chunk: int) -> int:
    """Tokens whose keys and values fit into ``size`` bytes."""
    pages = (size - recent_bytes(spec, kv, chunk)) // page_bytes(spec, kv) - sinks(kv)
    return max(0, pages) * PAGE


class Pages:
    """Which pages are free.  Not shared between threads: a model's calls are serialised."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count - 1, -1, -1))
        self._held: set[int] = set()

    def free_tokens(self, besides: int = 0) -> int:
        """Tokens that a new memory could have, which needs ``besides`` pages more."""
        return max(0, len(self._free) - besides) * PAGE

    def allocate(self, tokens: int, besides: int = 0) -> list[int]:
        """Pages for ``tokens`` tokens and ``besides`` more, in order; BackendError says how many tokens would fit."""
        needed = pages_for(tokens) + besides
        if needed > len(self._free):
            raise BackendError(
                f"a context of {tokens:,} tokens does not fit on the card: {self.free_tokens(besides):,} tokens would "
                f"fit of the {(self.count - besides) * PAGE:,} that the model was loaded with; choose a shorter one, "
                "or load the model again with a larger context"
            )
        taken = [self._free.pop() for _ in range(needed)]
        self._held.update(taken)
        return taken

    def free(self, pages: Iterable[int]) -> None:
        """Take pages back; the ones given back last are handed out first."""
        for page in reversed(list(pages)):
            if page not in self._held:
                raise BackendError(f"page {page} is not held by anyone: this is a bug")
            self._held.remove(page)
            self._free.append(page)


class Memory:
    """The pages of ``capacity`` tokens, for texts that were forked from one another: how many of them hold each."""

    def __init__(self, pages: Pages, capacity: int, kv: KeyValueFormat = F16) -> None:
        self.capacity, self.sinks = capacity, sinks(kv)
        self._pages = pages
        self._all = pages.allocate(capacity, self.sinks)
        self._free = self._all[::-1]
        self._holders: dict[int, int] = {}
        self._texts = 0

    @property
    def free(self) -> int:
        """Pages that no text holds."""
        return len(self._free)

    def take(self) -> int:
        """A free page, held once."""
        page = self._free.pop()
        self._holders[page] = 1
        return page

    def share(self, page: int) -> int:
        """``page``, held once more."""
        self._holders[page] += 1
        return page

    def shared(self, page: int) -> bool:
        """Whether more than one text holds ``page``."""
        return self._holders[page] > 1

    def let_go(self, page: int) -> None:
        """Hold ``page`` once less."""
        self._holders[page] -= 1
        if not self._holders[page]:
            del self._holders[page]
            self._free.append(page)

    def enter(self) -> None:
        """Count one text more."""
        self._texts += 1

    def leave(self) -> None:
        """Count one text less; after the last one, which holds nothing any more, all pages are given back."""
        self._texts -= 1
        if not self._texts:
            self._pages.free(self._all)
