"""What becomes of errors that nothing has handled: they are logged, and the window says so; never silence."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from tzcore import paths
from tzcore.errors import TernaryZeroError

QUIET = 5.0
"""Seconds in which a fault that comes again is only logged."""


class FaultCatcher:
    """Foreseeable errors that reach the event loop are shown as they are; anything else goes into ``window.log``
    and is shown with its details.  Both callables are called in whatever thread the error occurred."""

    def __init__(self, show_error: Callable[[str], object], show_fault: Callable[[str, str], object]) -> None:
        """``show_fault``: one line, and the whole trace."""
        self._show_error, self._show_fault = show_error, show_fault
        self._shown: dict[str, float] = {}
        self._log: TextIO | None = None
        try:
            paths.logs().mkdir(parents=True, exist_ok=True)
            self._log = (paths.logs() / "window.log").open("a", encoding="utf-8")
            faulthandler.enable(self._log)
        except OSError:  # no log is no reason to have no window
            faulthandler.enable() if sys.stderr is not None else None
        sys.excepthook = self._hook
        threading.excepthook = lambda args: self._hook(args.exc_type, args.exc_value, args.exc_traceback)

    def close(self) -> None:
        """Python's own handling again."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        faulthandler.disable()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _hook(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, TernaryZeroError):
            self._show_error(str(error))
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        if self._log is not None:
            try:
                self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
                self._log.flush()
            except (OSError, ValueError):  # a full disk must not hide the error itself
                pass
        if sys.stderr is not None:
            sys.stderr.write(text)
        if issubclass(kind, KeyboardInterrupt | SystemExit):
            return
        line = " ".join(traceback.format_exception_only(kind, error)[-1].split())
        now = time.monotonic()
        if now - self._shown.get(line, -QUIET) >= QUIET:
            self._shown[line] = now
            self._show_fault(line, text)


class RunningMark:
    """A file that is there while the window runs: found at a start, the window did not end properly before.

    Holds which conversation was open.  The claim to be the only window comes first (:mod:`app.instance`).
    """

    def __init__(self) -> None:
        self._path = paths.home() / "window.running"

    def begin(self) -> int | None:
        """The conversation that was open when the window went down, 0 for none; ``None``: it ended properly."""
        before: int | None = None
        if self._path.exists():
            before = 0
            with suppress(OSError, ValueError, AttributeError, TypeError):
                before = int(json.loads(self._path.read_text(encoding="utf-8")).get("conversation") or 0)
        self.note(None)
        return before

    def note(self, conversation: int | None) -> None:
        """This conversation is open now."""
        try:
            text = json.dumps({"pid": os.getpid(), "conversation": conversation})
            self._path.write_text(text, encoding="utf-8")
        except OSError:  # what cannot be noted cannot be offered; nothing else depends on it
            pass

    def end(self) -> None:
        """The window ends properly."""
        self._path.unlink(missing_ok=True)
