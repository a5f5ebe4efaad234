"""The engine is killed at all sorts of moments: the window stays, says so, and the answer goes on where it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.application import Services
from app.engine.process import RESTARTED
from app.views.main_window import MainWindow
from tests.gui.chat_window import ask
from tests.tiny_models import tiny_folder

PATIENCE = 60_000
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@pytest.fixture
def window(qtbot: QtBot, home: Path) -> Iterator[MainWindow]:
    (home / "models").mkdir()
    folder = tiny_folder(home / "models" / "tiny--t2", "llama", "t2", "i8")
    receipt = json.loads((folder / "receipt.json").read_text())
    receipt |= {"id": "tiny:t2", "encoding": "t2", "source": {"id": "tiny"}}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    services = Services.build()
    for key, value in (("threads", 1), ("temperature", 1.5), ("seed", 1)):
        services.settings.set(key, value)
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.show()
    services.start()
    yield window
    services.shutdown()


def button(window: MainWindow, text: str) -> QPushButton:
    return next(b for b in window.notice.findChildren(QPushButton) if b.text().strip() == text and b.isVisible())


def kill(window: MainWindow) -> None:
    os.kill(window._services.engine.pid, KILL)


def test_a_broken_answer_goes_on(qtbot: QtBot, window: MainWindow) -> None:
    chat = window.chat
    qtbot.waitUntil(lambda: chat.loaded.state == "ready", timeout=PATIENCE)
    ask(qtbot, window, "Tell me a long story")
    qtbot.waitUntil(lambda: len(chat.conversation.current_text()) > 60, timeout=PATIENCE)
    kill(window)
    qtbot.waitUntil(lambda: chat.conversation.messages[-1].state == "interrupted", timeout=PATIENCE)
    partial = chat.conversation.messages[-1]
    qtbot.waitUntil(lambda: window.notice.isVisible() and window.notice.text == RESTARTED, timeout=PATIENCE)
    window._services.settings.set("max_tokens", 12)
    button(window, "Go on").click()
    qtbot.waitUntil(lambda: chat.conversation.messages[-1].state == "done", timeout=PATIENCE)
    whole = chat.conversation.messages[-1]
    assert whole.id == partial.id
    assert whole.text.startswith(partial.text.rstrip("\ufffd"))
    assert len(whole.text) > len(partial.text)


def test_killed_at_every_stage_it_comes_back(qtbot: QtBot, window: MainWindow) -> None:
    engine, chat = window._services.engine, window.chat
    qtbot.waitUntil(lambda: engine.state == "starting" and engine.pid > 0, timeout=PATIENCE)
    kill(window)  # before it was ready
    qtbot.waitUntil(lambda: engine.state == "running", timeout=PATIENCE)
    kill(window)  # while the model is loaded
    qtbot.waitUntil(lambda: engine.state == "restarting", timeout=PATIENCE)
    qtbot.waitUntil(lambda: chat.loaded.state == "ready", timeout=PATIENCE)
    window._services.settings.set("max_tokens", 6)
    ask(qtbot, window, "word " * 30)
    kill(window)  # while the question is read
    qtbot.waitUntil(lambda: not chat.conversation.busy, timeout=PATIENCE)
    qtbot.waitUntil(lambda: engine.state == "running", timeout=PATIENCE)
    assert window.isVisible()
    chat.conversation.regenerate(chat.conversation.messages[-1].id)
    qtbot.waitUntil(lambda: chat.conversation.messages[-1].state == "done", timeout=PATIENCE)


def test_a_loop_of_crashes_ends_and_says_where_the_log_is(qtbot: QtBot, window: MainWindow) -> None:
    engine = window._services.engine
    for _ in range(5):
        qtbot.waitUntil(lambda: engine.pid > 0, timeout=PATIENCE)
        kill(window)
        qtbot.waitUntil(lambda: engine.pid == 0, timeout=PATIENCE)
    assert engine.state == "failed"
    assert "engine.log" in window.notice.text
    assert "memory" in window.notice.text
    button(window, "Start it again").click()
    qtbot.waitUntil(lambda: engine.state == "running", timeout=PATIENCE)


def test_the_server_for_others_is_there_again_after_a_crash(qtbot: QtBot, window: MainWindow) -> None:
    from openai import OpenAI

    services: Services = window._services
    services.settings.set("server_token_wanted", False)
    services.settings.set("server_port", 18_642 + os.getpid() % 1000)
    services.settings.set("server_on", True)
    qtbot.waitUntil(lambda: services.server.state == "on", timeout=PATIENCE)
    url = services.server.url
    kill(window)
    qtbot.waitUntil(lambda: services.server.state == "starting", timeout=PATIENCE)
    qtbot.waitUntil(lambda: services.server.state == "on", timeout=PATIENCE)
    assert services.server.url == url
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30) as client:
        said = [{"role": "user", "content": "Hi"}]
        answer = client.chat.completions.create(model="tiny:t2", messages=said, max_tokens=3)  # type: ignore[call-overload]
    assert answer.usage.completion_tokens == 3
    with qtbot.waitSignal(services.server.activity_changed, timeout=PATIENCE):
        services.server.ask()
    assert services.server.requests[0]["tokens"] == 3
