"""What this machine has: free memory and processor cores, as a process may really use them.

Numbers from the operating system (psutil), lowered by the limits of a Linux control group,
which a container's processes meet long before the machine's memory is full.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory: ``available`` can be taken without swapping."""

    total: int
    available: int


@dataclass(frozen=True)
class Processor:
    """``physical`` cores, and ``usable`` logical ones that this process may be scheduled on."""

    name: str
    physical: int
    usable: int


def memory() -> Memory:
    """Total and available main memory at this moment."""
    import psutil

    system = psutil.virtual_memory()
    total, available = int(system.total), int(system.available)
    group = _control_group()
    if group is not None:
        limit, used = group
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return Memory(total, available)


def processor() -> Processor:
    """The processor's name and core counts."""
    import psutil

    logical = psutil.cpu_count(logical=True) or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    physical = psutil.cpu_count(logical=False) or logical
    return Processor(_processor_name(), min(physical, logical), max(1, usable))


def in_words(count: int) -> str:
    """``1.5 GB``: bytes of memory for a person."""
    for unit, width in (("GB", 10**9), ("MB", 10**6)):
        if count >= width:
            return f"{count / width:.1f} {unit}"
    return f"{count / 1000:.0f} kB"


def _control_group(root: Path = _CGROUP) -> tuple[int, int] | None:
    """``(limit, used)`` bytes of the control group (version 2), or None without a limit.

    Page cache counts as used there but is given back on demand, so ``inactive_file`` is taken off.
    """
    try:
        limit = (root / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((root / "memory.current").read_text())
        for line in (root / "memory.stat").read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "inactive_file":
                used -= int(value)
        return int(limit), max(0, used)
    except (OSError, ValueError):
        return None


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"
