"""Products on a card: every shape and format by itself, over weights that no cache holds, beside copies.

The launches are the engine's own (:func:`tzcore.backend.cuda.products.multiply`).
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tzcore.backend.cuda.device import Device, Graph
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.layout import KBLOCK, Shape
from tzcore.backend.cuda.products import GROUPS, Form, Part, multiply, stage
from tzcore.backend.cuda.weights import Matrix
from tzcore.backend.cuda.workspace import FEW, SPLITS, Buffers
from tzcore.bench.timing import SPAN, Timer, fill, launches, random_block, rotation
from tzcore.trits import FORMATS, Format

GROUP = 128
TOKENS = (1, 2, 4, 8)
ISSUED = {
    "slots2": (0.73, 1.00), "base3": (1.45, 1.62), "slots4": (0.75, 1.06), "slots8": (0.66, 0.95),
    "base9": (2.64, 2.82),
}  # fmt: skip
"""Instructions that a lane issues for a weight of its own, with one token and with more: the hot loop of
``product_few`` in the machine code for sm_90, as counted in ``tests/bench/results/cuda-kernels.txt``."""
_SCHEDULERS, _LANES = 4, 32

Row = dict[str, Any]
Say = Callable[[Row], None]


@dataclass(frozen=True)
class Settings:
    """What is measured: each format with each of ``shapes`` (rows, columns), ``many`` tokens at once."""

    shapes: tuple[tuple[int, int], ...] = ((8192, 8192), (10240, 8192), (57344, 8192), (8192, 28672))
    formats: tuple[str, ...] = ("t1", "t1b3", "t2", "i4", "i8")
    many: tuple[int, ...] = (512, 2048)
    repeat: int = 9
    span: int = SPAN


class Copies:
    """One matrix many times on the card, with random codes; ``close`` gives the memory back."""

    def __init__(self, device: Device, shape: Shape, count: int) -> None:
        self.shape, self._device = shape, device
        sizes = dict(shape.parts)
        each = -(-shape.bytes // 256) * 256
        self._address = device.allocate(each * count)
        fill(device, self._address, each * count, valid_bytes(shape.fmt, min(each, 16 << 20)))
        scales = np.random.default_rng(1).uniform(0.005, 0.015, sizes["scales"] // 2).astype(np.float16)
        gains = np.ones(shape.tiles, np.float32)
        self.parts = []
        for number in range(count):
            codes = self._address + each * number
            matrix = Matrix(shape, codes, codes + sizes["codes"], codes + sizes["codes"] + sizes["scales"])
            device.copy_in(matrix.scales, scales)
            device.copy_in(matrix.gains, gains)
            self.parts.append(Part(matrix, 0))

    def halves(self, number: int) -> tuple[int, int, int]:
        """Where a copy of half of one matrix's bytes goes (to the next one, same place), where it comes from, and
        how many they are."""
        here, there = (self.parts[n % len(self.parts)].matrix.codes for n in (number, number + 1))
        return there, here, self.shape.bytes // 2 // 256 * 256

    def close(self) -> None:
        self._device.free(self._address)


def valid_bytes(fmt: Format, size: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random bytes that a matrix of ``fmt`` can hold on the card."""
    rng = np.random.default_rng(seed)
    if fmt.packing == "base3":
        return np.asarray((rng.integers(0, 243, size) * 256 + 242) // 243, np.uint8)
    if fmt.packing == "slots8":
        return rng.integers(fmt.low, fmt.high + 1, size).astype(np.int8).view(np.uint8)
    if fmt.packing == "half":
        return rng.standard_normal(-(-size // 2)).astype(np.float16).view(np.uint8)[:size]
    bits = 2 if fmt.packing == "slots2" else 4
    made = np.zeros(size, np.uint8)
    for shift in range(0, 8, bits):
        made |= rng.integers(fmt.low + fmt.zero, fmt.high + fmt.zero + 1, size).astype(np.uint8) << np.uint8(shift)
    return made


class Inputs:
    """Random prepared inputs of up to ``tokens`` tokens, and room for the sums."""

    def __init__(self, device: Device, cols: int, rows: int, tokens: int) -> None:
        padded = -(-cols // KBLOCK) * KBLOCK
        self._device = device
        codes = np.resize(random_block(tokens * padded), (tokens, padded)).view(np.int8)
        factors = np.empty((tokens, padded // GROUP, 2), np.float32)
        factors[..., 0] = 0.01
        factors.view(np.int32)[..., 1] = codes.reshape(tokens, -1, GROUP).sum(-1, dtype=np.int32)
        self.sums = 4 * rows * max(SPLITS * FEW, tokens)
        self._places = {name: device.allocate(size) for name, size in
                        (("codes", codes.nbytes), ("factors", factors.nbytes), ("parts", self.sums))}  # fmt: skip
        self.work = Buffers(self._places)
        device.copy_in(self.work["codes"], codes)
        device.copy_in(self.work["factors"], factors)

    def close(self) -> None:
        for address in self._places.values():
            self._device.free(address)


def few(timer: Timer, rows: int, cols: int, settings: Settings, ceiling: float) -> list[Row]:
    """One row a format and number of tokens, all formats in turns, each with a copy that moves as many bytes."""
    device, made, graphs = timer.device, [], []
    inputs = Inputs(device, cols, rows, FEW)
    try:
        for name in settings.formats:
            shape = Shape(FORMATS[name], rows, cols, GROUP)
            made.append(Copies(device, shape, rotation(shape.bytes, device.l2_bytes)))
        counts = [launches(copies.shape.bytes, len(copies.parts), settings.span) for copies in made]
        for copies, count in zip(made, counts, strict=True):
            graphs += [_products(timer, copies, inputs, count, tokens) for tokens in TOKENS]
            graphs.append(_copy(timer, copies, count))
        times = iter(timer.turns(graphs, settings.repeat))
        found: list[Row] = []
        for copies, count in zip(made, counts, strict=True):
            product = [[seconds / count for seconds in next(times)] for _ in TOKENS]
            copied = [seconds / count for seconds in next(times)]
            found += rows_of(device, copies.shape, product, copied, ceiling)
        return found
    finally:
        _close(graphs, made, inputs)


def rows_of(
    device: Device, shape: Shape, product: Sequence[list[float]], copied: list[float], ceiling: float
) -> list[Row]:
    """The rows of a format: ``product`` seconds a launch in each round, for each number of tokens; ``copied`` those
    of the copy; ``ceiling`` is the card's copy bandwidth."""
    alone, copy = statistics.median(product[0]), statistics.median(copied)
    found = []
    for number, (tokens, rounds) in enumerate(zip(TOKENS, product, strict=True)):
        middle = statistics.median(rounds)
        issue = issue_seconds(device, shape, number > 0)
        share = statistics.median(theirs / ours for theirs, ours in zip(copied, rounds, strict=True))
        found.append({
            "what": "few", "rows": shape.rows, "cols": shape.cols, "format": shape.fmt.name, "tokens": tokens,
            "bytes": shape.bytes, "seconds": middle, "bytes_per_second": shape.bytes / middle,
            "copy_seconds": copy, "share_of_copy": share,
            "share_of_ceiling": shape.bytes / middle / ceiling, "times_one_token": middle / alone,
            "predicted_memory": shape.bytes / ceiling, "predicted_issue": issue,
        })  # fmt: skip
    return found


def issue_seconds(device: Device, shape: Shape, several: bool) -> float | None:
    """Seconds to issue the instructions of a product, were there nothing else; None where the clock is not known."""
    if not device.clock:
        return None
    weights = shape.tiles * 16 * shape.blocks * KBLOCK
    issued = ISSUED[shape.kind.name][several] * weights / _LANES
    return issued / (device.multiprocessors * _SCHEDULERS * device.clock)


def many(timer: Timer, rows: int, cols: int, tokens: int, settings: Settings) -> Iterable[Row]:
    """Operations a second with many tokens, one row a format."""
    device = timer.device
    inputs = Inputs(device, cols, rows, tokens)
    try:
        for name in settings.formats:
            shape = Shape(FORMATS[name], rows, cols, GROUP)
            copies, graphs = Copies(device, shape, 2), []
            try:
                graphs.append(_products(timer, copies, inputs, 2, tokens))
                seconds = timer.median(graphs[0], settings.repeat) / 2
            finally:
                _close(graphs, [copies])
            rate = 2 * rows * cols * tokens / seconds
            yield {"what": "many", "rows": rows, "cols": cols, "format": name, "tokens": tokens, "seconds": seconds,
                   "operations_per_second": rate}  # fmt: skip
    finally:
        inputs.close()


def _products(timer: Timer, copies: Copies, inputs: Inputs, count: int, tokens: int) -> Graph:
    device, kernels = timer.device, Kernels(timer.device, timer.stream)
    form = Form(0, 1, GROUPS, GROUP)
    made = stage([(form, copies.parts[0])], copies.shape.rows, device.multiprocessors)

    def one(number: int) -> int:
        part = copies.parts[number % len(copies.parts)]
        return multiply(kernels, inputs.work, form, (part,), made, tokens)

    device.fill(inputs.work["parts"], 0xFF, inputs.sums)
    splits = one(0)  # fetches the kernel, and shows that it writes all it should
    sums = np.empty(splits * tokens * copies.shape.rows, np.float32)
    device.copy_out(sums, inputs.work["parts"], timer.stream)
    device.synchronize(timer.stream)
    if not np.isfinite(sums).all():
        raise ArithmeticError(f"a product in {copies.shape.fmt.name} left sums unwritten, or no numbers")
    return timer.capture(lambda: deque(map(one, range(count)), 0))


def _copy(timer: Timer, copies: Copies, count: int) -> Graph:
    """Copies from each matrix to the next: half its bytes read and half written."""

    def one(number: int) -> None:
        timer.device.copy_within(*copies.halves(number), timer.stream)

    return timer.capture(lambda: deque(map(one, range(count)), 0))


def _close(graphs: Iterable[Graph], *held: Any) -> None:
    for graph in graphs:
        graph.close()
    for one in held:
        for each in one if isinstance(one, list) else [one]:
            each.close()
