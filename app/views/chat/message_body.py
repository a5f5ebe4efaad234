"""The blocks of one text as widgets: only those near what is in view, changed only where the text changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, cast

from PySide6.QtCore import QEvent, QSize, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QApplication, QTextEdit, QWidget

from app.text.markdown import Block, Code, parse, references
from app.text.stream import PIECE, Stream, joined, lines_in_pieces, pieces
from app.theme import Theme
from app.views.chat.blocks import SPACING, BlockView, make_view
from app.views.chat.rich_text import RichText
from app.views.chat.stack import height_of
from app.views.controls.controls import discard

LINE = 24
"""Pixels of a line of text, about: for the height of what is not laid out yet."""
LETTER = 7.4
"""Pixels of a letter, about."""


@dataclass
class Unit:
    """A piece of the text: its source, its blocks once parsed, its widgets while near the view."""

    source: str
    blocks: tuple[Block, ...] | None = None
    views: list[QWidget] = field(default_factory=list)
    height: int = -1
    """As it was laid out, or −1."""
    width: int = -1
    """The width at which it was."""
    y: int = 0
    estimate: tuple[int, int] = (-1, 0)
    """A width, and the height guessed for it."""

    @property
    def complete(self) -> bool:
        """Whether every block has its widget (plain text: its one)."""
        return len(self.views) == max(1, len(self.blocks)) if self.blocks else self.blocks == () or bool(self.views)


class MessageBody(QWidget):
    """A column of block widgets.

    ``set_text`` shows a whole text.  For one that arrives, call ``feed`` with each piece, at most thirty times a
    second, and ``finish`` at the end: finished blocks are never touched again.  A ``lazy`` body has widgets only
    where :meth:`realise` was told to; any other has all.
    """

    def __init__(
        self, theme: Theme, *, lazy: bool = False, plain: bool = False, muted: bool = False
    ) -> None:
        super().__init__()
        self._theme, self._lazy, self._plain, self._muted = theme, lazy, plain, muted
        self.units: list[Unit] = []
        self._stream: Stream | None = None
        self._references: dict[str, Any] = {}
        self._join_at = 0
        self._height = 0
        self._join_timer = QTimer(self)
        self._join_timer.setInterval(0)
        self._join_timer.timeout.connect(self._join_step)

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks, as far as they were parsed."""
        return [block for unit in self.units for block in unit.blocks or ()]

    @property
    def views(self) -> Sequence[QWidget]:
        """All widgets that there are."""
        return [view for unit in self.units for view in unit.views]

    @property
    def selected(self) -> bool:
        """Whether something in it is selected."""
        return any(_selected(view) for view in self.views)

    def set_text(self, text: str) -> None:
        """Show a whole text."""
        self._stream = None
        self._join_timer.stop()
        self._clear(0)
        self._references = {} if self._plain else references(text)
        self.units = [Unit(piece) for piece in (lines_in_pieces(text) if self._plain else pieces(text))]
        if not self._lazy:
            self.realise(0, 1 << 30)

    def feed(self, delta: str) -> None:
        """Add ``delta`` to the text fed so far."""
        if self._stream is None:
            self._stream = Stream()
            self._join_timer.stop()
            self._clear(0)
            self.units = [Unit("", ())]
        stream = self._stream
        fresh = stream.advance(delta)
        for source, blocks in stream.pieces[len(stream.pieces) - fresh :]:
            self._show(self.units[-1], source, blocks)
            self.units.append(Unit("", ()))
        self._show(self.units[-1], "", stream.tail)
        self.updateGeometry()

    def finish(self) -> None:
        """The text is whole.  Paragraphs that came one by one are joined, a few at each turn of the event
        loop, so that a selection can reach over them."""
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        last = self.units[-1]
        last.source = stream.rest
        if last.blocks and isinstance(code := last.blocks[-1], Code) and not code.closed:
            self._show(last, "", (*last.blocks[:-1], replace(code, closed=True)))
        self._references = references(stream.text)
        self._join_at = 0
        self._join_timer.start()

    def _join_step(self) -> None:
        """Join two pieces that a blank line parts, up to a size whose layout takes a few milliseconds."""
        while self._join_at + 1 < len(self.units):
            at = self._join_at
            one = self.units[at]
            if len(one.source) < PIECE and _ends_blank(one.source) and self._join(at, at + 2):
                self.updateGeometry()
                return
            self._join_at += 1
        self._join_timer.stop()

    def _join(self, at: int, end: int) -> bool:
        together = self.units[at:end]
        before = tuple(block for unit in together for block in unit.blocks or ())
        views = [view for unit in together for view in unit.views]
        whole = Unit("".join(unit.source for unit in together), before, views)
        if len(views) != len(before) or any(_selected(view) for view in views):
            return False
        self.units[at:end] = [whole]
        self._show(whole, "", joined(before))
        whole.height = -1
        return True

    def realise(self, top: int, bottom: int, deadline: float = 0.0, upwards: bool = False) -> bool:
        """Make the widgets that lie between ``top`` and ``bottom``, until ``deadline``; whether all are there.

        Once some are made, everything below has to be placed anew: :meth:`fit`.
        """
        for unit in reversed(self.units) if upwards else self.units:
            if unit.complete or (self._lazy and not (unit.y < bottom and unit.y + self._height_of(unit) > top)):
                continue
            while not self._make(unit):
                if deadline and perf_counter() > deadline:
                    return False
            if deadline and perf_counter() > deadline:
                return False
        return True

    def realise_unit(self, unit: Unit) -> None:
        """Make all widgets of one piece."""
        while not unit.complete and not self._make(unit):
            pass

    def release(self, top: int, bottom: int) -> bool:
        """Do away with a piece's widgets outside of ``top`` to ``bottom``; whether there were any."""
        for unit in self.units if self._lazy and self._stream is None and not self._join_timer.isActive() else ():
            outside = unit.y + unit.height < top or unit.y > bottom
            if unit.views and outside and not any(_in_use(view) for view in unit.views):
                for view in unit.views:
                    discard(view)
                unit.views = []
                unit.blocks = None if unit.source else unit.blocks
                return True
        return False

    def fit(self, width: int) -> int:
        """Place everything at ``width``; the height of all."""
        y = 0
        for index, unit in enumerate(self.units):
            y += SPACING if index and y else 0
            unit.y = y
            if unit.views:
                if unit.width != width or unit.height < 0:
                    self._fit_unit(unit, width)
                elif unit.views[0].y() != y:
                    offset = y - unit.views[0].y()
                    for view in unit.views:
                        view.move(0, view.y() + offset)
                y += unit.height
            elif unit.source and unit.blocks != ():
                y += self._height_of(unit, width)
        self._height = y
        return y

    def _fit_unit(self, unit: Unit, width: int) -> None:
        y = unit.y
        for view in unit.views:
            height = height_of(view, width)
            view.setGeometry(0, y, width, height)
            y += height + SPACING
        height = max(0, y - SPACING - unit.y)
        unit.height, unit.width = height if unit.complete else max(height, self._guess(unit, width)), width

    def _height_of(self, unit: Unit, width: int = 0) -> int:
        """As it was laid out, else a guess."""
        if unit.height >= 0 and (not width or unit.width == width or unit.views):
            return unit.height
        return self._guess(unit, width or self.width())

    def _guess(self, unit: Unit, width: int) -> int:
        if unit.estimate[0] != width:
            unit.estimate = (width, guess(unit.source, width))
        return unit.estimate[1]

    def place(self, y: int) -> tuple[int, int]:
        """What lies at ``y``: the number of a piece, and how far into it."""
        for index, unit in enumerate(self.units):
            if y < unit.y + self._height_of(unit):
                return index, y - unit.y
        last = max(0, len(self.units) - 1)
        return last, y - self.units[last].y if self.units else 0

    def blocks_of(self, unit: Unit) -> tuple[Block, ...]:
        """The blocks of a piece, parsed when they were not yet."""
        if unit.blocks is None:
            unit.blocks = () if self._plain else parse(unit.source, self._references)
        return unit.blocks

    def _make(self, unit: Unit) -> bool:
        """One step towards the widgets of ``unit``: parsing, or one of them; whether all are there."""
        if self._plain:
            text = RichText(self._theme)
            text.set_plain(unit.source)
            self._put(text)
            unit.views = [text]
        elif unit.blocks is None:
            self.blocks_of(unit)
            return unit.blocks == ()
        else:
            view = make_view(self._theme, unit.blocks[len(unit.views)], self._muted)
            self._put(view)
            unit.views.append(view)
        unit.height = -1
        return unit.complete

    def _put(self, view: QWidget) -> None:
        view.setParent(self)
        view.show()

    def _show(self, unit: Unit, source: str, blocks: Sequence[Block]) -> None:
        """Let ``unit`` show ``blocks``, changing what is another."""
        before = unit.blocks or ()
        if source:
            unit.source = source
        for index, block in enumerate(blocks):
            if index < len(before) and block == before[index]:
                continue
            if index < len(before) and type(block) is type(before[index]):
                cast(BlockView, unit.views[index]).show_block(block)
            else:
                fresh = make_view(self._theme, block, self._muted)
                self._put(fresh)
                if index < len(unit.views):
                    discard(unit.views[index])
                    unit.views[index] = fresh
                else:
                    unit.views.append(fresh)
            unit.height = -1
        for view in unit.views[len(blocks) :]:
            discard(view)
            unit.height = -1
        del unit.views[len(blocks) :]
        unit.blocks = tuple(blocks)

    def _clear(self, keep: int) -> None:
        for unit in self.units[keep:]:
            for view in unit.views:
                discard(view)
        del self.units[keep:]

    def restyle(self) -> None:
        for view in self.views:
            cast(Any, view).restyle()
        for unit in self.units:
            unit.height = -1

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(400, self._height)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # a block has another height
            for unit in self.units:
                if any(view.height() != height_of(view, view.width()) for view in unit.views):
                    unit.height = -1
            self.updateGeometry()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit(event.size().width())


def guess(source: str, width: int) -> int:
    """About how high a text is once it is laid out."""
    letters = max(20.0, width / LETTER)
    lines = source.count("\n") + 1 if len(source) > 50 * letters else sum(
        1 + int(len(line) / letters) for line in source.split("\n") if line
    )
    return LINE * max(1, lines, int(len(source) / letters))


def _ends_blank(source: str) -> bool:
    return source.rstrip(" \t").endswith("\n") and source.rstrip().count("\n") + 2 <= source.count("\n")


def _in_use(view: QWidget) -> bool:
    focus = QApplication.focusWidget()
    return _selected(view) or (focus is not None and (focus is view or view.isAncestorOf(focus)))


def _selected(view: QWidget) -> bool:
    texts: list[Any] = [view] if isinstance(view, QTextEdit) else view.findChildren(QTextEdit)
    return any(text.textCursor().hasSelection() for text in texts)


