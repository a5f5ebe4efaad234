"""What limits every product of the CPU core: bytes over bandwidth, or operations over the peak.

    python tests/bench/roofline.py [--threads N] [--shape 8192x28672] [--variant V] [--out FILE]

The bandwidth is what the same threads read from memory, measured before every row; the peak is the highest rate
of integer operations (a multiplication and an addition are two) that any product reaches with its weights in the
cache.  The limit is the longer of the two times; what is missing to 100 % is neither.  Weights are beyond the
caches, random, and a pass over all of them is timed; medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from matmul import best_seconds, random_matrix

from tzcore import hardware, trits
from tzcore.backend import native

FAR = 320 << 20
FORMATS = ("t1", "t1b3", "q2", "t2", "t2b3", "i4", "i8")
TOKENS = (1, 2, 4, 8, 512)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=max(1, hardware.processor().physical))
    parser.add_argument("--shape", default="8192x28672")
    parser.add_argument("--variant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows, cols = (int(side) for side in args.shape.split("x"))
    pool = native.Pool(args.threads, range(args.threads))
    near = random_matrix(8192, 2048, "t1", 128)
    peak = 2 * 8192 * 2048 * 8 / best_seconds(pool, near, 8, args.variant, 4.0)
    lines = [
        f"python {' '.join(['tests/bench/roofline.py', *sys.argv[1:]])}",
        f"{time.strftime('%Y-%m-%d')}, {hardware.processor().name}, {args.variant or native.variants()[0]}, "
        f"{args.threads} threads; {rows} × {cols}, groups of 128; peak {peak / 1e9:.0f} GOP/s",
        f"{'':6}{'tokens':>7}{'MB':>8}{'Mop':>9}{'ms':>9}{'GB/s':>7}{'GOP/s':>7}"
        f"{'memory ms':>11}{'peak ms':>9}{'of limit':>9}",
    ]
    print("\n".join(lines), flush=True)
    for name in FORMATS:
        count = -(-FAR // (trits.tiles(rows) * trits.tile_bytes(trits.format_named(name), cols)))
        many, one = (random_matrix(n * rows, cols, name, 128) for n in (count, 1))
        for tokens in TOKENS:
            stored, copies = (many, count) if tokens < 64 else (one, 1)
            x = np.random.default_rng(1).standard_normal((tokens, cols), np.float32)
            out = np.empty((tokens, copies * rows), np.float32)
            found, reads = [], []
            for _ in range(args.rounds + 1):
                reads.append(pool.read_bandwidth(1 << 29, 1))
                began = time.perf_counter()
                native.matmul(pool, stored, x, variant=args.variant, out=out)
                found.append((time.perf_counter() - began) / copies)
            seconds, read = statistics.median(found[1:]), statistics.median(reads[1:])
            scales = stored.scales
            size = (stored.codes.nbytes + (0 if scales is None else scales.nbytes)) / copies
            operations = 2 * rows * cols * tokens
            memory, compute = size / read, operations / peak
            lines.append(
                f"{name:6}{tokens:7}{size / 1e6:8.1f}{operations / 1e6:9.0f}{seconds * 1e3:9.2f}"
                f"{size / seconds / 1e9:7.1f}{operations / seconds / 1e9:7.0f}{memory * 1e3:11.2f}{compute * 1e3:9.2f}"
                f"{max(memory, compute) / seconds:9.0%}"
            )
            print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
