"""What loading and answering really took, for the estimates of the next time (:mod:`app.library.measured`).

Measured after an answer, when the weights have been read and the context is in use; written by a thread, as a disk
can be slow.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

_ORDER = threading.Lock()


def memory_of(pid: int) -> int:
    """Bytes that a process and its children have in main memory; 0 where it is gone."""
    import psutil

    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def record(model: str, timings: Mapping[str, Any], planned: int, pid: int) -> None:
    """Keep what was measured of one answer of ``model``; ``planned`` bytes for it in the process ``pid``, or 0 where
    its memory cannot be told from others'."""
    usage = timings.get("usage")
    speed = timings.get("tokens_per_second")
    depth = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None

    def write() -> None:
        from app.library import measured  # not at the window's start

        with _ORDER:
            if isinstance(speed, int | float) and isinstance(depth, int):
                measured.record_speed(model, float(speed), depth)
            if planned and pid and (taken := memory_of(pid)):
                measured.record_load(model, planned, taken)

    if isinstance(depth, int) or planned:
        threading.Thread(target=write, name="measured", daemon=True).start()
