"""Two answers to one question side by side, with the words that differ marked."""

from __future__ import annotations

import difflib
import re

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QResizeEvent, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

from app.jobs.receipt import Sample
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import frame, label

NARROW = 560
"""Pixels below which the answers stand below one another."""
Piece = tuple[str, bool]
"""Text, and whether it differs."""


def differing(original: str, converted: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces, by words."""
    ours, theirs = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (converted, original))
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if b > a:
            left.append(("".join(theirs[a:b]), kind != "equal"))
        if d > c:
            right.append(("".join(ours[c:d]), kind != "equal"))
    return left, right


class AnswerText(QTextEdit):
    """Plain text as high as it needs to be.  Nothing in it is interpreted."""

    def __init__(self, theme: Theme, pieces: list[Piece], name: str) -> None:
        super().__init__()
        self._theme, self._pieces = theme, pieces
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.setAccessibleName(name)
        theme.changed.connect(self._write)
        self._write()

    def _write(self) -> None:
        colours = self._theme.colours
        plain, marked = QTextCharFormat(), QTextCharFormat()
        plain.setForeground(QColor(colours.text))
        marked.setForeground(QColor(colours.text))
        marked.setBackground(QColor(colours.warning_soft))
        marked.setUnderlineStyle(QTextCharFormat.UnderlineStyle.DotLine)  # colour alone says nothing to some
        marked.setUnderlineColor(QColor(colours.warning))
        self.clear()
        cursor = QTextCursor(self.document())
        for text, differs in self._pieces:
            cursor.insertText(text, marked if differs else plain)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.document().setTextWidth(self.viewport().width())
        self.setFixedHeight(int(self.document().size().height()) + 2)


class SampleTexts(QWidget):
    """One question and both answers; without the original's, the model's own alone."""

    def __init__(self, theme: Theme, sample: Sample) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(label(sample.question, "heading", wrap=True, selectable=True))
        self._row = QHBoxLayout()
        self._row.setSpacing(12)
        layout.addLayout(self._row)
        if sample.original is None:
            self._add(theme, tr("This model"), [(sample.converted, False)], sample.question)
        elif sample.original == sample.converted:
            self._add(theme, tr("Both, word for word"), [(sample.converted, False)], sample.question)
        else:
            left, right = differing(sample.original, sample.converted)
            self._add(theme, tr("Original"), left, sample.question)
            self._add(theme, tr("This model"), right, sample.question)

    def _add(self, theme: Theme, who: str, pieces: list[Piece], question: str) -> None:
        panel = frame("panel")
        inside = QVBoxLayout(panel)
        inside.setContentsMargins(13, 10, 13, 12)
        inside.setSpacing(5)
        inside.addWidget(label(who, "small"))
        text = tr("{who}, answer to: {question}").format(who=who, question=question)
        inside.addWidget(AnswerText(theme, pieces or [(tr("(no answer)"), False)], text))
        inside.addStretch(1)
        self._row.addWidget(panel, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = event.size().width() < NARROW
        self._row.setDirection(
            QHBoxLayout.Direction.TopToBottom if narrow else QHBoxLayout.Direction.LeftToRight
        )
