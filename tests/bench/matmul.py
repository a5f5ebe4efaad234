"""Throughput of single matrix products: GB/s of packed weights at one token, GOP/s at many.

``python tests/bench/matmul.py [--threads N] [--rows R] [--cols C] [--variant V]``.  The codes are
random bytes; speed does not depend on them.  Each figure is the best of several runs, beside
the read bandwidth measured in the same process.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tzcore import trits
from tzcore.backend import native
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry

TOKENS = (1, 2, 4, 8, 16, 256)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins on a 64-byte boundary, as tensors in a model's files do (NumPy's own arrays need not)."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def random_matrix(rows: int, cols: int, name: str, group: int) -> StoredMatrix:
    """A matrix of random bytes in the layout of format ``name``."""
    fmt, rng = trits.format_named(name), np.random.default_rng(0)
    tiles = trits.tiles(rows)
    if fmt.packing == "half":
        codes = rng.standard_normal((tiles, trits.padded(cols), 16), np.float32).astype(np.float16)
        return StoredMatrix(MatrixEntry(name, rows, cols, fmt, 0), aligned(codes), None, None)
    codes = rng.integers(0, 256, (tiles, trits.tile_bytes(fmt, cols)), np.uint8)
    scales = rng.random((tiles, trits.groups(cols, group), 16), np.float32).astype(np.float16)
    return StoredMatrix(MatrixEntry(name, rows, cols, fmt, group), aligned(codes), aligned(scales), None)


def best_seconds(pool: native.Pool, stored: StoredMatrix, tokens: int, variant: str | None, budget: float) -> float:
    """Least time of one product, from runs of growing length within ``budget`` seconds."""
    x = np.random.default_rng(1).standard_normal((tokens, stored.entry.cols), np.float32)
    out = np.empty((tokens, stored.entry.rows), np.float32)
    best, repeats, end = float("inf"), 1, time.perf_counter() + budget
    while time.perf_counter() < end:
        began = time.perf_counter()
        native.matmul(pool, stored, x, variant=variant, out=out, repeats=repeats)
        seconds = time.perf_counter() - began
        best = min(best, seconds / repeats)
        repeats = max(1, min(repeats * 2, int(budget / 8 / best)))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--cols", type=int, default=28672)
    parser.add_argument("--group", type=int, default=128)
    parser.add_argument("--variant")
    parser.add_argument("--formats", default=",".join(trits.FORMATS))
    parser.add_argument("--seconds", type=float, default=0.4, help="per figure")
    args = parser.parse_args()
    pool = native.Pool(args.threads, range(args.threads))
    print(f"{args.rows} × {args.cols}, {args.threads} threads, {args.variant or native.variants()[0]}")
    print(f"read bandwidth {pool.read_bandwidth() / 1e9:.1f} GB/s")
    for name in args.formats.split(","):
        stored = random_matrix(args.rows, args.cols, name, args.group)
        size = stored.codes.nbytes + (stored.scales.nbytes if stored.scales is not None else 0)
        seconds = {n: best_seconds(pool, stored, n, args.variant, args.seconds) for n in TOKENS}
        operations = 2 * args.rows * args.cols
        rates = "  ".join(f"m={n}: {operations * n / t / 1e9:.0f}" for n, t in seconds.items())
        print(f"{name:5} {size / 1e6:7.1f} MB  {size / seconds[1] / 1e9:5.1f} GB/s  GOP/s {rates}")


if __name__ == "__main__":
    main()
