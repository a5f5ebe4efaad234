"""The line in a conversation up to which the model does not read it word for word any more."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.chat.context_change import Change, sentence
from app.theme import Theme
from app.translation import tr
from app.views.chat.rich_text import RichText
from app.views.controls.controls import Button, frame, label


class ContextMarker(QWidget):
    """A summary can be unfolded under the line."""

    def __init__(self, theme: Theme, change: Change) -> None:
        super().__init__()
        self.change = change
        text = sentence(change)
        self.setAccessibleName(text)
        self._summary = RichText(theme, muted=True)
        self._summary.setAccessibleName(tr("Summary of the messages above"))
        self._summary.set_plain(str(change.get("summary") or ""))
        self._frame = frame("thinking")
        inner = QVBoxLayout(self._frame)
        inner.setContentsMargins(14, 2, 0, 2)
        inner.addWidget(self._summary)
        self._frame.hide()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(frame("rule"), 1)
        if change.get("summary"):
            self._button = Button(theme, text, self._toggle, kind="fold", icon_name="chevron-right")
            self._button.setToolTip(tr("Show the summary that the model reads in their place"))
            self._button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            row.addWidget(self._button)
        else:
            row.addWidget(label(text, "small"), 0, Qt.AlignmentFlag.AlignCenter)
        row.addWidget(frame("rule"), 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 12, 0, 6)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self._frame)

    @property
    def unfolded(self) -> bool:
        """Whether the summary is shown."""
        return not self._frame.isHidden()

    def restyle(self) -> None:
        """The theme is another."""
        self._summary.restyle()

    def _toggle(self) -> None:
        unfold = not self.unfolded
        self._button.set_icon("chevron-down" if unfold else "chevron-right")
        self._frame.setVisible(unfold)
