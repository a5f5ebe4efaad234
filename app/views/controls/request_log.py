"""A table of requests: rows that can be read with the keyboard and copied, columns as wide as they need."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableView

from app.models.request_table import Column, RequestTable


class RequestLog(QTableView):
    """``stretched`` is the column that takes the room that is left."""

    def __init__(self, name: str, columns: Sequence[Column], stretched: int) -> None:
        super().__init__()
        self.table = RequestTable(columns)
        self.setModel(self.table)
        self.setProperty("role", "log")
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(30)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(56)

    def show_rows(self, rows: Sequence[object]) -> None:
        """Show these; the columns are measured when the first rows come."""
        empty = not self.table.rows
        self.table.show(rows)
        if empty and rows:
            self.resizeColumnsToContents()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.matches(QKeySequence.StandardKey.Copy):
            lines = []
            for index in self.selectionModel().selectedRows():
                columns = range(self.table.columnCount())
                lines.append("\t".join(str(self.table.data(index.siblingAtColumn(place))) for place in columns))
            if lines:
                QApplication.clipboard().setText("\n".join(lines))
            return
        super().keyPressEvent(event)
