"""The field in which a message is written: plain text; files and long texts that are pasted become attachments."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, Qt, Signal
from PySide6.QtGui import QFocusEvent, QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from app.translation import tr
from app.views.chat.text_direction import TextDirection

MOST_LINES = 9
LONG = 10_000
"""Characters from which a pasted text is attached instead: the field would take long to lay it out, and nobody would
find the question in it."""


class MessageEdit(QPlainTextEdit):
    """Enter submits, Shift+Enter makes a new line; with ``enter_sends`` off, Ctrl+Enter submits.  Each paragraph has
    the direction of its own text."""

    submitted = Signal()
    focus_changed = Signal(bool)
    files_given = Signal(list)
    """Paths that were pasted or dropped."""
    long_text = Signal(str)
    """A text that is too long to be written here was pasted."""
    no_text = Signal()
    """A picture was pasted."""
    up_pressed = Signal()
    """The key was pressed in the empty field."""

    def __init__(self) -> None:
        super().__init__()
        self.enter_sends = True
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setAccessibleName(tr("Message"))
        self.take_size()
        self.document().setDocumentMargin(0)
        TextDirection(self)
        self.textChanged.connect(self._fit)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def take_size(self) -> None:
        """A little larger than the interface's text, whose size may be another now."""
        font = QGuiApplication.font()
        font.setPointSizeF(font.pointSizeF() * 1.06)
        self.setFont(font)
        self.viewport().setFont(font)  # what stands in the empty field is painted in this one

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802
        return source.hasUrls() or source.hasText() or source.hasImage()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        if files := local_files(source):
            self.files_given.emit(files)
        elif source.hasText():
            text = source.text()
            if len(text) > LONG:
                self.long_text.emit(text)
            else:
                self.insertPlainText(text)
        elif source.hasImage():
            self.no_text.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            control = modifiers == Qt.KeyboardModifier.ControlModifier
            if control or (self.enter_sends and modifiers == Qt.KeyboardModifier.NoModifier):
                self.submitted.emit()
            else:
                self.insertPlainText("\n")
                self.ensureCursorVisible()
        elif event.key() == Qt.Key.Key_Up and not modifiers and self.document().isEmpty():
            self.up_pressed.emit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self, _size: object = None) -> None:
        lines = max(1, min(MOST_LINES, round(self.document().size().height())))  # in lines, by Qt's definition
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 6)
        fits = self.document().size().height() <= MOST_LINES
        off, needed = Qt.ScrollBarPolicy.ScrollBarAlwaysOff, Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.setVerticalScrollBarPolicy(off if fits else needed)


def local_files(source: QMimeData) -> list[Path]:
    """The files of this machine that are being pasted or dropped."""
    return [Path(url.toLocalFile()) for url in source.urls() if url.isLocalFile()] if source.hasUrls() else []
