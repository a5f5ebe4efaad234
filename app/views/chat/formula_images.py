"""Formulas as pictures: drawn by a child process, kept, and painted in any size and colour."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QObject, QProcess, QProcessEnvironment, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from shiboken6 import isValid

from app.text.formula_child import SIZE
from app.text.formulas import Formula

if TYPE_CHECKING:
    from app.views.chat.rich_text import RichText

KEPT = 600
"""Formulas kept drawn."""
SECONDS = 3.0
"""What one formula may take; the first one also waits for the child to come up."""
START = 6.0
SLICE = 0.001
"""Seconds of showing what was drawn before the event loop gets its turn."""
IDLE = 60
"""Seconds without a formula after which the child ends."""
COMMAND = (sys.executable, "-m", "app.text.formula_child")

_BOX = re.compile(r'viewBox="(\S+) (\S+) (\S+) (\S+)"')


@dataclass(frozen=True)
class Drawing:
    """A formula as SVG.  Lengths are in ems of the text around it; ``descent`` is below the line."""

    svg: str
    width: float
    ascent: float
    descent: float


class FormulaImages(QObject):
    """All formulas of the window, and the texts that wait for some of them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._known: OrderedDict[Formula, Drawing | None] = OrderedDict()
        self._waiting: deque[Formula] = deque()
        self._asked: Formula | None = None
        self._number = 0
        self._out = b""
        self._process: QProcess | None = None
        self._limit = QTimer(self, singleShot=True)
        self._limit.timeout.connect(self._give_up)
        self._idle = QTimer(self, singleShot=True)
        self._idle.timeout.connect(self.stop)
        self._tell = QTimer(self, singleShot=True)
        self._tell.timeout.connect(self._tell_some)
        self._texts: deque[RichText] = deque()
        if (application := QGuiApplication.instance()) is not None:
            application.aboutToQuit.connect(self.stop)

    def known(self, formula: Formula) -> bool:
        """Whether it has been drawn, or could not be."""
        return formula in self._known

    def drawing(self, formula: Formula) -> Drawing | None:
        """The formula if it is drawn already; otherwise it will be, unless it cannot be."""
        if formula in self._known:
            self._known.move_to_end(formula)
            return self._known[formula]
        if formula != self._asked and formula not in self._waiting:
            self._waiting.append(formula)
            self._next()
        return None

    def wait(self, text: RichText) -> None:
        """Let ``text`` show its formulas anew once more of them are drawn."""
        if text not in self._texts:
            self._texts.append(text)

    def _tell_some(self) -> None:
        """Let texts show what was drawn, as many as a slice of time allows."""
        deadline = perf_counter() + SLICE
        for _ in range(len(self._texts)):
            text = self._texts.popleft()
            if isValid(text) and not text.refresh_formulas():
                self._texts.append(text)
            if perf_counter() > deadline:
                self._tell.start(4)
                return

    def stop(self) -> None:
        """End the child."""
        if self._process is not None:
            process, self._process = self._process, None
            process.finished.disconnect(self._on_finished)
            process.kill()
            process.waitForFinished(500)
            process.deleteLater()
        self._limit.stop()
        self._out = b""

    def _next(self) -> None:
        if self._asked is not None or not self._waiting:
            return
        self._idle.stop()
        starting = self._process is None
        if self._process is None:
            self._start()
        assert self._process is not None
        self._asked = self._waiting.popleft()
        self._number += 1
        line = json.dumps([self._number, self._asked.latex, self._asked.display])
        self._process.write(line.encode() + b"\n")
        self._limit.start(int(1000 * (START if starting else SECONDS)))

    def _start(self) -> None:
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUTF8", "1")
        environment.insert("PYTHONPATH", ":".join(path for path in sys.path if path))
        process.setProcessEnvironment(environment)
        process.setProgram(COMMAND[0])
        process.setArguments(list(COMMAND[1:]))
        process.setStandardErrorFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._on_finished)
        process.start()
        self._process = process

    def _read(self) -> None:
        assert self._process is not None
        self._out += bytes(self._process.readAllStandardOutput().data())
        *lines, self._out = self._out.split(b"\n")
        for line in lines:
            number, svg = json.loads(line)
            if number == self._number and self._asked is not None:
                self._keep(_measure(svg))

    def _keep(self, drawing: Drawing | None) -> None:
        assert self._asked is not None
        self._limit.stop()
        self._known[self._asked] = drawing
        self._asked = None
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        if not self._tell.isActive():
            self._tell.start(30)
        if self._waiting:
            self._next()
        else:
            self._idle.start(1000 * IDLE)

    def _give_up(self) -> None:
        """This one takes too long: it is shown as its source, and the child begins anew."""
        self.stop()
        if self._asked is not None:
            self._keep(None)

    def _on_finished(self) -> None:
        """The child came to an end by itself: what it was drawing is to blame."""
        self._give_up()


@cache
def formula_images() -> FormulaImages:
    """The one of this window, made at the first formula."""
    return FormulaImages(QGuiApplication.instance())


def _measure(svg: str) -> Drawing | None:
    box = _BOX.search(svg)
    if not svg or box is None:
        return None
    top, width, height = float(box[2]), float(box[3]), float(box[4])
    if not (0 < width < 20000 and 0 < height < 20000):
        return None
    return Drawing(svg, width / SIZE, -top / SIZE, (height + top) / SIZE)


def paint(drawing: Drawing, em: float, colour: QColor, ratio: float, below: float, shrink: float = 1.0) -> QImage:
    """The formula beside text of ``em`` pixels; the picture reaches ``below`` pixels under the line."""
    from PySide6.QtSvg import QSvgRenderer

    em *= shrink
    width, above = max(1.0, drawing.width * em), drawing.ascent * em
    image = QImage(
        math.ceil(width * ratio),
        math.ceil((math.ceil(above) + below) * ratio),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    top = (math.ceil(above) - above) * ratio
    renderer = QSvgRenderer(QByteArray(drawing.svg.encode()))
    renderer.render(painter, QRectF(0, top, width * ratio, (drawing.ascent + drawing.descent) * em * ratio))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(image.rect(), colour)
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image
