"""The column in which a page's content stands: centred, and no wider than is easy to read."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

WIDTH = 1040


def centred(column: QWidget, width: int = WIDTH) -> QWidget:
    """A widget that fills its place and holds ``column`` in its middle."""
    column.setMaximumWidth(width)
    holder = QWidget()
    holder.setObjectName("column")
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(0)
    row.addStretch(1)
    row.addWidget(column, 100)
    row.addStretch(1)
    return holder
