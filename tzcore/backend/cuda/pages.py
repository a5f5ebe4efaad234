"""Keys and values on the device: pages of 256 tokens, handed to sequences.

A page holds its tokens' keys and values of every layer.  A layer's keys are
``[page][kv_heads][256][Dp]`` halves, its values ``[page][kv_heads][Dp][256]``: transposed, as attention
reads a page of them along the tokens.  ``Dp`` is the head's width rounded up to one that the kernels have.
"""

from __future__ import annotations

from collections.abc import Iterable

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.arena import Region
from tzcore.errors import BackendError

PAGE = 256
"""Tokens of a page."""
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


def layer_bytes(spec: ModelSpec) -> int:
    """Bytes of a page's keys in one layer; its values take as many."""
    return 2 * PAGE * spec.kv_heads * padded_head(spec.head_dim)


def page_bytes(spec: ModelSpec) -> int:
    """Bytes of a page: keys and values of all layers."""
    return 2 * len(spec.layers) * layer_bytes(spec)


class Pages:
    """Which pages are free.  Not shared between threads: a model's calls are serialised."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count - 1, -1, -1))
        self._held: set[int] = set()

    @property
    def free_tokens(self) -> int:
        """Tokens that a new sequence could have."""
        return len(self._free) * PAGE

    def allocate(self, tokens: int) -> list[int]:
        """Pages for ``tokens`` tokens, in order; BackendError says how many tokens would fit."""
        needed = pages_for(tokens)
        if needed > len(self._free):
            raise BackendError(
                f"a context of {tokens:,} tokens does not fit on the card: {self.free_tokens:,} tokens would fit of "
                f"the {self.count * PAGE:,} that the model was loaded with; choose a shorter one, or load the model "
                "again with a larger context"
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


class KeyValuePools:
    """Where each layer's keys and values lie: ``count`` pages taken from ``region``."""

    def __init__(self, region: Region, spec: ModelSpec, count: int) -> None:
        size = count * layer_bytes(spec)
        self.keys = [0] * len(spec.layers)
        """Address of each layer's pool of keys."""
        self.values = [0] * len(spec.layers)
        """Address of each layer's pool of values."""
        for number in range(len(spec.layers)):
            self.keys[number] = region.take(size, f"the keys of layer {number}")
            self.values[number] = region.take(size, f"the values of layer {number}")
