"""Writing a message anew, in its place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button


class MessageEditor(QWidget):
    """Enter sends what the user says anew; in an answer it makes a line, and Ctrl+Enter accepts."""

    accepted = Signal(str)
    rejected = Signal()

    def __init__(self, theme: Theme, text: str, *, of_user: bool) -> None:
        super().__init__()
        self._of_user = of_user
        self._edit = QPlainTextEdit(text)
        self._edit.setProperty("role", "field")
        self._edit.setAccessibleName(tr("Edit your message") if of_user else tr("Edit the answer"))
        lines = min(12 if of_user else 22, max(3, text[:4000].count("\n") + 1 + len(text) // 80))
        self._edit.setFixedHeight(lines * self._edit.fontMetrics().lineSpacing() + 24)
        self._edit.installEventFilter(self)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(Button(theme, tr("Cancel"), self.rejected.emit))
        accept = Button(theme, tr("Send") if of_user else tr("Save as a new version"), self._accept, kind="primary")
        buttons.addWidget(accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit)
        layout.addLayout(buttons)

    def take_focus(self) -> None:
        """To the end of the text."""
        self._edit.setFocus()
        self._edit.moveCursor(self._edit.textCursor().MoveOperation.End)

    def _accept(self) -> None:
        self.accepted.emit(self._edit.toPlainText())

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802
        if watched is self._edit and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if enter and (control or (self._of_user and not shift)):
                self._accept()
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.rejected.emit()
                return True
        override = event.type() == QEvent.Type.ShortcutOverride
        if watched is self._edit and override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()  # ends the editing and nothing else
            return True
        return False
