"""Where a message is written: grows with its text, Enter sends, Shift+Enter makes a new line."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMimeData, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.theme import Theme
from app.translation import tr
from app.views.chat.context_gauge import ContextGauge
from app.views.controls.controls import IconButton, frame, label, set_property

MOST_LINES = 9


class MessageEdit(QPlainTextEdit):
    """Plain text only: pasted formatting is dropped."""

    submitted = Signal()
    focus_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setAccessibleName(tr("Message"))
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 1.06)
        self.setFont(font)
        self.document().setDocumentMargin(0)
        self.textChanged.connect(self._fit)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        if source.hasText():
            self.insertPlainText(source.text())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier):
            self.submitted.emit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self, _size: object = None) -> None:
        lines = max(1, min(MOST_LINES, round(self.document().size().height())))  # in lines, by Qt's definition
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 6)
        fits = self.document().size().height() <= MOST_LINES
        off, needed = Qt.ScrollBarPolicy.ScrollBarAlwaysOff, Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.setVerticalScrollBarPolicy(off if fits else needed)


class Composer(QWidget):
    """The field, the context gauge, and one button that sends or stops."""

    send = Signal(str)
    stop = Signal()
    text_changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._busy, self._blocked = False, ""
        self.edit = MessageEdit()
        self.gauge = ContextGauge(theme)
        self.button = IconButton(
            theme, "send", tr("Send"), self._press, colour="on_accent", kind="send", shortcut=tr("Enter")
        )
        self._hint = label("", "small")
        self._frame = frame("composer")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.gauge)
        row.addWidget(self._hint, 1)
        row.addWidget(self.button)
        inner = QVBoxLayout(self._frame)
        inner.setContentsMargins(16, 12, 10, 8)
        inner.setSpacing(4)
        inner.addWidget(self.edit)
        inner.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._frame)
        self.edit.submitted.connect(self._submit)
        self.edit.textChanged.connect(self._on_text)
        self.edit.focus_changed.connect(lambda focus: set_property(self._frame, "active", "true" if focus else "false"))
        self._update()

    @property
    def text(self) -> str:
        return self.edit.toPlainText()

    def set_text(self, text: str) -> None:
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)

    def set_model_name(self, name: str) -> None:
        self.edit.setPlaceholderText(tr("Message {name}").format(name=name) if name else tr("Message"))
        self.edit.viewport().update()  # Qt does not repaint it by itself

    def set_busy(self, busy: bool) -> None:
        """While an answer is written the button stops it; typing goes on."""
        self._busy = busy
        self._update()

    def set_blocked(self, reason: str) -> None:
        """Why nothing can be sent now, or ``""``."""
        self._blocked = reason
        self._hint.setText(reason)
        self._update()

    def _on_text(self) -> None:
        self._update()
        self.text_changed.emit()

    def _press(self) -> None:
        if self._busy:
            self.stop.emit()
        else:
            self._submit()

    def _submit(self) -> None:
        text = self.text.strip()
        if text and not self._busy and not self._blocked:
            self.edit.clear()
            self.send.emit(text)

    def _update(self) -> None:
        self.button.set_icon("stop" if self._busy else "send")
        self.button.set_name(tr("Stop") if self._busy else tr("Send"), tr("Esc") if self._busy else tr("Enter"))
        self.button.setEnabled(self._busy or (bool(self.text.strip()) and not self._blocked))
