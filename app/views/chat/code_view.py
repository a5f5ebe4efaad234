"""A code block: its language, a copy button, and the code in colours that arrive in small slices of time."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QFontMetricsF, QGuiApplication, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout

from app.text import highlight, inert
from app.text.markdown import Code
from app.theme import Theme, code_font
from app.translation import tr
from app.views.chat.code_edit import CodeEdit, Painter
from app.views.controls.controls import Button, IconButton, label

SLICE = 0.004
"""Seconds of lexing before the event loop gets its turn."""
LIVE_LIMIT = 3000
"""Characters up to which an unfinished block is coloured anew on every change."""
COLOURED = 200_000
"""Characters up to which code is coloured at all."""
FOLD, FOLDED = 400, 40
"""Lines beyond which finished code is folded, and how many it then shows."""
UNFOLDED = 5000
"""Lines added each time more are asked for: what is laid out at once stays within a tenth of a second."""
LONGEST_LINE = 3000
"""Characters of a line; what goes on is continued on the next one, where a layout would take seconds."""
PADDING = 12


class CodeView(QFrame):
    """Shows a :class:`app.text.markdown.Code`; while it grows, only what is new is inserted."""

    def __init__(self, theme: Theme, block: Code) -> None:
        super().__init__()
        self._theme, self._block = theme, Code("")
        self._lexing: Iterator[highlight.Span] | None = None
        self._shown = ""
        self._lines = 0
        """How many lines are shown at most; 0: all."""
        self._grew = False
        self.setProperty("role", "code")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

        self._language = label("", "small")
        self._wrap = IconButton(theme, "wrap", tr("Wrap long lines"), self._toggle_wrap, size=15)
        self._wrap.setCheckable(True)
        self._copy = IconButton(theme, "copy", tr("Copy code"), self.copy, size=15)
        head = QHBoxLayout()
        head.setContentsMargins(PADDING + 2, 5, 6, 0)
        head.addWidget(self._language)
        head.addStretch()
        head.addWidget(self._wrap)
        head.addWidget(self._copy)

        self._edit = CodeEdit()
        self._edit.setAccessibleName(tr("Code"))
        self._painter = Painter(self._edit.document(), theme.colours)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        body = QHBoxLayout()
        body.setContentsMargins(PADDING + 2, 2, 4, PADDING)
        body.addWidget(self._edit)
        layout.addLayout(body)
        self._more = Button(theme, "", self._unfold, kind="fold", icon_name="chevron-down")
        self._more.hide()
        below = QHBoxLayout()
        below.setContentsMargins(PADDING, 0, PADDING, 6)
        below.addWidget(self._more)
        below.addStretch()
        self._below = below
        layout.addLayout(below)

        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._lex_slice)
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.timeout.connect(self._offer_copy)
        self.show_block(block)

    @property
    def text(self) -> str:
        """The code as it was written."""
        return self._block.text

    @property
    def folded(self) -> bool:
        """Whether there is more of it than is shown."""
        return not self._more.isHidden()

    def show_block(self, block: Code) -> None:
        """Show ``block``; cheap when it continues the one before."""
        before, self._block = self._block, block
        self._grew = self._grew or not block.closed
        depth = 26 * block.depth
        right = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        self.setContentsMargins(0 if right else depth, 0, depth if right else 0, 0)
        self._language.setText(inert.link(block.language) or tr("code"))
        if not before.text and not self._grew and block.text.count("\n") >= FOLD:
            self._lines = FOLDED  # what grew before the reader's eyes stays unfolded
        if block.text != before.text:
            self._show(self._grew)
        if block.closed or len(block.text) <= LIVE_LIMIT:
            self._start_lexing()

    def _show(self, growing: bool = False) -> None:
        text, whole = self._block.text, True
        if self._lines:
            lines = text.split("\n", self._lines)
            whole = len(lines) <= self._lines
            text = text if whole else "\n".join(lines[:-1])
        shown = _displayed(text)
        self._insert(self._shown if growing else "", shown)
        self._shown = shown
        count = self._block.text.count("\n") + 1
        self._more.setVisible(not whole)
        if not whole:
            more = tr("Show more of {count} lines") if self._lines > FOLDED or count > UNFOLDED else ""
            self._more.set_text((more or tr("Show all {count} lines")).format(count=count))
        self._fit()

    def _unfold(self) -> None:
        count = self._block.text.count("\n") + 1
        self._lines = 0 if count <= UNFOLDED else (self._lines if self._lines > FOLDED else 0) + UNFOLDED
        if self._lines >= count:
            self._lines = 0
        self._show()
        self._start_lexing()
        self.updateGeometry()

    def unfold_all(self) -> None:
        """Show every line, for something in it was found."""
        self._lines = 0
        self._show()
        self._start_lexing()
        self.updateGeometry()

    def fit(self, width: int) -> int:
        """The height at ``width``."""
        if self._wrap.isChecked():
            margins = self.contentsMargins()
            self._edit.resize(width - margins.left() - margins.right() - 2 * PADDING, self._edit.height())
            self._fit()
        return self.sizeHint().height()

    def _toggle_wrap(self) -> None:
        wrap = self._wrap.isChecked()
        self._edit.setWordWrapMode(
            QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere if wrap else QTextOption.WrapMode.NoWrap
        )
        mode = QPlainTextEdit.LineWrapMode
        self._edit.setLineWrapMode(mode.WidgetWidth if wrap else mode.NoWrap)
        self._wrap.set_name(tr("Do not wrap lines") if wrap else tr("Wrap long lines"))
        self._fit()
        self.updateGeometry()

    def restyle(self) -> None:
        if (font := code_font()) != self._edit.font():  # another size of text
            self._edit.setFont(font)
            self._fit()
            self.updateGeometry()
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
        lines = self._edit.document().blockCount()
        if self._wrap.isChecked():
            lines = round(self._edit.document().documentLayout().documentSize().height())
        bar = self._edit.horizontalScrollBar().sizeHint().height()
        self._edit.setFixedHeight(round(metrics.lineSpacing() * lines + 4) + bar)

    def _start_lexing(self) -> None:
        self._lexing = None
        if len(self._shown) <= COLOURED:
            self._timer.setInterval(0)
            self._timer.start()

    def _lex_slice(self) -> None:
        """Colour as many lines as the time slice allows; the next turn of the event loop goes on."""
        if not highlight.ready(self._block.language):
            self._timer.setInterval(50)
            return
        if self._lexing is None:
            self._lexing = highlight.spans(self._shown, self._block.language)
            self._line_starts = _line_starts(self._shown)
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
            line_end = self._line_starts[line + 1] - 1 if line + 1 < len(self._line_starts) else len(self._shown)
            stop = min(end, line_end)
            if stop > start:
                column = start - self._line_starts[line]
                self._pending[-1].append(highlight.Span(column, stop - start, span.role))
            start = max(stop, line_end + 1)


def _displayed(text: str) -> str:
    """``text`` with nothing hidden in it, and no line that a layout could not bear."""
    text = inert.code(text)
    if len(text) <= LONGEST_LINE:
        return text
    lines = text.split("\n")
    if max(map(len, lines)) <= LONGEST_LINE:
        return text
    return "\n".join(
        line[at : at + LONGEST_LINE] for line in lines for at in range(0, max(1, len(line)), LONGEST_LINE)
    )


def _line_starts(text: str) -> list[int]:
    starts, at = [0], -1
    while (at := text.find("\n", at + 1)) >= 0:
        starts.append(at + 1)
    return starts
