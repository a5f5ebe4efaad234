"""What the kernels ask of memory, counted on the PTX interpreter: ``python tests/bench/cuda_traffic.py``.

Writes ``tests/bench/results/cuda-traffic.txt``.  Counts are of PTX instructions and their addresses: a card's assembler
moves instructions, but not what they read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.ptx import launching, test_attend, test_attend_stored, test_products
from tests.ptx.device import InterpretedDevice
from tests.ptx.report import Checks, Report, Traffic
from tests.ptx.stored_layout import tile_bytes

RESULTS = Path(__file__).parent / "results" / "cuda-traffic.txt"
COUNTING = Checks(uninitialised=False, races=False, counters=True)
HEAD = f"{'kernel':30}{'values':>9}{'issued':>9}{'copied':>10}" + "".join(
    f"{name:>10}" for name in ("needed", "sec/copy", "sec/load", "sec/store", "wave/ld", "excess")
)


def product(kernel: Callable[..., Any], name: str, cols: int, tokens: int, *more: Any) -> tuple[Report, int, int]:
    """One block of rows; its report, weights, and bytes of what is copied: the weights, for many tokens the inputs."""
    case = test_products.case(name, 64 if kernel is test_products.few else 128, cols, 128, tokens)
    launching.DEVICE.checks = COUNTING
    launching.DEVICE.report.clear()
    kernel(case, *more)
    copied = case.weights()[0] if kernel is test_products.few else case.inputs
    return launching.DEVICE.report, case.shape.rows * cols, copied.nbytes


def attention(name: str, tokens: int) -> tuple[Report, int, int]:
    """Eight heads on one of keys and values, 256 positions; values are those of the cache."""
    device = InterpretedDevice(COUNTING)
    case = test_attend.Case(128, 128, 1, 8, tokens, 256 - tokens)
    test_attend.check(device, test_attend.shipped(device, name), case)
    return device.report, 2 * 256 * 128, 4 * 256 * 128


def coded(family: str, form: str) -> tuple[Report, int, int]:
    """Eight heads on one, a token after 640 positions: 560 are read as codes, in 18 tiles, and 81 in half precision, in
    four.  Scales are loaded, not copied."""
    device = InterpretedDevice(COUNTING)
    case = test_attend_stored.Case(128, 128, 1, 8, 1, 640, form=form)
    kernel = test_attend_stored.shipped(device, family, case)
    test_attend_stored.check(device, kernel, case)
    return device.report, 2 * 641 * 128, 18 * (tile_bytes(128, case.fmt) - 64) + 4 * 4 * 32 * 128


def row(name: str, report: Report, values: int, needed: int) -> str:
    """Means a request of a warp; ``excess``: wavefronts of shared memory beyond the fewest possible, all together."""

    def total(*starts: str) -> Traffic:
        sums = Traffic()
        for (_, _, text), each in report.traffic.items():
            if text.startswith(starts):
                sums.requests += each.requests
                sums.sectors += each.sectors
                sums.wavefronts += each.wavefronts
                sums.ideal += each.ideal
        return sums

    copies, loads, stores = total("cp.async"), total("ld.global"), total("st.global")
    copies.requests //= 2  # each counts once for either memory
    read, written = total("ld.shared", "ldmatrix"), total("st.shared")
    issued = sum(report.issued.values()) * 32 / values
    streamed = copies.sectors * 32
    cells = [
        needed,
        *(f"{t.sectors / t.requests:.2f}" if t.requests else "." for t in (copies, loads, stores)),
        f"{read.wavefronts / read.requests:.2f}" if read.requests else ".",
        read.wavefronts - read.ideal + written.wavefronts - written.ideal,
    ]
    return f"{name:30}{values:9}{issued:9.3f}{streamed:10}" + "".join(f"{cell:>10}" for cell in cells)


def lines() -> Iterator[str]:
    few, many = test_products.few, test_products.many
    yield "python tests/bench/cuda_traffic.py"
    yield "Counted on the PTX interpreter; no card was used."
    yield ""
    yield "values: weights of the rows, or values in the cache. issued: PTX instructions of a lane for each."
    yield "copied: bytes of the sectors that asynchronous copies touch; needed: bytes of what they bring (weights;"
    yield "of prefill the inputs; of attention the cache). sec: 32-byte sectors a request of a warp (of copies,"
    yield "16 are all lanes' 16 bytes once). wave/ld: wavefronts a load of shared memory (16 bytes a lane: 4)."
    yield "excess: wavefronts that conflicts of banks add, in all."
    yield ""
    yield HEAD
    for name in ("q2", "t1b3", "t2b3", "i4", "i8"):
        for tokens in (1, 8):
            yield row(f"product_few {name}, {tokens} tokens", *product(few, name, 5120, tokens))
    for name in ("q2", "t1b3", "i8"):
        for width in (32, 128):
            yield row(f"product_many {name}, {width} tokens", *product(many, name, 1280, width, width))
    for tokens in (1, 2):
        yield row(f"attend_few_d128, {tokens} tokens", *attention("attend_few_d128", tokens))
    yield row("attend_many_d128, 8 tokens", *attention("attend_many_d128", 8))
    for form in ("k8v8", "k6v5", "k4v4", "k4v2"):
        yield row(f"attend_few_d128_{form}, 1 token", *coded("few", form))


def main() -> None:
    RESULTS.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    print(RESULTS)


if __name__ == "__main__":
    main()
