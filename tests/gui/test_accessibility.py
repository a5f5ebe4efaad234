"""Every page and dialog as assistive software and the Tab key find it: all controls named, reachable and in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.views.controls import announcement, notice_bar
from app.views.controls.controls import IconButton
from app.views.main_window import MainWindow
from app.views.pages import PAGES
from app.views.shell import news
from app.views.shell.about_dialog import AboutDialog
from app.views.shell.fault_dialog import FaultDialog
from app.views.shell.shortcut_sheet import ShortcutSheet
from tests.gui.accessible_walk import controls, out_of_order, tab_stops, trouble
from tests.gui.chat_window import ask, last_answer
from tests.gui.window_services import ScriptedClient


def talk(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    """A conversation with an answer of every kind."""
    ask(qtbot, window, "Say something.")
    prose = "Text with `code` and [a link](https://example.org)."
    client.stream.answer(f"{prose}\n\n```python\nx = 1\n```\n\n|a|\n|-|\n|1|")
    qtbot.waitUntil(lambda: last_answer(window).message.state == "done")


@pytest.mark.parametrize("key", [page.key for page in PAGES])
def test_page(qtbot: QtBot, window: MainWindow, client: ScriptedClient, key: str) -> None:
    if key == "chat":
        talk(qtbot, window, client)
    window.show_page(key)
    qtbot.wait(50)
    for control in controls(window):
        print(control.line)
    assert trouble(window) == []
    assert out_of_order(window) == []


DIALOGS: dict[str, Callable[[MainWindow], QWidget]] = {
    "shortcuts": lambda window: ShortcutSheet(window.theme, window),
    "about": AboutDialog,
    "fault": lambda window: FaultDialog(window.theme, "Traceback", window.show_report, window),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(qtbot: QtBot, window: MainWindow, name: str) -> None:
    dialog = DIALOGS[name](window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    assert dialog.windowTitle()
    assert trouble(dialog) == []
    assert out_of_order(dialog) == []


def test_the_walk_finds_what_is_wrong(qtbot: QtBot, qapp: QApplication) -> None:
    """The tests above can fail."""
    window = QWidget()
    window.resize(300, 200)
    qtbot.addWidget(window)
    field, unnamed, hidden = QLineEdit(), QPushButton(), QPushButton("Far")
    hidden.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    own = QWidget()
    own.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    own.setAccessibleName("Own")
    layout = QVBoxLayout(window)
    for widget in (field, unnamed, hidden, QPushButton("Twice"), QPushButton("Twice"), own):
        layout.addWidget(widget)
    QWidget.setTabOrder(unnamed, field)
    window.show()
    qtbot.waitExposed(window)
    found = trouble(window)
    assert any(line.startswith("no name: EditableText") for line in found)
    assert any(line.startswith("no name: Button") for line in found)
    assert any(line.startswith("not reached by Tab: Button “Far”") for line in found)
    assert any(line.startswith("2 × “Twice”") for line in found)
    assert any(line.startswith("role Client: “Own”") for line in found)
    assert out_of_order(window)


def test_the_rail_and_the_composer_are_one_tab_round(qtbot: QtBot, window: MainWindow) -> None:
    stops = tab_stops(window)
    assert window.chat.composer.edit in stops
    assert set(window.rail.buttons.values()) <= set(stops)
    assert stops.index(window.rail.buttons["chat"]) + 1 == stops.index(window.rail.buttons["library"])


def test_announcements(qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[QAccessible.Event] = []
    monkeypatch.setattr(QAccessible, "isActive", lambda: True)
    monkeypatch.setattr(QAccessible, "updateAccessibility", lambda event: said.append(event.type()))
    announcement.announce(window, "An answer begins.")
    announcement.announce(window, "")
    assert said == [QAccessible.Event.Announcement]


def test_answers_and_notices_are_announced(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(QAccessible, "isActive", lambda: True)
    monkeypatch.setattr(news, "announce", lambda _widget, text, urgent=False: said.append(text))
    monkeypatch.setattr(notice_bar, "announce", lambda _widget, text, urgent=False: said.append(text))
    ask(qtbot, window, "What is six times seven?")
    assert said == ["An answer is being written."]
    client.stream.answer("It is 42.")
    qtbot.waitUntil(lambda: len(said) == 2)
    assert said[1] == "The answer: It is 42."
    window.show_error("The disk is full.")
    assert said[2] == "The disk is full."


def test_icon_buttons_name_themselves(qtbot: QtBot, qapp: QApplication) -> None:
    button = IconButton(Theme(qapp), "copy", "Copy", shortcut="Ctrl+C")
    qtbot.addWidget(button)
    interface = QAccessible.queryAccessibleInterface(button)
    assert interface is not None
    assert interface.text(QAccessible.Text.Name) == "Copy"
