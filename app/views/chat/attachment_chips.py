"""The files of a message that was sent, as chips: name, size, tokens; a click shows what the model read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app import wording
from app.history.history import Attachment
from app.theme import Theme
from app.translation import tr
from app.views.chat.flow_layout import FlowLayout
from app.views.controls.controls import Button, label

ICONS = {"pdf": "pdf", "docx": "file-text", "markdown": "file-text", "code": "code", "text": "text"}
NAME = 220
"""Pixels of the name at most."""
SHOWN = 200_000
"""Characters that are shown of a file."""


class AttachmentChips(QWidget):
    """One button for each file."""

    def __init__(self, theme: Theme, attachments: Sequence[Attachment]) -> None:
        super().__init__()
        self._theme = theme
        flow = FlowLayout(6)
        self.setLayout(flow)
        self.setAccessibleName(tr("Attached files"))
        self.buttons: list[Button] = []
        for one in attachments:
            button = Button(theme, "", partial(self._open, one), icon_name=ICONS.get(one.kind, "file"))
            words = facts(one.bytes, one.tokens)
            button.setText(f" {shortened(one.name, button.fontMetrics())}   {words}")
            button.setAccessibleName(tr("Show {name}").format(name=one.name))
            button.setToolTip(f"{one.name}\n{words}")
            flow.addWidget(button)
            self.buttons.append(button)

    def _open(self, attachment: Attachment) -> None:
        show_text(self, self._theme, attachment.name, attachment.text)


def facts(size: int, tokens: int, more: bool = False) -> str:
    """Size and tokens in words; tokens below 1 are not known, and with ``more`` there are more than these."""
    parts = [wording.size(size)] if size else []
    if tokens > 0:
        text = tr("more than {count} tokens") if more else tr("{count} tokens")
        parts.append(text.format(count=wording.count(tokens)))
    return "  ·  ".join(parts)


def shortened(name: str, metrics: QFontMetrics) -> str:
    """A long name without its middle."""
    return metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, NAME)


def show_text(parent: QWidget, theme: Theme, name: str, text: str) -> None:
    """What the model reads of a file, in a window of its own."""
    dialog = QDialog(parent.window())
    dialog.setWindowTitle(name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.resize(720, 560)
    field = QPlainTextEdit()
    field.setReadOnly(True)
    field.setProperty("role", "field")
    field.setAccessibleName(tr("What the model reads of {name}").format(name=name))
    field.setPlainText(text[:SHOWN])
    layout = QVBoxLayout(dialog)
    layout.addWidget(field)
    if len(text) > SHOWN:
        layout.addWidget(label(tr("The beginning; the model reads all of it."), "small"))
    row = QHBoxLayout()
    row.addStretch()
    row.addWidget(Button(theme, tr("Close"), dialog.accept, kind="primary"))
    layout.addLayout(row)
    dialog.open()
