"""Widgets below one another, placed by hand.

A column of messages changes thirty times a second while an answer is written.  Qt's layouts ask every widget in
it for its size again each time; a stack asks only those that may have another one, at once and not a turn of the
event loop later.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMargins, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QWidget


def height_of(widget: QWidget, width: int) -> int:
    """How high ``widget`` is to be when it is ``width`` wide."""
    fit = getattr(widget, "fit", None)
    if fit is not None:
        height = int(fit(width))
    elif widget.hasHeightForWidth():
        height = widget.heightForWidth(width)
    else:
        height = widget.sizeHint().height()
    return max(widget.minimumHeight(), min(height, widget.maximumHeight()))


def shown(widget: QWidget) -> bool:
    """Whether the widget takes room: it is not hidden, or keeps its place while it is."""
    return not widget.isHidden() or widget.sizePolicy().retainSizeWhenHidden()


class Stack(QFrame):
    """A column whose owner asks :meth:`fit` for its height and then gives it that size."""

    def __init__(self, spacing: int = 0, margins: QMargins | None = None) -> None:
        super().__init__()
        self._spacing = spacing
        self._margins = margins or QMargins()
        self._children: list[QWidget] = []
        self._height = 0

    def add(self, widget: QWidget, at: int | None = None) -> None:
        """Put ``widget`` at the end, or at a place."""
        hidden = widget.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide) and widget.isHidden()
        self._children.insert(len(self._children) if at is None else at, widget)
        widget.setParent(self)
        widget.setVisible(not hidden)

    def take(self, widget: QWidget) -> None:
        """Take ``widget`` out of the column; what becomes of it is the caller's."""
        self._children.remove(widget)

    def fit(self, width: int) -> int:
        """Lay everything out at ``width`` and return the height that it takes."""
        left, right = self._margins.left(), self._margins.right()
        inner = max(0, width - left - right)
        y = self._margins.top()
        between = 0
        for child in self._children:
            if shown(child):
                y += between
                height = height_of(child, inner)
                child.setGeometry(left, y, inner, height)
                y += height
                between = self._spacing
        self._height = y + self._margins.bottom()
        return self._height

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(super().sizeHint().width(), self._height)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(40, 0)

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        return self.fit(width)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()  # the owner fits the whole column anew
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit(event.size().width())
