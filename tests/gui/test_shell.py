"""The shell: shortcuts are declared once and work, pages are shown, the rail tells what is under way, help is there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QAccessible, QImage, QKeySequence, QRegion
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.application import Services
from app.theme import DARK, LIGHT
from app.views import pages
from app.views.main_window import MainWindow
from app.views.shell import about_dialog, help_menu
from app.views.shell.about_dialog import AboutDialog
from app.views.shell.shortcut_sheet import ShortcutSheet
from app.views.shortcuts import CONTEXTS, EVERYWHERE, SHORTCUTS, shortcut, tool_tip, words
from tests.gui.test_theme import contrast

SHARP = 3
"""Pixels for one, so that the middle of a stroke is not smoothed."""
APP = Path(__file__).resolve().parents[2] / "app"


def test_every_shortcut_is_put_to_work() -> None:
    code = "\n".join(
        file.read_text(encoding="utf-8") for file in APP.rglob("*.py") if file.name != "shortcuts.py"
    )
    pages_shown = {page.shortcut for page in pages.PAGES}
    idle = [
        one.id for one in SHORTCUTS if not one.own and one.id not in pages_shown and f'"{one.id}"' not in code
    ]
    assert not idle


def test_shortcuts_are_unambiguous() -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in SHORTCUTS:
        assert one.context in CONTEXTS
        for keys in one.keys:
            assert QKeySequence(keys).toString(), f"{one.id}: {keys} are no keys"
            for context in {one.context, EVERYWHERE} if one.context != EVERYWHERE else CONTEXTS:
                if one.own and context != one.context:
                    continue
                other = seen.get((context, keys))
                assert other in (None, one.id), f"{keys} mean {one.id} and {other}"
            seen[one.context, keys] = one.id
    assert len({one.id for one in SHORTCUTS}) == len(SHORTCUTS)
    assert words("new_chat") == "Ctrl+N"
    assert tool_tip("New chat", "new_chat") == "New chat  (Ctrl+N)"
    with pytest.raises(KeyError):
        shortcut("nonsense")


def test_pages_by_keyboard(qtbot: QtBot, window: MainWindow) -> None:
    window.activateWindow()
    for number, page in enumerate(pages.PAGES):
        key = getattr(Qt.Key, f"Key_{number + 1}")
        qtbot.keyClick(QApplication.focusWidget() or window, key, Qt.KeyboardModifier.ControlModifier)
        assert window.page == page.key
        assert [name for name, button in window.rail.buttons.items() if button.current] == [page.key]
        assert window.sidebar.isVisible() == (page.key == "chat")
    window.show_page("chat")
    qtbot.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert not window.sidebar.isVisible()
    assert window._services.settings.get("sidebar") is False
    window.focus_search()
    assert window.sidebar.isVisible()


def test_text_scale(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    before = window.rail.buttons["chat"].fontMetrics().height()
    for _ in range(30):
        qtbot.keyClick(window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    assert services.settings.get("text_scale") == 150
    assert window.rail.buttons["chat"].fontMetrics().height() > before * 1.3
    qtbot.keyClick(window, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert services.settings.get("text_scale") == 100
    assert window.rail.buttons["chat"].fontMetrics().height() == before


def test_low_window_shows_icons_alone(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    services.settings.set("text_scale", 150)
    window.setMinimumHeight(0)
    window.resize(760, 400)
    qtbot.wait(20)
    button = window.rail.buttons["chat"]
    assert button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly
    assert window.height() == 400
    settings = window.rail.buttons["settings"]
    assert settings.mapTo(window, settings.rect().bottomLeft()).y() < 400
    window.resize(900, 1000)
    qtbot.wait(20)
    assert button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextUnderIcon
    services.settings.reset("text_scale")


def test_rail_tells_what_is_under_way(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    button = window.rail.buttons.get("jobs") or window.rail.buttons["library"]
    assert button.badge == 0
    button.show_badge(2, 0.5, "2 under way")
    assert button.badge == 2
    interface = QAccessible.queryAccessibleInterface(button)
    assert interface is not None
    assert interface.text(QAccessible.Text.Name).endswith("2 under way")
    assert not button.grab().isNull()


def test_shortcut_sheet(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClick(window, Qt.Key.Key_F1)
    (sheet,) = window.findChildren(ShortcutSheet)
    shown = [label.text() for label in sheet.findChildren(QLabel) if label.isVisibleTo(sheet)]
    assert {"New chat", "Ctrl+N", "F1"} <= set(shown)
    sheet.filter.setText("quit")
    shown = [label.text() for label in sheet.findChildren(QLabel) if label.isVisibleTo(sheet)]
    assert shown == ["Everywhere", "Quit", "Ctrl+Q"]
    sheet.filter.setText("nothing is called that")
    assert sheet._nothing.isVisibleTo(sheet)
    sheet.accept()


def test_about_and_logs(
    qtbot: QtBot, window: MainWindow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = AboutDialog(window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    assert "Qt " in dialog.versions.text()
    names = {name for name, _, licence in about_dialog.components() if licence}
    assert {"numpy", "tokenizers"} <= names
    opened: list[str] = []
    monkeypatch.setattr(help_menu.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    help_menu.open_logs()
    assert opened == [str(home / "logs")]
    assert (home / "logs").is_dir()
    actions = [action.text().partition("\t")[0] for action in window.rail.help.menu().actions()]
    assert {"Keyboard shortcuts", "Open the folder of logs", "About Ternary-Zero"} <= set(actions)


def test_every_page_can_be_made_and_takes_the_focus(window: MainWindow) -> None:
    for page in pages.PAGES:
        window.show_page(page.key)
        assert window.page == page.key
    with pytest.raises(KeyError):
        window.show_page("nonsense")


def painted(window: MainWindow, widget: QWidget) -> QImage:
    """What the window shows where the widget is, large enough that strokes have their full colour."""
    place = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
    image = QImage(place.size() * SHARP, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(SHARP)
    window.render(image, QPoint(0, 0), QRegion(place))
    return image


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_painted_text_has_contrast(qtbot: QtBot, window: MainWindow, services: Services, mode: str) -> None:
    """Samples of what is on the screen: the ground is the most frequent colour, the text the one farthest from it."""
    services.settings.set("theme", mode)
    assert window.theme.colours is (DARK if mode == "dark" else LIGHT)
    qtbot.wait(30)
    samples: list[QWidget] = [
        window.sidebar.new_button, window.sidebar.search, window.chat.composer.edit, *window.rail.buttons.values(),
        *(label for label in window.chat.findChildren(QLabel) if label.isVisible() and label.text()),
    ]
    assert len(samples) > 8
    for widget in samples:
        image = painted(window, widget)
        colours = Counter(
            image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)
        )
        ground = colours.most_common(1)[0][0]
        reached = max(contrast(colour, ground) for colour in colours)
        assert reached >= 4.5, f"{type(widget).__name__}: {reached:.2f} on {ground}"


def test_a_narrow_window_has_the_list_when_it_is_asked_for(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    number = services.history.create("m", "Kept")
    assert window.sidebar.isVisible()
    window.resize(640, 400)
    qtbot.waitUntil(lambda: not window.sidebar.isVisible())
    qtbot.mouseClick(window.rail.buttons["chat"], Qt.MouseButton.LeftButton)
    assert window.sidebar.isVisible()
    window.open_conversation(number)
    assert not window.sidebar.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert window.sidebar.isVisible()
    assert services.settings.get("sidebar") is True
    window.resize(1100, 760)
    qtbot.waitUntil(window.sidebar.isVisible)
