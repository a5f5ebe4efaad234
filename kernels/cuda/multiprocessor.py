"""What one multiprocessor holds, by architecture, and how many blocks of a kernel that makes.

Limits: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".  Registers are given out
to a warp in pieces of 256, from the quarter of them that belongs to its scheduler; shared memory in pieces of 128
bytes, 1 KB of each block's going to the system (from 8.0 on).
"""

from __future__ import annotations

from dataclasses import dataclass

REGISTERS = 65536
WARP, SCHEDULERS = 32, 4


@dataclass(frozen=True)
class Limits:
    """Most resident warps and blocks, and bytes of shared memory."""

    warps: int
    blocks: int
    shared: int


LIMITS = {
    80: Limits(64, 32, 164 << 10),
    86: Limits(48, 16, 100 << 10),
    89: Limits(48, 24, 100 << 10),
    90: Limits(64, 32, 228 << 10),
    100: Limits(64, 32, 228 << 10),
    120: Limits(48, 24, 100 << 10),
}


def resident_blocks(architecture: int, threads: int, registers: int, shared: int) -> int:
    """Blocks of ``threads`` threads with so many registers each and ``shared`` bytes that one multiprocessor holds."""
    limits = LIMITS[architecture]
    warps = -(-threads // WARP)
    of_a_warp = -(-registers * WARP // 256) * 256
    by_registers = REGISTERS // SCHEDULERS // of_a_warp * SCHEDULERS // warps
    by_shared = limits.shared // (-(-shared // 128) * 128 + 1024)
    return min(limits.blocks, limits.warps // warps, by_registers, by_shared)
