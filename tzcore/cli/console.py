"""What a verb says while it works and when it is done: a progress bar, plain lines, or JSON lines.

Answers and results go to stdout; everything else goes to stderr, except with ``--json``, where
all of it is JSON lines on stdout: progress events, then one ``{"event": "done", ...}``.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from tzcore.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

EVENT_INTERVAL = 0.1
"""Seconds between two progress events of one phase, or two drawings of the bar; nobody needs more."""
LINE_INTERVAL = 10.0
"""Seconds between two plain progress lines, where stderr is no terminal."""
PATIENCE = 2.0
"""Seconds that a phase may take without a plain line about it."""


def human_bytes(count: float) -> str:
    """``1.5 GB``: decimal units, as disks and downloads are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def human_count(count: float) -> str:
    """``134.5 M``: a number of weights or tokens."""
    for unit in ("", " k", " M"):
        if count < 1000:
            return f"{count:.0f}{unit}" if not unit else f"{count:.1f}{unit}"
        count /= 1000
    return f"{count:.1f} G"


def human_time(seconds: float) -> str:
    """``4:05``, ``1:02:03`` or ``5 days 12 h``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def amount(count: float, unit: str) -> str:
    """``count`` of ``unit`` for a person."""
    return human_bytes(count) if unit == "bytes" else f"{human_count(count)} {unit}"


class Pace:
    """Rate and time left of one phase, over the last :data:`SPAN` seconds.

    What an earlier, interrupted run had done is in the first report and does not count as speed;
    a quick beginning (an embedding, a cached file) is soon forgotten.
    """

    SPAN = 20.0

    def __init__(self, first: Progress) -> None:
        self._points = deque([(time.monotonic(), first.done)])

    def words(self, now: Progress) -> str:
        """``12.3 MB/s, 0:42 left``; empty until there is something to measure."""
        moment = time.monotonic()
        self._points.append((moment, now.done))
        while len(self._points) > 2 and moment - self._points[1][0] >= self.SPAN:
            self._points.popleft()
        elapsed, gained = moment - self._points[0][0], now.done - self._points[0][1]
        if elapsed < 0.2 or gained <= 0:
            return ""
        rate = gained / elapsed
        seconds = (now.total - now.done) / rate if now.seconds_left is None else now.seconds_left
        left = f", {human_time(seconds)} left" if now.total > now.done else ""
        return f"{amount(rate, now.unit)}/s{left}"


class Console:
    """Where a verb reports.  ``report`` fits every ``report=`` parameter of the library."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self._phase = ""
        self._paces: dict[str, Pace] = {}
        self._last: dict[str, Progress] = {}
        self._phase_began = 0.0
        self._spoke = -LINE_INTERVAL
        self._bar: Bar | None = None
        self._task: Any = None

    def report(self, progress: Progress) -> None:
        """Show one report, in the form that fits, no more often than anyone can read."""
        now = time.monotonic()
        anew = _begins_anew(self._last.get(progress.phase), progress)
        if anew:
            del self._paces[progress.phase]
        self._last[progress.phase] = progress
        fresh = anew or progress.phase != self._phase
        if fresh:
            self._phase, self._phase_began = progress.phase, now
        pace = self._paces.setdefault(progress.phase, Pace(progress)).words(progress)
        interactive = not self.json and sys.stderr.isatty()
        if self.json or interactive:
            ended = 0 < progress.total <= progress.done
            due = fresh or ended or now - self._spoke >= EVENT_INTERVAL
        else:
            due = now - self._phase_began >= PATIENCE and now - self._spoke >= LINE_INTERVAL
        if not due:
            return
        self._spoke = now
        if self.json:
            self._line(progress.as_event())
        elif interactive:
            self._draw(progress, pace)
        else:
            self._print(progress, pace)

    def note(self, text: str) -> None:
        """Say something to a person; with ``--json`` it is an event of its own."""
        if self.json:
            self.event("note", message=text)
        else:
            self.close()
            print(text, file=sys.stderr, flush=True)

    def event(self, name: str, /, **fields: Any) -> None:
        """One JSON line ``{"event": name, ...}`` on stdout."""
        self._line({"event": name, **fields})

    def done(self, text: str, /, **result: Any) -> None:
        """The result: ``text`` for a person, or the ``done`` event with ``--json``."""
        self.close()
        if self.json:
            self.event("done", **result)
        elif text:
            print(text, flush=True)

    def array(self, rows: list[dict[str, Any]]) -> None:
        """A listing for programs: one JSON array, alone on stdout."""
        print(json.dumps(rows, ensure_ascii=False), flush=True)

    def close(self) -> None:
        """Take the progress bar off the screen."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def _line(self, fields: dict[str, Any]) -> None:
        print(json.dumps(fields, ensure_ascii=False), flush=True)

    def _draw(self, progress: Progress, pace: str) -> None:
        if self._bar is None:
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.fields[phase]:<9}"),
                BarColumn(bar_width=28),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[done]}  {task.fields[pace]}"),
                TextColumn("[dim]{task.description}"),
                console=Terminal(stderr=True, highlight=False),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", phase=progress.phase, done="", pace="")
        from rich.markup import escape

        self._bar.update(
            self._task,
            phase=progress.phase,
            completed=progress.done,
            total=progress.total or None,
            description=escape(progress.detail),
            done=_of_total(progress),
            pace=pace,
        )

    def _print(self, progress: Progress, pace: str) -> None:
        percent = f"{100 * progress.done / progress.total:.0f} %," if progress.total else ""
        parts = [f"{progress.phase}:", percent, _of_total(progress), pace, progress.detail]
        print(" ".join(part for part in parts if part), file=sys.stderr, flush=True)


def _begins_anew(last: Progress | None, progress: Progress) -> bool:
    """Whether the same phase of another work begins: the next prompt of a conversation."""
    if last is None:
        return False
    return progress.done < last.done or 0 < last.total <= last.done < progress.total


def _of_total(progress: Progress) -> str:
    done = amount(progress.done, progress.unit)
    return f"{done} of {amount(progress.total, progress.unit)}" if progress.total else done
