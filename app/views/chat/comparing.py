"""The place of the messages: one column, or two while two models are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app import wording
from app.chat.comparison import Comparison, copied, sentence
from app.history.history import Attachment
from app.theme import Theme
from app.translation import tr
from app.views.chat.compare_column import ColumnHead, CompareColumn
from app.views.controls.controls import discard, frame, label

if TYPE_CHECKING:
    from app.application import Services
    from app.views.chat.chat_view import ChatView


class Comparing(QWidget):
    """The chat's own messages, and beside them those of another model as long as that is wanted."""

    busy_changed = Signal(bool)

    def __init__(self, theme: Theme, services: Services, view: ChatView, messages: QWidget) -> None:
        super().__init__()
        self._theme, self._services, self._view = theme, services, view
        self.comparison: Comparison | None = None
        self.column: CompareColumn | None = None
        self._memory = label("", "small", wrap=True)
        self._memory.setContentsMargins(20, 6, 20, 6)
        self.head = ColumnHead(theme)
        self._rule = frame("rule")
        first = QVBoxLayout()
        first.setContentsMargins(0, 0, 0, 0)
        first.setSpacing(0)
        for widget in (self.head, self._rule, messages):
            first.addWidget(widget, 1 if widget is messages else 0)
        self._columns = QHBoxLayout()
        self._columns.setSpacing(0)
        self._columns.addLayout(first, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._memory)
        layout.addLayout(self._columns, 1)
        self.head.closed.connect(self._close_first)
        for widget in (self._memory, self.head, self._rule):
            widget.hide()

    @property
    def busy(self) -> bool:
        return self.comparison is not None and self.comparison.busy

    def begin(self, model_id: str) -> None:
        """Let another model answer beside the one of the conversation."""
        self.end()
        view = self._view
        second = view.track(copied(self._services, view.conversation, model_id))
        comparison = self.comparison = Comparison(self._services, view.conversation, second)
        column = self.column = CompareColumn(self._theme, second, view.models.name(model_id))
        column.head.closed.connect(self.end)
        column.transcript.larger_wanted.connect(lambda: view.show_context_dialog(model_id))
        line = frame("column-rule")
        line.setFixedWidth(1)
        self._columns.addWidget(line)
        self._columns.addWidget(column, 1)
        column.show()
        self._columns.activate()
        column.begin()
        comparison.changed.connect(self._show)
        comparison.busy_changed.connect(self.busy_changed)
        view.transcript.answered.connect(self.head.show_answer)
        for widget in (self._memory, self.head, self._rule):
            widget.show()
        self._show()
        self.on_loaded()
        if second.id is not None:
            self._on_created(second.id)
        second.created.connect(self._on_created)

    def send(self, text: str, attachments: Sequence[Attachment]) -> bool:
        """Ask both; False where there is only one."""
        if self.comparison is None:
            return False
        self.head.show_answer(None)
        assert self.column is not None
        self.column.head.show_answer(None)
        self.comparison.send(text, attachments)
        return True

    def stop(self) -> bool:
        """End both answers; False where there is only one."""
        if self.comparison is None:
            return False
        self.comparison.stop()
        self.busy_changed.emit(False)
        return True

    def end(self) -> None:
        """Only the chat's own messages are shown again; the other conversation stays in the list."""
        comparison, self.comparison = self.comparison, None
        column, self.column = self.column, None
        if comparison is None or column is None:
            return
        comparison.close()
        self._view.transcript.answered.disconnect(self.head.show_answer)
        column.transcript.leave()
        if not column.conversation.busy:
            column.conversation.deleteLater()
        while self._columns.count() > 1:
            item = self._columns.takeAt(1)
            if item is not None and (widget := item.widget()) is not None:
                discard(widget)
        for widget in (self._memory, self.head, self._rule):
            widget.hide()
        self.head.show_answer(None)
        comparison.deleteLater()
        self.busy_changed.emit(False)

    def on_loaded(self) -> None:
        """The first model may be loaded now."""
        if self.comparison is not None:
            self.comparison.plan(self._view.loaded.state == "ready")

    def plan_anew(self) -> None:
        """The first model is another."""
        if self.comparison is not None:
            self.comparison.together = None
            self._show()
            self.on_loaded()

    def _on_created(self, conversation_id: int) -> None:
        """The list of conversations has the second too; it is the first that is shown as open."""
        self._view.created.emit(conversation_id)
        self._view.opened.emit(self._view.conversation.id)

    def _close_first(self) -> None:
        """The other conversation takes the whole place."""
        if self.column is not None:
            other = self.column.conversation
            self.end()
            self._view.show_conversation(other)

    def _names(self, *models: str) -> list[str]:
        """What the models are called; two conversions of one original by their encodings too."""
        names = [self._view.models.name(model) for model in models]
        if len(set(names)) == len(names):
            return names
        encodings = (wording.model_and_encoding(model)[1] for model in models)
        return [f"{name}  ·  {encoding}" for name, encoding in zip(names, encodings, strict=True)]

    def _show(self) -> None:
        comparison, column = self.comparison, self.column
        if comparison is None or column is None:
            return
        first, second = self._names(comparison.first.model, comparison.second.model)
        self.head.show_name(first)
        column.head.show_name(second)
        self._memory.setText(sentence(comparison, first, second))
        if comparison.waiting:
            column.head.show_waiting(tr("Answers when {first} has ended").format(first=first))
        elif column.head.figures and not column.conversation.visible:
            column.head.show_answer(None)

