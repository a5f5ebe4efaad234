"""Where each layer's keys and values lie, and what is in a page: copied, saved and brought back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.device import Device, Stream
from tzcore.backend.cuda.pages import (
    CHUNK,
    PAGE,
    TILE,
    exact_tile_bytes,
    groups,
    layer_bytes,
    padded_head,
    recent_bytes,
    recent_slots,
    sinks,
)
from tzcore.errors import BackendError
from tzcore.keyvalues import F16, KeyValueFormat

Run = tuple[int, int]
"""Address and bytes."""


class KeyValuePools:
    """Pages of every layer, taken from ``region`` for ``context`` tokens, and the places for the latest tokens."""

    def __init__(
        self, region: Region, spec: ModelSpec, context: int, kv: KeyValueFormat = F16, chunk: int = CHUNK
    ) -> None:
        self.kv, self.chunk, self.slots = kv, chunk, recent_slots(chunk)
        self.groups = groups(spec)
        self.counts = [group.pages(context, chunk) + sinks(kv) for group in self.groups]
        """Pages of each group."""
        self.stamp = 0
        """Changes with every call: a text whose own stamp is another one's has none of its tokens in ``recent``."""
        self._heads, self._width, self._layers = spec.kv_heads, padded_head(spec.head_dim), len(spec.layers)
        self._parts = 1 if kv.quantised else 2
        self._part = layer_bytes(spec, kv) // self._parts
        self.keys = [0] * self._layers
        """Address of each layer's pool of keys, or of keys and values as codes."""
        self.values = [0] * self._layers
        """Address of each layer's pool of values in half precision."""
        self.recent = [0] * self._layers
        """Address of each layer's latest tokens in half precision, where the pools are of codes."""
        self.group_of = [0] * self._layers
        """Number of each layer's group."""
        for place, (group, count) in enumerate(zip(self.groups, self.counts, strict=True)):
            for number in group.layers:
                self.group_of[number] = place
                self.keys[number] = region.take(count * self._part, f"the keys of layer {number}")
                if kv.quantised:
                    latest = recent_bytes(spec, kv, chunk) // self._layers
                    self.recent[number] = region.take(latest, f"the latest tokens of layer {number}")
                else:
                    self.values[number] = region.take(count * self._part, f"the values of layer {number}")

    @property
    def recent_tokens(self) -> int:
        """Tokens that are held in half precision besides the pages."""
        return self.slots * TILE if self.kv.quantised else 0

    @property
    def form(self) -> str:
        """A name for what :meth:`Contents.read` gives."""
        windows = ",".join(str(group.window) for group in self.groups)
        return f"cuda-1 {self._layers}x{self._heads}x{self._width} {windows} {self.kv.name}"

    def runs(self, group: int, page: int) -> Iterator[Run]:
        """What a page of ``group`` is, layer by layer."""
        for number in self.groups[group].layers:
            for pools in (self.keys, self.values)[: self._parts]:
                yield pools[number] + page * self._part, self._part

    def sink_runs(self, group: int, page: int) -> Iterator[Run]:
        """What is used of a page for a text's first tokens: a tile in half precision at the beginning of each head."""
        of_head = self._part // self._heads
        for number in self.groups[group].layers:
            for head in range(self._heads):
                yield self.keys[number] + page * self._part + head * of_head, exact_tile_bytes(self._width)


Places = Sequence[int | None]
"""A page of each group, or None."""


class Contents:
    """What is in the pages of ``pools`` on ``device``."""

    def __init__(self, device: Device, stream: Stream, pools: KeyValuePools) -> None:
        self.pools = pools
        self._device, self._stream = device, stream

    def copy(self, group: int, source: int, target: int) -> None:
        """Page ``target`` becomes what page ``source`` is."""
        runs = zip(self.pools.runs(group, source), self.pools.runs(group, target), strict=True)
        for (here, size), (there, _) in runs:
            self._device.copy_within(there, here, size, self._stream)

    def read(self, pages: Places, sinks: Places) -> bytes:
        """What ``pages`` are, and what the first tokens' pages ``sinks``: a byte for each group, whether its is there,
        and then theirs."""
        there = bytes(page is not None for page in pages)
        runs = [run for group, (page, sink) in enumerate(zip(pages, sinks, strict=True)) if page is not None
                for run in self._runs(group, page, sink)]  # fmt: skip
        out = np.empty(sum(size for _, size in runs), np.uint8)
        at = 0
        for address, size in runs:
            self._device.copy_out(out[at : at + size], address, self._stream)
            at += size
        self._device.synchronize(self._stream)
        return there + out.tobytes()

    def write(self, data: bytes, pages: Places, sinks: Places) -> None:
        """Make ``pages`` what :meth:`read` gave; BackendError for bytes of another form, or without what is wanted.
        What was saved of pages that are not wanted is left out."""
        there, array, at = data[: len(pages)], np.frombuffer(data, np.uint8), len(pages)
        copies: list[tuple[int, int, int]] = []
        for group, saved in enumerate(there):
            page, sink = pages[group], sinks[group]
            if page is not None and not saved:
                raise BackendError(
                    f"of these {PAGE} tokens a window's keys and values were let go of before they were saved: read "
                    "the text again"
                )
            for address, size in self._runs(group, page or 0, sink) if saved else ():
                if page is not None:
                    copies.append((address, at, size))
                at += size
        if at != len(data):
            raise BackendError(
                f"{PAGE} tokens' keys and values are {at:,} bytes here, and {len(data):,} were given: they were saved "
                "by another model or version"
            )
        for address, start, size in copies:
            self._device.copy_in(address, array[start : start + size], self._stream)
        self._device.synchronize(self._stream)

    def _runs(self, group: int, page: int, sink: int | None) -> list[Run]:
        return [*self.pools.runs(group, page), *(() if sink is None else self.pools.sink_runs(group, sink))]
