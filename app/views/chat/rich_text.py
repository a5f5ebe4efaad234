"""A piece of formatted text as high as its content: selectable, never scrolls, never loads anything.

The HTML comes from :mod:`app.text.markdown`, which escapes all that a model wrote.  Should a reference
slip through, this widget still refuses to fetch it, and a link opens in the system's browser
only when the user clicks it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, QUrl
from PySide6.QtGui import QFontMetricsF, QResizeEvent, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser

from app.text import formulas, inert
from app.text.markdown import SAFE_SCHEMES
from app.theme import Colours, Theme, code_font

if TYPE_CHECKING:
    from app.views.chat.formula_text import FormulaText

QWIDGETSIZE_MAX = (1 << 24) - 1
READING_SCALE = 1.06
"""Answers are set a little larger than the controls around them."""


def document_css(colours: Colours) -> str:
    """How the tags of :mod:`app.text.markdown` look inside a document."""
    mono = code_font().family()
    return f"""
        body, p, li, td, th {{ color: {colours.text}; line-height: 148%; }}
        td, th {{ line-height: 118%; }}
        p {{ margin-top: 0px; margin-bottom: 10px; }}
        li {{ margin-top: 0px; margin-bottom: 4px; }}
        ul, ol {{ margin-top: 0px; margin-bottom: 10px; }}
        h1, h2, h3, h4, h5, h6 {{ font-weight: 600; margin-top: 14px; margin-bottom: 8px; }}
        h1 {{ font-size: 17pt; }} h2 {{ font-size: 14.5pt; }} h3 {{ font-size: 12.5pt; }}
        h4, h5, h6 {{ font-size: 11.5pt; }}
        a {{ color: {colours.accent}; text-decoration: none; }}
        code {{ font-family: '{mono}'; font-size: {code_font().pointSizeF():.1f}pt;
                background-color: {colours.sunken}; }}
    """


class RichText(QTextBrowser):
    """Shows HTML, or plain text, at full height.  ``scroll_sideways`` allows content wider than the widget."""

    def __init__(self, theme: Theme, *, muted: bool = False, scroll_sideways: bool = False) -> None:
        super().__init__()
        self.theme, self._muted = theme, muted
        self._content, self._plain = "", False
        self._fitted = (-1, 0)
        self._in_stack = False
        self._formulas: FormulaText | None = None
        self._sideways = scroll_sideways
        if muted:
            self.setProperty("role", "muted")  # plain text takes its colour from the style sheet
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        wrap = QTextOption.WrapMode  # where it scrolls sideways, words stay whole
        self.setWordWrapMode(wrap.WordWrap if scroll_sideways else wrap.WrapAtWordBoundaryOrAnywhere)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextBrowserInteraction | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(26)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * READING_SCALE)
        self.setFont(font)
        self.anchorClicked.connect(self._open)
        self._restyle()

    def set_html(self, html: str) -> None:
        """Show escaped HTML."""
        if html != self._content or self._plain:
            self._content, self._plain = html, False
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if "<a " in html else Qt.FocusPolicy.ClickFocus)
            self._render()

    def set_plain(self, text: str) -> None:
        """Show text as it is, line breaks kept."""
        if text != self._content or not self._plain:
            self._content, self._plain = text, True
            self._render()

    def restyle(self) -> None:
        """Take the theme's colours afresh."""
        self._restyle()
        self._render()

    def natural_width(self) -> int:
        """The width that would hold every line of plain text unbroken."""
        metrics = QFontMetricsF(self.font())
        return math.ceil(max(metrics.horizontalAdvance(line) for line in self.toPlainText().split("\n"))) + 3

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802
        """Nothing is ever loaded: no remote and no local images or style sheets."""
        return None

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width() and not self._in_stack:
            self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Polished, or in another size of text: what was measured before does not hold any more."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self._fitted[0] >= 0:
            self._fitted = (-1, 0)
            self.updateGeometry()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Leave vertical scrolling to the list of messages."""
        sideways = self.horizontalScrollBarPolicy() != Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        if sideways and abs(event.angleDelta().x()) > abs(event.angleDelta().y()):
            super().wheelEvent(event)
        else:
            event.ignore()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(40, 0)

    def _restyle(self) -> None:
        colours = self.theme.colours
        css = document_css(colours)
        if self._muted:
            css += f" body, p, li, td, th {{ color: {colours.muted}; }}"
        self.document().setDefaultStyleSheet(css)

    def _render(self) -> None:
        self._fitted = (-1, 0)
        self._formulas = None
        if self._plain:
            self.setPlainText(inert.prose(self._content))
        elif formulas.IMAGE.search(self._content):
            from app.views.chat.formula_text import FormulaText

            self._formulas = FormulaText(self, self._content)
            self._show_formulas()
        else:
            self.setHtml(f"<body>{self._content}</body>")
        if not self._in_stack and self.parentWidget() is not None:
            self._fit()

    def _show_formulas(self) -> None:
        assert self._formulas is not None
        self.setHtml(f"<body>{self._formulas.html()}</body>")
        self._formulas.place(self.theme.colours.muted if self._muted else self.theme.colours.text)
        self.setAccessibleDescription(self._formulas.text())
        if self._formulas.waiting:
            from app.views.chat.formula_images import formula_images

            formula_images().wait(self)

    def refresh_formulas(self) -> bool:
        """Show formulas that were drawn in the meantime; whether none is missing any more."""
        if self._formulas is None:
            return True
        if self._formulas.ready() and not self.textCursor().hasSelection():
            self._fitted = (-1, 0)
            self._show_formulas()
            if self._in_stack:
                self.updateGeometry()
            else:
                self._fit()
        return not self._formulas.waiting

    def createMimeDataFromSelection(self) -> QMimeData:  # noqa: N802
        """Formulas are copied as their source."""
        if self._formulas is None:
            return super().createMimeDataFromSelection()
        data = QMimeData()
        data.setText(self._formulas.selected_text())
        return data

    def fit(self, width: int) -> int:
        """Lay the text out at ``width``, for a :class:`app.views.chat.stack.Stack`; the height that it takes."""
        if not self._in_stack:
            self._in_stack = True
            self.setMinimumHeight(0)
            self.setMaximumHeight(QWIDGETSIZE_MAX)
        if self._fitted[0] != width:
            if self.width() != width:  # else Qt may lay it out anew at the width that it still has
                self.resize(width, self.height())
            if self._formulas is not None and self._formulas.reshape(width):
                self._formulas.place(self.theme.colours.muted if self._muted else self.theme.colours.text)
            self._fitted = (width, self._height_at(width))
        return self._fitted[1]

    def _height_at(self, width: int) -> int:
        document = self.document()
        document.setTextWidth(width)
        size = document.size()
        height = math.ceil(size.height())
        if self._sideways or (self._formulas is not None and self._formulas.too_wide):
            wide = size.width() > width + 4  # its longest words or formulas do not fit
            policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if wide else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
            self.setHorizontalScrollBarPolicy(policy)
            height += self.horizontalScrollBar().sizeHint().height() if wide else 0
        return height

    def _fit(self) -> None:
        height = self._height_at(self.viewport().width())
        if height != self.height() or self.minimumHeight() != height:
            self.setFixedHeight(height)

    def _open(self, url: QUrl) -> None:
        address = url.toString()
        if address.lower().startswith(SAFE_SCHEMES):
            from app.views.chat.links import open_address

            open_address(self.window(), address, self._words_of(address))

    def _words_of(self, address: str) -> str:
        """What the link to ``address`` reads; nothing where several that differ lead there."""
        words: set[str] = set()
        block = self.document().begin()
        while block.isValid():
            text = ""
            pieces = block.begin()
            while not pieces.atEnd():
                if (piece := pieces.fragment()).charFormat().anchorHref() == address:
                    text += piece.text()
                pieces += 1
            if text:
                words.add(text)
            block = block.next()
        return words.pop() if len(words) == 1 else ""
