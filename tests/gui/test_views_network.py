"""The network page: all that went out, nothing that is not asked for, how the hub is reached."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.application import Services
from app.child import Child
from app.network import outbound_log
from app.network.connection_test import ConnectionTest
from app.views.main_window import MainWindow
from app.views.network.network_view import NetworkView
from tzcore import outbound


@pytest.fixture
def page(qtbot: QtBot, window: MainWindow) -> NetworkView:
    window.show_page("network")
    view = window.pages.currentWidget()
    assert isinstance(view, NetworkView)
    return view


def test_nothing_has_ever_left(page: NetworkView) -> None:
    assert page.nothing.isVisible()
    assert page.nothing.text() == "Nothing has ever left this machine."
    assert not page.export.isEnabled()
    assert not page.clear.isEnabled()


def test_requests_are_listed_filtered_exported_and_cleared(
    qtbot: QtBot, page: NetworkView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound.record("GET", "https://hub.example/api/models?search=x", "search for models")
    outbound.record("GET", "https://cdn.example/=cmd", "file of a model")
    aside = outbound.log_file().with_name("outbound-1.jsonl")
    aside.write_text(json.dumps({"host": "old.example", "program": "tz pull", "purpose": "x"}) + "\n{damaged\n[]\n")
    page.refresh()
    assert [row.host for row in page.log.table.rows] == ["cdn.example", "hub.example", "old.example"]
    assert not page.nothing.isVisible()
    page.search.setText("FILE of")
    assert [row.host for row in page.log.table.rows] == ["cdn.example"]
    assert page.summary.text() == "One request, to cdn.example."
    page.search.setText("xyzzy")
    assert "xyzzy" in page.summary.text()
    page.search.clear()
    target = tmp_path / "list.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    page.export.click()
    rows = list(csv.DictReader(target.open()))
    assert [row["host"] for row in rows] == ["cdn.example", "hub.example", "old.example"]
    page.clear.click()
    next(button for button in page.question.buttons() if button.text() == "Clear").click()
    assert outbound_log.files() == []
    assert page.nothing.isVisible()


def test_what_a_spreadsheet_would_run_is_quoted() -> None:
    request = outbound_log.Request(None, "=1+1", "GET", "host", "/", "@x")
    assert outbound_log.as_csv([request]).splitlines()[1] == ",'=1+1,GET,host,/,'@x"


def test_the_connection_is_tested_on_a_click_alone(qtbot: QtBot, page: NetworkView, services: Services) -> None:
    said = '{"host": "hub.example", "milliseconds": 12}'
    page.test._command = (sys.executable, "-c", f"print('{said}')")
    with qtbot.waitSignal(page.test.finished):
        page.ask.click()
    assert page.outcome.text() == "hub.example answers, after 12 ms."
    page.test._command = (sys.executable, "-c", "import sys; sys.exit('tz: no way there')")
    with qtbot.waitSignal(page.test.finished):
        page.ask.click()
    assert page.outcome.text() == "no way there"
    services.settings.set("offline", True)
    assert not page.ask.isEnabled()


def test_the_fields_of_the_proxy_are_there_when_it_is_chosen(page: NetworkView, services: Services) -> None:
    assert not page.rows["proxy_address"].isVisible()
    services.settings.set("proxy", "manual")
    assert page.rows["proxy_address"].isVisible()


def test_offline_the_real_test_does_not_go_out(qtbot: QtBot, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ_OFFLINE", "1")
    test = ConnectionTest()
    with qtbot.waitSignal(test.finished, timeout=30_000) as outcome:
        test.start()
    assert outcome.args is not None
    assert outcome.args[0] is False
    assert "Offline is switched on" in outcome.args[1]


def test_switched_off_the_network_what_is_under_way_ends(qtbot: QtBot, home: Path) -> None:
    services = Services.build()
    try:
        child = Child(["search", "x"], (sys.executable, "-c", "import time; time.sleep(60)"))
        other = Child(["list"], (sys.executable, "-c", "import time; time.sleep(60)"))
        with qtbot.waitSignal(child.finished, timeout=10_000):
            child.start()
            other.start()
            services.settings.set("offline", True)
        assert other.pid
        other.kill()
        qtbot.waitSignal(other.finished).wait()
        late = Child(["search"], (sys.executable, "-c", "import os; print(os.environ['TZ_OFFLINE'])"))
        said: list[object] = []
        late.said.connect(said.append)
        with qtbot.waitSignal(late.finished, timeout=10_000):
            late.start()
        assert said == [1]
    finally:
        services.shutdown()
