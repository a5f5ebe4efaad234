"""A model's thinking, folded away until someone wants to read it."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import QMargins
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import wording
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_body import MessageBody
from app.views.chat.stack import Stack
from app.views.controls.controls import Button


class ThinkingView(Stack):
    """The text is laid out only while it is unfolded."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(6)
        self._text = self._shown = ""
        self._began: float | None = None
        self._button = Button(theme, "", self._toggle, kind="fold", icon_name="chevron-right")
        self._content = MessageBody(theme, muted=True)
        self._frame = Stack(0, QMargins(14, 2, 0, 2))
        self._frame.setProperty("role", "thinking")
        self._frame.setAccessibleName(tr("Thinking"))
        self._frame.add(self._content)
        self._frame.hide()
        row = QWidget()
        inner = QHBoxLayout(row)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._button)
        inner.addStretch()
        self.add(row)
        self.add(self._frame)

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
            self._show()

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
            self._show()
        self._frame.setVisible(unfold)
        self.updateGeometry()

    def _show(self) -> None:
        """What is new of the text."""
        if not self._text.startswith(self._shown) or not self._shown:
            self._content.set_text("")
            self._shown = ""
        if len(self._text) > len(self._shown):
            self._content.feed(self._text[len(self._shown) :])
        self._shown = self._text
