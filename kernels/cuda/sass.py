"""Loops in machine code, and the longest way once round each.

The count that matters is of instructions that a warp issues on one turn of a loop.  A loop within it (a copy of what
is left over, one piece at a time) is not entered on a full turn, so the ways through inner loops are left
out; of the others the longest is taken, which bounds them all.  An instruction that its predicate turns off counts:
it is issued.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

_FUNCTION = re.compile(r"\.text\.(\w+):$")
_LABEL = re.compile(r"(\.L_\w+):$")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:(@!?U?P[T\d]+)\s+)?([A-Z][\w.]*)\s*([^;]*);")
_TARGET = re.compile(r"`\((\.L_\w+)\)")
_ENDS = ("EXIT", "RET", "BRX", "KILL")
_JUMPS = ("BRA", "JMP", "CALL")

CLASSES = {
    "IMMA": "MMA", "HMMA": "MMA", "LOP3": "LOP3", "SHF": "SHF", "IMAD": "IMAD", "PRMT": "PRMT", "LDG": "LDG",
    "LDS": "LDS", "LDSM": "LDS", "LDGSTS": "LDGSTS", "STS": "STS", "FFMA": "FP", "FMUL": "FP", "FADD": "FP",
    "FMNMX": "FP", "FSETP": "FP", "FSEL": "FP", "MUFU": "FP", "HADD2": "FP", "HFMA2": "FP", "HMUL2": "FP",
    "F2F": "FP", "F2FP": "FP", "I2F": "FP", "I2FP": "FP", "F2I": "FP",
}  # fmt: skip
NAMES = (*dict.fromkeys(CLASSES.values()), "other")


@dataclass(frozen=True)
class Instruction:
    """``@guard name operands;``, the name with its modifiers."""

    guard: str
    name: str
    operands: str

    @property
    def opcode(self) -> str:
        return self.name.split(".")[0]

    @property
    def target(self) -> str | None:
        """The label it may jump to. A call of a label within the function is how ptxas writes a far jump."""
        match = _TARGET.search(self.operands) if self.opcode in _JUMPS else None
        return match[1] if match else None

    @property
    def goes_on(self) -> bool:
        """Whether the next instruction may follow."""
        conditional = bool(self.guard) or re.match(r"!?U?P\d", self.operands) is not None
        return conditional or self.opcode not in (*_ENDS, "BRA", "JMP")


@dataclass(frozen=True)
class Turn:
    """The longest way once round a loop."""

    instructions: tuple[Instruction, ...]

    def __len__(self) -> int:
        return len(self.instructions)

    @cached_property
    def opcodes(self) -> Counter[str]:
        return Counter(instruction.opcode for instruction in self.instructions)

    @cached_property
    def classes(self) -> Counter[str]:
        return Counter(CLASSES.get(instruction.opcode, "other") for instruction in self.instructions)


@dataclass
class Function:
    """Instructions in order, and the places of the labels among them."""

    name: str
    code: list[Instruction]
    labels: dict[str, int]

    @cached_property
    def successors(self) -> list[list[int]]:
        found = []
        for place, instruction in enumerate(self.code):
            after = [self.labels[instruction.target]] if instruction.target in self.labels else []
            if instruction.goes_on:
                after.append(place + 1)
            found.append([to for to in after if to < len(self.code)])
        return found

    @cached_property
    def _predecessors(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.code]
        for place, after in enumerate(self.successors):
            for to in after:
                found[to].append(place)
        return found

    def _natural(self, head: int, latch: int) -> set[int]:
        """What reaches ``latch`` without passing ``head``; empty where ``head`` is not the only way in."""
        inside, open_ = {head, latch}, [latch]
        while open_:
            place = open_.pop()
            if place == head:
                continue
            if place == 0:
                return set()
            new = set(self._predecessors[place]) - inside
            inside |= new
            open_ += new
        return inside

    @cached_property
    def loops(self) -> dict[int, set[int]]:
        """Places of the instructions of every loop, by its first; a jump to itself (at a function's end) is none."""
        found: dict[int, set[int]] = {}
        for place, after in enumerate(self.successors):
            for head in after:
                if head < place and (inside := self._natural(head, place)):
                    found.setdefault(head, set()).update(inside)
        return found

    def turn(self, head: int) -> Turn:
        inside = self.loops[head]
        inner = [other for place, other in self.loops.items() if place != head and place in inside and other < inside]
        places = inside.difference(*inner)
        graph = {to: [at for at in self._predecessors[to] if at in places] for to in places if to != head}
        longest, before = {head: 1}, {head: head}
        for place in TopologicalSorter(graph).static_order():
            reached = [at for at in graph.get(place, ()) if at in longest]
            if reached:
                before[place] = max(reached, key=longest.__getitem__)
                longest[place] = longest[before[place]] + 1
        latches = [place for place in longest if head in self.successors[place]]
        way = [max(latches, key=longest.__getitem__)]
        while way[-1] != head:
            way.append(before[way[-1]])
        return Turn(tuple(self.code[place] for place in reversed(way)))

    def turns(self) -> list[Turn]:
        return [self.turn(head) for head in sorted(self.loops)]


def functions(text: str) -> dict[str, Function]:
    """The functions of nvdisasm's output, in order."""
    return {function.name: function for function in _functions(text.splitlines())}


def _functions(lines: Iterable[str]) -> Iterable[Function]:
    function = None
    for line in map(str.strip, lines):
        if match := _FUNCTION.match(line):
            if function:
                yield function
            function = Function(match[1], [], {})
        elif function is not None and (match := _LABEL.match(line)):
            function.labels[match[1]] = len(function.code)
        elif function is not None and (match := _INSTRUCTION.match(line)):
            function.code.append(Instruction(match[1] or "", match[2], match[3].strip()))
    if function:
        yield function
