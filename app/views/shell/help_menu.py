"""The help menu: shortcuts, a report of a problem, the folder of logs, about this program."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMenu, QWidget

from app.translation import tr
from app.views.shortcuts import words
from tzcore import paths


def help_menu(parent: QWidget, show_shortcuts: Callable[[], None], report: Callable[[], None]) -> QMenu:
    """``report`` opens the dialog that gathers one."""
    menu = QMenu(parent)
    menu.setAccessibleName(tr("Help"))
    menu.addAction(tr("Keyboard shortcuts") + f"\t{words('shortcuts')}", show_shortcuts)
    menu.addAction(tr("Report a problem…"), report)
    menu.addAction(tr("Open the folder of logs"), open_logs)
    menu.addSeparator()
    menu.addAction(tr("About Ternary-Zero"), lambda: show_about(parent))
    return menu


def open_logs() -> None:
    """Show the folder in the system's file manager; made where it is not there yet."""
    paths.logs().mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(paths.logs())))


def show_about(parent: QWidget) -> None:
    """Versions and licences."""
    from app.views.shell.about_dialog import AboutDialog

    AboutDialog(parent).open()

