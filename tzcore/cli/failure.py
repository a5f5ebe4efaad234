"""From an exception to an exit code and one line: the last resort of every verb."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

from tzcore import paths
from tzcore.cli.console import Console
from tzcore.errors import Cancelled, TernaryZeroError

FAILED, INTERRUPTED = 1, 130
_KEPT = "interrupted; what is finished is kept, and the same command goes on from there"
_STORAGE = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied: choose a folder you may write to, or set TZ_HOME to one",
    errno.EPERM: "not permitted: choose a folder you may write to, or set TZ_HOME to one",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _STORAGE[errno.EDQUOT] = "the disk quota is used up: free some space and run the same command again"


class Terminated(KeyboardInterrupt):
    """The system, not the person at the keyboard, asks the program to end."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def guarded(action: Callable[[], int], console: Console) -> int:
    """Run ``action``; every way it can end becomes an exit code, with one line on stderr.

    SIGTERM (and Ctrl-Break on Windows) stop it as Ctrl-C does: finished work is on the disk
    already, and the same command again goes on from there.
    """
    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminate)
    try:
        code = action()
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, Cancelled):
        return _stop(console, _KEPT, INTERRUPTED)
    except TernaryZeroError as error:
        if _debugging():
            traceback.print_exc()
        return _stop(console, str(error), FAILED, type(error).__name__)
    except BrokenPipeError:
        # The reader of stdout has gone.  The interpreter would complain again when it flushes
        # on its way out, so give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MemoryError:
        advice = "not enough memory: close other programs, or take a smaller model or context"
        return _stop(console, advice, FAILED, "MemoryError")
    except OSError as error:
        if error.errno not in _STORAGE:
            return _stop(console, _unforeseen(error), FAILED)
        place = f"{error.filename}: " if error.filename else ""
        return _stop(console, f"{place}{_STORAGE[error.errno]}", FAILED)
    except Exception as error:
        return _stop(console, _unforeseen(error), FAILED)


def _debugging() -> bool:
    return os.environ.get("TZ_DEBUG", "") not in ("", "0")


def _stop(console: Console, message: str, code: int, kind: str = "") -> int:
    """Say ``message``.  ``kind`` is the error's class, by which a program can tell what would help."""
    line = " ".join(message.split())
    try:
        console.close()
        if console.json:
            console.event("error", message=line, **({"kind": kind} if kind else {}))
        print(f"tz: {line}", file=sys.stderr, flush=True)
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    return code


def _unforeseen(error: Exception) -> str:
    """Keep the traceback of a bug where it can be sent to someone; return the line that says so."""
    text = traceback.format_exc()
    if _debugging():
        print(text, file=sys.stderr)
    what = f"unexpected {type(error).__name__}: {error}"
    try:
        paths.logs().mkdir(parents=True, exist_ok=True)
        log = paths.logs() / f"tz-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        log.write_text(f"{' '.join(sys.argv)}\n{text}", encoding="utf-8")
    except (OSError, ImportError):
        return f"{what} (set TZ_DEBUG=1 to see where)"
    return f"{what} (the details are in {log})"
