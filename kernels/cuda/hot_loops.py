"""The loops that a model's time is spent in, and what one weight, or one number of a key or value, costs there.

Weights of a lane are counted by the codes that it reads on one turn, 16 bytes at a time; of product_many, which
reads them unpacked, by its products: an ``mma.m16n8k32`` takes 16 codes a lane, each with eight tokens.  The loop
over whole steps is the longest; that of trits is told from the one over the remaining kblocks, which are stored
as slots, by the permutations that unpack bytes.

Attention's turn is a tile of 32 keys and their values; of kernels over codes it is the one that permutes most bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from kernels.cuda.assemble import assemble, disassemble
from kernels.cuda.build import PTX
from kernels.cuda.sass import Function, Turn, functions

A_BYTE = {"slots2": 4.0, "slots4": 2.0, "slots8": 1.0, "base3": 5.0, "base9": 2.5}
"""Weights in one byte of codes."""


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
    form = re.match(r"product_(few|many|routed)_([a-z0-9]+)_g\d+(?:_[a-z](\d+))?", kernel)
    if not form:
        raise ValueError(f"{kernel} has no loop over weights")
    family, packing, tokens = form[1], form[2], form[3]
    unpacks = "PRMT" if packing in ("base3", "base9") else "IMMA"
    turns = _code(f"product_{family}_{packing}", architecture)[kernel].turns()
    turn = max((turn for turn in turns if turn.opcodes["IMMA"] and turn.opcodes[unpacks]), key=len)
    if family == "many":
        weights = turn.opcodes["IMMA"] * 16 // {"128": 8, "32": 4}[tokens]
    else:
        reads = [i for i in turn.instructions if i.name == "LDS.128" and not i.guard]
        weights = int(len(reads) * 16 * A_BYTE[packing])
    return HotLoop(kernel, architecture, turn, weights)


@cache
def attention_loop(kernel: str, architecture: int) -> HotLoop:
    """Of attention for few tokens; ``weights`` are a lane's numbers of keys and values."""
    form = re.fullmatch(r"attend_few_d(\d+)(_\w+)?", kernel)
    if not form:
        raise ValueError(f"{kernel} has no loop over keys and values")
    turns = [turn for turn in _code(kernel, architecture)[kernel].turns() if turn.opcodes["HMMA"]]
    turn = max(turns, key=lambda turn: (turn.opcodes["PRMT"] if form[2] else 0, len(turn)))
    return HotLoop(kernel, architecture, turn, 2 * int(form[1]))
