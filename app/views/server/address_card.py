"""Where the server is found and the token that it asks for, both to be copied."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QLineEdit, QMessageBox, QVBoxLayout, QWidget

from app.server.server import TOKEN
from app.settings.secrets import FILE, SESSION
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.announcement import announce
from app.views.controls.controls import Button, IconButton, label, set_property

if TYPE_CHECKING:
    from app.application import Services


class AddressCard(QWidget):
    """The state in a sentence, the address, the token (masked), and what other machines write."""

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._services, self._server = services, services.server
        self.state = label("", "", wrap=True)
        self.state.setAccessibleName(tr("State of the server"))
        self.url = QLineEdit()
        self.url.setReadOnly(True)
        self.url.setAccessibleName(tr("Address of the server"))
        self.token = QLineEdit()
        self.token.setReadOnly(True)
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setAccessibleName(tr("Token of the server"))
        self.show_token = IconButton(theme, "eye", tr("Show the token"), self._on_show)
        self.new = Button(theme, tr("New token…"), self._on_new, icon_name="refresh")
        self.kept = label("", "small", wrap=True)
        self.keep = Button(theme, tr("Keep it in a file"), self._on_keep)
        self.others = label("", "warning", wrap=True, selectable=True)
        copy_url = IconButton(theme, "copy", tr("Copy the address"), lambda: self._copy(self.url.text()))
        copy_token = IconButton(theme, "copy", tr("Copy the token"), lambda: self._copy(self._server.token))
        self.fields = QWidget()
        column = QVBoxLayout(self.fields)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.SMALL)
        column.addLayout(_line(tr("Address"), self.url, copy_url))
        self.token_line = QWidget()
        self.token_line.setLayout(_line(tr("Token"), self.token, self.show_token, copy_token, self.new))
        column.addWidget(self.token_line)
        note = QHBoxLayout()
        note.addWidget(self.kept, 1)
        note.addWidget(self.keep)
        column.addLayout(note)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, Space.MEDIUM)
        layout.setSpacing(Space.SMALL)
        layout.addWidget(self.state)
        layout.addWidget(self.fields)
        layout.addWidget(self.others)
        self._no_key_ring = ""
        services.secrets.no_key_ring.connect(self._on_no_key_ring)
        services.secrets.kept.connect(self._on_kept)
        self.refresh()

    def refresh(self) -> None:
        """Show what holds."""
        server = self._server
        words, role = {
            "off": (tr("The server is off: no other program can reach the models."), "muted"),
            "starting": (tr("The server is being opened…"), "muted"),
            "on": (tr("The server is on."), "success"),
            "failed": (server.error, "danger"),
        }[server.state]
        if words != self.state.text():
            announce(self, words)
        self.state.setText(words)
        set_property(self.state, "role", role)
        self.fields.setVisible(server.state == "on")
        self.url.setText(f"{server.url}/v1" if server.url else "")
        self.token.setText(server.token)
        self.token_line.setVisible(bool(server.token))
        session = bool(server.token) and self._services.secrets.where(TOKEN) == SESSION
        self.kept.setText(f"{self._no_key_ring} {tr('The token holds until the program is closed.')}".strip())
        self.kept.setVisible(session)
        self.keep.setVisible(session)
        lan = server.state == "on" and bool(self._services.settings.get("server_lan"))
        self.others.setVisible(lan)
        if lan:
            port = self._services.settings.get("server_port")
            places = ", ".join(f"http://{address}:{port}/v1" for address in addresses())
            text = tr("Other machines are let in, without encryption. They write: {addresses}")
            self.others.setText(text.format(addresses=places or tr("no address is known")))

    def _on_show(self) -> None:
        hidden = self.token.echoMode() == QLineEdit.EchoMode.Password
        self.token.setEchoMode(QLineEdit.EchoMode.Normal if hidden else QLineEdit.EchoMode.Password)
        self.show_token.set_icon("eye-off" if hidden else "eye")
        self.show_token.set_name(tr("Hide the token") if hidden else tr("Show the token"))

    def _copy(self, text: str) -> None:
        QApplication.clipboard().setText(text)

    def _on_new(self) -> None:
        question = QMessageBox(self)
        question.setWindowTitle(tr("Make a new token?"))
        question.setText(tr("Programs that were set up with the old token are refused until they have the new one."))
        make = question.addButton(tr("Make a new token"), QMessageBox.ButtonRole.AcceptRole)
        question.addButton(tr("Keep the old one"), QMessageBox.ButtonRole.RejectRole)
        question.buttonClicked.connect(lambda button: self._server.new_token() if button is make else None)
        self.question = question
        question.open()

    def _on_keep(self) -> None:
        self._services.secrets.keep(TOKEN, FILE)
        self.refresh()

    def _on_no_key_ring(self, name: str, reason: str) -> None:
        if name == TOKEN:
            self._no_key_ring = reason
            self.refresh()

    def _on_kept(self, _: str) -> None:
        self.refresh()


def _line(name: str, field: QLineEdit, *buttons: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(Space.SMALL)
    word = QLabel(name)
    word.setBuddy(field)
    word.setMinimumWidth(72)
    row.addWidget(word)
    row.addWidget(field, 1)
    for button in buttons:
        row.addWidget(button)
    return row


def addresses() -> list[str]:
    """This machine's addresses in its networks."""
    import psutil

    found = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family == socket.AF_INET and not entry.address.startswith(("127.", "169.254.")):
                found.append(entry.address)
    return found
