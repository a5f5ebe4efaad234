"""Keys and values on the device: pages of 256 tokens, and which of them are free.

A page holds its tokens' keys and values of all layers with the same window: those with one keep only their latest
pages.  In half precision a layer's keys are
``[page][kv_heads][256][Dp]``, its values ``[page][kv_heads][Dp][256]``: transposed, as attention reads a page of them
along the tokens.  As codes both are ``[page][kv_heads][8 tiles]``, a tile being 32 tokens (``kernels/cuda/codes.cuh``);
beside the pages each layer then has places for the latest tokens in half precision, and a text one page more for its
first :data:`~tzcore.keyvalues.SINK` tokens.  ``Dp`` is the head's width rounded up to one that the kernels have.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from tzcore.architecture.spec import ModelSpec
from tzcore.errors import BackendError
from tzcore.keyvalues import BLOCK, F16, KeyValueFormat

PAGE = 256
"""Tokens of a page."""
TILE = 32
"""Tokens of a tile."""
CHUNK = 512
"""Tokens of a prefill call, at most."""
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


@dataclass(frozen=True)
class Group:
    """``layers`` that keep their keys and values alike: of all tokens, or (``window``) of the latest."""

    window: int
    layers: tuple[int, ...]

    def needs(self, chunk: int) -> int:
        """Pages of what a call of ``chunk`` tokens reads and writes, at most; those with a window."""
        return pages_for(self.window + chunk) + 1

    def pages(self, tokens: int, chunk: int) -> int:
        """Pages of a memory of ``tokens`` tokens: with a window, those of two texts, and one more to go back to."""
        every = pages_for(tokens)
        return min(every, 2 * (self.needs(chunk) + 1)) if self.window else every


def groups(spec: ModelSpec) -> list[Group]:
    """The layers by their windows; those without one come first."""
    found: dict[int, list[int]] = {}
    for number, layer in enumerate(spec.layers):
        found.setdefault(layer.window or 0, []).append(number)
    return [Group(window, tuple(found[window])) for window in sorted(found)]


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
    pages = sum(len(group.layers) * (group.pages(tokens, chunk) + sinks(kv)) for group in groups(spec))
    return pages * layer_bytes(spec, kv) + recent_bytes(spec, kv, chunk)


MOST = 1 << 24
"""Tokens of a context, at most: where all layers have windows nothing else ends it."""


def longest(spec: ModelSpec, kv: KeyValueFormat, size: int, chunk: int) -> int:
    """Tokens whose keys and values fit into ``size`` bytes."""
    counts = range(1, MOST // PAGE + 1)
    return PAGE * bisect_right(counts, size, key=lambda count: context_bytes(spec, kv, count * PAGE, chunk))


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
    """Pages for texts that were forked from one another: how many of them hold each."""

    def __init__(self, pages: Pages, tokens: int, sinks: int = 0) -> None:
        self.sinks = sinks
        self._pages = pages
        self._all = pages.allocate(tokens, sinks)
        self._free = self._all[::-1]
        self._holders: dict[int, int] = {}

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

    def release(self) -> None:
        """Give all pages back."""
        self._pages.free(self._all)
