"""``tz bench --kernels``: products and attention in the shapes of a 70B model, peers beside them where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tzcore.backend.cuda.device import Device
from tzcore.bench import attention, products, torch_peers
from tzcore.bench.timing import Timer, copy_bandwidth

Row = dict[str, Any]
Say = Callable[[Row], None]
_SQUARE = (8192, 8192, 4096)
"""Rows, columns and tokens of the product that the int8 peak is measured with."""


@dataclass(frozen=True)
class Effort:
    """``room`` bytes are copied to learn what the memory gives."""

    products: products.Settings = field(default_factory=products.Settings)
    depths: tuple[int, ...] = attention.DEPTHS
    attention: str = attention.CUT
    square: tuple[int, int, int] = _SQUARE
    room: int = 1 << 30
    peers: bool = True


def measure(device: Device, effort: Effort, say: Say) -> Row:
    """All of it; each row is said as soon as it is there."""
    timer, settings = Timer(device), effort.products
    ceiling = copy_bandwidth(timer, min(effort.room, device.memory()[0] // 2), settings.repeat)
    say({"what": "ceilings", "copy_bandwidth": ceiling})
    few: list[Row] = []
    for rows, cols in settings.shapes:
        found = products.few(timer, rows, cols, settings, ceiling)
        compare_packings(found)
        for row in found:
            say(row)
        few += found
    peak = int8_peak(timer, effort, say)
    many: list[Row] = []
    for (rows, cols), tokens in product(settings.shapes, settings.many):
        for row in products.many(timer, rows, cols, tokens, settings):
            row["share_of_peak"] = row["operations_per_second"] / peak["operations_per_second"]
            say(row)
            many.append(row)
    deep = attention.at_depths(timer, effort.depths, settings.repeat, ceiling, say, effort.attention)
    half = half_rows(effort, device, say) if effort.peers and torch_peers.available() else []
    return {
        "device": device.name, "capability": list(device.capability), "multiprocessors": device.multiprocessors,
        "copy_bandwidth": ceiling, "few": few, "many": many, "int8_peak": peak, "attention": deep, "cublas_fp16": half,
    }  # fmt: skip


def compare_packings(rows: list[Row]) -> None:
    """Beside each base-3 row, how many times as fast it is as the same values in 2- or 4-bit slots."""
    slots = {(row["format"], row["tokens"]): row["seconds"] for row in rows}
    for row in rows:
        plain = row["format"].removesuffix("b3")
        if plain != row["format"] and (plain, row["tokens"]) in slots:
            row["times_slots"] = slots[plain, row["tokens"]] / row["seconds"]


def int8_peak(timer: Timer, effort: Effort, say: Say) -> Row:
    """The best int8 product that was seen: our own 8-bit one, and cuBLAS's through torch."""
    rows, cols, tokens = effort.square
    settings = products.Settings(formats=("i8",), repeat=effort.products.repeat)
    (own,) = products.many(timer, rows, cols, tokens, settings)
    peer = None
    if effort.peers and torch_peers.available():
        peer = torch_peers.int8_operations(rows, cols, tokens, settings.repeat)
    best = max(own["operations_per_second"], peer or 0.0)
    row = {"what": "int8 peak", "rows": rows, "cols": cols, "tokens": tokens, "own": own["operations_per_second"],
           "cublas": peer, "operations_per_second": best}  # fmt: skip
    say(row)
    return row


def half_rows(effort: Effort, device: Device, say: Say) -> list[Row]:
    """cuBLAS in fp16, the product that this format replaces."""
    found = []
    for rows, cols in effort.products.shapes:
        for tokens in (1, 8, *effort.products.many):
            seconds = torch_peers.half_seconds(rows, cols, tokens, device.l2_bytes, effort.products.repeat)
            row = {"what": "cublas fp16", "rows": rows, "cols": cols, "tokens": tokens, "seconds": seconds,
                   "bytes_per_second": 2 * rows * cols / seconds,
                   "operations_per_second": 2 * rows * cols * tokens / seconds}  # fmt: skip
            found.append(row)
            say(row)
    return found
