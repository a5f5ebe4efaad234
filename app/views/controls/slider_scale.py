"""The context's slider, and the marks under it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QSlider, QStyle, QWidget

from app.chat import context_scale
from app.theme import Theme

HANDLE = 16
"""Width of the slider's handle in the style sheet: its centre goes from half of it on."""
ROOM = 34
"""Pixels that one mark needs."""


class ContextSlider(QSlider):
    """Drawn by itself: the style sheet's parts of a slider do not keep to their height."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # a scale of numbers, in every language
        self._theme = theme
        theme.changed.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, room = self.height() / 2, self.width() - HANDLE
        at = HANDLE / 2 + QStyle.sliderPositionFromValue(self.minimum(), self.maximum(), self.value(), room)
        painter.setBrush(QColor(colours.pressed))
        painter.drawRoundedRect(QRectF(0, middle - 3, self.width(), 6), 3, 3)
        painter.setBrush(QColor(colours.accent))
        painter.drawRoundedRect(QRectF(0, middle - 3, at, 6), 3, 3)
        painter.setPen(QPen(QColor(colours.accent), 2))
        painter.setBrush(QColor(colours.accent_soft if self.hasFocus() else colours.surface))
        painter.drawEllipse(QPointF(at, middle), HANDLE / 2 - 1, HANDLE / 2 - 1)
        painter.end()


class SliderScale(QWidget):
    """Round lengths, and an arrow where the model's own ends."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self._theme, self._made_for = theme, 0
        self.setFixedHeight(18)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, 18)

    def show_scale(self, made_for: int) -> None:
        """The scale for a model that was made for so many tokens."""
        self._made_for = made_for
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if not self._made_for:
            return
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPointSizeF(8.5)
        painter.setFont(font)
        last, right = context_scale.steps(self._made_for), -ROOM
        marks = {context_scale.LEAST, 1024, *context_scale.SNAPS, 262_144, 524_288, context_scale.MOST}
        for tokens in sorted(mark for mark in marks if mark <= context_scale.longest(self._made_for)):
            at = HANDLE / 2 + (self.width() - HANDLE) * context_scale.step_of(tokens) / last
            if at - right < ROOM:
                continue
            right = round(at)
            beyond = tokens > self._made_for
            painter.setPen(QColor(self._theme.colours.warning if beyond else self._theme.colours.muted))
            left = min(max(0.0, at - ROOM / 2), self.width() - ROOM)
            painter.drawText(QRectF(left, 0, ROOM, 18), Qt.AlignmentFlag.AlignCenter, short(tokens))
        painter.end()


def short(tokens: int) -> str:
    """``4k`` of 4096."""
    if tokens < 1024:
        return str(tokens)
    return f"{tokens // 1024}k" if tokens < 1 << 20 else f"{tokens >> 20}M"
