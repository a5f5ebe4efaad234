"""Work that nobody waits for gives way to work that somebody does."""

from __future__ import annotations

import contextlib
import sys


def give_way() -> None:
    """From now on this process, with the threads it starts, gets little more than what others leave.

    To be called before threads are started.  Where the system refuses, the work goes on as it was.  (Linux has a
    policy for idle time alone as well; on a busy machine nothing would ever be finished with it.)
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
