"""The server page: on and off, address and token, who is connected, examples that can be copied."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.application import Services
from app.server.examples import EXAMPLES
from app.server.server import TOKEN
from app.settings.secrets import SESSION
from app.views.main_window import MainWindow
from app.views.server.server_view import ServerView
from app.views.settings.editors import SwitchEditor
from tests.gui.window_services import ScriptedClient

OPENED = {"listening": {"host": "127.0.0.1", "port": 8642, "url": "http://127.0.0.1:8642"}}


@pytest.fixture
def page(qtbot: QtBot, window: MainWindow) -> ServerView:
    window.show_page("server")
    view = window.pages.currentWidget()
    assert isinstance(view, ServerView)
    return view


def switch_on(qtbot: QtBot, page: ServerView, client: ScriptedClient) -> None:
    editor = page.rows["server_on"].editor
    assert isinstance(editor, SwitchEditor)
    editor.box.setChecked(True)
    qtbot.waitUntil(lambda: bool(client.listens))


def answer(qtbot: QtBot, client: ScriptedClient, value: Any = OPENED) -> None:
    client.listens[-1][3].done.emit(value)


def test_switched_on_it_has_an_address_and_a_token_of_its_own(
    qtbot: QtBot, page: ServerView, services: Services, client: ScriptedClient
) -> None:
    assert services.server.state == "off"
    switch_on(qtbot, page, client)
    port, host, token, _ = client.listens[-1]
    assert (port, host) == (8642, "127.0.0.1")
    assert len(token) >= 24
    answer(qtbot, client)
    assert services.server.state == "on"
    assert page.address.url.text() == "http://127.0.0.1:8642/v1"
    assert page.address.token.echoMode() == QLineEdit.EchoMode.Password
    page.address.show_token.click()
    assert page.address.token.echoMode() == QLineEdit.EchoMode.Normal
    assert page.address.token.text() == token
    stored = services.settings._path.read_text()
    assert token not in stored
    qtbot.waitUntil(page.address.keep.isVisible)  # there is no key ring here
    assert services.secrets.where(TOKEN) == SESSION


def test_a_new_token_is_used_at_once(qtbot: QtBot, page: ServerView, client: ScriptedClient) -> None:
    switch_on(qtbot, page, client)
    answer(qtbot, client)
    old = client.listens[-1][2]
    page.address.new.click()
    next(button for button in page.address.question.buttons() if button.text() == "Make a new token").click()
    qtbot.waitUntil(lambda: client.listens[-1][2] != old)


def test_a_refusal_is_said_and_another_port_is_tried(
    qtbot: QtBot, page: ServerView, services: Services, client: ScriptedClient
) -> None:
    switch_on(qtbot, page, client)
    client.listens[-1][3].failed.emit("Port 8642 on 127.0.0.1 is in use by another program: choose another")
    assert services.server.state == "failed"
    assert "in use" in page.address.state.text()
    services.settings.set("server_port", 9000)
    qtbot.waitUntil(lambda: client.listens[-1][0] == 9000)
    services.settings.set("server_on", False)
    qtbot.waitUntil(lambda: client.listens[-1][0] == 0)
    assert services.server.state == "off"


def test_other_machines_come_in_by_a_switch_and_with_a_token_alone(
    qtbot: QtBot, page: ServerView, services: Services, client: ScriptedClient
) -> None:
    services.settings.set("server_token_wanted", False)
    switch_on(qtbot, page, client)
    assert client.listens[-1][1:3] == ("127.0.0.1", "")
    answer(qtbot, client)
    services.settings.set("server_lan", True)
    qtbot.waitUntil(lambda: client.listens[-1][1] == "0.0.0.0")
    assert client.listens[-1][2]
    answer(qtbot, client)
    assert "without encryption" in page.address.others.text()
    assert not page.rows["server_token_wanted"].isEnabled()


def test_after_a_restart_of_the_engine_it_is_opened_again(
    qtbot: QtBot, page: ServerView, services: Services, client: ScriptedClient
) -> None:
    switch_on(qtbot, page, client)
    answer(qtbot, client)
    services.engine.state_changed.emit("restarting")
    assert services.server.state == "starting"
    count = len(client.listens)
    services.engine.ready.emit("http://127.0.0.1:2")
    assert len(client.listens) == count + 1


def test_who_is_connected_and_what_was_asked(qtbot: QtBot, page: ServerView, client: ScriptedClient) -> None:
    assert page.nobody.text() == "The server is off."
    switch_on(qtbot, page, client)
    answer(qtbot, client)
    assert client.activities
    row = {"client": "127.0.0.1:5000", "process": "python3", "model": "starter:t2", "tokens_per_second": 41.25}
    request = {**row, "id": 1, "time": 1_750_000_000.0, "method": "POST", "route": "/v1/chat/completions",
               "status": 200, "running": False, "seconds": 1.5, "prompt_tokens": 12, "tokens": 40}
    client.activities[-1].done.emit(
        {"connections": [{**row, "requests": 3, "running": 1}],
         "requests": [{**request, "status": 0, "running": True}, {**request, "process": "", "seconds": 0.02}]}
    )
    table = page.connections.table
    shown = [table.data(table.index(0, place)) for place in range(table.columnCount())]
    assert shown == ["python3", "127.0.0.1:5000", "starter:t2", "3", "1", "41.2"]
    table = page.requests.table
    assert table.data(table.index(0, 4)) == "running"
    assert table.data(table.index(1, 1)) == "not known"
    assert table.data(table.index(1, 5)) == "12 + 40"
    assert table.data(table.index(1, 7)) == "20 ms"


def test_examples_are_copied_with_the_token_and_shown_without(
    qtbot: QtBot, page: ServerView, client: ScriptedClient
) -> None:
    switch_on(qtbot, page, client)
    token = client.listens[-1][2]
    answer(qtbot, client)
    for place, example in enumerate(EXAMPLES):
        page.examples.buttons.button(place).click()
        shown = page.examples.text.toPlainText()
        assert token not in shown
        page.examples.copy.click()
        copied = QApplication.clipboard().text()
        assert token in copied, example.name
        assert "http://127.0.0.1:8642/v1" in copied
        assert "<" not in copied.replace("<stdin>", "")
    assert "starter:t2" in QApplication.clipboard().text()
