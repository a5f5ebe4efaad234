"""One line above the content for what the user should know: calm, dismissable, with at most two actions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.theme import Theme
from app.translation import tr
from app.views.controls.announcement import announce
from app.views.controls.controls import Button, IconButton, frame, label, set_property
from app.views.controls.icons import pixmap


class NoticeBar(QWidget):
    """``tone``: "" (information), "warning" or "danger".  ``seconds`` 0: stays until closed or replaced."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._action: Callable[[], object] | None = None
        self._tone = ""
        self._icon = QLabel()
        self._text = label("", wrap=True, selectable=True)
        self._button = Button(theme, "", self._act)
        self._button.hide()
        self._second: Callable[[], object] | None = None
        self._second_button = Button(theme, "", self._act_second)
        self._second_button.hide()
        self._close = IconButton(theme, "close", tr("Dismiss"), self.hide, size=15)
        self._frame = frame("notice")
        row = QHBoxLayout(self._frame)
        row.setContentsMargins(14, 7, 8, 7)
        row.setSpacing(10)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        row.addWidget(self._button)
        row.addWidget(self._second_button)
        row.addWidget(self._close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 0)
        layout.addWidget(self._frame)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        theme.changed.connect(self._draw_icon)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_notice(
        self,
        text: str,
        tone: str = "",
        action: str = "",
        on_action: Callable[[], object] | None = None,
        seconds: float = 0,
        second: str = "",
        on_second: Callable[[], object] | None = None,
    ) -> None:
        """Replaces what was shown before; screen readers say it."""
        self._text.setText(text)
        self.setAccessibleName(text)
        self._tone, self._action = tone, on_action
        set_property(self._frame, "tone", tone)
        self._button.set_text(action)
        self._button.setVisible(bool(action))
        self._second = on_second
        self._second_button.set_text(second)
        self._second_button.setVisible(bool(second))
        self._draw_icon()
        self.show()
        announce(self, text, urgent=tone == "danger")
        self._timer.stop()
        if seconds:
            self._timer.start(int(seconds * 1000))

    def _act(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()

    def _act_second(self) -> None:
        self.hide()
        if self._second is not None:
            self._second()

    def _draw_icon(self) -> None:
        name = "warning" if self._tone else "info"
        colour = getattr(self._theme.colours, self._tone or "accent")
        self._icon.setPixmap(pixmap(name, colour, 18, self.devicePixelRatioF()))
