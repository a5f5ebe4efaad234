"""The messages of a conversation in a column of readable width; follows the end only while it is in view.

A message has a widget only near the viewport, and of a long message only the pieces there are laid out.  Everything
else has a height that is guessed until it was seen once.  What is visible is made at once, what lies around it in
slices of a few milliseconds, and while heights turn out different what is being read stays where it is.
"""

from __future__ import annotations

from bisect import bisect_right
from time import perf_counter

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from app.chat.context_change import Change, markers
from app.history.history import Message
from app.idle_collection import moving
from app.theme import Theme
from app.translation import tr
from app.views.chat.answer_message import AnswerMessage
from app.views.chat.message_body import guess
from app.views.chat.message_view import MessageView
from app.views.chat.user_message import FOLD, UserMessage
from app.views.controls.controls import IconButton, discard

COLUMN = 760
"""Widest column of text, in pixels."""
FLUSH = 33
"""Milliseconds between two updates of an answer that is being written: at most thirty a second."""
NEAR = 40
"""Pixels from the end within which the view counts as being at the end."""
TOP, BOTTOM, SPACING = 26, 18, 14
SLICE = 0.004
"""Seconds of making widgets before the event loop gets its turn."""
FRAME = 0.008
"""The same for what is in view already, while scrolling."""
AROUND = 1.5
"""Heights of the viewport above and below it within which widgets are made ahead."""
FAR = 4.0
"""Heights of the viewport beyond which widgets are given up."""


