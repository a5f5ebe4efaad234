"""How long the window's event loop is held up: while an answer streams, a conversation opens, the messages scroll.

    python tests/bench/window_frames.py [--seconds 20] [--json]

Method: a timer of 1 ms in the window's own thread notes the time at each tick.  Between two ticks the loop did
something else (drew, laid out, parsed, collected garbage); the longest such gap is the longest pause.  Both the time on
the clock and the processor time of the thread are taken: what other programs take from the machine is in the first
and not in the second.  The window is the real one with a real history on the disk; the engine is scripted and says
a text of mixed Markdown at 100 tokens a second.  Opening is measured from the call that opens the conversation to the
end of the first paint that shows the end of its last message.  Other load is kept out by ``chrt -f 10``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer  # noqa: E402
from PySide6.QtGui import QWheelEvent  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from app.application import Services  # noqa: E402
from app.idle_collection import IdleCollection  # noqa: E402
from app.views.main_window import MainWindow  # noqa: E402
from tests.gui.window_services import ScriptedClient, scripted_services  # noqa: E402

MODEL = "starter:t2"
FRAME = 16.0
"""Milliseconds that no turn of the loop may take."""
BOUNDS = (1, 2, 4, 8, 12, 16, 24, 33, 50, 100)

PARAGRAPH = (
    "The **gradient** of a sum is the sum of the gradients, so `backward()` may run over each part alone; "
    "see [the notes](https://example.org/notes) for the proof. Where $f$ is convex, $f(y) \\ge f(x) + g^T(y-x)$ holds "
    "for every $y$, and the step size decides how fast the method converges.\n\n"
)
CODE = (
    "```python\ndef descend(f, x, rate=0.1, steps=100):\n    \"\"\"Follow the gradient downhill.\"\"\"\n"
    "    for step in range(steps):\n        x = x - rate * f.gradient(x)  # one step\n"
    "        if abs(f.gradient(x)) < 1e-6:\n            break\n    return x\n```\n\n"
)
TABLE = "| method | steps | error |\n|:--|--:|--:|\n" + "".join(f"| rule {n} | {n * 10} | {1 / (n + 1):.4f} |\n"
                                                                 for n in range(8)) + "\n"
LIST = "".join(f"{n}. Point {n} with *emphasis* and `code`\n   - a detail\n" for n in range(1, 6)) + "\n"
FORMULA = "$$\n\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}\n$$\n\n"
QUOTE = "> What is *simple* is often right.\n>\n> Not always.\n\n"
MIXED = "## A section\n\n" + PARAGRAPH + CODE + LIST + FORMULA + TABLE + PARAGRAPH + QUOTE


class Pauses:
    """The gaps between the ticks of a timer of one millisecond, in milliseconds."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self._last = (0.0, 0.0)
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin afresh."""
        self.wall, self.cpu = [], []
        self._last = (time.perf_counter(), time.thread_time())
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        self.wall.append(1000 * (now[0] - self._last[0]))
        self.cpu.append(1000 * (now[1] - self._last[1]))
        self._last = now

    def summary(self) -> dict[str, Any]:
        """What came out."""
        return {"wall": _figures(self.wall), "cpu": _figures(self.cpu)}


def _figures(gaps: list[float]) -> dict[str, Any]:
    ordered = sorted(gaps) or [0.0]
    histogram, low = {}, 0
    for bound in (*BOUNDS, None):
        count = sum(1 for gap in ordered if gap >= low and (bound is None or gap < bound))
        histogram[f"{low}-{bound}" if bound else f">{low}"] = count
        low = bound or low
    return {
        "median": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "longest": ordered[-1],
        "over_16_ms": sum(1 for gap in ordered if gap > FRAME),
        "ticks": len(ordered),
        "histogram": histogram,
    }


def shown(name: str, summary: dict[str, Any]) -> str:
    """A few lines that a person reads."""
    lines = [name]
    for clock in ("wall", "cpu"):
        one = summary[clock]
        lines.append(
            f"  {clock:4}  median {one['median']:.2f} ms, 99 % {one['p99']:.2f} ms, longest {one['longest']:.1f} ms, "
            f"over 16 ms: {one['over_16_ms']} of {one['ticks']}"
        )
        lines.append("        " + "  ".join(f"{span}: {count}" for span, count in one["histogram"].items() if count))
    return "\n".join(lines)


class FirstPaint(QObject):
    """Notes when the viewport of the messages was painted with the end of the last message on it."""

    def __init__(self, window: MainWindow, reached: Callable[[], None]) -> None:
        super().__init__()
        self._messages, self._reached = window.chat.messages, reached
        self._messages.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Paint and self._messages.views:
            self._messages.viewport().removeEventFilter(self)
            QTimer.singleShot(0, self._reached)  # after everything in it was painted too
        return False


class Session:
    """The window on a history of its own."""

    def __init__(self, application: QApplication, folder: Path) -> None:
        self.application = application
        self.services: Services = scripted_services(folder, MODEL)
        self.collection = IdleCollection(application)
        self.window = MainWindow(self.services)
        self.window.resize(1180, 800)
        self.window.show()
        self.pauses = Pauses()
        self.live(3.0)  # what the window does seconds after it opened

    def live(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Let the event loop run, as in the program."""
        from PySide6.QtCore import QEventLoop

        loop = QEventLoop()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        check = QTimer()
        if until is not None:
            check.timeout.connect(lambda: loop.quit() if until() else None)
            check.start(5)
        loop.exec()

    def conversation(self, messages: int, characters: int, last: int = 0) -> int:
        """A conversation of so many messages with about so many characters; the last one may be longer."""
        history = self.services.history
        number = history.create(MODEL, f"{messages} messages")
        text = MIXED * (characters // messages * 2 // len(MIXED) + 1)
        parent = None
        for index in range(messages):
            user = index % 2 == 0
            words = f"Question {index}: how does it go on?" if user else text[: 2 * characters // messages]
            if last and index == messages - 1:
                words = MIXED * (last // len(MIXED) + 1)
            parent = history.append(number, parent, "user" if user else "assistant", words, MODEL).id
        return number

    def open(self, number: int) -> tuple[float, dict[str, Any]]:
        """Seconds to the first paint of the end, and the pauses until everything around is there."""
        painted: list[float] = []
        self.window.new_chat()
        self.live(0.3)
        watcher = FirstPaint(self.window, lambda: painted.append(time.perf_counter()))
        began = time.perf_counter()
        self.window.open_conversation(number)
        self.pauses.start()
        self.live(5, lambda: bool(painted) and self.window.chat.messages.complete)
        self.pauses.stop()
        del watcher
        return painted[0] - began, self.pauses.summary()

    def stream(self, seconds: float) -> dict[str, Any]:
        """Pauses while an answer comes at 100 tokens of four letters a second, and for a second after its end."""
        client = self.services.client
        assert isinstance(client, ScriptedClient)
        self.window.chat.send("Go on, please.")
        text = MIXED * (int(seconds * 400) // len(MIXED) + 2)
        at = 0

        def token() -> None:
            nonlocal at
            client.stream.delta.emit(text[at : at + 4])
            at += 4

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(token)
        self.pauses.start()
        timer.start(10)
        self.live(seconds)
        timer.stop()
        client.stream.finished.emit("stop", {"completion_tokens": at // 4}, {"tokens_per_second": 100.0})
        self.live(1)
        self.pauses.stop()
        return self.pauses.summary()

    def scroll(self, seconds: float, step: int = 120) -> dict[str, Any]:
        """Pauses while the wheel is turned upwards, sixty notches a second."""
        messages = self.window.chat.messages
        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)

        def turn() -> None:
            place = QPointF(messages.viewport().rect().center())
            event = QWheelEvent(
                place, messages.viewport().mapToGlobal(place), QPoint(0, step), QPoint(0, step),
                Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            )
            QApplication.sendEvent(messages.viewport(), event)

        timer.timeout.connect(turn)
        self.pauses.start()
        timer.start(16)
        self.live(seconds)
        timer.stop()
        self.pauses.stop()
        return self.pauses.summary()

    def close(self) -> None:
        """As the user closes it."""
        self.window.chat.conversation.stop()
        self.window.close()
        self.collection.stop()
        self.services.history.close()


def resident() -> float:
    """Megabytes of memory that this process holds."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def measure(application: QApplication, folder: Path, seconds: float) -> dict[str, Any]:
    """All figures."""
    session = Session(application, folder)
    result: dict[str, Any] = {"resident_mb": {"empty": resident()}}
    long = session.conversation(400, 400_000)
    huge = session.conversation(20, 20_000, last=600_000)
    middle = session.conversation(200, 200_000)
    session.window.conversations.refresh()
    for name, number in (("400 messages, 400 kB", long), ("a message of 600 kB", huge)):
        taken, pauses = session.open(number)
        result[f"open {name}"] = {"seconds": taken, "pauses": pauses}
        result["resident_mb"][name] = resident()
        result[f"scroll {name}"] = session.scroll(seconds / 2)
        result["resident_mb"][f"{name}, scrolled"] = resident()
    session.open(middle)
    result["stream into 200 messages"] = session.stream(seconds)
    result["resident_mb"]["streamed"] = resident()
    session.close()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TZ_HOME"] = folder
        result = measure(application, Path(folder), arguments.seconds)
    if arguments.json:
        print(json.dumps(result))
        return 0
    for name, value in result.items():
        if name == "resident_mb":
            continue
        if name.startswith("open"):
            print(f"{name}: first paint of its end after {value['seconds']:.3f} s")
            print(shown("  pauses until all around it is there", value["pauses"]))
        else:
            print(shown(name, value))
    print("resident: " + ", ".join(f"{name} {value:.0f} MB" for name, value in result["resident_mb"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
