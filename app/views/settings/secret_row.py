"""A token or password on the settings page: entered once, shown no more, kept where the page says that it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMessageBox, QVBoxLayout, QWidget

from app.child import TZ, Child
from app.settings.declared import Setting
from app.settings.secrets import FILE, KEY_RING, SESSION
from app.theme import Space, Theme
from app.translation import mark, tr
from app.views.controls.controls import Button, label
from app.views.settings.setting_row import Row
from tzcore.errors import StorageError

if TYPE_CHECKING:
    from app.settings.secrets import Secrets

CHECKED = "hub_token"
"""The hub can be asked whether it knows this one."""
WHERE = {
    KEY_RING: mark("Kept in the system's key ring."),
    FILE: mark("Kept in the file secrets.json, which only you may read."),
    SESSION: mark("Held until the program is closed."),
    "": mark("None is set."),
}


class SecretRow(Row):
    """Enter, check, remove."""

    def __init__(self, theme: Theme, secrets: Secrets, setting: Setting) -> None:
        super().__init__(setting)
        self._secrets = secrets
        self._checking: Child | None = None
        self._answer = ""
        self.line = QLineEdit()
        self.line.setEchoMode(QLineEdit.EchoMode.Password)
        self.line.setAccessibleName(tr(setting.label))
        self.line.setAccessibleDescription(tr(setting.help))
        self.name.setBuddy(self.line)
        self.line.returnPressed.connect(self._on_save)
        self.save = Button(theme, tr("Save"), self._on_save, kind="primary")
        self.check = Button(theme, tr("Check"), self._on_check)
        self.remove = Button(theme, tr("Remove"), self._on_remove)
        for button, words in (
            (self.save, tr("Save: {name}")), (self.check, tr("Check: {name}")), (self.remove, tr("Remove: {name}")),
        ):  # fmt: skip
            button.setAccessibleName(words.format(name=tr(setting.label)))
        self.check.setVisible(setting.key == CHECKED)
        self.state = label("", "small", wrap=True)
        self.state.setAccessibleName(tr("State: {name}").format(name=tr(setting.label)))
        fields = QHBoxLayout()
        fields.setSpacing(Space.SMALL)
        fields.addWidget(self.line, 1)
        for button in (self.save, self.check, self.remove):
            fields.addWidget(button)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.TINY)
        column.addLayout(fields)
        column.addWidget(self.state)
        self.lay_out(right, True)
        self.line.textChanged.connect(lambda text: self.save.setEnabled(bool(text.strip())))
        secrets.changed.connect(self._on_changed)
        secrets.kept.connect(self._on_changed)
        secrets.no_key_ring.connect(self._on_no_key_ring)
        self.refresh()

    def refresh(self) -> None:
        """Show whether there is one, and where."""
        there = bool(self._secrets.get(self.setting.key))
        example = tr("Paste a token, for example hf_…") if self.setting.key == CHECKED else ""
        self.line.setPlaceholderText("•" * 20 if there else example)
        self.state.setText(tr(WHERE[self._secrets.where(self.setting.key)]))
        self.save.setEnabled(bool(self.line.text().strip()))
        self.check.setEnabled(there and self._checking is None)
        self.remove.setEnabled(there)

    def _on_changed(self, name: str) -> None:
        if name == self.setting.key:
            self.refresh()

    def _on_save(self) -> None:
        token = self.line.text().strip()
        if not token:
            return
        self.line.clear()
        self._set(token, KEY_RING)

    def _on_remove(self) -> None:
        self._set("", KEY_RING)

    def _set(self, token: str, where: str) -> None:
        try:
            self._secrets.set(self.setting.key, token, where)
            self.say("")
        except StorageError as error:
            self.say(str(error))
        self.refresh()

    def _on_no_key_ring(self, name: str, reason: str) -> None:
        if name != self.setting.key or not self.isVisible():
            return
        self.question = QMessageBox(self)
        self.question.setWindowTitle(tr("{name}: where should it be kept?").format(name=tr(self.setting.label)))
        self.question.setText(reason)
        self.question.setInformativeText(
            tr("Hold it until the program is closed, or keep it in a file that only your account may read?")
        )
        self.question.addButton(tr("Until closed"), QMessageBox.ButtonRole.AcceptRole)
        in_file = self.question.addButton(tr("In a file"), QMessageBox.ButtonRole.ActionRole)
        self.question.buttonClicked.connect(
            lambda button: self._set(self._secrets.get(name), FILE if button is in_file else SESSION)
        )
        self.question.open()

    # --- the check -----------------------------------------------------------------------------

    def _on_check(self) -> None:
        child = self._checking = Child(["token", "--json"], TZ, parent=self)
        self._answer = ""
        child.said.connect(self._on_said)
        child.finished.connect(self._on_checked)
        self.state.setText(tr("The hub is being asked…"))
        self.check.setEnabled(False)
        child.start()

    def _on_said(self, value: object) -> None:
        if isinstance(value, dict) and value.get("name"):
            text = tr("The hub knows this token: it belongs to {name}.")
            self._answer = text.format(name=str(value["name"])[:80])

    def _on_checked(self, code: int) -> None:
        child = self.sender()
        if not isinstance(child, Child) or child is not self._checking:
            return
        self._checking = None
        child.deleteLater()
        self.refresh()
        unsaid = tr("tz ended with exit code {code}.").format(code=code)
        if code == 0 and self._answer:
            self.state.setText(self._answer)
            self.say("")
        else:
            self.say(child.last_words.removeprefix("tz: ") or unsaid)
