"""What the kernels take on every architecture, what a weight costs in their loops, and what that lets one expect.

    python tests/bench/cuda_kernels.py

writes ``tests/bench/results/cuda-kernels.txt``.  No card is used: registers are ptxas's, instructions are read from
the machine code, and the predictions are arithmetic on them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from kernels.cuda.assemble import ARCHITECTURES, Usage, assemble
from kernels.cuda.build import PTX
from kernels.cuda.hot_loops import HotLoop, attention_loop, hot_loop
from kernels.cuda.multiprocessor import resident_blocks
from kernels.cuda.sass import NAMES, Turn
from tests.ptx.test_static import digest
from tzcore.backend.cuda.pages import HEADS, exact_tile_bytes, tile_bytes
from tzcore.keyvalues import FORMATS, KeyValueFormat

RESULTS = Path(__file__).parent / "results" / "cuda-kernels.txt"
PACKINGS = {"slots2": 2.0, "slots4": 4.0, "slots8": 8.0, "base3": 1.6, "base9": 3.2}  # bits a weight
SCALE = 16 / 128  # bits a weight, groups of 128
LOOPS = [f"product_few_{p}_g128_m{m}" for p in PACKINGS for m in (1, 8)] + [
    f"product_many_{p}_g128_n128" for p in PACKINGS
]
ATTENTION = [(width, kv) for width in HEADS for kv in FORMATS.values()]


@dataclass(frozen=True)
class Card:
    """As its maker states it: clock at boost, memory in GB/s, dense int8 products a clock and multiprocessor."""

    name: str
    architecture: int
    multiprocessors: int
    clock: float  # GHz
    memory: float
    products: int

    @property
    def bytes_a_clock(self) -> float:
        """Of memory, for one multiprocessor."""
        return self.memory / self.clock / self.multiprocessors

    @property
    def half_products(self) -> float:
        """Dense products of halves, summed in float32: GeForce cards do them at half their tensor cores' rate."""
        return self.products / (2 if self.architecture in (80, 90) else 4)


CARDS = [
    Card("RTX 3090", 86, 82, 1.695, 936, 1024),
    Card("RTX 4090", 89, 128, 2.520, 1008, 1024),
    Card("RTX 5090", 120, 170, 2.407, 1792, 1024),
    Card("A100 80GB", 80, 108, 1.410, 2039, 2048),
    Card("H200", 90, 132, 1.980, 4800, 2560),
]
ASSUMED = """\
A multiprocessor issues 4 warp instructions a clock.  Clocks of a warp's turn, by the unit that it occupies:
  issue    one quarter an instruction
  logic    one half: LOP3, SHF, PRMT, IADD3, LEA, SEL, MOV, ISETP, I2FP and all not named here (64 lanes a clock)
  multiply one half: IMAD; floating point one half on 8.0, else one quarter (64 and 128 lanes a clock)
  convert  two: I2F, F2I, MUFU (16 lanes a clock)
  memory   one for each 4 bytes a lane: LDG, LDS, LDGSTS, STS (128 bytes a clock)
  tensor   4096 products a mma of int8, 2048 one of halves; int8 products a clock: 1024 on 8.6, 8.9, 12.0, 2048 on
           8.0, and 2560 on 9.0, where mma.sync reaches some 62 % of what wgmma does; of halves with sums in float32
           half as many on 8.0 and 9.0, else a quarter
The busiest of them bounds the loop.  Decoding wants bytes of weights (scales included) at the rate of memory as its
maker states it, of which a copy reaches 90 to 94 %; over 100 % memory is the limit.  "under way" is what the
resident warps have asked for at once, "needed" what covers 0.7 µs of memory's rate (0.9 µs on the GeForce cards).
Clocks are at boost throughout; that latency is hidden by the resident warps is assumed.  No card has run this."""


