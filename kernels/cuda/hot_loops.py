"""The loops that a model's time is spent in, and what one weight costs there.

An ``mma.m16n8k32`` takes 512 codes, 16 a lane; twice as many products as weights are made where a weight has two
planes.  The loop over whole steps is the one with the most of them; with five kblocks to a step their number is
divisible by five, which that of the loops over the remaining kblocks is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from kernels.cuda.assemble import assemble, disassemble
from kernels.cuda.build import PTX
from kernels.cuda.sass import Function, Turn, functions

CODES = 16  # a lane and mma


@dataclass(frozen=True)
class HotLoop:
    """One turn of a kernel's main loop on one architecture; ``weights`` are those of a lane."""

    kernel: str
    architecture: int
    turn: Turn
    weights: int

    @property
    def per_weight(self) -> float:
        return len(self.turn) / self.weights


@cache
def _code(file: str, architecture: int) -> dict[str, Function]:
    return functions(disassemble(assemble((PTX / f"{file}.ptx").read_text(encoding="utf-8"), architecture).cubin))


@cache
def hot_loop(kernel: str, architecture: int) -> HotLoop:
    """Of a product of a quantised matrix."""
    form = re.match(r"product_(few|many|routed)_([a-z0-9]+)_", kernel)
    if not form:
        raise ValueError(f"{kernel} has no loop over weights")
    fives = form[1] != "many" and form[2] in ("base3", "base9")
    function = _code(f"product_{form[1]}_{form[2]}", architecture)[kernel]
    turns = [turn for turn in function.turns() if turn.opcodes["IMMA"]]
    turn = max((t for t in turns if not fives or t.opcodes["IMMA"] % 5 == 0), key=lambda t: t.opcodes["IMMA"])
    planes = 2 if form[2] == "base9" and fives else 1
    # A warp of product_many multiplies each code with several eights of tokens.
    tokens = {"many_n128": 8, "many_n32": 4}.get(f"{form[1]}_{kernel.rsplit('_', 1)[1]}", 1)
    return HotLoop(kernel, architecture, turn, turn.opcodes["IMMA"] * CODES // planes // tokens)
