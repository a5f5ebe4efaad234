"""Opening an address that a model wrote: never before the user has seen where it leads."""

from __future__ import annotations

from urllib.parse import urlsplit

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from app.text import inert
from app.text.markdown import SAFE_SCHEMES
from app.translation import tr


def obvious(address: str, text: str) -> bool:
    """Whether ``text`` already is the address, in letters that cannot be taken for others."""
    bare = address.removeprefix("https://").removeprefix("http://").removeprefix("mailto:")
    return address.isascii() and text.strip() in (address, bare, bare.rstrip("/"))


def shown_address(address: str) -> str:
    """The address as it is safe to read: every letter of its host in ASCII, nothing hidden."""
    parts = urlsplit(address)
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
        if host and parts.hostname and host != parts.hostname:
            address = address.replace(parts.netloc, parts.netloc.replace(parts.hostname, host), 1)
    except (UnicodeError, ValueError):
        pass
    return inert.link(address)


def open_address(parent: QWidget, address: str, text: str) -> None:
    """Open ``address`` in the browser, after asking where ``text`` does not say it."""
    if not address.lower().startswith(SAFE_SCHEMES):
        return
    if obvious(address, text):
        QDesktopServices.openUrl(QUrl(address))
        return
    dialog = QMessageBox(QMessageBox.Icon.Question, tr("Open a link"), "", QMessageBox.StandardButton.NoButton, parent)
    dialog.setObjectName("linkDialog")
    dialog.setTextFormat(Qt.TextFormat.PlainText)
    dialog.setText(tr("Open this address in your browser?"))
    readable = shown_address(address)
    dialog.setInformativeText(readable if len(readable) <= 400 else f"{readable[:400]}…")
    open_button = dialog.addButton(tr("Open"), QMessageBox.ButtonRole.AcceptRole)
    copy_button = dialog.addButton(tr("Copy address"), QMessageBox.ButtonRole.ActionRole)
    dialog.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)

    def on_click(button: object) -> None:
        if button is open_button:
            QDesktopServices.openUrl(QUrl(address))
        elif button is copy_button:
            QGuiApplication.clipboard().setText(address)

    dialog.buttonClicked.connect(on_click)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
