"""What the processor's library takes for keys and values, to the byte.

A memory is made of pages of 64 tokens, of one layer each.  Layers that see everything have pages for its whole
capacity.  Layers with a window let go of pages behind it, so that a few windows' worth is enough: of the running
text, and of those that are kept beside it.  Quantised formats keep the last tokens in half precision in a ring, and
each text its first ones.
"""

from __future__ import annotations

from collections import Counter

from tzcore.architecture.spec import ModelSpec
from tzcore.keyvalues import BLOCK, SINK, KeyValueFormat

PAGE = BLOCK
"""Tokens of a page."""
RING = 256
"""Tokens that a memory with a quantised format keeps in half precision besides: the last ones."""
_SINK_VECTORS = SINK + 2 * SINK
"""Values and keys that a text keeps of its first tokens; keys are read in runs of twice as many.  Texts that begin
alike share them."""
_BEHIND = 3 * PAGE  # tokens behind a window that are kept, so that one can go back a little
_WINDOWS, _SPARE = 4, 5  # pages of layers with a window: so many windows, and so many pages more


def pages(capacity: int, window: int | None) -> int:
    """Pages that a layer has for ``capacity`` tokens."""
    whole = -(-capacity // PAGE)
    if window is None:
        return whole
    return min(whole, _WINDOWS * -(-(window + _BEHIND) // PAGE) + _SPARE)


def page_bytes(spec: ModelSpec, stored: KeyValueFormat) -> int:
    """Bytes of one page of one layer: codes and, of a quantised format, a scale for each vector."""
    bits = stored.key_bits + stored.value_bits
    scales = 2 * PAGE if stored.quantised else 0
    return spec.kv_heads * (PAGE * _padded(spec) * bits // 8 + scales)


def memory_bytes(spec: ModelSpec, capacity: int, stored: KeyValueFormat) -> int:
    """Bytes of a memory of ``capacity`` tokens."""
    windows = Counter(layer.window for layer in spec.layers)
    held = sum(layers * pages(capacity, window) for window, layers in windows.items())
    return held * page_bytes(spec, stored) + _half_precision(spec, stored)


def longest(spec: ModelSpec, stored: KeyValueFormat, budget: int, most: int) -> int:
    """The largest capacity, up to ``most`` tokens, whose memory takes no more than ``budget`` bytes; 0 for none."""
    low, high = 0, -(-most // PAGE)  # pages: the largest that fits is in between
    while low < high:
        middle = (low + high + 1) // 2
        if memory_bytes(spec, middle * PAGE, stored) <= budget:
            low = middle
        else:
            high = middle - 1
    return min(most, low * PAGE)


def read_bytes(spec: ModelSpec, length: int, stored: KeyValueFormat) -> int:
    """Bytes of keys and values that a token reads behind ``length`` others, about: what is still in half
    precision is counted as quantised."""
    bits = stored.key_bits + stored.value_bits
    vector = spec.kv_heads * (_padded(spec) * bits / 8 + (2 if stored.quantised else 0))
    return round(sum(vector * min(length + 1, layer.window or length + 1) for layer in spec.layers))


def _half_precision(spec: ModelSpec, stored: KeyValueFormat) -> int:
    if not stored.quantised:
        return 0
    return (2 * RING + _SINK_VECTORS) * len(spec.layers) * spec.kv_heads * _padded(spec) * 2


def _padded(spec: ModelSpec) -> int:
    """Numbers of a head as it is stored: whole vectors of 16."""
    return -(-spec.head_dim // 16) * 16
