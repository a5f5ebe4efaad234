"""The files that were given with a message, as chips that show their text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QDialog, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app import wording
from app.history.records import Attachment
from app.text import inert
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_body import MessageBody
from app.views.chat.text_scroll import TextScroll
from app.views.controls.controls import Button, label

GAP = 6
ICONS = {"pdf": "pdf", "docx": "file-text", "markdown": "file-text", "code": "code", "text": "text"}
NAME = 220
"""Pixels of a name at most."""


class AttachmentChips(QWidget):
    """As many in a line as there is room for."""

    def __init__(self, theme: Theme, attachments: Sequence[Attachment]) -> None:
        super().__init__()
        self._theme = theme
        self.chips: list[Button] = []
        for one in attachments:
            chip = Button(theme, chip_text(one), partial(self._show, one), kind="chip", icon_name=icon_of(one.kind))
            chip.setToolTip(tr("Show the text of {name}").format(name=inert.link(one.name)))
            chip.setParent(self)
            chip.show()
            self.chips.append(chip)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)

    def fit(self, width: int) -> int:
        """Break the chips into lines at ``width``; the height of all."""
        x = y = line = 0
        backwards = self.isRightToLeft()
        for chip in self.chips:
            size = self._sized(chip, width)
            wide = min(size.width(), width)
            if x and x + wide > width:
                x, y = 0, y + line + GAP
                line = 0
            chip.setGeometry(width - x - wide if backwards else x, y, wide, size.height())
            x, line = x + wide + GAP, max(line, size.height())
        return y + line

    def natural_width(self) -> int:
        """What all of them take in one line."""
        return sum(self._sized(chip, 1 << 20).width() + GAP for chip in self.chips) - GAP

    def _sized(self, chip: Button, width: int) -> QSize:
        """The size of a chip whose text is shortened in its middle where ``width`` does not suffice."""
        chip.ensurePolished()
        whole = f" {chip.accessibleName()}"
        if chip.text() != whole:
            chip.setText(whole)
        size = chip.sizeHint()
        if size.width() > width:
            room = chip.fontMetrics().horizontalAdvance(whole) - (size.width() - width) - GAP
            chip.setText(chip.fontMetrics().elidedText(whole, Qt.TextElideMode.ElideMiddle, max(24, room)))
        return size

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(300, self.fit(300))

    def _show(self, attachment: Attachment) -> None:
        dialog = AttachmentDialog(self._theme, attachment, self.window())
        dialog.open()


class AttachmentDialog(QDialog):
    """The text that was read from a file: what the model sees of it."""

    def __init__(self, theme: Theme, attachment: Attachment, parent: QWidget) -> None:
        super().__init__(parent)
        name = inert.link(attachment.name)
        self.setWindowTitle(name)
        self.resize(min(760, parent.width() - 60), min(640, parent.height() - 60))
        body = MessageBody(theme, lazy=True, plain=True)
        body.set_text(attachment.text or tr("No text was read from this file."))
        self.text = TextScroll(body)
        self.text.setAccessibleName(tr("Text of {name}").format(name=name))
        buttons = QHBoxLayout()
        buttons.addWidget(label(details(attachment), "small"), 1)
        buttons.addWidget(Button(theme, tr("Close"), self.accept, kind="primary"))
        layout = QVBoxLayout(self)
        layout.addWidget(label(name, "heading", wrap=True))
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self.finished.connect(self.deleteLater)


def chip_text(attachment: Attachment) -> str:
    """``"report.pdf · 1 240 tokens"``."""
    name = inert.link(attachment.name)
    name = name if len(name) <= 40 else f"{name[:24]}…{name[-14:]}"
    if not attachment.tokens:
        return f"{name}  ·  {wording.size(attachment.bytes)}"
    return tr("{name}  ·  {count} tokens").format(name=name, count=wording.count(attachment.tokens))


def icon_of(kind: str) -> str:
    """The name of the icon of a file of this kind."""
    return ICONS.get(kind, "file")


def facts(size: int, tokens: int, more: bool = False) -> str:
    """Size and tokens in words; tokens below 1 are not known, and with ``more`` there are more than these."""
    parts = [wording.size(size)] if size else []
    if tokens > 0:
        text = tr("more than {count} tokens") if more else tr("{count} tokens")
        parts.append(text.format(count=wording.count(tokens)))
    return "  ·  ".join(parts)


def shortened(name: str, metrics: QFontMetrics) -> str:
    """A long name without its middle."""
    return metrics.elidedText(inert.link(name), Qt.TextElideMode.ElideMiddle, NAME)


def details(attachment: Attachment) -> str:
    """Kind, size and tokens in a line."""
    return "  ·  ".join(filter(None, (attachment.kind, facts(attachment.bytes, attachment.tokens))))