class MessageList(QScrollArea):
    """Shows any number of messages; see the module."""

    regenerate = Signal(int)
    edited = Signal(int, str)
    step = Signal(int, int)
    overflow_chosen = Signal(int, str)
    continue_wanted = Signal(int)
    """Id of an answer that broke off: it is to be written on from where it ends."""
    changed = Signal()
    """Other messages are shown, or one of them says something else."""
    settled = Signal()
    """Everything near the viewport has its widgets."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._messages: list[Message] = []
        self._views: dict[int, MessageView] = {}
        self._heights: dict[int, int] = {}
        self._tops: list[int] = []
        self._markers: dict[int, Change] = {}
        self._pending: list[str] = []
        self._follow = True
        self._busy = False
        self._placing = False
        self.setFrameShape(self.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(tr("Messages"))
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
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH)
        self._timer.timeout.connect(self.flush)
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

    # What is shown

    def show_messages(self, messages: list[Message]) -> None:
        """Show another branch or conversation, from its end; what is shown already stays."""
        self._pending.clear()
        self._timer.stop()
        old = {message.id: message for message in self._messages}
        kept = {message.id for message in messages if old.get(message.id) == message}
        for number in [number for number in self._views if number not in kept]:
            self._drop(number)
        self._heights = {number: height for number, height in self._heights.items() if number in kept}
        self._messages = list(messages)
        self._markers = markers(self._messages)
        self._follow = True
        self._arrange()
        self.changed.emit()

    def append(self, message: Message) -> None:
        """One message more; sending something always brings the end into view."""
        self._messages.append(message)
        self._follow = True
        self._arrange()
        self.changed.emit()

    def feed(self, delta: str) -> None:
        """More of the last answer: shown at the next flush."""
        self._pending.append(delta)
        if not self._timer.isActive():
            self._timer.start()

    def flush(self) -> None:
        """Show what has arrived since the last flush."""
        if not self._pending:
            self._timer.stop()
            return
        text = "".join(self._pending)
        self._pending.clear()
        if last := self._last_answer():
            last.feed(text)
            self._refit()
            moving()

    def replace_last(self, message: Message) -> None:
        """The last answer is finished."""
        self._timer.stop()
        self._pending.clear()
        if last := self._last_answer():
            self._messages[-1] = message
            self._markers = markers(self._messages)
            last.actions_row.set_enabled(not self._busy)
            last.show_message(message)
            self._mark_context()
            self._refit()
            self._fill(0.0)
            self.changed.emit()

    def set_waiting(self, text: str) -> None:
        """What is going on before the first word of the last answer."""
        last = self._last_answer()
        if last and last.message.state == "streaming":
            last.set_waiting(text)

    def set_busy(self, busy: bool) -> None:
        """While an answer is being written nothing may branch."""
        self._busy = busy
        for view in self._views.values():
            view.actions_row.set_enabled(not busy)

    def show_context(self, messages: list[Message]) -> None:
        """The same messages; what the model does not read of them is another part."""
        self._messages = list(messages)
        self._markers = markers(self._messages)
        self._mark_context()

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
        self._show_range(top, top + height, margin=60)

    def _show_range(self, top: int, bottom: int, margin: int = 0) -> None:
        bar, high = self.verticalScrollBar(), self.viewport().height()
        if top - margin < bar.value() or bottom + margin > bar.value() + high:
            outside = bottom < bar.value() or top > bar.value() + high
            upwards = top - margin < bar.value()
            self._follow = False
            bar.setValue(top - high // 3 if outside else top - margin if upwards else bottom + margin - high)

    def _last_answer(self) -> AnswerMessage | None:
        if not self._messages:
            return None
        last = self._views.get(self._messages[-1].id)
        return last if isinstance(last, AnswerMessage) else None

    # Widgets

    def _view(self, index: int) -> MessageView:
        """The widget of a message, made when there was none."""
        message = self._messages[index]
        if (view := self._views.get(message.id)) is not None:
            return view
        if message.role == "user":
            view = UserMessage(self._theme, message)
        else:
            view = answer = AnswerMessage(self._theme, message)
            answer.overflow_chosen.connect(self.overflow_chosen)
        view.regenerate.connect(self.regenerate)
        view.continue_wanted.connect(self.continue_wanted)
        view.edited.connect(self.edited)
        view.step.connect(self.step)
        view.travel.connect(lambda places, view=view: self._travel(view, places))
        view.actions_row.set_enabled(not self._busy)
        view.set_marker(self._theme, self._markers.get(message.id))
        self._views[message.id] = view
        view.setParent(self._content)
        left, width = self._column()
        view.setGeometry(left, self._tops[index] if index < len(self._tops) else 0, width, self._height(index))
        view.show()
        return view

    def _drop(self, number: int) -> None:
        discard(self._views.pop(number))

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

    def _arrange(self) -> None:
        """The messages are others: place them, and make the widgets that are in view."""
        if self._messages:
            self._tops = []
            last = self._view(len(self._messages) - 1)
            for view in self._views.values():
                view.set_always_show_actions(view is last and isinstance(view, AnswerMessage))
        self._mark_context()
        self._refit()
        self.scroll_to_end()

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

    # Keeping up

    def _mark_context(self) -> None:
        for number, view in self._views.items():
            view.set_marker(self._theme, self._markers.get(number))

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
        self._slices.start()
        self._place_button()

    def _travel(self, view: MessageView, places: int) -> None:
        """Move the focus from message to message."""
        index = next((at for at, one in enumerate(self._messages) if one.id == view.message.id), 0) + places
        if 0 <= index < len(self._messages):
            self.reveal(index).setFocus(Qt.FocusReason.OtherFocusReason)

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802
        """Through the messages as they are read, whatever order their widgets were made in."""
        focus = self.window().focusWidget()
        order = [widget for view in self.views for widget in _stops(view)]
        if focus in order:
            at = order.index(focus) + (1 if forward else -1)
            if 0 <= at < len(order):
                self._focus(order[at])
                return True
            view = self.views[-1 if forward else 0]
            index = next(i for i, one in enumerate(self._messages) if one.id == view.message.id)
            beyond = index + (1 if forward else -1)
            if 0 <= beyond < len(self._messages):
                stops = _stops(self.reveal(beyond))
                self._focus(stops[0 if forward else -1])
                return True
            target: QWidget = focus
            while True:
                following = target.nextInFocusChain() if forward else target.previousInFocusChain()
                target = following or focus
                inside = target is self or self.isAncestorOf(target)
                if target is focus or (not inside and target.isVisible() and target.isEnabled()
                                       and target.focusPolicy() & Qt.FocusPolicy.TabFocus):
                    break
            target.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
            return True
        return super().focusNextPrevChild(forward)

    def _focus(self, widget: QWidget) -> None:
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        top = widget.mapTo(self._content, widget.rect().topLeft()).y()
        self._show_range(top, top + min(widget.height(), self.viewport().height() // 2), margin=12)

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

    def __init__(self, messages: MessageList) -> None:
        super().__init__()
        self._list = messages

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._list.relayout()
        return super().event(event)


def _stops(view: MessageView) -> list[QWidget]:
    """Where Tab stops within a message, from top to bottom, the message itself first."""
    inside = [
        widget
        for widget in view.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(view) and widget.isEnabled()
    ]

    def place(widget: QWidget) -> tuple[int, int]:
        corner = widget.mapTo(view, widget.rect().topLeft())
        return corner.y(), corner.x()

    return [view, *sorted(inside, key=place)]
