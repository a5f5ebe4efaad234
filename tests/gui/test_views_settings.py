"""The settings page: made from the declarations, said when wrong, found by search, used by keyboard."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.application import Services
from app.settings.declared import GROUPS, SETTINGS
from app.settings.secrets import FILE
from app.settings.settings import Settings
from app.views.main_window import MainWindow
from app.views.settings.editors import ChoiceEditor, FoldersEditor, NumberEditor, SwitchEditor, TextEditor
from app.views.settings.secret_row import SecretRow
from app.views.settings.setting_row import SettingRow
from app.views.settings.settings_view import SettingsView


@pytest.fixture
def page(qtbot: QtBot, window: MainWindow) -> SettingsView:
    window.show_settings()
    view = window.pages.currentWidget()
    assert isinstance(view, SettingsView)
    return view


def row(page: SettingsView, key: str) -> SettingRow:
    made = page.rows[key]
    assert isinstance(made, SettingRow)
    return made


def visible(page: SettingsView) -> set[str]:
    return {key for key, made in page.rows.items() if made.isVisible()}


def test_every_setting_of_a_group_has_a_row_and_belongs_to_a_known_group(page: SettingsView) -> None:
    assert {setting.group for setting in SETTINGS} <= {*GROUPS, ""}
    assert set(page.rows) == {setting.key for setting in SETTINGS if setting.group}


def test_numbers_hold_at_once_and_one_step_below_the_least_unsets(page: SettingsView, services: Services) -> None:
    temperature, longest = row(page, "temperature").editor, row(page, "max_tokens").editor
    assert isinstance(temperature, NumberEditor)
    assert isinstance(longest, NumberEditor)
    temperature.spin.setValue(0.3)
    assert services.settings.get("temperature") == 0.3
    assert temperature.slider is not None
    temperature.slider.setValue(temperature.slider.minimum())
    assert services.settings.get("temperature") is None
    temperature.slider.setValue(1)
    assert services.settings.get("temperature") == 0.0
    assert longest.slider is None
    assert longest.spin.text() == "as far as the context reaches"
    longest.spin.setValue(256)
    assert services.settings.get("max_tokens") == 256


def test_a_changed_setting_is_marked_says_its_default_and_goes_back(
    qtbot: QtBot, page: SettingsView, services: Services
) -> None:
    page.show_group("Answers")
    made = row(page, "top_k")
    assert not made.mark.isVisible()
    services.settings.set("top_k", 40)  # from elsewhere
    assert made.mark.isVisible()
    assert isinstance(made.editor, NumberEditor)
    assert made.editor.spin.value() == 40
    assert "what the model recommends" in made.editor.field.accessibleDescription()
    qtbot.mouseClick(made.reset, Qt.MouseButton.LeftButton)
    assert services.settings.get("top_k") is None
    assert not made.reset.isVisible()


def test_what_is_wrong_is_said_in_place_and_not_stored(page: SettingsView, services: Services) -> None:
    page.show_group("Network")
    made = row(page, "hub_mirror")
    assert isinstance(made.editor, TextEditor)
    made.editor.line.setText("mirror dot org")
    made.editor.line.editingFinished.emit()
    assert "no address" in made.error.text()
    assert made.error.isVisible()
    assert services.settings.get("hub_mirror") == ""
    made.editor.line.setText("https://mirror.example")
    made.editor.line.editingFinished.emit()
    assert not made.error.isVisible()
    assert services.settings.get("hub_mirror") == "https://mirror.example"


def test_choices_switches_and_folders(page: SettingsView, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    theme, offline = row(page, "theme").editor, row(page, "offline").editor
    assert isinstance(theme, ChoiceEditor)
    assert isinstance(offline, SwitchEditor)
    theme.box.setCurrentIndex(theme.box.findData("dark"))
    theme.box.activated.emit(theme.box.currentIndex())
    assert services.settings.get("theme") == "dark"
    offline.box.click()
    assert services.settings.get("offline") is True
    from PySide6.QtWidgets import QFileDialog

    from app.settings.declared import Setting
    from app.theme import Theme

    folders = FoldersEditor(page.findChild(QWidget) and page._theme, Setting("f", str, "", "F", "", kind="folders"))
    assert isinstance(page._theme, Theme)
    seen: list[object] = []
    folders.chosen.connect(seen.append)
    folders.show_value("/a\n/b")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/c")
    folders.add.click()
    folders.list.setCurrentRow(0)
    folders.take.click()
    assert seen == ["/a\n/b\n/c", "/b"]


def test_search_finds_words_of_labels_help_and_choices(qtbot: QtBot, page: SettingsView) -> None:
    page.search.setFocus()
    qtbot.keyClicks(page.search, "proxy")
    assert {"proxy", "proxy_address", "proxy_exceptions"} <= visible(page)
    assert "theme" not in visible(page)
    page.search.setText("dark")
    assert visible(page) == {"theme"}
    page.search.setText("xyzzy")
    assert visible(page) == set()
    assert "xyzzy" in page.nothing.text()
    qtbot.keyClick(page.search, Qt.Key.Key_Escape)
    assert visible(page) >= {"theme", "language"}


def test_every_editor_is_named_and_reachable_by_tab(qtbot: QtBot, page: SettingsView) -> None:
    for place in range(page.groups.count()):
        page.groups.setCurrentRow(place)
        wanted = {made for key, made in page.rows.items() if made.isVisible()}
        page.groups.setFocus()
        reached = set()
        for _ in range(80):
            qtbot.keyClick(page.window().focusWidget(), Qt.Key.Key_Tab)
            focused = page.window().focusWidget()
            assert focused.accessibleName() or isinstance(focused, QPushButton), focused
            reached |= {made for made in wanted if made.isAncestorOf(focused)}
        assert reached == wanted


def test_a_token_is_kept_and_never_shown(qtbot: QtBot, page: SettingsView, services: Services) -> None:
    page.show_group("Network")
    made = page.rows["hub_token"]
    assert isinstance(made, SecretRow)
    qtbot.keyClicks(made.line, "hf_planted")
    services.secrets._command = (sys.executable, "-c", "print('{\"error\": \"no key ring\"}')")
    with qtbot.waitSignal(services.secrets.no_key_ring):
        qtbot.keyClick(made.line, Qt.Key.Key_Return)
    assert made.line.text() == ""
    assert services.secrets.get("hub_token") == "hf_planted"
    assert "No key ring is available" in made.question.text()
    in_file = next(button for button in made.question.buttons() if "file" in button.text())
    assert isinstance(made.question, QMessageBox)
    in_file.click()
    assert services.secrets.where("hub_token") == FILE
    assert "secrets.json" in made.state.text()
    made.remove.click()
    assert services.secrets.get("hub_token") == ""
    assert not made.remove.isEnabled()


def test_a_link_leads_to_its_page(qtbot: QtBot, services: Services, window: MainWindow) -> None:
    page = SettingsView(window.theme, services)
    qtbot.addWidget(page)
    with qtbot.waitSignal(page.page_wanted) as wanted:
        page.rows["network_page"].button.click()  # type: ignore[union-attr]
    assert wanted.args == ["network"]


def test_the_declarations_are_stored_by_key_alone(services: Services) -> None:
    assert isinstance(services.settings, Settings)
    assert services.settings.lines("system_prompt") == []
