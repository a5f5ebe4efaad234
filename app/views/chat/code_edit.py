"""The text field of a code block, and its colours by line."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QSyntaxHighlighter, QTextCharFormat, QTextDocument, QWheelEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from app.text import highlight
from app.theme import Colours, code_font


class Painter(QSyntaxHighlighter):
    """Applies spans, kept by line, to the document."""

    def __init__(self, document: QTextDocument, colours: Colours) -> None:
        super().__init__(document)
        self.lines: list[list[highlight.Span]] = []
        self.recolour(colours)

    def recolour(self, colours: Colours) -> None:
        self._formats = {}
        for role in highlight.ROLES:
            text_format = QTextCharFormat()
            text_format.setForeground(QColor(colours.code(role)))
            text_format.setFontItalic(role == "comment")
            self._formats[role] = text_format

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        number = self.currentBlock().blockNumber()
        if number < len(self.lines):
            for start, length, role in self.lines[number]:
                self.setFormat(start, length, self._formats[role])

    def show_lines(self, first: int, lines: list[list[highlight.Span]]) -> None:
        """Set the spans of the lines from ``first`` on and repaint those that differ."""
        while len(self.lines) < first + len(lines):
            self.lines.append([])
        for number, spans in enumerate(lines, first):
            if self.lines[number] != spans:
                self.lines[number] = spans
                self.rehighlightBlock(self.document().findBlockByNumber(number))


class CodeEdit(QPlainTextEdit):
    """Read-only code that is as high as its lines and scrolls sideways only."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFont(code_font())
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # code is, whatever language the window speaks
        self.document().setDocumentMargin(0)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        if abs(event.angleDelta().x()) > abs(event.angleDelta().y()):
            super().wheelEvent(event)
        else:
            event.ignore()
