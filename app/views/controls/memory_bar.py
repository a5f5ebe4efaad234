"""A bar of memory: what each part takes of what is free, and how much would be too much."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Theme

HEIGHT = 14


class MemoryBar(QWidget):
    """Parts in the direction of reading, in shades of the accent, in the warning's colour where they do not fit."""

    def __init__(self, theme: Theme, height: int = HEIGHT) -> None:
        super().__init__()
        self._theme = theme
        self._parts: list[int] = []
        self._free = 1
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, self.height())

    def show_parts(self, parts: list[int], free: int, sentence: str) -> None:
        """Bytes of each part, and those that may be taken; ``sentence`` says the same in words."""
        self._parts, self._free = parts, max(1, free)
        self.setAccessibleName(sentence)
        self.setToolTip(sentence)
        self.update()

    def colours(self) -> list[QColor]:
        """The colour of each part."""
        strong = QColor(self._theme.colours.accent if sum(self._parts) <= self._free else self._theme.colours.warning)
        shades = []
        for share in (1.0, 0.62, 0.34):
            shade = QColor(strong)
            shade.setAlphaF(share)
            shades.append(shade)
        return shades

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            painter.translate(self.width(), 0)
            painter.scale(-1, 1)
        box = QRectF(0, 0, self.width(), self.height())
        shape = QPainterPath()
        shape.addRoundedRect(box, 5, 5)
        painter.setClipPath(shape)
        painter.fillRect(box, QColor(self._theme.colours.sunken))
        whole = max(self._free, sum(self._parts))
        left = 0.0
        for part, colour in zip(self._parts, self.colours(), strict=False):
            width = self.width() * part / whole
            painter.fillRect(QRectF(left, 0, width, self.height()), colour)
            left += width
        if sum(self._parts) > self._free:  # where it would have to end
            at = self.width() * self._free / whole
            painter.fillRect(QRectF(at, 0, self.width(), self.height()), QColor(self._theme.colours.warning))
            painter.setPen(QPen(QColor(self._theme.colours.text), 2, Qt.PenStyle.SolidLine))
            painter.drawLine(round(at), 0, round(at), self.height())
        painter.end()
