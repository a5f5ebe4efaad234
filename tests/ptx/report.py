"""What a run found: errors in memory use, and counts of what the hardware would have done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class KernelFault(Exception):
    """A kernel did what a card forbids or leaves undefined; the message names instruction, line, block and thread."""


@dataclass
class Checks:
    """What is watched. ``stop`` raises a fault where it happens; otherwise it is kept in the report.

    Bounds, alignment, divergent barriers and shuffles from absent lanes are always watched.
    """

    uninitialised: bool = True
    races: bool = True
    counters: bool = False
    stop: bool = True

    @classmethod
    def fast(cls) -> Checks:
        return cls(uninitialised=False, races=False)


@dataclass
class Traffic:
    """Warp requests of one instruction: bytes moved, 32-byte sectors (global) or wavefronts (shared) they took."""

    requests: int = 0
    bytes: int = 0
    sectors: int = 0
    wavefronts: int = 0
    ideal: int = 0


@dataclass
class Report:
    """Of all launches since it was made or cleared."""

    faults: list[str] = field(default_factory=list)
    instructions: Counter[str] = field(default_factory=Counter)  # threads × instructions, by opcode class
    issued: Counter[str] = field(default_factory=Counter)  # warps × instructions, by opcode class
    traffic: dict[tuple[str, int, str], Traffic] = field(default_factory=dict)  # by (kernel, line, instruction)
    launches: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        self.faults.clear()
        self.instructions.clear()
        self.issued.clear()
        self.traffic.clear()
        self.launches.clear()

    def total(self, space: str, what: str) -> int:
        """Sum of ``what`` (a field of Traffic) over the instructions whose text has ``.space``."""
        return sum(getattr(t, what) for (_, _, text), t in self.traffic.items() if f".{space}" in text.split()[0])
