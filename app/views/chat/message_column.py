"""A column of messages that has widgets only near the viewport.

A message has a widget only there, and of a long message only the pieces there are laid out.  Everything else has a
height that is guessed until it was seen once.  What is visible is made at once, what lies around it in slices of a few
milliseconds, and while heights turn out different what is being read stays where it is.
"""

from __future__ import annotations

from bisect import bisect_right
from time import perf_counter

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from app.history.history import Message
from app.idle_collection import moving
from app.theme import Theme
from app.translation import tr
from app.views.chat.message_body import guess
from app.views.chat.message_view import MessageView
from app.views.chat.user_message import FOLD
from app.views.controls.controls import IconButton, discard

COLUMN = 760
"""Widest column of text, in pixels."""
NEAR = 40
"""Pixels from the end within which the view counts as being at the end."""
TOP, BOTTOM, SPACING = 26, 18, 14
SLICE = 0.003
"""Seconds of making widgets before the event loop gets its turn."""
FRAME = 0.006
"""The same for what is in view already, while scrolling."""
PAUSE = 8
"""Milliseconds after a step of scrolling before anything is made ahead: the step is drawn first."""
AROUND = 1.5
"""Heights of the viewport above and below it within which widgets are made ahead."""
FAR = 4.0
"""Heights of the viewport beyond which widgets are given up."""


