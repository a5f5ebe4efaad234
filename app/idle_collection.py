"""What Python does besides running the window, at moments when nobody waits for it: collecting garbage, other threads.

A full collection of the window's objects takes 20 ms, more than a frame, and Python starts it whenever it likes: in the
middle of an answer, or in another thread, where widgets must not be deleted at all.  Here collections run in the
window's own thread, the full ones while nothing moves, and what exists once the window has come up is never looked at
again.  A thread that imports a lexer keeps the interpreter for 5 ms each time it has it; here it hands over sooner.
"""

from __future__ import annotations

import gc
import sys
from time import monotonic

from PySide6.QtCore import QObject, QTimer

EVERY = 500
"""Milliseconds between two looks."""
YOUNG = 3000
"""New objects that are worth a small collection, a millisecond."""
HAND_OVER = 0.0005
"""Seconds for which another thread may keep the interpreter from the window's."""
QUIET = 1.5
"""Seconds without movement after which a full collection may run."""
APART = 20.0
"""Seconds between two full collections, at least."""
PLENTY = 400
"""Small collections after which a full one runs in any case."""

_moved = [0.0]
"""When something moved last."""


def moving() -> None:
    """Something moves on the screen just now: an answer grows, a list is scrolled."""
    _moved[0] = monotonic()


class IdleCollection(QObject):
    """Takes garbage collection over for as long as it lives."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._full = monotonic()
        self._small = 0
        gc.disable()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(HAND_OVER)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        QTimer.singleShot(2500, self, self._settle)

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()
        sys.setswitchinterval(self._interval)

    def _settle(self) -> None:
        """The window has come up: what it is made of stays."""
        gc.collect()
        gc.freeze()

    def _look(self) -> None:
        if gc.get_count()[0] > YOUNG:
            self._small += 1
            gc.collect(1 if self._small % 10 == 0 else 0)
        now = monotonic()
        waited = now - self._full > APART and now - _moved[0] > QUIET and self._small > 4
        if waited or self._small > PLENTY:
            self._full, self._small = now, 0
            gc.collect()
