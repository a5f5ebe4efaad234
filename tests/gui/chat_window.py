"""The window on scripted services, and what its tests do with it: ask, and read what is shown."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.views.chat.answer_message import AnswerMessage
from app.views.chat.code_view import CodeView
from app.views.chat.rich_text import RichText
from app.views.main_window import MainWindow

MODEL = "starter:t2"


def last_answer(window: MainWindow) -> AnswerMessage:
    view = window.chat.messages.views[-1]
    assert isinstance(view, AnswerMessage)
    return view


def shown_text(widget: Any) -> str:
    """All that the block widgets of an answer show."""
    parts = [text.toPlainText() for text in widget.findChildren(RichText) if text.isVisibleTo(widget)]
    parts += [code.text for code in widget.findChildren(CodeView)]
    return "\n".join(parts)


def ask(qtbot: QtBot, window: MainWindow, text: str) -> None:
    window.chat.composer.edit.setFocus()
    qtbot.keyClicks(window.chat.composer.edit, text)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
