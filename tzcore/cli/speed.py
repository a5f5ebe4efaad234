"""How fast a model will write and read on this machine's processor, from two short probes and the bytes it reads.

A token that is written reads every weight that it is multiplied by, and all keys and values before it, once from
memory; each layer takes a moment besides, to bring the threads together and for what is not weights:

    seconds a token = (weight bytes + key and value bytes) / (read bandwidth · SHARE) + layers · PER_LAYER
    seconds of a prompt = 2 · tokens · weights / (products a second · PROMPT_SHARE) + seconds a token

Read bandwidth is measured with the program's own threads (512 MiB, best of three passes), products a second with
512 tokens times a matrix in two trit planes, both now.  SHARE, PER_LAYER and PROMPT_SHARE are those of
``tests/bench/results`` (``cpu-peers.txt``: 75 to 91 % of the bandwidth for a 3B model; the starter's 242 and 1,999
tokens/s).  Both are floors of arithmetic for a machine that does nothing else.  Where answers were measured on this
machine (``measured.json``), all estimates are multiplied by the median of measured over estimated speed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from tzcore.cli import experience
from tzcore.errors import BackendError, TernaryZeroError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from tzcore.architecture.spec import ModelSpec
    from tzcore.checkpoint.schema import MatrixEntry
    from tzcore.keyvalues import KeyValueFormat

SHARE = 0.9
PER_LAYER = 70e-6
PROMPT_SHARE = 0.6
PROMPT = 512
"""Tokens of the prompt for which the time to the first token is given."""
LOOKED_AT = 6
"""Installed models whose answers correct the estimate, at most."""
BOUNDS = (0.25, 2.0)
"""Within which measured answers may correct an estimate; beyond, something else was measured."""


@dataclass(frozen=True)
class Machine:
    """``bandwidth`` in bytes a second, ``products`` in operations a second; ``correction`` is measured over
    estimated speed, from ``answers`` answers (0: none yet, and the correction is 1)."""

    bandwidth: float
    products: float
    correction: float = 1.0
    answers: int = 0


def probe() -> Machine | None:
    """This machine now; ``None`` where the compiled library does not load."""
    from tzcore.backend.cpu import CpuBackend

    try:
        bare = Machine(CpuBackend().read_bandwidth(), _products())
        return _corrected(bare)
    except BackendError:
        return None


def weight_bytes(spec: ModelSpec, stored: Mapping[str, MatrixEntry]) -> int:
    """Bytes of weights that a token reads, as :meth:`tzcore.backend.base.LoadedModel.weight_bytes_per_token`."""
    from tzcore.quant.allocation import stored_bytes

    total = 0.0
    for ref, share in spec.read_per_token():
        entry = stored[ref.name]
        whole = stored_bytes(entry.rows, entry.cols, entry.format.name, entry.group)
        total += share * whole * ref.rows / entry.rows
    return round(total)


def active_weights(spec: ModelSpec) -> float:
    """Weights that a token of a prompt is multiplied by; the head is asked for the last one alone."""
    return sum(share * ref.rows * ref.cols for ref, share in spec.read_per_token() if ref.name != spec.head.name)


def token_seconds(weights: int, spec: ModelSpec, machine: Machine) -> float:
    """Seconds that a token takes behind an empty context."""
    return (weights / (machine.bandwidth * SHARE) + len(spec.layers) * PER_LAYER) / machine.correction


def context_seconds(length: int, spec: ModelSpec, stored: KeyValueFormat, machine: Machine) -> float:
    """Seconds that a token takes besides, behind ``length`` others."""
    from tzcore.backend.cpu_memory import read_bytes

    return read_bytes(spec, length, stored) / (machine.bandwidth * SHARE) / machine.correction


def prompt_seconds(weights: int, spec: ModelSpec, machine: Machine, tokens: int = PROMPT) -> float:
    """Seconds to the first token of an answer to a prompt of ``tokens``."""
    reading = 2 * tokens * active_weights(spec) / (machine.products * PROMPT_SHARE) / machine.correction
    return reading + token_seconds(weights, spec, machine)


def _products() -> float:
    """Operations a second of a product of 512 tokens, in the median of some tries."""
    import numpy as np

    from tzcore import trits
    from tzcore.backend import native
    from tzcore.backend.cpu import CpuBackend
    from tzcore.checkpoint.reader import StoredMatrix
    from tzcore.checkpoint.schema import MatrixEntry

    rows, cols, group = 1024, 2048, 128
    fmt, rng = trits.format_named("t2b3"), np.random.default_rng(0)
    codes = _aligned(rng.integers(0, 256, (trits.tiles(rows), trits.tile_bytes(fmt, cols)), np.uint8))
    scales = _aligned(rng.random((trits.tiles(rows), trits.groups(cols, group), 16), np.float32).astype(np.float16))
    stored = StoredMatrix(MatrixEntry("probe", rows, cols, fmt, group), codes, scales, None)
    x = rng.standard_normal((PROMPT, cols), np.float32)
    out = np.empty((PROMPT, rows), np.float32)
    pool = CpuBackend()._pool(None)
    try:
        times = []
        for _ in range(6):
            began = time.perf_counter()
            native.matmul(pool, stored, x, out=out)
            times.append(time.perf_counter() - began)
        return 2 * PROMPT * rows * cols / median(times[1:])
    finally:
        pool.close()


def _aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that begins on a 64-byte boundary, as tensors in a model's files do."""
    import numpy as np

    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _corrected(machine: Machine) -> Machine:
    """The same with what the answers measured here say."""
    from tzcore.hub import library

    by_model: dict[str, list[experience.Answer]] = {}
    for answer in experience.answers():
        by_model.setdefault(answer.model, []).append(answer)
    installed = {model.id: model.path for model in library.installed()} if by_model else {}
    ratios: list[float] = []
    for name in list(by_model)[-LOOKED_AT:]:
        if name in installed:
            with suppress(TernaryZeroError):  # a model that is damaged says nothing
                ratios += _ratios(installed[name], by_model[name], machine)
    if not ratios:
        return machine
    low, high = BOUNDS
    return Machine(machine.bandwidth, machine.products, max(low, min(high, median(ratios))), len(ratios))


def _ratios(folder: Path, answers: list[experience.Answer], machine: Machine) -> list[float]:
    """Measured over estimated speed of each answer."""
    from tzcore.architecture.registry import spec_of
    from tzcore.backend.base import weight_bytes_per_token
    from tzcore.checkpoint.reader import ModelFolder
    from tzcore.keyvalues import F16

    opened = ModelFolder.open(folder)
    try:
        spec = spec_of(opened)
        empty = token_seconds(weight_bytes_per_token(opened, spec), spec, machine)
        return [
            answer.tokens_per_second * (empty + context_seconds(answer.depth, spec, F16, machine))
            for answer in answers
        ]
    finally:
        opened.close()
