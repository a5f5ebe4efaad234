"""The formulas in a piece of formatted text: set on the line, as wide as there is room, copied as their source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontInfo,
    QFontMetrics,
    QGuiApplication,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
)

from app.text import inert
from app.text.formulas import IMAGE, Formula, formula_of
from app.text.plain import from_html
from app.views.chat.formula_images import Drawing, formula_images, paint

if TYPE_CHECKING:
    import re

    from app.views.chat.rich_text import RichText

PICTURE = "\ufffc"
"""The character that stands for a picture in a document."""
SCALE = 1.12
"""Serif letters of mathematics look smaller than those of an interface font."""
NARROWEST = 0.6
"""Formulas wider than the text are made smaller, but not below this: beyond, the text scrolls sideways."""


class FormulaText:
    """Works for one :class:`app.views.chat.rich_text.RichText`; made anew with each content of it."""

    def __init__(self, view: RichText, content: str) -> None:
        self._view, self._content = view, content
        self._missing: set[Formula] = set()
        self._widest = 0.0
        self._room = 0

    def html(self) -> str:
        """The content; formulas that are not drawn yet, or cannot be, as their source."""
        self._missing.clear()
        images = formula_images()

        def shown(found: re.Match[str]) -> str:
            formula = formula_of(found[1])
            assert formula is not None
            if images.drawing(formula) is not None:
                return found[0]
            if not images.known(formula):
                self._missing.add(formula)
            return escape(inert.prose(formula.source)).replace("\n", "<br/>")

        return IMAGE.sub(shown, self._content)

    def text(self) -> str:
        """The content in words and sources, for what reads it aloud."""
        return from_html(self._content)

    @property
    def waiting(self) -> bool:
        """Whether formulas are missing of which nothing is known yet."""
        return bool(self._missing)

    def ready(self) -> bool:
        """Whether something is known now of a formula that was missing."""
        images = formula_images()
        return any(images.known(formula) for formula in self._missing)

    def reshape(self, width: int) -> bool:
        """There are ``width`` pixels now; whether the formulas have to be placed anew."""
        changed = width != self._room and self._widest > min(width, self._room or width)
        self._room = width
        return changed

    @property
    def too_wide(self) -> bool:
        """Whether a formula is wider than the text even when it is made smaller."""
        return bool(self._room) and self._widest * NARROWEST > self._room - 4

    def place(self, colour: str) -> None:
        """Give every picture its size and set it on the line of the text."""
        document = self._view.document()
        ratio = self._view.devicePixelRatioF()
        self._widest = 0.0
        for fragment in list(_pictures(document)):
            style = fragment.charFormat().toImageFormat()
            formula = formula_of(style.name())
            drawing = formula_images().drawing(formula) if formula is not None else None
            if drawing is None:
                continue
            em = _em(document, style)
            self._widest = max(self._widest, drawing.width * em)
            room = self._room - 4 if self._room else 0
            shrink = max(NARROWEST, min(1.0, room / (drawing.width * em))) if room else 1.0
            below, size = _descent(document.defaultFont().family(), math.ceil(drawing.descent * em * shrink))
            image = paint(drawing, em, QColor(colour), ratio, below, shrink)
            document.addResource(QTextDocument.ResourceType.ImageResource, QUrl(style.name()), image)
            style.setWidth(image.width() / ratio)
            style.setHeight(image.height() / ratio)
            style.setFontFamilies([document.defaultFont().family()])
            style.setProperty(QTextFormat.Property.FontPixelSize, size)
            style.clearProperty(QTextFormat.Property.FontPointSize)
            style.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignBaseline)
            for place in range(fragment.position(), fragment.position() + fragment.length()):
                cursor = QTextCursor(document)
                cursor.setPosition(place)
                cursor.setPosition(place + 1, QTextCursor.MoveMode.KeepAnchor)
                cursor.setCharFormat(style)

    def selected_text(self) -> str:
        """What is selected, formulas as their source."""
        cursor = self._view.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        found = []
        for fragment in _pictures(self._view.document()):
            formula = formula_of(fragment.charFormat().toImageFormat().name())
            for place in range(fragment.position(), fragment.position() + fragment.length()):
                if start <= place < end and formula is not None:
                    found.append(formula.source)
        parts = cursor.selection().toPlainText().split(PICTURE)
        sources = [*found, *[""] * len(parts)]
        return "".join(part + source for part, source in zip(parts, sources, strict=False)).rstrip("\0")


def _pictures(document: QTextDocument) -> Iterator[QTextFragment]:
    block = document.begin()
    while block.isValid():
        pieces = block.begin()
        while not pieces.atEnd():
            fragment = pieces.fragment()
            if fragment.charFormat().isImageFormat():
                yield fragment
            pieces += 1
        block = block.next()


def _em(document: QTextDocument, style: QTextCharFormat) -> float:
    font = QFont(document.defaultFont())
    if style.hasProperty(QTextFormat.Property.FontPointSize):
        font.setPointSizeF(style.fontPointSize())
    return SCALE * QFontInfo(font).pixelSize()


@cache
def _descent(family: str, wanted: int) -> tuple[int, int]:
    """A picture hangs as far below the line as the letters of its font do: that descent, at least ``wanted``
    pixels, and the size of the font that has it."""
    font = QFont(family)
    size = max(1, wanted)
    while True:
        font.setPixelSize(size)
        descent = QFontMetrics(font).descent()
        if descent >= wanted or size > 2000:
            return descent, size
        size += max(1, wanted - descent)


def warm() -> None:
    """What the first formula on the screen would wait for: fonts in the sizes whose descent is used, the painter."""
    family = QGuiApplication.font().family()
    for below in (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20):
        _descent(family, below)
    drawing = Drawing('<svg viewBox="0 -9 9 9"><path d="M0 -9 L9 0"/></svg>', 0.5, 0.5, 0.0)
    paint(drawing, 16.0, QColor("black"), 1.0, 0)
