"""What a list shows when there is nothing in it: why, and what to do."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.theme import Space, Theme
from app.views.controls.controls import Button, label
from app.views.controls.icons import pixmap


class EmptyState(QWidget):
    """An icon, a sentence, and buttons that lead on."""

    def __init__(self, theme: Theme, icon_name: str, title: str, sentence: str, buttons: list[Button]) -> None:
        super().__init__()
        self._theme, self._icon_name = theme, icon_name
        self._mark = QLabel()
        centre = Qt.AlignmentFlag.AlignHCenter
        heading, words = label(title, "heading", wrap=True), label(sentence, "muted", wrap=True)
        heading.setAlignment(centre)
        words.setAlignment(centre)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.PAGE, Space.LARGE, Space.PAGE)
        layout.setSpacing(Space.SMALL)
        layout.addWidget(self._mark, 0, centre)
        layout.addWidget(heading)
        layout.addWidget(words)
        for button in buttons:
            layout.addSpacing(Space.TINY)
            layout.addWidget(button, 0, centre)
        theme.changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        self._mark.setPixmap(pixmap(self._icon_name, self._theme.colours.muted, 40, self.devicePixelRatioF()))
