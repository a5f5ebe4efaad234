"""The window on scripted services, and what its tests do with it: ask, and read what is shown."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.views.chat.answer_message import AnswerMessage
from app.views.chat.code_view import CodeView
from app.views.chat.rich_text import RichText
from app.views.main_window import MainWindow
from tests.gui.window_services import ScriptedClient

MODEL = "starter:t2"
OTHER = "org/Other-1B:t1"
OWN = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0, "repetition_penalty": 1.0, "dry_multiplier": 0.8}


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


def loaded(client: ScriptedClient, context: int = 2048, **more: Any) -> None:
    """The model that was asked for last is in memory."""
    model, _, reply = client.loads[-1]
    client.loaded[model] = None
    reply.done.emit({"context": context, "kv": "f16", "memory": {"kv": 9, "total": 99}, "sampling": OWN, **more})
