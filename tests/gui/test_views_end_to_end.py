"""The window with its real services: a tiny model behind a real engine child, kill −9 included."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.application import Services
from app.engine.process import RESTARTED
from app.views.chat.answer_message import AnswerMessage
from app.views.main_window import MainWindow
from tests.tiny_models import tiny_folder

MODEL = "tiny:t2"
PATIENCE = 60_000


@pytest.fixture
def window(qtbot: QtBot, home: Path) -> Iterator[MainWindow]:
    (home / "models").mkdir()
    folder = tiny_folder(home / "models" / "tiny--t2", "llama", "t2", "i8")
    receipt = json.loads((folder / "receipt.json").read_text())
    receipt |= {"id": MODEL, "encoding": "t2", "source": {"id": "tiny"}}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    services = Services.build()
    services.settings.set("threads", 1)
    services.settings.set("temperature", 1.5)
    services.settings.set("seed", 1)
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.show()
    services.start()
    yield window
    services.shutdown()


def ask(qtbot: QtBot, window: MainWindow, text: str) -> None:
    qtbot.keyClicks(window.chat.composer.edit, text)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)


def answer(window: MainWindow) -> AnswerMessage:
    view = window.chat.messages.views[-1]
    assert isinstance(view, AnswerMessage)
    return view


def test_chat_stop_kill_regenerate(qtbot: QtBot, window: MainWindow) -> None:
    services, chat = window._services, window.chat
    qtbot.waitUntil(lambda: chat.loaded.state == "ready", timeout=PATIENCE)
    assert chat.header.picker.text().startswith("tiny  ·  t2")
    assert chat.loaded.context > 0

    services.settings.set("max_tokens", 12)
    ask(qtbot, window, "Hello")
    qtbot.waitUntil(lambda: answer(window).message.state == "done", timeout=PATIENCE)
    assert answer(window).message.text
    assert "tokens/s" in answer(window).actions_row._numbers.text()
    qtbot.waitUntil(lambda: chat.composer.gauge.words.startswith(tuple("123456789")), timeout=PATIENCE)

    services.settings.set("max_tokens", None)
    ask(qtbot, window, "Tell me a long story")
    qtbot.waitUntil(lambda: len(chat.conversation.current_text()) > 40, timeout=PATIENCE)
    os.kill(services.engine.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    qtbot.waitUntil(lambda: answer(window).message.state == "interrupted", timeout=PATIENCE)
    partial = answer(window).message.text
    assert len(partial) > 40
    assert answer(window)._again.isVisibleTo(window)
    qtbot.waitUntil(lambda: window.notice.isVisible() and window.notice.text == RESTARTED, timeout=PATIENCE)
    assert services.history.message(answer(window).message.id).text == partial

    services.settings.set("max_tokens", 5)
    answer(window)._again.click()
    qtbot.waitUntil(lambda: answer(window).message.state == "done", timeout=PATIENCE)
    assert (answer(window).message.position, answer(window).message.siblings) == (1, 2)

    services.settings.set("max_tokens", None)
    ask(qtbot, window, "And another one")
    qtbot.waitUntil(lambda: len(chat.conversation.current_text()) > 20, timeout=PATIENCE)
    chat.composer.button.click()
    qtbot.waitUntil(lambda: answer(window).message.state == "stopped", timeout=1000)
    assert len(answer(window).message.text) > 20


def test_an_installed_model_is_deleted_from_the_library(qtbot: QtBot, window: MainWindow, home: Path) -> None:
    from PySide6.QtWidgets import QMessageBox

    qtbot.waitUntil(lambda: window.chat.loaded.state == "ready", timeout=PATIENCE)
    window.show_library()
    assert window.library is not None
    (entry,) = window._services.library.installed()
    window.library._confirm_delete(entry)
    (box,) = window.library.findChildren(QMessageBox)
    next(button for button in box.buttons() if button.text() == "Delete").click()
    qtbot.waitUntil(lambda: not window._services.library.installed(), timeout=PATIENCE)
    assert not (home / "models" / "tiny--t2").exists()
    assert window.chat.loaded.state == "none"
    assert window.chat.composer._hint.text() == "Get a model first"


def test_a_full_context_slides_and_is_marked_for_good(qtbot: QtBot, window: MainWindow) -> None:
    services, chat = window._services, window.chat
    services.settings.set("context", 256)
    services.settings.set("max_tokens", 4)
    qtbot.waitUntil(lambda: chat.loaded.state == "ready" and chat.loaded.context == 256, timeout=PATIENCE)
    for number in range(8):
        ask(qtbot, window, f"{number} " + "river and lake " * 8)
        qtbot.waitUntil(lambda: not chat.conversation.busy, timeout=PATIENCE)
        if answer(window).message.state == "failed":
            break
    assert answer(window).message.state == "failed"
    answer(window).ways_out["slide"].click()
    qtbot.waitUntil(lambda: answer(window).message.state == "done", timeout=PATIENCE)
    [change] = answer(window).message.context_changes
    assert change["kind"] == "slide"
    assert change["messages_left_out"] > 0
    again = MainWindow(services)
    qtbot.addWidget(again)
    again.open_conversation(chat.conversation.id or 0)
    shown = [again.chat.messages._view(index) for index in range(len(again.chat.messages.messages))]
    [line] = [view.marker for view in shown if view.marker is not None]
    assert "not read by the model" in line.accessibleName()


def test_the_costs_of_a_context_are_the_engines(qtbot: QtBot, window: MainWindow) -> None:
    from app.views.chat.context_dialog import ContextDialog

    qtbot.waitUntil(lambda: window.chat.loaded.state == "ready", timeout=PATIENCE)
    window.chat.header.context_button.click()
    [dialog] = window.findChildren(ContextDialog)
    qtbot.waitUntil(lambda: bool(dialog.sum.text()), timeout=PATIENCE)
    assert "it fits" in dialog.sum.text()
    assert dialog.spin.value() == window.chat.loaded.context
    dialog.spin.setValue(300)
    dialog._open.click()
    qtbot.waitUntil(lambda: window.chat.loaded.context == 300, timeout=PATIENCE)
