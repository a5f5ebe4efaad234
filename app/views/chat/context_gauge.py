"""How much of the context is used: a small ring, and the numbers beside it.  A click tells more."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from app import wording
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import label

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


class ContextGauge(QPushButton):
    """Hidden until the context's size is known."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("kind", "gauge")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.used = self.context = 0
        self._ring = _Ring(theme)
        self._text = label("", "small")
        for part in (self._ring, self._text):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(6, 2, 8, 2)
        self._row.setSpacing(6)
        self._row.addWidget(self._ring)
        self._row.addWidget(self._text)
        self.hide()

    def sizeHint(self) -> QSize:  # noqa: N802
        return self._row.sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self._row.minimumSize()

    def show_use(self, used: int, context: int) -> None:
        """``used`` tokens of ``context``; a context of 0 hides the gauge."""
        self.used, self.context = used, context
        self.setVisible(context > 0)
        if context <= 0:
            return
        self._ring.share = used / context
        self._ring.update()
        sentence = tr("{used} of {total} tokens").format(used=wording.count(used), total=wording.count(context))
        self._text.setText(sentence)
        self.updateGeometry()
        self.setAccessibleName(tr("Context used: {sentence}").format(sentence=sentence))
        self.setAccessibleDescription(tr("Opens what happens when it is full"))
        self.setToolTip(self.hint)

    @property
    def hint(self) -> str:
        """What the numbers mean for the next message."""
        if self.used >= self.context:
            return tr("The conversation no longer fits into the context.")
        left = wording.count(self.context - self.used)
        return tr("Room for about {count} more tokens of questions and answers.").format(count=left)

    @property
    def words(self) -> str:
        return self._text.text()
