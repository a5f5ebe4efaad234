"""The details of an error that nothing has handled: to read, to copy, and to report."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.theme import Space, Theme, code_font
from app.translation import tr
from app.views.controls.controls import Button, label
from app.views.shell.about_dialog import versions
from app.views.shell.help_menu import open_logs


class FaultDialog(QDialog):
    """``report`` opens the dialog that gathers one."""

    def __init__(self, theme: Theme, text: str, report: Callable[[], object], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Something went wrong"))
        self.resize(720, 480)
        said = tr(
            "This is a mistake of the program, not yours. Your conversations are safe. You can go on; if something "
            "does not work any more, close the window and open it again."
        )
        self.details = QPlainTextEdit(text)
        self.details.setProperty("role", "log")
        self.details.setReadOnly(True)
        self.details.setTabChangesFocus(True)
        self.details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.details.setFont(code_font())
        self.details.setAccessibleName(tr("Details"))
        self.details.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.SMALL)
        whole = "\n".join([*versions(), "", text])
        buttons.addWidget(Button(theme, tr("Copy"), lambda: QApplication.clipboard().setText(whole), icon_name="copy"))
        buttons.addWidget(Button(theme, tr("Open the folder of logs"), open_logs, icon_name="folder"))
        buttons.addStretch(1)
        buttons.addWidget(Button(theme, tr("Report a problem…"), report, icon_name="bug"))
        close = Button(theme, tr("Close"), self.accept, kind="primary")
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.LARGE)
        layout.setSpacing(Space.WIDE)
        layout.addWidget(label(said, wrap=True))
        layout.addWidget(self.details, 1)
        layout.addLayout(buttons)
        close.setFocus()
