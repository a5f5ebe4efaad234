"""The row under a message: copy, edit, regenerate, continue, the branch switcher, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app import wording
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import IconButton, label

HEIGHT = 28


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
        """Show which version this is."""
        self.setVisible(message.siblings > 1)
        self._place.setText(f"{message.position + 1}/{message.siblings}")
        version = tr("Version {number} of {count}").format(number=message.position + 1, count=message.siblings)
        self._place.setAccessibleName(version)
        self._place.setToolTip(version)
        self._previous.setEnabled(message.position > 0)
        self._next.setEnabled(message.position < message.siblings - 1)


class MessageActions(QWidget):
    """Keeps its height while hidden, so that nothing jumps when the pointer passes over a message.

    Its buttons are made when they are first shown: most messages that are scrolled past never show them.
    """

    copy = Signal()
    edit = Signal()
    regenerate = Signal()
    go_on = Signal()
    more = Signal()
    step = Signal(int)

    def __init__(self, theme: Theme, *, of_user: bool) -> None:
        super().__init__()
        self._theme, self._of_user = theme, of_user
        self._made = False
        self.enabled = True
        """Whether the conversation may branch now."""
        self.setFixedHeight(HEIGHT)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.hide()

    def show_message(self, message: Message, can_continue: bool) -> None:
        """Make the buttons, as the message has a use for them."""
        self._make()
        self._copy.setEnabled(bool(message.text))
        self._continue.setVisible(can_continue)
        self.switcher.show_message(message)
        self._numbers.setText(measured(message))
        details = "\n".join(measured_details(message))
        self._numbers.setToolTip(details)
        self._numbers.setAccessibleName(details)
        self._numbers.setVisible(bool(self._numbers.text()))

    @property
    def copy_button(self) -> IconButton:
        return self._make()._copy

    @property
    def edit_button(self) -> IconButton:
        return self._make()._edit

    @property
    def change_button(self) -> IconButton:
        """What makes a branch: edit of what the user said, regenerate of an answer."""
        return self._make()._edit if self._of_user else self._make()._regenerate

    @property
    def continue_button(self) -> IconButton:
        return self._make()._continue

    def set_enabled(self, enabled: bool) -> None:
        """While an answer is being written nothing may branch."""
        self.enabled = enabled
        if self._made:
            for widget in (self._edit, self._regenerate, self._continue, self.switcher):
                widget.setEnabled(enabled)

    def menu_place(self) -> QPoint:
        """Where a menu opens on the screen."""
        button = self._make()._more
        return button.mapToGlobal(QPoint(0, button.height()))

    def _make(self) -> MessageActions:
        if self._made:
            return self
        self._made = True
        theme, of_user = self._theme, self._of_user
        self._copy_name = tr("Copy message") if of_user else tr("Copy answer")
        self._copy = IconButton(theme, "copy", self._copy_name, self._on_copy, size=16)
        self._edit = IconButton(theme, "edit", tr("Edit"), self.edit.emit, size=16)
        self._regenerate = IconButton(theme, "refresh", tr("Regenerate"), self.regenerate.emit, size=16)
        self._continue = IconButton(theme, "continue", tr("Continue"), self.go_on.emit, size=16)
        self._more = IconButton(theme, "more", tr("More actions"), self.more.emit, size=16)
        self.switcher = BranchSwitcher(theme)
        self.switcher.step.connect(self.step)
        self._numbers = label("", "small")
        self._numbers.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        if of_user:
            layout.addStretch()
        for widget in (self.switcher, self._copy, self._edit, self._regenerate, self._continue, self._more):
            layout.addWidget(widget)
        self._regenerate.setVisible(not of_user)
        self._continue.setVisible(False)
        if not of_user:
            layout.addSpacing(6)
            layout.addWidget(self._numbers)
            layout.addStretch()
        else:
            self._numbers.setParent(self)
            self._numbers.hide()
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.timeout.connect(self._offer_copy)
        self.set_enabled(self.enabled)
        return self

    def _on_copy(self) -> None:
        self.copy.emit()
        self._copy.set_icon("check")
        self._copy.set_name(tr("Copied"))
        self._copied.start(1600)

    def _offer_copy(self) -> None:
        self._copy.set_icon("copy")
        self._copy.set_name(self._copy_name)


def measured(message: Message) -> str:
    """``"24 tokens/s · first word after 0.3 s · 212 tokens · model"``, as far as it was measured."""
    timings = message.timings
    if not timings or message.role != "assistant":
        return ""
    parts = []
    speed = timings.get("tokens_per_second")
    if isinstance(speed, int | float) and speed > 0:
        parts.append(wording.rate(speed, "tokens"))
    first = timings.get("first_token_seconds")
    if isinstance(first, int | float) and first >= 0:
        time = f"{wording.decimal(first)} s" if first < 10 else wording.duration(first)
        parts.append(tr("first word after {time}").format(time=time))
    if tokens := _tokens(timings, "completion_tokens"):
        parts.append(tr("{count} tokens").format(count=wording.count(tokens)))
    if timings.get("edited"):
        parts.append(tr("edited"))
    if parts and message.model:
        parts.append(wording.short_model(message.model))
    return "  ·  ".join(parts)


def measured_details(message: Message) -> list[str]:
    """The same and more, a line each."""
    timings = message.timings or {}
    lines = []
    if message.model:
        lines.append(tr("Model: {model}").format(model=message.model))
    when = datetime.fromtimestamp(message.created).strftime("%Y-%m-%d %H:%M")
    lines.append(tr("Written: {time}").format(time=when))
    speed, first = timings.get("tokens_per_second"), timings.get("first_token_seconds")
    if isinstance(speed, int | float) and speed > 0:
        lines.append(tr("Speed: {rate}").format(rate=wording.rate(speed, "tokens")))
    if isinstance(first, int | float) and first >= 0:
        lines.append(tr("First word after {time}").format(time=f"{wording.decimal(first, 2)} s"))
    if prompt := _tokens(timings, "prompt_tokens"):
        lines.append(tr("Prompt: {count} tokens").format(count=wording.count(prompt)))
    if tokens := _tokens(timings, "completion_tokens"):
        lines.append(tr("Answer: {count} tokens").format(count=wording.count(tokens)))
    if timings.get("edited"):
        lines.append(tr("You edited this answer."))
    return lines


def _tokens(timings: Mapping[str, Any], name: str) -> int:
    usage = timings.get("usage")
    tokens = usage.get(name) if isinstance(usage, Mapping) else None
    return tokens if isinstance(tokens, int) else 0