class MessageColumn(QScrollArea):
    """Places messages; what they are and what they do is for :class:`app.views.chat.message_list.MessageList`."""

    settled = Signal()
    """Everything near the viewport has its widgets."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._messages: list[Message] = []
        self._views: dict[int, MessageView] = {}
        self._heights: dict[int, int] = {}
        self._tops: list[int] = []
        self._follow = True
        self._placing = False
        self.setFrameShape(self.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._content = _Content(self)
        self._content.setObjectName("column")
        self.setWidget(self._content)
        self._to_end = IconButton(
            theme, "arrow-down", tr("To the latest message"), self.scroll_to_end, kind="float", parent=self
        )
        self._to_end.hide()
        bar = self.verticalScrollBar()
        bar.setSingleStep(28)
        bar.valueChanged.connect(self._on_scroll)
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(self._slice)
        theme.changed.connect(self._restyle)

    @property
    def views(self) -> list[MessageView]:
        """The widgets that there are, in the order of the messages."""
        return [self._views[message.id] for message in self._messages if message.id in self._views]

    @property
    def messages(self) -> list[Message]:
        """All messages, with a widget or without."""
        return self._messages

    @property
    def complete(self) -> bool:
        """Whether everything near the viewport has its widgets."""
        return not self._slices.isActive()

    def _make_view(self, message: Message) -> MessageView:
        """A widget for ``message``."""
        raise NotImplementedError

    def _view(self, index: int) -> MessageView:
        """The widget of a message, made when there was none."""
        message = self._messages[index]
        if (view := self._views.get(message.id)) is not None:
            return view
        view = self._views[message.id] = self._make_view(message)
        view.setParent(self._content)
        left, width = self._column()
        view.setGeometry(left, self._tops[index] if index < len(self._tops) else 0, width, self._height(index))
        view.show()
        return view

    def _drop(self, number: int) -> None:
        discard(self._views.pop(number))

    # Where everything is

    def _column(self) -> tuple[int, int]:
        """Left edge and width of the column."""
        whole = self.viewport().width()
        width = max(200, min(COLUMN, whole - 48))
        return (whole - width) // 2, width

    def _height(self, index: int) -> int:
        message = self._messages[index]
        if (height := self._heights.get(message.id)) is not None:
            return height
        text = message.text[:FOLD] if message.role == "user" else message.text
        self._heights[message.id] = height = guess(text, self._column()[1]) + 60
        return height

    def _refit(self) -> None:
        """Fit every widget and place everything; what is being read stays where it is."""
        if self._placing:
            return
        self._placing = True
        try:
            self._place()
        finally:
            self._placing = False
        self._place_button()

    def _place(self) -> None:
        bar = self.verticalScrollBar()
        anchor = None if self._follow else self._anchor(bar.value())
        left, width = self._column()
        tops, y = [], TOP
        for index, message in enumerate(self._messages):
            tops.append(y)
            if (view := self._views.get(message.id)) is not None:
                height = view.fit(width)
                self._heights[message.id] = height
                view.setGeometry(left, y, width, height)
            else:
                height = self._height(index)
            y += height + SPACING
        self._tops = tops
        whole = max(y - SPACING + BOTTOM, 0)
        if self._content.width() != self.viewport().width() or self._content.height() != whole:
            self._content.resize(self.viewport().width(), whole)
        if self._follow:
            bar.setValue(bar.maximum())
        elif anchor is not None:
            bar.setValue(self._where(anchor))

    def _anchor(self, value: int) -> tuple[int, int, int] | None:
        """What stands at the upper edge: message, piece of it (−1: none), and how far into that."""
        if not self._tops:
            return None
        index = max(0, bisect_right(self._tops, value) - 1)
        view = self._views.get(self._messages[index].id)
        if view is None or value - self._tops[index] < view.body_offset():
            return index, -1, value - self._tops[index]
        unit, into = view.body.place(value - self._tops[index] - view.body_offset())
        return index, unit, into

    def _where(self, anchor: tuple[int, int, int]) -> int:
        index, unit, into = anchor
        if index >= len(self._messages):
            return self.verticalScrollBar().maximum()
        view = self._views.get(self._messages[index].id)
        if unit < 0 or view is None or unit >= len(view.body.units):
            return self._tops[index] + into
        return self._tops[index] + view.body_offset() + view.body.units[unit].y + into

    # What is there

    def _fill(self, budget: float, around: float = 0.0) -> bool:
        """Make what is missing in view and ``around`` it, for ``budget`` seconds (0: all of it)."""
        if not self.isVisible():  # the scroll bars know nothing yet
            return True
        deadline = perf_counter() + budget if budget else 0.0
        for _ in range(12):
            value, high = self.verticalScrollBar().value(), self.viewport().height()
            top, bottom = value - int(around * high), value + int((1 + around) * high)
            made, complete = self._make_between(top, bottom, deadline)
            if made:
                self._refit()
            if complete and not made:
                return True
            if deadline and perf_counter() > deadline:
                return False
        return False

    def _make_between(self, top: int, bottom: int, deadline: float) -> tuple[bool, bool]:
        """Whether anything was made between two heights, and whether nothing is missing there any more."""
        first = max(0, bisect_right(self._tops, top) - 1)
        last = bisect_right(self._tops, bottom)
        made = False
        indices = range(first, min(last, len(self._messages)))
        for index in reversed(indices) if self._follow else indices:
            number = self._messages[index].id
            fresh = number not in self._views
            view = self._view(index)
            before = len(view.body.views)
            y = self._tops[index]
            if fresh:
                view.fit(self._column()[1])
            done = view.realise(top - y, bottom - y, deadline, self._follow)
            made = made or fresh or len(view.body.views) != before
            if not done or (deadline and made and perf_counter() > deadline):
                return made, False
        return made, True

    def _slice(self) -> None:
        """Make some of what lies around the viewport, then give up what is far away."""
        self._slices.setInterval(0)
        if not self._messages or not self._fill(SLICE, AROUND):
            if not self._messages:
                self._slices.stop()
            return
        if not self._give_up():
            self._slices.stop()
            self.settled.emit()

    def _give_up(self) -> bool:
        """Do away with one thing that is far from the viewport; whether there was any."""
        value, high = self.verticalScrollBar().value(), self.viewport().height()
        top, bottom = value - int(FAR * high), value + int((1 + FAR) * high)
        focus = QApplication.focusWidget()
        for index, message in enumerate(self._messages[:-1]):
            view = self._views.get(message.id)
            if view is None:
                continue
            y = self._tops[index]
            if y + view.height() < top or y > bottom:
                used = view.editor is not None or (focus is not None and (focus is view or view.isAncestorOf(focus)))
                if not used and not view.body.selected:
                    self._drop(message.id)
                    return True
            elif view.release(top - y, bottom - y):
                return True
        return False

    # What is in view

    def scroll_to_end(self) -> None:
        """Bring the end into view, and keep it there."""
        self._follow = True
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())
        self._fill(0.0)
        self._place_button()

    def reveal(self, index: int) -> MessageView:
        """The widget of a message, brought into view."""
        view = self._view(index)
        self._refit()
        self._show_range(self._tops[index], self._tops[index] + min(view.height(), self.viewport().height()))
        self._fill(FRAME)
        return view

    def reveal_place(self, index: int, y: int, height: int) -> None:
        """Bring ``y`` to ``y + height`` within the message at ``index`` into view."""
        top = self._tops[index] + y
        self._show_range(top, top + height, margin=90)

    def first_visible(self) -> int:
        """The first message of which something is in view."""
        return max(0, bisect_right(self._tops, self.verticalScrollBar().value()) - 1)

    def focus_last(self) -> None:
        """The focus to the last message that is in view."""
        high = self.verticalScrollBar().value() + self.viewport().height()
        if self._messages:
            self._view(max(0, bisect_right(self._tops, high - 1) - 1)).setFocus()

    def _show_range(self, top: int, bottom: int, margin: int = 0) -> None:
        bar, high = self.verticalScrollBar(), self.viewport().height()
        if top - margin < bar.value() or bottom + margin > bar.value() + high:
            outside = bottom < bar.value() or top > bar.value() + high
            upwards = top - margin < bar.value()
            self._follow = False
            bar.setValue(top - high // 3 if outside else top - margin if upwards else bottom + margin - high)

    def show_widget(self, widget: QWidget) -> None:
        """Bring something inside a message into view."""
        top = widget.mapTo(self._content, QPoint(0, 0)).y()
        self._show_range(top, top + min(widget.height(), self.viewport().height() // 2), margin=12)

    def index_of(self, view: MessageView) -> int:
        """The place of the message that ``view`` shows."""
        return next(index for index, one in enumerate(self._messages) if one.id == view.message.id)

    def _restyle(self) -> None:
        for view in self._views.values():
            view.restyle()
        self._refit()

    def relayout(self) -> None:
        """Something in a message has another height."""
        self._refit()
        self._slices.start()

    def _on_scroll(self, value: int) -> None:
        if self._placing:
            return
        moving()
        self._follow = value >= self.verticalScrollBar().maximum() - NEAR
        self._fill(FRAME)
        self._slices.start(PAUSE)
        self._place_button()

    def _place_button(self) -> None:
        self._to_end.setVisible(not self._follow)
        side = 34
        self._to_end.setGeometry((self.width() - side) // 2, self.height() - side - 10, side, side)
        self._to_end.raise_()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._refit()
        self._fill(0.0)
        self._slices.start()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._heights = {number: height for number, height in self._heights.items() if number in self._views}
        self._refit()
        self._fill(FRAME)
        self._slices.start()


class _Content(QWidget):
    """Tells the list when a message wants another height."""

    def __init__(self, messages: MessageColumn) -> None:
        super().__init__()
        self._list = messages

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._list.relayout()
        return super().event(event)
