"""Work that nobody waits for gives way to work that somebody does."""

from __future__ import annotations

import contextlib
import os
import sys


def give_way() -> None:
    """From now on this process, with the threads it starts, gets what processor and disk others leave.

    To be called before threads are started.  Where the system refuses, the work goes on as it was.
    """
    import psutil

    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        process.nice(psutil.IDLE_PRIORITY_CLASS if sys.platform == "win32" else 19)
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        if sys.platform == "win32":
            process.ionice(psutil.IOPRIO_VERYLOW)
        elif sys.platform == "linux":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
    if sys.platform == "linux":
        # Niceness still takes a share of every core from the engine's spinning threads; this takes idle time alone.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
