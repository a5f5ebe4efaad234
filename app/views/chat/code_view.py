"""A code block: its language, a copy button, and the code in colours that arrive in small slices of time."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QGuiApplication,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout

from app.text import highlight
from app.text.markdown import Code
from app.theme import Colours, Theme, code_font
from app.translation import tr
from app.views.controls.controls import IconButton, label

SLICE = 0.004
"""Seconds of lexing before the event loop gets its turn."""
LIVE_LIMIT = 3000
"""Characters up to which an unfinished block is coloured anew on every change."""
PADDING = 12


class _Painter(QSyntaxHighlighter):
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


class _Edit(QPlainTextEdit):
    """Read-only code that is as high as its lines and scrolls sideways only."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        if abs(event.angleDelta().x()) > abs(event.angleDelta().y()):
            super().wheelEvent(event)
        else:
            event.ignore()


class CodeView(QFrame):
    """Shows a :class:`app.text.markdown.Code`; while it grows, only what is new is inserted."""

    def __init__(self, theme: Theme, block: Code) -> None:
        super().__init__()
        self._theme, self._block = theme, Code("")
        self._lexing: Iterator[highlight.Span] | None = None
        self.setProperty("role", "code")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

        self._language = label("", "small")
        self._copy = IconButton(theme, "copy", tr("Copy code"), self.copy, size=15)
        head = QHBoxLayout()
        head.setContentsMargins(PADDING + 2, 5, 6, 0)
        head.addWidget(self._language)
        head.addStretch()
        head.addWidget(self._copy)

        self._edit = _Edit()
        self._edit.setReadOnly(True)
        self._edit.setUndoRedoEnabled(False)
        self._edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._edit.setFont(code_font())
        self._edit.setFrameShape(QFrame.Shape.NoFrame)
        self._edit.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._edit.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._edit.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._edit.document().setDocumentMargin(0)
        self._edit.setAccessibleName(tr("Code"))
        self._painter = _Painter(self._edit.document(), theme.colours)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        body = QHBoxLayout()
        body.setContentsMargins(PADDING + 2, 2, 4, PADDING)
        body.addWidget(self._edit)
        layout.addLayout(body)

        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._lex_slice)
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.timeout.connect(self._offer_copy)
        self.show_block(block)

    @property
    def text(self) -> str:
        return self._block.text

    def show_block(self, block: Code) -> None:
        """Show ``block``; cheap when it continues the one before."""
        before, self._block = self._block, block
        self.setContentsMargins(26 * block.depth, 0, 0, 0)
        self._language.setText(block.language or tr("code"))
        if block.text != before.text:
            self._insert(before.text, block.text)
            self._fit()
        if block.closed or len(block.text) <= LIVE_LIMIT:
            self._start_lexing()

    def restyle(self) -> None:
        self._painter.recolour(self._theme.colours)
        self._painter.rehighlight()

    def copy(self) -> None:
        """Put the code on the clipboard."""
        QGuiApplication.clipboard().setText(self._block.text)
        self._copy.set_icon("check")
        self._copy.set_name(tr("Copied"))
        self._copied.start(1600)

    def _offer_copy(self) -> None:
        self._copy.set_icon("copy")
        self._copy.set_name(tr("Copy code"))

    def _insert(self, before: str, after: str) -> None:
        if before and after.startswith(before):
            cursor = QTextCursor(self._edit.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(after[len(before) :])
        else:
            self._painter.lines.clear()
            self._edit.setPlainText(after)

    def _fit(self) -> None:
        metrics = QFontMetricsF(self._edit.font())
        height = metrics.lineSpacing() * self._edit.document().blockCount() + 4
        bar = self._edit.horizontalScrollBar().sizeHint().height()
        self._edit.setFixedHeight(round(height) + bar)

    def _start_lexing(self) -> None:
        self._lexing = None
        self._timer.setInterval(0)
        self._timer.start()

    def _lex_slice(self) -> None:
        """Colour as many lines as the time slice allows; the next turn of the event loop goes on."""
        if not highlight.ready(self._block.language):
            self._timer.setInterval(50)
            return
        if self._lexing is None:
            self._lexing = highlight.spans(self._block.text, self._block.language)
            self._line_starts = _line_starts(self._block.text)
            self._line = 0
            self._pending: list[list[highlight.Span]] = [[]]
        self._timer.setInterval(0)
        deadline = perf_counter() + SLICE
        for span in self._lexing:
            self._place(span)
            if perf_counter() > deadline:
                break
        else:
            self._lexing = None
            self._timer.stop()
        done = self._pending if self._lexing is None else self._pending[:-1]
        self._painter.show_lines(self._line, done)
        self._line += len(done)
        self._pending = self._pending[len(done) :]

    def _place(self, span: highlight.Span) -> None:
        """Sort a span, which may cross lines, into the lines it covers."""
        start, end = span.start, span.start + span.length
        while start < end:
            line = self._line + len(self._pending) - 1
            while line + 1 < len(self._line_starts) and self._line_starts[line + 1] <= start:
                self._pending.append([])
                line += 1
            line_end = self._line_starts[line + 1] - 1 if line + 1 < len(self._line_starts) else len(self._block.text)
            stop = min(end, line_end)
            if stop > start:
                column = start - self._line_starts[line]
                self._pending[-1].append(highlight.Span(column, stop - start, span.role))
            start = max(stop, line_end + 1)


def _line_starts(text: str) -> list[int]:
    starts, at = [0], -1
    while (at := text.find("\n", at + 1)) >= 0:
        starts.append(at + 1)
    return starts
