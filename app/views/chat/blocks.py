"""The widget for each kind of block."""

from __future__ import annotations

from typing import Protocol, cast

from PySide6.QtCore import QMargins
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.text.markdown import Block, Code, Prose, Quote, Rule, Table
from app.theme import Theme
from app.views.chat.code_view import CodeView
from app.views.chat.rich_text import RichText
from app.views.chat.stack import Stack
from app.views.chat.table_view import TableView
from app.views.controls.controls import discard, frame

SPACING = 10


class BlockView(Protocol):
    """What every block widget can do."""

    def show_block(self, block: Block) -> None: ...

    def restyle(self) -> None: ...


class ProseView(RichText):
    """Shows a :class:`app.text.markdown.Prose`."""

    def __init__(self, theme: Theme, block: Prose, muted: bool) -> None:
        super().__init__(theme, muted=muted)
        self.show_block(block)

    def show_block(self, block: Prose) -> None:
        self.set_html(block.html)


class QuoteView(Stack):
    """Shows a :class:`app.text.markdown.Quote`: a bar at the side, and blocks of its own."""

    def __init__(self, theme: Theme, block: Quote) -> None:
        super().__init__(SPACING, QMargins(14, 2, 0, 2))
        self._theme = theme
        self.setProperty("role", "quote")
        self._blocks: tuple[Block, ...] = ()
        self.show_block(block)

    def show_block(self, block: Quote) -> None:
        """Change what is another."""
        for index, inner in enumerate(block.blocks):
            if index < len(self._blocks) and type(inner) is type(self._blocks[index]):
                if inner != self._blocks[index]:
                    cast(BlockView, self._children[index]).show_block(inner)
                continue
            if index < len(self._children):
                old = self._children[index]
                self.take(old)
                discard(old)
            self.add(make_view(self._theme, inner, muted=True), index)
        for old in self._children[len(block.blocks) :]:
            self.take(old)
            discard(old)
        self._blocks = block.blocks

    def restyle(self) -> None:
        for view in self._children:
            cast(BlockView, view).restyle()


class RuleView(QWidget):
    """A thin line."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.addWidget(frame("rule"))

    def show_block(self, block: Rule) -> None:
        """All rules look alike."""

    def restyle(self) -> None:
        """The style sheet does it."""


def make_view(theme: Theme, block: Block, muted: bool = False) -> QWidget:
    """A widget that shows ``block``."""
    match block:
        case Prose():
            return ProseView(theme, block, muted)
        case Code():
            return CodeView(theme, block)
        case Table():
            return TableView(theme, block)
        case Quote():
            return QuoteView(theme, block)
        case Rule():
            return RuleView()
