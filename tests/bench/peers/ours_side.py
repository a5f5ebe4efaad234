"""Our own kernels and models, as :mod:`worker` wants them."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tzcore import trits
from tzcore.architecture.registry import spec_of
from tzcore.backend import native
from tzcore.backend.cpu import CpuBackend
from tzcore.checkpoint.reader import ModelFolder, StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry


@cache
def _pool(threads: int) -> native.Pool:
    return native.Pool(threads, range(threads))


@cache
def _matrices(rows: int, cols: int, kind: str, least: int) -> list[StoredMatrix]:
    """As many matrices of random bytes as make ``least`` bytes of codes."""
    fmt, rng = trits.format_named(kind), np.random.default_rng(0)
    tiles = trits.tiles(rows)
    entry = MatrixEntry(kind, rows, cols, fmt, 128)
    made: list[StoredMatrix] = []
    while not made or len(made) * made[0].codes.nbytes < least:
        codes = rng.integers(0, 256, (tiles, trits.tile_bytes(fmt, cols)), np.uint8)
        scales = rng.random((tiles, trits.groups(cols, 128), trits.LANES), np.float32).astype(np.float16)
        made.append(StoredMatrix(entry, codes, scales, None))
    return made


def matmul(rows: int, cols: int, kind: str, tokens: int, threads: int, least: int, variant: str | None = None) -> Any:
    """Seconds and bytes of one product, from one pass over all matrices."""
    made = _matrices(rows, cols, kind, least)
    x = np.random.default_rng(1).standard_normal((tokens, cols), np.float32)
    out = np.empty((tokens, rows), np.float32)
    native.matmul(_pool(threads), made[0], x, variant=variant, out=out)
    began = time.perf_counter()
    for stored in made:
        native.matmul(_pool(threads), stored, x, variant=variant, out=out)
    seconds = (time.perf_counter() - began) / len(made)
    scales = made[0].scales
    assert scales is not None
    return {"seconds": seconds, "bytes": made[0].codes.nbytes + scales.nbytes}


def bandwidth(threads: int) -> Any:
    """Bytes a second that so many threads read from memory together."""
    return {"rate": _pool(threads).read_bandwidth(1 << 29, 2)}


@cache
def _model(path: str, threads: int, variant: str | None) -> Any:
    folder = ModelFolder.open(Path(path))
    return CpuBackend(variant).load(folder, spec_of(folder), threads)


def model(path: str, threads: int, prompt: int, tokens: int, variant: str | None = None) -> Any:
    """Seconds of ``prompt`` tokens at once and of one decoded after them; bytes that one token reads."""
    loaded = _model(path, threads, variant)
    spec = loaded.spec
    ids = np.random.default_rng(0).integers(0, spec.vocabulary, prompt + tokens, np.int32)
    sequence = loaded.new_sequence(prompt + tokens)
    try:
        began = time.perf_counter()
        loaded.forward(sequence, ids[:prompt])
        middle = time.perf_counter()
        for at in range(prompt, prompt + tokens):
            loaded.forward(sequence, ids[at : at + 1])
        ended = time.perf_counter()
    finally:
        sequence.close()
    context = (prompt + tokens / 2) * spec.kv_bytes_per_token()
    return {
        "prefill": middle - began,
        "decode": (ended - middle) / max(tokens, 1),
        "bytes": loaded.weight_bytes_per_token() + context,
    }
