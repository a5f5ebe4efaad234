"""How fast one phase of a job goes."""

from __future__ import annotations

from collections import deque

RATE_WINDOW = 15.0
"""Seconds over which the rate is measured: speed changes along the way, and so does the time left."""


class Pace:
    """Rate and time left of one phase over the last :data:`RATE_WINDOW` seconds.  What an interrupted run
    had done before is in the first report and does not count as speed."""

    def __init__(self) -> None:
        self._phase = ""
        self._points: deque[tuple[float, int]] = deque()

    def measure(self, phase: str, done: int, total: int, now: float) -> tuple[float | None, float | None]:
        """Units a second, and seconds left."""
        if phase != self._phase or (self._points and done < self._points[-1][1]):
            self._phase = phase
            self._points.clear()
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] > RATE_WINDOW:
            self._points.popleft()
        began, start = self._points[0]
        if now - began < 0.5 or done <= start:
            return None, None
        rate = (done - start) / (now - began)
        return rate, max(total - done, 0) / rate if total else None
