"""What a job has said: the end of its log, growing while it runs."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.jobs import log
from app.theme import Theme, code_font
from app.translation import tr
from app.views.controls.controls import Button, label

INTERVAL = 700
"""Milliseconds between two looks at the file."""


class LogDialog(QDialog):
    """Shows the file ``path`` and follows it."""

    def __init__(self, theme: Theme, path: Path, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path = path
        self._shown = ""
        self.setWindowTitle(tr("Log of {name}").format(name=name))
        self.resize(780, 460)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(code_font())
        self.text.setProperty("role", "field")
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.text.setAccessibleName(tr("Log"))
        where = label(str(path), "small", selectable=True)
        where.setAccessibleName(tr("File: {path}").format(path=path))
        buttons = QHBoxLayout()
        buttons.addWidget(where, 1)
        for button in (
            Button(theme, tr("Copy"), lambda: QGuiApplication.clipboard().setText(self._shown), icon_name="copy"),
            Button(theme, tr("Open folder"), self._open_folder, icon_name="folder"),
            Button(theme, tr("Close"), self.accept, kind="primary"),
        ):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 14)
        layout.setSpacing(12)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(INTERVAL)
        self.refresh()

    def refresh(self) -> None:
        """Read the file again; the end stays in sight if it was."""
        text = log.tail(self._path)
        if text == self._shown and text:
            return
        bar = self.text.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        place = bar.value()
        self._shown = text
        self.text.setPlainText(text or tr("Nothing has been written yet."))
        bar.setValue(bar.maximum() if at_end else place)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._path.parent)))
