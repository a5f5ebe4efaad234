"""Widgets side by side in as many lines as they need, from the side where reading begins."""

from __future__ import annotations

from PySide6.QtCore import QMargins, QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QStyle, QWidget


class FlowLayout(QLayout):
    """``across`` and ``down`` are the gaps in pixels; each line's widgets are centred in it."""

    def __init__(self, parent: QWidget, across: int, down: int) -> None:
        super().__init__(parent)
        self._across, self._down = across, down
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(QMargins())

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        return self._arrange(QRect(0, 0, width, 0), False)

    def setGeometry(self, rect: QRect) -> None:  # noqa: N802
        super().setGeometry(rect)
        self._arrange(rect, True)

    def sizeHint(self) -> QSize:  # noqa: N802
        return self.minimumSize()

    def minimumSize(self) -> QSize:  # noqa: N802
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def expandingDirections(self) -> Qt.Orientation:  # noqa: N802
        return Qt.Orientation(0)

    def _arrange(self, rect: QRect, place: bool) -> int:
        """The height that is needed."""
        x = y = line = 0
        places: list[tuple[QLayoutItem, QRect]] = []
        begun = 0
        for item in self._items:
            hint = item.sizeHint()
            hint.setWidth(min(hint.width(), rect.width()))
            if x and x + hint.width() > rect.width():
                _centre(places, begun, line)
                x, y, line, begun = 0, y + line + self._down, 0, len(places)
            places.append((item, QRect(QPoint(rect.x() + x, rect.y() + y), hint)))
            x, line = x + hint.width() + self._across, max(line, hint.height())
        _centre(places, begun, line)
        if place:
            widget = self.parentWidget()
            direction = widget.layoutDirection() if widget is not None else Qt.LayoutDirection.LeftToRight
            for item, where in places:
                item.setGeometry(QStyle.visualRect(direction, rect, where))
        return y + line


def _centre(places: list[tuple[QLayoutItem, QRect]], begun: int, height: int) -> None:
    for number in range(begun, len(places)):
        item, where = places[number]
        places[number] = item, where.translated(0, (height - where.height()) // 2)
