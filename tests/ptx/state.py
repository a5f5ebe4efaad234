"""The threads of a batch of blocks: registers as rows over threads, who is alive, who is running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.ptx.memory import Arena
from tests.ptx.races import RaceLog
from tests.ptx.report import Checks, KernelFault, Report
from tests.ptx.scalars import VIEWS, Array
from tests.ptx.syntax import Instruction, Register

WARP = 32


@dataclass
class Copy:
    """A ``cp.async`` of ``lanes`` under way: where ``data`` will land, and the group of each lane it belongs to."""

    ins: Instruction
    lanes: Array
    index: Array
    data: Array
    group: Array

    def part(self, chosen: Array) -> Copy:
        return Copy(self.ins, self.lanes[chosen], self.index[chosen], self.data[chosen], self.group[chosen])


class State:
    """``blocks`` blocks of ``threads`` threads; a lane is a thread's place, warps are whole (``width`` lanes a block).

    ``idx`` are the lanes that run the current instruction, None for all that are alive; ``live`` are the lanes alive,
    None for all. Arithmetic with ``idx`` None computes dead lanes too, which nothing reads.
    """

    def __init__(self, registers: Mapping[int, int], blocks: int, threads: int, shared: int, local: int) -> None:
        self.blocks, self.threads = blocks, threads
        self.width = -(-threads // WARP) * WARP
        self.size = blocks * self.width
        self.bytes = 0
        self.rows: dict[str, list[Array]] = {}
        for bits, count in registers.items():
            table = np.zeros((count, self.size), next(iter(VIEWS[bits].values())))
            self.bytes += table.nbytes
            for name, dtype in VIEWS[bits].items():
                self.rows[name] = list(table.view(dtype))
        self.carry = np.zeros(self.size, bool)
        self.lane = np.arange(self.size, dtype=np.intp)
        self.block = self.lane // self.width
        self.thread = self.lane % self.width
        self.warp = self.lane // WARP
        self.shared_bytes = -(-shared // 16) * 16
        self.local_bytes = -(-local // 16) * 16
        self.shared = np.zeros(blocks * self.shared_bytes, np.uint8)
        self.local = np.zeros(self.size * self.local_bytes, np.uint8)
        self.shared_base = self.block * self.shared_bytes
        self.local_base = self.lane * self.local_bytes
        self.special: dict[str, Array] = {}
        self.parameters = np.zeros(0, np.uint8)
        self.arena: Arena
        self.checks: Checks
        self.report: Report
        self.kernel = ""
        self.program: Any = None  # whose state this is, kept alive with it
        self.bytes += 3 * self.shared.nbytes + self.local.nbytes
        self.first_block = 0
        self.grid = (1, 1, 1)

    def start(self, first: int, grid: tuple[int, int, int], block: tuple[int, int, int]) -> None:
        """All lanes at the beginning of the blocks ``first``, ``first`` + 1, ... of the grid."""
        self.first_block, self.grid = first, grid
        alive = self.thread < self.threads
        self.alive = alive
        self.alive_count = int(alive.sum())
        self.live: Array | None = None if self.alive_count == self.size else np.flatnonzero(alive)
        self.idx: Array | None = None
        self.epoch = np.ones(self.size, np.int64)  # barriers of the block passed, and one
        self.order = np.zeros(self.size, np.int64)  # barriers of the warp passed
        self.commits = np.zeros(self.size, np.int64)
        self.copies: list[Copy] = []
        self.races: RaceLog | None = None
        self.defined: dict[Register, Array] = {}
        self.shared[:] = 0xA5
        self.shared_written = np.zeros(self.shared.size, np.uint8)
        self.shared_pending = np.zeros(self.shared.size, np.uint8)
        self._specials(first, grid, block)

    def _specials(self, first: int, grid: tuple[int, int, int], block: tuple[int, int, int]) -> None:
        number = first + self.block
        values: dict[str, Any] = {
            "laneid": self.lane % WARP,
            "warpid": self.thread // WARP,
            "nwarpid": np.int64(self.width // WARP),
            "smid": np.int64(0),
            "nsmid": np.int64(1),
            "clock": np.int64(0),
            "total_smem_size": np.int64(self.shared_bytes),
        }
        for axis, letter in enumerate("xyz"):
            below = int(np.prod(block[:axis]))
            values[f"tid.{letter}"] = self.thread // below % block[axis]
            below = int(np.prod(grid[:axis]))
            values[f"ctaid.{letter}"] = number // below % grid[axis]
            values[f"ntid.{letter}"] = np.int64(block[axis])
            values[f"nctaid.{letter}"] = np.int64(grid[axis])
        bits = self.lane % WARP
        one = np.ones(self.size, np.int64)
        values["lanemask_eq"] = one << bits
        values["lanemask_lt"] = (one << bits) - 1
        values["lanemask_le"] = (one << bits + 1) - 1
        values["lanemask_gt"] = 0xFFFFFFFF ^ values["lanemask_le"]
        values["lanemask_ge"] = 0xFFFFFFFF ^ values["lanemask_lt"]
        self.special = {name: np.asarray(value).astype(np.uint32) for name, value in values.items()}

    def active(self) -> Array:
        """The lanes that run the current instruction."""
        if self.idx is not None:
            return self.idx
        return self.lane if self.live is None else self.live

    def full(self, value: Array) -> Array:
        """``value``, one for all or one a running lane, as an array over the running lanes."""
        if value.ndim:
            return value
        return np.full(self.size if self.idx is None else self.idx.size, value)

    def where(self, lane: int) -> str:
        """Block and thread of ``lane`` in words."""
        number, x, y = self.first_block + int(self.block[lane]), self.grid[0], self.grid[1]
        return f"block ({number % x}, {number // x % y}, {number // x // y}), thread {int(self.thread[lane])}"

    def fault(self, instruction: Instruction, reason: str, lane: int | None = None) -> None:
        """Reports a fault of ``lane``, by raising or by keeping it as the checks say."""
        place = f", {self.where(lane)}" if lane is not None else ""
        message = f"{self.kernel}, line {instruction.line}: {instruction.text}: {reason}{place}"
        if self.checks.stop:
            raise KernelFault(message)
        if len(self.report.faults) < 1000:
            self.report.faults.append(message)
