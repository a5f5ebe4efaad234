"""The jobs that are not done, in their order, which dragging and the keyboard change."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.theme import Theme
from app.views.controls.controls import discard
from app.views.jobs.job_card import MIME, JobCard

SPACING = 10


class JobList(QWidget):
    """Cards below one another."""

    moved = Signal(str, int)
    """A job was dropped so many places down (up where negative)."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._cards: dict[str, JobCard] = {}
        self._mark: int | None = None
        self.setAcceptDrops(True)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(SPACING)

    def card(self, job_id: str) -> JobCard | None:
        return self._cards.get(job_id)

    def cards(self) -> list[JobCard]:
        """In their order."""
        return list(self._cards.values())

    def add(self, card: JobCard) -> None:
        self._cards[card.job_id] = card
        self._layout.addWidget(card)

    def remove(self, job_id: str) -> None:
        card = self._cards.pop(job_id, None)
        if card is None:
            return
        had_focus = card.isAncestorOf(self.window().focusWidget()) if self.window().focusWidget() else False
        discard(card)
        if had_focus and self._cards:
            next(iter(self._cards.values())).setFocus()

    def arrange(self, order: list[str]) -> None:
        """Put the cards into this order; the focus stays where it is."""
        known = [job_id for job_id in order if job_id in self._cards]
        if known == list(self._cards):
            return
        self._cards = {job_id: self._cards[job_id] for job_id in known}
        for place, card in enumerate(self._cards.values()):
            self._layout.removeWidget(card)
            self._layout.insertWidget(place, card)
        for first, second in pairwise(self._cards.values()):
            QWidget.setTabOrder(first, second)

    # Dragging

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if self._dragged(event) is not None:
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: N802
        if self._dragged(event) is not None:
            self._show_mark(self._place(event.position().y()))
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        self._show_mark(None)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self._show_mark(None)
        job_id = self._dragged(event)
        if job_id is None:
            return
        event.acceptProposedAction()
        before = list(self._cards).index(job_id)
        to = self._place(event.position().y())
        places = to - before - (1 if to > before else 0)
        if places:
            self.moved.emit(job_id, places)

    def _dragged(self, event: QDropEvent) -> str | None:
        if not event.mimeData().hasFormat(MIME):
            return None
        job_id = bytes(event.mimeData().data(MIME).data()).decode("ascii", "replace")
        return job_id if job_id in self._cards else None

    def _place(self, y: float) -> int:
        """Before which card something dropped here goes."""
        return sum(1 for card in self._cards.values() if y > card.geometry().center().y())

    def _show_mark(self, place: int | None) -> None:
        if place != self._mark:
            self._mark = place
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if self._mark is None or not self._cards:
            return
        cards = self.cards()
        last = cards[-1].geometry()
        y = cards[self._mark].geometry().top() - SPACING // 2 if self._mark < len(cards) else last.bottom() - 1
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.colours.accent))
        painter.drawRoundedRect(QRect(0, max(0, y - 1), self.width(), 3), 1.5, 1.5)
        painter.end()
