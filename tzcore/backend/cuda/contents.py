"""Where each layer's keys and values lie, and what is in a page: copied, saved and brought back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.device import Device, Stream
from tzcore.backend.cuda.pages import (
    PAGE,
    TILE,
    exact_tile_bytes,
    layer_bytes,
    padded_head,
    recent_bytes,
    recent_slots,
)
from tzcore.errors import BackendError
from tzcore.keyvalues import F16, KeyValueFormat

Run = tuple[int, int]
"""Address and bytes."""


class KeyValuePools:
    """``count`` pages of every layer, taken from ``region``, and the places for the latest tokens."""

    def __init__(self, region: Region, spec: ModelSpec, count: int, kv: KeyValueFormat = F16, chunk: int = 0) -> None:
        self.kv, self.slots = kv, recent_slots(chunk)
        self.stamp = 0
        """Changes with every call: a text whose own stamp is another one's has none of its tokens in ``recent``."""
        self._heads, self._width, self._layers = spec.kv_heads, padded_head(spec.head_dim), len(spec.layers)
        size = layer_bytes(spec, kv)
        self._parts = 1 if kv.quantised else 2
        self._part = size // self._parts
        self.keys: list[int] = []
        """Address of each layer's pool of keys, or of keys and values as codes."""
        self.values: list[int] = []
        """Address of each layer's pool of values in half precision."""
        self.recent: list[int] = []
        """Address of each layer's latest tokens in half precision, where the pools are of codes."""
        for number in range(self._layers):
            self.keys.append(region.take(count * self._part, f"the keys of layer {number}"))
            if kv.quantised:
                latest = recent_bytes(spec, kv, chunk) // self._layers
                self.recent.append(region.take(latest, f"the latest tokens of layer {number}"))
            else:
                self.values.append(region.take(count * self._part, f"the values of layer {number}"))

    @property
    def recent_tokens(self) -> int:
        """Tokens that are held in half precision besides the pages."""
        return self.slots * TILE if self.kv.quantised else 0

    @property
    def form(self) -> str:
        """A name for what :meth:`Contents.read` gives."""
        return f"cuda-1 {self._layers}x{self._heads}x{self._width} {self.kv.name}"

    def runs(self, page: int) -> Iterator[Run]:
        """What a page is, layer by layer."""
        for number in range(self._layers):
            for pools in (self.keys, self.values)[: self._parts]:
                yield pools[number] + page * self._part, self._part

    def sink_runs(self, page: int) -> Iterator[Run]:
        """What is used of a page for a text's first tokens: a tile in half precision at the beginning of each head."""
        of_head = self._part // self._heads
        for number in range(self._layers):
            for head in range(self._heads):
                yield self.keys[number] + page * self._part + head * of_head, exact_tile_bytes(self._width)


class Contents:
    """What is in the pages of ``pools`` on ``device``."""

    def __init__(self, device: Device, stream: Stream, pools: KeyValuePools) -> None:
        self.pools = pools
        self._device, self._stream = device, stream

    def copy(self, source: int, target: int) -> None:
        """Page ``target`` becomes what page ``source`` is."""
        for (here, size), (there, _) in zip(self.pools.runs(source), self.pools.runs(target), strict=True):
            self._device.copy_within(there, here, size, self._stream)

    def read(self, page: int, sink: int | None) -> bytes:
        """What page ``page`` is, and what the first tokens' page ``sink``."""
        runs = self._runs(page, sink)
        out = np.empty(sum(size for _, size in runs), np.uint8)
        at = 0
        for address, size in runs:
            self._device.copy_out(out[at : at + size], address, self._stream)
            at += size
        self._device.synchronize(self._stream)
        return out.tobytes()

    def write(self, data: bytes, page: int, sink: int | None) -> None:
        """Make pages what :meth:`read` gave; BackendError for bytes of another form."""
        runs = self._runs(page, sink)
        size = sum(size for _, size in runs)
        if len(data) != size:
            raise BackendError(
                f"{PAGE} tokens' keys and values are {size:,} bytes here, and {len(data):,} were given: they were "
                "saved by another model or version"
            )
        array, at = np.frombuffer(data, np.uint8), 0
        for address, size in runs:
            self._device.copy_in(address, array[at : at + size], self._stream)
            at += size
        self._device.synchronize(self._stream)

    def _runs(self, page: int, sink: int | None) -> list[Run]:
        return [*self.pools.runs(page), *(() if sink is None else self.pools.sink_runs(sink))]
