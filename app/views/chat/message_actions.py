"""The row under a message: copy, edit or regenerate, the branch switcher, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import wording
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import IconButton, label


class BranchSwitcher(QWidget):
    """``‹ 2/3 ›``; hidden where there is only one way."""

    step = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._previous = IconButton(theme, "chevron-left", tr("Previous version"), lambda: self.step.emit(-1), size=15)
        self._next = IconButton(theme, "chevron-right", tr("Next version"), lambda: self.step.emit(1), size=15)
        self._place = label("", "small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for widget in (self._previous, self._place, self._next):
            layout.addWidget(widget)

    def show_message(self, message: Message) -> None:
        self.setVisible(message.siblings > 1)
        self._place.setText(f"{message.position + 1}/{message.siblings}")
        version = tr("Version {number} of {count}").format(number=message.position + 1, count=message.siblings)
        self._place.setAccessibleName(version)
        self._previous.setEnabled(message.position > 0)
        self._next.setEnabled(message.position < message.siblings - 1)


class MessageActions(QWidget):
    """Keeps its height while hidden, so that nothing jumps when the pointer passes over a message."""

    change = Signal()
    """Edit (a user message) or regenerate (an answer)."""
    step = Signal(int)

    def __init__(self, theme: Theme, *, of_user: bool) -> None:
        super().__init__()
        self._text = ""
        copy_name = tr("Copy message") if of_user else tr("Copy answer")
        self._copy_name = copy_name
        self.copy_button = IconButton(theme, "copy", copy_name, self._copy, size=16)
        self.change_button = IconButton(
            theme, "edit" if of_user else "refresh", tr("Edit") if of_user else tr("Regenerate"), self.change.emit,
            size=16,
        )
        self.switcher = BranchSwitcher(theme)
        self.switcher.step.connect(self.step)
        self._numbers = label("", "small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        if of_user:
            layout.addStretch()
        for widget in (self.switcher, self.copy_button, self.change_button):
            layout.addWidget(widget)
        if not of_user:
            layout.addSpacing(6)
            layout.addWidget(self._numbers)
            layout.addStretch()
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.timeout.connect(self._offer_copy)

    def show_message(self, message: Message, text: str) -> None:
        """``text`` is what copying gives."""
        self._text = text
        self.copy_button.setEnabled(bool(text))
        self.switcher.show_message(message)
        self._numbers.setText(measured(message.timings))

    def set_enabled(self, enabled: bool) -> None:
        """While an answer is being written nothing may branch."""
        self.change_button.setEnabled(enabled)
        self.switcher.setEnabled(enabled)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)
        self.copy_button.set_icon("check")
        self.copy_button.set_name(tr("Copied"))
        self._copied.start(1600)

    def _offer_copy(self) -> None:
        self.copy_button.set_icon("copy")
        self.copy_button.set_name(self._copy_name)


def measured(timings: Mapping[str, Any] | None) -> str:
    """``"24 tokens/s · first word after 0.3 s · 212 tokens"``, as far as it was measured."""
    if not timings:
        return ""
    parts = []
    speed = timings.get("tokens_per_second")
    if isinstance(speed, int | float) and speed > 0:
        parts.append(wording.rate(speed, "tokens"))
    first = timings.get("first_token_seconds")
    if isinstance(first, int | float) and first >= 0:
        time = f"{first:.1f} s" if first < 10 else wording.duration(first)
        parts.append(tr("first word after {time}").format(time=time))
    usage = timings.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    if isinstance(tokens, int) and tokens:
        parts.append(tr("{count} tokens").format(count=wording.count(tokens)))
    return "  ·  ".join(parts)
