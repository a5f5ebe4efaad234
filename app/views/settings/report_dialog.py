"""The report of a problem: every text in it is shown before it is saved; it is sent by nobody but the user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QPlainTextEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.child import TZ, Child
from app.diagnostics import bundle
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, label
from tzcore.errors import StorageError

if TYPE_CHECKING:
    from app.application import Services


class ReportDialog(QDialog):
    """``files`` are the texts as they will be saved."""

    def __init__(self, theme: Theme, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Report a problem"))
        self.resize(860, 600)
        self._services = services
        self._doctor = ""
        self.files: bundle.Files = {}
        self.list = QListWidget()
        self.list.setProperty("role", "field")
        self.list.setAccessibleName(tr("Files of the report"))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("role", "field")
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName(tr("Content of the file"))
        self.list.currentTextChanged.connect(self._on_chosen)
        halves = QSplitter()
        halves.addWidget(self.list)
        halves.addWidget(self.text)
        halves.setStretchFactor(1, 1)
        halves.setSizes([210, 600])
        halves.setChildrenCollapsible(False)
        self.state = label("", "muted", wrap=True)
        self.save = Button(theme, tr("Save the report…"), self._on_save, kind="primary")
        self.close_button = Button(theme, tr("Close"), self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.SMALL)
        buttons.addWidget(self.state, 1)
        buttons.addWidget(self.save)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.LARGE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(label(tr("Report a problem"), "title"))
        layout.addWidget(
            label(
                tr(
                    "These texts help to find out what went wrong. Tokens, names and addresses are taken out, and no "
                    "conversation is in it. Look through them, save them as one file, and attach it to your report: "
                    "nothing is sent by this program."
                ),
                "muted", wrap=True,
            )
        )
        layout.addWidget(halves, 1)
        layout.addLayout(buttons)
        self._gather()
        self.state.setText(tr("This machine is being examined…"))
        self._child: Child | None = Child(["doctor", "--json"], TZ, parent=self, hub=False)
        self._child.said.connect(self._on_said)
        self._child.finished.connect(self._on_examined)
        self._child.start()

    def done(self, result: int) -> None:
        """Closed: the examination is of no more use."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
        super().done(result)

    def _gather(self) -> None:
        secrets = [*self._services.secrets.known(), getattr(self._services.engine, "token", "")]
        self.files = bundle.gather(self._services.settings, secrets, self._doctor)
        shown = self.list.currentItem().text() if self.list.currentItem() else ""
        self.list.clear()
        self.list.addItems(list(self.files))
        self.list.setCurrentRow(list(self.files).index(shown) if shown in self.files else 0)

    def _on_chosen(self, name: str) -> None:
        self.text.setPlainText(self.files.get(name, ""))

    def _on_said(self, value: object) -> None:
        self._doctor = json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    def _on_examined(self, _: int) -> None:
        if self._child is None:
            return
        self._child.deleteLater()
        self._child = None
        self._gather()
        size = sum(len(text.encode()) for text in self.files.values())
        text = tr("{count} files, {size}")
        self.state.setText(text.format(count=len(self.files), size=wording.size(size)))

    def _on_save(self) -> None:
        target, _ = QFileDialog.getSaveFileName(self, tr("Save the report"), "ternary-zero-report.zip", "Zip (*.zip)")
        if not target:
            return
        try:
            bundle.save(self.files, Path(target))
        except StorageError as error:
            self.state.setText(str(error))
            return
        self.state.setText(tr("Saved as {file}.").format(file=target))
