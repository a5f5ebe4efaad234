"""Examples for other programs: one is chosen, shown with the real address and token, and copied."""

from __future__ import annotations

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.server.examples import EXAMPLES
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, frame, label

MASK = "•" * 12


class ExamplePanel(QWidget):
    """The token is masked on the screen and whole in what is copied."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._values = ("", "", "")
        self.buttons = QButtonGroup(self)
        chips = QHBoxLayout()
        chips.setSpacing(Space.TINY)
        for place, example in enumerate(EXAMPLES):
            button = QPushButton(example.name)
            button.setAccessibleName(example.name)
            button.setCheckable(True)
            button.setProperty("kind", "nav")
            button.setAutoDefault(False)
            button.setMinimumWidth(round(button.fontMetrics().horizontalAdvance(example.name) * 1.15) + 26)
            self.buttons.addButton(button, place)
            chips.addWidget(button)
        chips.addStretch(1)
        self.help = label("", "small", wrap=True)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName(tr("Example"))
        self.copy = Button(theme, tr("Copy with the token"), self._on_copy, icon_name="copy")
        chips.addWidget(self.copy)
        box = frame("code")
        inside = QVBoxLayout(box)
        inside.setContentsMargins(Space.MEDIUM, Space.SMALL, Space.MEDIUM, Space.SMALL)
        inside.addWidget(self.text)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.SMALL)
        layout.addLayout(chips)
        layout.addWidget(self.help)
        layout.addWidget(box)
        self.buttons.idToggled.connect(lambda _place, _on: self._show())
        self.buttons.button(0).setChecked(True)

    def fill(self, url: str, token: str, model: str) -> None:
        """Show the examples with these values."""
        if (url, token, model) != self._values:
            self._values = (url, token, model)
            self.copy.set_text(tr("Copy with the token") if token else tr("Copy"))
            self._show()

    def whole(self) -> str:
        """The example that is chosen, with the token."""
        return EXAMPLES[self.buttons.checkedId()].filled(*self._values)

    def _show(self) -> None:
        example = EXAMPLES[max(self.buttons.checkedId(), 0)]
        url, token, model = self._values
        self.help.setText(tr(example.help))
        self.text.setPlainText(example.filled(url, MASK if token else "", model))
        lines = self.text.blockCount() + 1
        self.text.setFixedHeight(lines * self.text.fontMetrics().lineSpacing() + 2 * Space.SMALL)

    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.whole())
