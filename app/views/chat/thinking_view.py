"""A model's thinking, folded away until someone wants to read it."""

from __future__ import annotations

from time import monotonic

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app import wording
from app.theme import Theme
from app.translation import tr
from app.views.chat.rich_text import RichText
from app.views.controls.controls import Button, frame


class ThinkingView(QWidget):
    """The text is laid out only while it is unfolded."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._text = ""
        self._began: float | None = None
        self._button = Button(theme, "", self._toggle, kind="fold", icon_name="chevron-right")
        self._frame: QFrame = frame("thinking")
        self._content = RichText(theme, muted=True)
        self._content.setAccessibleName(tr("Thinking"))
        inner = QVBoxLayout(self._frame)
        inner.setContentsMargins(14, 2, 0, 2)
        inner.addWidget(self._content)
        self._frame.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        row = QVBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        layout.addLayout(row)
        layout.addWidget(self._frame)
        self._button.setSizePolicy(self._button.sizePolicy().Policy.Maximum, self._button.sizePolicy().verticalPolicy())

    def show_thinking(self, text: str, still_thinking: bool) -> None:
        self._text = text
        if still_thinking and self._began is None:
            self._began = monotonic()
        if still_thinking:
            self._name(tr("Thinking…"))
        elif self._began is not None:
            self._name(tr("Thought for {time}").format(time=wording.duration(monotonic() - self._began)))
            self._began = None
        elif not self._button.accessibleName():
            self._name(tr("Thoughts"))
        if self.unfolded:
            self._content.set_plain(text)

    @property
    def unfolded(self) -> bool:
        return not self._frame.isHidden()

    def restyle(self) -> None:
        self._content.restyle()

    def _name(self, text: str) -> None:
        if self._button.accessibleName() != text:
            self._button.set_text(text)

    def _toggle(self) -> None:
        unfold = not self.unfolded
        self._button.set_icon("chevron-down" if unfold else "chevron-right")
        if unfold:
            self._content.set_plain(self._text)
        self._frame.setVisible(unfold)
