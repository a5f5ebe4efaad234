"""The list of conversations as its tests fill it, read it and choose from its menus."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QInputDialog, QMenu

from app.history.history import History
from app.models.conversation_list import FOLDER, ID, ConversationList

FIXTURES = Path(__file__).parent / "exports"


def talk(history: History, title: str, text: str = "words") -> int:
    conversation = history.create("org/Model:t2", title)
    history.append(conversation, None, "user", text)
    return conversation


def rows(model: ConversationList) -> list[str]:
    """Headings as they are, folders with a slash, conversations with a dash."""
    found = []
    for number in range(model.rowCount()):
        index = model.index(number)
        folder = index.data(FOLDER)
        name = str(index.data())
        found.append(f"{name}/{folder.size}" if folder else f"- {name}" if index.data(ID) else name)
    return found


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (text, bool(text)))


def act(menu: QMenu, text: str) -> None:
    """Choose what stands in a menu or one of its menus."""
    for action in menu.actions():
        if isinstance(within := action.menu(), QMenu):
            for inner in within.actions():
                if inner.text().startswith(text):
                    inner.trigger()
                    return
        elif action.text().startswith(text):
            action.trigger()
            return
    raise AssertionError(f"{text} is not in the menu")
