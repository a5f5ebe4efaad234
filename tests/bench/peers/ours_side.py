"""Our own kernels and models, as :mod:`worker` wants them."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.matmul import random_matrix
from tzcore import trits
from tzcore.architecture.registry import spec_of
from tzcore.backend import native
from tzcore.backend.cpu import CpuBackend
from tzcore.checkpoint.reader import ModelFolder, StoredMatrix


@cache
def _pool(threads: int) -> native.Pool:
    return native.Pool(threads, range(threads))


@cache
def _matrix(rows: int, cols: int, kind: str, least: int) -> tuple[StoredMatrix, int]:
    """Random bytes as matrices below one another, as many as make ``least`` bytes of codes; and how many."""
    tiles, size = trits.tiles(rows), trits.tile_bytes(trits.format_named(kind), cols)
    count = -(-least // (tiles * size))
    return random_matrix(count * rows, cols, kind, 128), count


def matmul(rows: int, cols: int, kind: str, tokens: int, threads: int, least: int, variant: str | None = None) -> Any:
    """Seconds and bytes of one product, from one call for all matrices, as the peer has them in one graph.

    (Its graph rounds the input for every product; this call does so once, which is 1 to 2 % of a product.)
    """
    stored, count = _matrix(rows, cols, kind, least)
    x = np.random.default_rng(1).standard_normal((tokens, cols), np.float32)
    out = np.empty((tokens, count * rows), np.float32)
    native.matmul(_pool(threads), stored, x, variant=variant, out=out)
    began = time.perf_counter()
    native.matmul(_pool(threads), stored, x, variant=variant, out=out)
    seconds = (time.perf_counter() - began) / count
    assert stored.scales is not None
    return {"seconds": seconds, "bytes": (stored.codes.nbytes + stored.scales.nbytes) / count}


def bandwidth(threads: int) -> Any:
    """Bytes a second that so many threads read from memory together."""
    return {"rate": _pool(threads).read_bandwidth(1 << 29, 1)}


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
