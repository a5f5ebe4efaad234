"""What the keyboard does in a conversation beside writing: see :mod:`app.views.shortcuts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from app.text.thinking import split_thinking
from app.views.shortcuts import install

if TYPE_CHECKING:
    from app.history.history import Message
    from app.views.chat.chat_view import ChatView


def install_keys(view: ChatView) -> None:
    """Put the shortcuts of a conversation to work in ``view``."""
    within = Qt.ShortcutContext.WidgetWithChildrenShortcut
    install(view, "panel", view.toggle_panel, within)
    install(view, "copy_answer", lambda: copy_answer(view), within)
    install(view, "regenerate", lambda: again(view), within)
    install(view, "continue_answer", lambda: go_on(view), within)
    install(view, "attach", view.composer.attach_button.click, within)


def copy_answer(view: ChatView) -> None:
    """The last answer into the clipboard, without its thinking."""
    if (answer := _last_answer(view)) is not None:
        QGuiApplication.clipboard().setText(split_thinking(answer.text).text.strip())


def again(view: ChatView) -> None:
    """Another answer to the last question."""
    if (answer := _last_answer(view)) is not None and not view.conversation.busy:
        view.conversation.regenerate(answer.id)


def go_on(view: ChatView) -> None:
    """Let the last answer go on."""
    if (answer := _last_answer(view)) is not None and not view.conversation.busy:
        view.conversation.continue_answer(answer.id)


def _last_answer(view: ChatView) -> Message | None:
    visible = view.conversation.visible
    return visible[-1] if visible and visible[-1].role == "assistant" else None