def clocks(turn: Turn, card: Card) -> dict[str, float]:
    """Of a multiprocessor, for one turn of one warp, by unit."""
    by = {"issue": len(turn) / 4, "logic": 0.0, "multiply": 0.0, "convert": 0.0, "memory": 0.0, "tensor": 0.0}
    for instruction in turn.instructions:
        opcode = instruction.opcode
        if opcode == "IMMA":
            by["tensor"] += 4096 / card.products
        elif opcode == "HMMA":
            by["tensor"] += 2048 / card.half_products
        elif opcode in ("LDG", "LDS", "LDGSTS", "STS"):
            if "!PT" in instruction.guard:
                continue
            width = re.search(r"\.(64|128)\b", instruction.name)
            by["memory"] += int(width[1]) / 32 if width else 1
        elif opcode in ("I2F", "F2I", "MUFU"):
            by["convert"] += 2
        elif opcode == "IMAD":
            by["multiply"] += 1 / 2
        elif opcode in ("FFMA", "FMUL", "FADD", "HADD2"):
            by["multiply"] += 1 / 2 if card.architecture == 80 else 1 / 4
        else:
            by["logic"] += 1 / 2
    return by


def dynamic_shared(kernel: str) -> int:
    """What a launch adds; norm_prepare's for 8192 columns."""
    if form := re.match(r"product_many_\w+_g(\d+)_n(\d+)", kernel):
        group, tokens = int(form[1]), int(form[2])
        return 2 * (16384 + tokens * (128 + 8 * 128 // group))
    return 4 * 8192 if kernel == "norm_prepare" else 0


def resources() -> Iterator[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(PTX.glob("*.ptx"))]
    with ThreadPoolExecutor(2) as pool:
        by = {a: list(pool.map(assemble, texts, [a] * len(texts))) for a in ARCHITECTURES}
    yield "Kernels: threads a block, shared memory in bytes (static + given at launch; norm_prepare for 8192 columns),"
    yield "and by architecture registers a thread, resident blocks and resident warps of a multiprocessor."
    yield "No kernel spills or has a stack."
    yield ""
    yield f"{'':32}{'':8}{'':15}" + "".join(f"{f'sm_{a}':>13}" for a in ARCHITECTURES)
    yield f"{'kernel':32}{'threads':>8}{'shared':>15}" + "".join(f"{'reg  bl  wa':>13}" for _ in ARCHITECTURES)
    for number in range(len(texts)):
        for place, first in enumerate(by[80][number].usage):
            row = f"{first.kernel:32}{first.threads:8}"
            dynamic = dynamic_shared(first.kernel)
            row += f"{f'{first.shared} + {dynamic}' if dynamic else first.shared:>15}"
            for a in ARCHITECTURES:
                row += _residency(by[a][number].usage[place], a, dynamic)
            yield row


def _residency(usage: Usage, architecture: int, dynamic: int) -> str:
    assert usage.stack == usage.spill_loads == usage.spill_stores == 0, usage
    blocks = resident_blocks(architecture, usage.threads, usage.registers, usage.shared + dynamic)
    return f"{usage.registers:5}{blocks:4}{blocks * usage.threads // 32:4}"


def loops() -> Iterator[str]:
    yield "Loops over weights: instructions a warp issues on the longest way once round (loops inside not entered),"
    yield "weights of a lane that this takes, their quotient, and the instructions by class."
    yield "m1: one token, m8: up to eight, n128: prefill."
    yield ""
    yield f"{'kernel':28}{'sm':>4}{'issued':>8}{'weights':>9}{'quotient':>10}" + "".join(f"{n:>8}" for n in NAMES)
    for kernel in LOOPS:
        for a in ARCHITECTURES:
            loop = hot_loop(kernel, a)
            row = f"{kernel:28}{a:4}{len(loop.turn):8}{loop.weights:9}{loop.per_weight:10.3f}"
            yield row + "".join(f"{loop.turn.classes[n] or '.':>8}" for n in NAMES)


def attention() -> Iterator[str]:
    yield "Loops of attention for few tokens over one tile of 32 keys and their values, 16 queries: instructions a warp"
    yield "issues, numbers of keys and values of a lane, their quotient, that with a byte of the cache, and by class."
    yield "Counted with the cap of scores and with earlier sums multiplied, which most tiles need neither of."
    yield ""
    yield f"{'kernel':28}{'sm':>4}{'issued':>8}{'numbers':>9}{'quotient':>10}{'/ byte':>8}" + "".join(
        f"{n:>8}" for n in NAMES
    )
    for width, kv in ATTENTION:
        for a in ARCHITECTURES:
            loop = attention_loop(_attention_kernel(width, kv), a)
            a_byte = len(loop.turn) * 32 / _tile(width, kv)
            row = f"{loop.kernel:28}{a:4}{len(loop.turn):8}{loop.weights:9}{loop.per_weight:10.3f}{a_byte:8.2f}"
            yield row + "".join(f"{loop.turn.classes[n] or '.':>8}" for n in NAMES)


def _attention_kernel(width: int, kv: KeyValueFormat) -> str:
    return f"attend_few_d{width}" + (f"_{kv.name}" if kv.quantised else "")


def _tile(width: int, kv: KeyValueFormat) -> int:
    return tile_bytes(width, kv) if kv.quantised else exact_tile_bytes(width)


def predictions() -> Iterator[str]:
    yield "Expected. " + ASSUMED
    yield ""
    yield "Decoding, share of memory's rate that the loop can take, and the unit that bounds it:"
    yield ""
    yield f"{'kernel':28}" + "".join(f"{c.name:>18}" for c in CARDS)
    wanted = "".join(f"{f'{c.bytes_a_clock:.1f}':>18}" for c in CARDS)
    yield f"{'bytes wanted a clock':28}{wanted}"
    for kernel in LOOPS[:10]:
        yield f"{kernel:28}" + "".join(f"{_reach(hot_loop(kernel, c.architecture), c):>18}" for c in CARDS)
    for kernel in ("product_few_slots2_g128_m1", "product_few_base3_g128_m1"):
        yield f"{'  KB under way / needed':28}" + "".join(f"{_under_way(kernel, c):>18}" for c in CARDS) + f"  {kernel}"
    yield ""
    yield "Attention for up to 16 queries a head of keys and values, share of memory's rate that its loop can take, and"
    yield "the unit that bounds it; the caps of scores and the multiplying of earlier sums counted as above:"
    yield ""
    for width, kv in ATTENTION:
        kernel = _attention_kernel(width, kv)
        cells = "".join(f"{_attends(attention_loop(kernel, c.architecture), width, kv, c):>18}" for c in CARDS)
        yield f"{kernel:28}{cells}"
    yield ""
    yield "Prefill, share of the tensor cores' time that is of use, and the unit that bounds the loop:"
    yield ""
    for kernel in LOOPS[10:]:
        yield f"{kernel:28}" + "".join(f"{_busy(hot_loop(kernel, c.architecture), c):>18}" for c in CARDS)


def _reach(loop: HotLoop, card: Card) -> str:
    by = clocks(loop.turn, card)
    unit = max(by, key=by.__getitem__)
    bits = PACKINGS[loop.kernel.split("_")[2]] + SCALE
    rate = loop.weights * 32 * bits / 8 / by[unit]
    return f"{rate / card.bytes_a_clock:.0%} {unit}"


def _attends(loop: HotLoop, width: int, kv: KeyValueFormat, card: Card) -> str:
    by = clocks(loop.turn, card)
    unit = max(by, key=by.__getitem__)
    return f"{_tile(width, kv) / by[unit] / card.bytes_a_clock:.0%} {unit}"


def _busy(loop: HotLoop, card: Card) -> str:
    by = clocks(loop.turn, card)
    unit = max(by, key=by.__getitem__)
    return f"{by['tensor'] / by[unit]:.0%} {unit}"


def _under_way(kernel: str, card: Card) -> str:
    file = kernel.rsplit("_", 2)[0]
    made = assemble((PTX / f"{file}.ptx").read_text(encoding="utf-8"), card.architecture)
    usage = next(u for u in made.usage if u.kernel == kernel)
    blocks = resident_blocks(card.architecture, usage.threads, usage.registers, usage.shared)
    copied = usage.shared // 2  # of the two batches of a ring one is under way while the other is used
    latency = 0.7 if card.architecture in (80, 90) else 0.9
    return f"{blocks * copied / 1024:.0f} / {card.memory * latency / card.multiprocessors / 1.024:.0f}"


def main() -> None:
    head = [
        "python tests/bench/cuda_kernels.py",
        f"PTX {digest()}; ptxas 12.9.86, nvdisasm 13.5.37. No card was used.",
    ]
    lines = [*head, "", *resources(), "", "", *loops(), "", "", *attention(), "", "", *predictions()]
    RESULTS.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
    print(f"{RESULTS} has {len(lines)} lines")


if __name__ == "__main__":
    main()
