"""The menu of a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMenu

from app.translation import tr

if TYPE_CHECKING:
    from app.views.chat.message_view import MessageView


def message_menu(view: MessageView) -> QMenu:
    """Everything that can be done with the message of ``view``, with the keys that do it on a focused message."""
    menu = QMenu(view)
    menu.setAccessibleName(tr("Message"))
    message, free = view.message, view.actions_row.enabled

    def add(text: str, key: str, act: Callable[[], object], enabled: bool = True) -> None:
        action = menu.addAction(text)
        if key:
            action.setShortcut(QKeySequence(key))
            action.setShortcutVisibleInContextMenu(True)
        action.setEnabled(enabled)
        action.triggered.connect(lambda _checked=False: act())

    add(tr("Copy as Markdown"), "C", view.copy_markdown, bool(view.text))
    add(tr("Copy as plain text"), "", view.copy_plain, bool(view.text))
    menu.addSeparator()
    add(tr("Edit…"), "E", view.begin_edit, free)
    if message.role == "assistant":
        add(tr("Regenerate"), "R", lambda: view.regenerate.emit(message.id), free)
        add(tr("Continue"), "G", lambda: view.continue_wanted.emit(message.id), free and view.can_continue)
    words = tr("Branch from here") if message.role == "assistant" else tr("Say something else instead")
    add(words, "B", lambda: view.branch_wanted.emit(message.id), free)
    if message.siblings > 1:
        menu.addSeparator()
        before, after = message.position > 0, message.position < message.siblings - 1
        add(tr("Previous version"), "Left", lambda: view.step.emit(message.id, -1), free and before)
        add(tr("Next version"), "Right", lambda: view.step.emit(message.id, 1), free and after)
    return menu
