"""A long text in a dialog, laid out where it comes into view."""

from __future__ import annotations

from time import perf_counter

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QScrollArea, QWidget

from app.views.chat.message_body import MessageBody

MARGIN = 12
BUDGET = 0.012


class TextScroll(QScrollArea):
    """Shows one :class:`MessageBody`."""

    def __init__(self, body: MessageBody) -> None:
        super().__init__()
        self.body = body
        self._content = QWidget()
        self._content.setObjectName("column")
        body.setParent(self._content)
        self.setWidget(self._content)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._fill)
        self.verticalScrollBar().valueChanged.connect(self._timer.start)

    def _fill(self) -> None:
        """Make what is in view, a slice at a time."""
        top, high = self.verticalScrollBar().value() - MARGIN, self.viewport().height()
        before = len(self.body.views)
        done = self.body.realise(top, top + high, perf_counter() + BUDGET)
        if len(self.body.views) != before:
            self._fit()
        elif done:
            self._timer.stop()

    def _fit(self) -> None:
        width = self.viewport().width()
        height = self.body.fit(width - 2 * MARGIN)
        self.body.setGeometry(MARGIN, MARGIN, width - 2 * MARGIN, height)
        self._content.resize(width, height + 2 * MARGIN)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._fit()
        self._timer.start()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()
        self._timer.start()
