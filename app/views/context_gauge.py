"""How much of the context is used: a small ring, and the numbers beside it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import wording
from app.theme import Theme
from app.views.controls import label

NEARLY_FULL = 0.85


class _Ring(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self.share = theme, 0.0
        self.setFixedSize(QSize(16, 16))
        theme.changed.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(2, 2, 12, 12)
        painter.setPen(QPen(QColor(colours.border_strong), 2.4))
        painter.drawEllipse(box)
        full = self.share >= NEARLY_FULL
        pen = QPen(QColor(colours.warning if full else colours.accent), 2.4)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        if self.share > 0:
            painter.drawArc(box, 90 * 16, -round(min(1.0, self.share) * 360 * 16))
        painter.end()


class ContextGauge(QWidget):
    """Hidden until the context's size is known."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._ring = _Ring(theme)
        self._text = label("", "small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._ring)
        layout.addWidget(self._text)
        self.hide()

    def show_use(self, used: int, context: int) -> None:
        """``used`` tokens of ``context``; a context of 0 hides the gauge."""
        self.setVisible(context > 0)
        if context <= 0:
            return
        self._ring.share = used / context
        self._ring.update()
        sentence = f"{wording.count(used)} of {wording.count(context)} tokens"
        self._text.setText(sentence)
        self.setAccessibleName(f"Context used: {sentence}")
        left = max(0, context - used)
        if used >= context:
            hint = "The conversation no longer fits into the context: start a new chat, or raise the context."
        else:
            hint = f"Room for about {wording.count(left)} more tokens of questions and answers."
        self.setToolTip(hint)

    @property
    def text(self) -> str:
        return self._text.text()
