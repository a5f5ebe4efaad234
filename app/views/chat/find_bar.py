"""Find in the conversation: a bar over the messages that counts the places, marks them and goes through them."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QKeySequence, QShortcut, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPlainTextEdit, QTextEdit, QWidget

from app.text.find import Match, count, count_in_block, matches
from app.text.thinking import split_thinking
from app.theme import Theme
from app.translation import tr
from app.views.chat.code_view import CodeView
from app.views.chat.message_view import MessageView
from app.views.chat.user_message import UserMessage
from app.views.controls.controls import IconButton, label

if TYPE_CHECKING:
    from app.views.chat.message_list import MessageList

SLICE = 0.005
"""Seconds of searching before the event loop gets its turn."""
MARKS = 300
"""Places marked in one widget, at most."""
WIDTH = 400


class FindBar(QFrame):
    """Lives in a :class:`app.views.chat.message_list.MessageList`, which shows it by Ctrl+Shift+F or F3."""

    def __init__(self, theme: Theme, messages: MessageList) -> None:
        super().__init__(messages)
        self._theme, self._messages = theme, messages
        self._matches: list[Match] = []
        self._search: Iterator[Match | None] | None = None
        self._current = -1
        self._marked: list[QTextEdit | QPlainTextEdit] = []
        self._place: tuple[QTextEdit | QPlainTextEdit, QTextCursor] | None = None
        self.setObjectName("popover")
        self.setAccessibleName(tr("Find in this conversation"))
        self.field = QLineEdit()
        self.field.setProperty("role", "search")
        self.field.setPlaceholderText(tr("Find in this conversation"))
        self.field.setAccessibleName(tr("Find in this conversation"))
        self.field.setMaxLength(200)
        self.field.textChanged.connect(self._begin)
        self.field.installEventFilter(self)
        self.number = label("", "small")
        self.previous_button = IconButton(theme, "chevron-up", tr("Previous place"), lambda: self.go(-1), size=15)
        self.next_button = IconButton(theme, "chevron-down", tr("Next place"), lambda: self.go(1), size=15)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 6, 6, 6)
        row.setSpacing(4)
        row.addWidget(self.field, 1)
        for widget in (self.number, self.previous_button, self.next_button):
            row.addWidget(widget)
        row.addWidget(IconButton(theme, "close", tr("Close"), self.close_bar, size=15))
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._work)
        self._wait = QTimer(self, singleShot=True)
        self._wait.setInterval(120)
        self._wait.timeout.connect(self._begin)
        for key in ("F3", "Ctrl+G"):
            QShortcut(QKeySequence(key), messages).activated.connect(lambda: self.go(1))
        for key in ("Shift+F3", "Ctrl+Shift+G"):
            QShortcut(QKeySequence(key), messages).activated.connect(lambda: self.go(-1))
        QShortcut(QKeySequence("Ctrl+Shift+F"), messages).activated.connect(self.open_bar)
        messages.changed.connect(self._on_changed)
        messages.settled.connect(self._mark)
        self.hide()

    def open_bar(self) -> None:
        """Show the bar, what was looked for last time selected."""
        self.place()
        self.show()
        self.raise_()
        self.field.setFocus()
        self.field.selectAll()
        self._begin()

    def close_bar(self) -> None:
        """Hide it and all marks; the place that was found keeps the focus."""
        self.hide()
        self._timer.stop()
        self._clear()
        if 0 <= self._current < len(self._matches):
            self._messages.reveal(self._matches[self._current][0]).setFocus()
        else:
            self._messages.focus_last()

    def place(self) -> None:
        """At the upper corner, at the end of the line."""
        width = min(WIDTH, self._messages.viewport().width() - 24)
        right = self.layoutDirection() == Qt.LayoutDirection.LeftToRight
        self.resize(width, self.sizeHint().height())
        self.move(self._messages.viewport().width() - width - 14 if right else 14, 10)

    # Searching

    def _on_changed(self) -> None:
        if self.isVisible():
            self._wait.start()

    def _begin(self) -> None:
        query = self.field.text()
        self._matches, self._current, self._place = [], -1, None
        self._clear()
        texts = [
            (message.text, False) if message.role == "user" else (split_thinking(message.text).text.strip(), True)
            for message in self._messages.messages
        ]
        self._search = matches(texts, query) if query else None
        if query:
            self._timer.start()
            self._mark()
        else:
            self._timer.stop()
        self._show_number()

    def _work(self) -> None:
        """Search for as long as one slice of time."""
        deadline = perf_counter() + SLICE
        for match in self._search or ():
            if match is not None:
                self._matches.append(match)
            elif perf_counter() > deadline:
                break
        else:
            self._search = None
            self._timer.stop()
        self._show_number()

    def _show_number(self) -> None:
        found = len(self._matches)
        if not self.field.text():
            text = ""
        elif self._current >= 0:
            text = tr("{number} of {count}").format(number=self._current + 1, count=found)
        elif self._search is not None:
            text = f"{found}…"
        else:
            text = tr("{count} found").format(count=found)
        if self._search is not None and self._current >= 0:
            text += "…"
        self.number.setText(text)
        self.previous_button.setEnabled(bool(found))
        self.next_button.setEnabled(bool(found))

    # Going there

    def go(self, step: int) -> None:
        """To the next place, or the one before; the first step goes to the last one above the end of what is seen."""
        if not self.isVisible():
            self.open_bar()
            return
        if not self._matches:
            return
        if self._current < 0:
            seen = self._messages.first_visible()
            later = [at for at, match in enumerate(self._matches) if match[0] >= seen]
            self._current = (later[0] if later else 0) - (1 if step > 0 else 0)
        self._current = (self._current + step) % len(self._matches)
        self._show_number()
        index, number = self._matches[self._current]
        view = self._messages.reveal(index)
        self._place = self._locate(view, number)
        self._mark()
        if self._place is not None:
            edit, cursor = self._place
            place = edit.mapTo(view, QPoint(0, 0)).y() + edit.cursorRect(cursor).top()
            self._messages.reveal_place(index, place, edit.cursorRect(cursor).height())

    def _locate(self, view: MessageView, number: int) -> tuple[QTextEdit | QPlainTextEdit, QTextCursor] | None:
        """The widget and the cursor of the place in a message, made when it was not."""
        query, body = self.field.text(), view.body
        if isinstance(view, UserMessage) and view.folded:
            view.unfold()
            self._messages.relayout()
        for unit in body.units:
            blocks = body.blocks_of(unit)
            counts = [count_in_block(block, query) for block in blocks] or [count(unit.source, query)]
            for at, inside in enumerate(counts):
                if number < inside:
                    body.realise_unit(unit)
                    self._messages.relayout()
                    return self._in_widget(unit.views[at], number) if at < len(unit.views) else None
                number -= inside
        return None

    def _in_widget(self, widget: QWidget, number: int) -> tuple[QTextEdit | QPlainTextEdit, QTextCursor] | None:
        for code in [widget, *widget.findChildren(CodeView)]:
            if isinstance(code, CodeView) and code.folded:
                code.unfold_all()
                self._messages.relayout()
        for edit in _edits(widget):
            for cursor in _places(edit, self.field.text(), number + 1):
                if number == 0:
                    return edit, cursor
                number -= 1
        return None

    # Marks

    def _mark(self) -> None:
        """Mark every place in the widgets that there are."""
        if not self.isVisible():
            return
        self._clear()
        query = self.field.text()
        if not query:
            return
        for view in self._messages.views:
            for edit in _edits(view.body):
                marks = [self._selection(cursor, False) for cursor in _places(edit, query, MARKS)]
                if self._place is not None and edit is self._place[0]:
                    marks.append(self._selection(self._place[1], True))
                if marks:
                    edit.setExtraSelections(marks)
                    self._marked.append(edit)

    def _selection(self, cursor: QTextCursor, current: bool) -> QTextEdit.ExtraSelection:
        colours = self._theme.colours
        mark = QTextEdit.ExtraSelection()
        mark.cursor = cursor
        style = QTextCharFormat()
        style.setBackground(QColor(colours.accent if current else colours.warning_soft))
        style.setForeground(QColor(colours.on_accent if current else colours.warning))
        mark.format = style
        return mark

    def _clear(self) -> None:
        for edit in self._marked:
            try:
                edit.setExtraSelections([])
            except RuntimeError:  # given up in the meantime
                continue
        self._marked = []

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.go(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.close_bar()
                return True
        override = event.type() == QEvent.Type.ShortcutOverride
        if watched is self.field and override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()  # closes the bar, and does not stop an answer
            return True
        return False


def _edits(widget: QWidget) -> list[QTextEdit | QPlainTextEdit]:
    """The text widgets within, in the order in which they are read."""
    if isinstance(widget, QTextEdit | QPlainTextEdit):
        return [widget]
    inside: list[QTextEdit | QPlainTextEdit] = [*widget.findChildren(QTextEdit), *widget.findChildren(QPlainTextEdit)]
    return sorted(inside, key=lambda edit: edit.mapTo(widget, QPoint(0, 0)).y())


def _places(edit: QTextEdit | QPlainTextEdit, query: str, limit: int) -> Iterator[QTextCursor]:
    document: QTextDocument = edit.document()
    cursor = document.find(query, 0)
    while not cursor.isNull() and limit > 0:
        yield cursor
        limit -= 1
        cursor = document.find(query, cursor)
