"""The column in which a page's content stands: centred, no wider than is easy to read, scrolled where it is long."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QWidget

WIDTH = 1040


def centred(column: QWidget, width: int = WIDTH, margin: int = 0) -> QWidget:
    """A widget that fills its place and holds ``column`` in its middle; ``margin`` at its sides."""
    column.setMaximumWidth(width)
    holder = QWidget()
    holder.setObjectName("column")
    row = QHBoxLayout(holder)
    row.setContentsMargins(margin, 0, margin, 0)
    row.setSpacing(0)
    row.addStretch(1)
    row.addWidget(column, 100)
    row.addStretch(1)
    return holder


def scrolled(content: QWidget) -> QScrollArea:
    """``content`` in an area that scrolls up and down alone, and is no stop of the Tab key itself."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    return area
