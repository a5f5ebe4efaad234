"""A line above the message field: what is to know before sending, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, discard, frame, label, set_property

Action = tuple[str, Callable[[], object]]
"""The word on a button, and what it does."""


class ComposerNote(QWidget):
    """Of several notes the one that was shown last is seen; each goes by its key."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._notes: dict[str, tuple[str, Sequence[Action], str]] = {}
        self._box = frame("notice")
        self._text = label("", "", wrap=True)
        self._close = IconButton(theme, "close", tr("Close the note"), self._hide_shown, size=14)
        self._closed: set[str] = set()
        self._buttons: list[Button] = []
        self._row = QHBoxLayout(self._box)
        self._row.setContentsMargins(12, 6, 6, 6)
        self._row.setSpacing(6)
        self._row.addWidget(self._text, 1)
        self._row.addWidget(self._close)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._box)
        self.hide()

    @property
    def text(self) -> str:
        """What is seen; empty while nothing is."""
        return next(reversed(self._notes.values()))[0] if self._notes else ""

    @property
    def buttons(self) -> dict[str, Button]:
        return {button.accessibleName(): button for button in self._buttons}

    def show_note(self, key: str, text: str, actions: Sequence[Action] = (), tone: str = "") -> None:
        """Show a note, or another one under the same key.  ``tone``: "", "warning" or "danger"."""
        note = (text, tuple(actions), tone)
        before = self._notes.get(key)
        if key in self._closed or (before is not None and before[0] == text and len(before[1]) == len(actions)):
            return
        self._notes.pop(key, None)
        self._notes[key] = note
        self._show()

    def hide_note(self, key: str) -> None:
        """It holds no longer; the next one under this key is shown although this was closed."""
        self._closed.discard(key)
        if self._notes.pop(key, None) is not None:
            self._show()

    def _hide_shown(self) -> None:
        self._closed.add(self._notes.popitem()[0])
        self._show()

    def _show(self) -> None:
        for button in self._buttons:
            discard(button)
        self._buttons = []
        self.setVisible(bool(self._notes))
        if not self._notes:
            return
        text, actions, tone = next(reversed(self._notes.values()))
        self._text.setText(text)
        set_property(self._box, "tone", tone)
        for word, act in actions:
            button = Button(self._theme, word, act)
            self._buttons.append(button)
            self._row.insertWidget(self._row.count() - 1, button)
