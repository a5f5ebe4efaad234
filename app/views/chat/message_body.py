"""The blocks of one text as widgets, changed only where the text changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app.text.markdown import Block, Code, Prose, Quote, Rule, Stream, Table, join, parse
from app.theme import Theme
from app.views.chat.code_view import CodeView
from app.views.chat.rich_text import RichText
from app.views.chat.table_view import TableView
from app.views.controls.controls import discard, frame

JOINED = 3000
"""Most characters of HTML in one widget when pieces are joined."""


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


class QuoteView(QFrame):
    """Shows a :class:`app.text.markdown.Quote`: a bar on the left, and blocks of its own."""

    def __init__(self, theme: Theme, block: Quote) -> None:
        super().__init__()
        self.setProperty("role", "quote")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 2, 0, 2)
        self._body = MessageBody(theme, muted=True)
        layout.addWidget(self._body)
        self.show_block(block)

    def show_block(self, block: Quote) -> None:
        self._body.show_blocks(block.blocks)

    def restyle(self) -> None:
        self._body.restyle()


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


class MessageBody(QWidget):
    """A column of block widgets.

    ``set_text`` shows a whole text.  For one that arrives, call ``feed`` with each piece, at most
    thirty times a second, and ``finish`` at the end: finished blocks are never touched again.
    """

    def __init__(self, theme: Theme, muted: bool = False) -> None:
        super().__init__()
        self._theme, self._muted = theme, muted
        self._blocks: list[Block] = []
        self._views: list[QWidget] = []
        self._stream: Stream | None = None
        self._join_at = 0
        self._join_timer = QTimer(self)
        self._join_timer.setInterval(0)
        self._join_timer.timeout.connect(self._join_step)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(10)

    @property
    def blocks(self) -> Sequence[Block]:
        return self._blocks

    @property
    def views(self) -> Sequence[QWidget]:
        return self._views

    def set_text(self, text: str) -> None:
        self._stream = None
        self._join_timer.stop()
        self.show_blocks(parse(text))

    def feed(self, delta: str) -> None:
        """Add ``delta`` to the text fed so far."""
        if self._stream is None:
            self._stream = Stream()
            self._join_timer.stop()
            self.show_blocks(())
        kept = self._stream.frozen
        self.show_blocks(self._stream.feed(delta), first=kept)

    def finish(self) -> None:
        """The text is whole.  Paragraphs that came one by one are joined, a few at each turn of the event
        loop, so that a selection can reach over them."""
        self._stream = None
        if self._blocks and isinstance(last := self._blocks[-1], Code) and not last.closed:
            self.show_blocks([*self._blocks[:-1], replace(last, closed=True)], first=len(self._blocks) - 1)
        self._join_at = 0
        self._join_timer.start()

    def _join_step(self) -> None:
        """Join the next run of prose up to a size whose layout takes a few milliseconds."""
        while self._join_at + 1 < len(self._blocks):
            at = self._join_at
            joined, end = self._blocks[at], at + 1
            while end < len(self._blocks) and isinstance(joined, Prose) and isinstance(
                more := self._blocks[end], Prose
            ):
                if len(joined.html) + len(more.html) > JOINED:
                    break
                joined, end = join(joined, more), end + 1
            self._join_at += 1
            if end > at + 1:
                cast(BlockView, self._views[at]).show_block(joined)
                self._blocks[at] = joined
                for view in self._views[at + 1 : end]:
                    discard(view)
                del self._blocks[at + 1 : end], self._views[at + 1 : end]
                return
        self._join_timer.stop()

    def show_blocks(self, blocks: Sequence[Block], first: int = 0) -> None:
        """Show ``blocks``; the caller knows those before ``first`` to be shown already."""
        for index in range(first, len(blocks)):
            block = blocks[index]
            if index == len(self._views):
                self._views.append(self._make(block))
                self._layout.addWidget(self._views[-1])
                self._blocks.append(block)
            elif self._blocks[index] != block:
                if type(self._blocks[index]) is type(block):
                    cast(BlockView, self._views[index]).show_block(block)
                else:
                    fresh = self._make(block)
                    self._layout.replaceWidget(self._views[index], fresh)
                    discard(self._views[index])
                    self._views[index] = fresh
                self._blocks[index] = block
        while len(self._views) > len(blocks):
            self._blocks.pop()
            discard(self._views.pop())

    def restyle(self) -> None:
        for view in self._views:
            cast(BlockView, view).restyle()

    def _make(self, block: Block) -> QWidget:
        match block:
            case Prose():
                return ProseView(self._theme, block, self._muted)
            case Code():
                return CodeView(self._theme, block)
            case Table():
                return TableView(self._theme, block)
            case Quote():
                return QuoteView(self._theme, block)
            case Rule():
                return RuleView()
