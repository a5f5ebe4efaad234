"""The disk is full: the chat goes on, what was written stays, and the user is told once."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.application import Services
from app.history.history import Attachment
from app.views.main_window import MainWindow
from tests.gui.window_services import ScriptedClient
from tzcore.errors import StorageError


def fill_disk(services: Services, full: bool = True) -> None:
    database = services.history._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages if full else 1_000_000}")


def test_an_answer_is_kept_and_saved_when_there_is_room_again(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    window.chat.send("Tell me a long story")
    qtbot.waitUntil(lambda: bool(client.streams))
    fill_disk(services)
    for _ in range(3):
        client.stream.delta.emit("once upon a time " * 2000)
        window.chat.conversation._save()
    assert "cannot be saved" in window.notice.text
    window.notice.hide()
    client.stream.finished.emit("stop", {"completion_tokens": 5}, {})
    assert not window.chat.conversation.busy
    assert not window.notice.isVisible()  # said once
    assert window.chat.conversation.messages[-1].text == "once upon a time " * 6000
    fill_disk(services, full=False)
    window.conversations._saver.setInterval(10)
    qtbot.waitUntil(lambda: not services.history.unsaved)
    assert "saved now" in window.notice.text
    number = window.chat.conversation.id or 0
    kept = services.history._db.execute("SELECT text, state FROM message WHERE role = 'assistant'").fetchone()
    assert tuple(kept) == ("once upon a time " * 6000, "done")
    assert services.history.messages(number)[-1].state == "done"


def test_what_cannot_be_sent_stays_in_its_field(window: MainWindow, services: Services) -> None:
    fill_disk(services)
    text = "a long question " * 3000
    window.chat.attachments.add(Attachment(0, "notes.txt", "text", 3, "abc", 1))
    with pytest.raises(StorageError, match="full"):
        window.chat.send(text)
    assert window.chat.composer.text == text
    assert [one.name for one in window.chat.attachments.ready] == ["notes.txt"]
    assert not window.chat.conversation.busy
    fill_disk(services, full=False)
    window.chat.send(text)
    assert [message.text for message in window.chat.conversation.messages][:1] == [text]
