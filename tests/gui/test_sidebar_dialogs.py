"""What the menus of the list open: the trash, export and import, what a restored history says."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from app.application import Services
from app.history.history import History
from app.transfer.source import open_source
from app.views.main_window import MainWindow
from app.views.sidebar.trash_dialog import TrashDialog
from app.views.transfer.export_dialog import ExportDialog
from app.views.transfer.import_dialog import ImportDialog
from tests.gui.conversation_rows import act, rows, talk

FIXTURES = Path(__file__).parent / "exports"


@pytest.fixture
def history(services: Services) -> History:
    return services.history


def test_the_trash(window: MainWindow, history: History, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (talk(history, title) for title in ("one", "two", "three"))
    window.conversations.refresh()
    for number in (one, two, three):
        window.delete(number)
    dialog = TrashDialog(window.theme, history, window)
    dialog.changed.connect(window.conversations.refresh)
    qtbot.addWidget(dialog)
    assert [dialog.list.item(row).text().splitlines()[0] for row in range(3)] == ["three", "two", "one"]
    asked: list[str] = []

    def answering(words: str) -> Callable[[QMessageBox], int]:
        def execute(box: QMessageBox) -> int:
            asked.append(f"{box.text()} {box.informativeText()}")
            button = next(button for button in box.buttons() if words in button.text())
            monkeypatch.setattr(box, "clickedButton", lambda: button)
            return 0
        return execute

    dialog.list.setCurrentRow(0)
    monkeypatch.setattr(QMessageBox, "exec", answering("Cancel"))
    dialog.purge()
    assert len(history.deleted()) == 3
    monkeypatch.setattr(QMessageBox, "exec", answering("for ever"))
    dialog.purge()
    assert "“three”" in asked[-1]
    assert "1 message" in asked[-1]
    assert [found.title for found in history.deleted()] == ["two", "one"]
    dialog.list.setCurrentRow(1)
    dialog.restore()
    assert rows(window.conversations) == ["Today", "- one"]
    dialog.empty()
    assert history.deleted() == []
    assert not dialog.empty_button.isEnabled()


def test_import_in_a_process_of_its_own(window: MainWindow, history: History, qtbot: QtBot, tmp_path: Path) -> None:
    talk(history, "was here")
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[1, 2]")
    window.sidebar.list.files_dropped.emit([str(FIXTURES / "chatgpt.json"), str(wrong)])
    dialog = window.findChild(ImportDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.button.text() == "Close", timeout=20_000)
    said = dialog.words.text()
    assert "from ChatGPT" in said
    assert "• Broken" in said
    assert "No conversations were recognised" in said
    assert {"- Plan a garden", "- Tide tables", "- was here"} <= set(rows(window.conversations))
    dialog.reject()


def test_an_import_that_is_stopped_keeps_nothing(
    window: MainWindow, history: History, qtbot: QtBot, tmp_path: Path
) -> None:
    other = History(tmp_path / "other.sqlite")
    for number in range(400):
        talk(other, f"talk {number}", "words " * 2000)
    from app.transfer.export import everything, export

    list(export(other, everything(other), tmp_path / "many.json"))
    other.close()
    window.sidebar.import_wanted.emit([str(tmp_path / "many.json")])
    dialog = window.findChild(ImportDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.bar.maximum() > 0 and dialog.bar.value() > 0, timeout=20_000)
    dialog.reject()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
    assert "Stopped" in dialog.words.text() or "complete" in dialog.words.text() or "imported" in dialog.words.text()
    if "Stopped" in dialog.words.text():
        assert history.conversations() == []
        assert history.deleted() == []
    dialog.reject()


def test_export_one_and_all(
    window: MainWindow, history: History, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = talk(history, "one", "hello")
    talk(history, "two")
    target: list[Any] = [str(tmp_path / "one.md"), "Markdown (*.md)"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: tuple(target))
    window.sidebar.export.emit(one)
    assert (tmp_path / "one.md").read_text(encoding="utf-8") == "# one\n\n## You\n\nhello\n"
    target[0] = str(tmp_path / "all.json")
    act(window.sidebar.more_menu(), "Export all")
    dialog = window.findChild(ExportDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.busy)
    assert "2 " in dialog.words.text()
    assert open_source(tmp_path / "all.json").count == 2
    dialog.reject()
    target[0] = str(tmp_path / "missing" / "all.json")
    window.conversation_actions.export_all()
    last = window.findChildren(ExportDialog)[-1]
    qtbot.waitUntil(lambda: "cannot be written" in last.words.text())


def test_a_restored_history_is_said_in_the_window(services: Services, qtbot: QtBot) -> None:
    services.history.notices.append("The backup was restored.")
    window = MainWindow(services)
    qtbot.addWidget(window)
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)))
    (said,) = window.findChildren(QMessageBox)
    assert said.text() == "The backup was restored."


def test_the_settings_lead_to_trash_import_and_export(
    window: MainWindow, history: History, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.show_page("trash")
    assert window.findChild(TrashDialog) is not None
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    window.show_page("import")
    assert window.findChild(ImportDialog) is None
    assert window.page == "chat"


def test_the_trash_is_emptied_by_itself_only_where_that_is_wanted(services: Services, qtbot: QtBot) -> None:
    history = services.history
    old, new = talk(history, "old"), talk(history, "new")
    for number, age in ((old, 40), (new, 2)):
        history.delete(number)
        history._db.execute("UPDATE conversation SET deleted = ? WHERE id = ?", (time.time() - age * 86400, number))
    first = MainWindow(services)
    qtbot.addWidget(first)
    qtbot.wait(20)
    assert len(history.deleted()) == 2
    services.settings.set("trash_days", 30)
    second = MainWindow(services)
    qtbot.addWidget(second)
    qtbot.waitUntil(lambda: [one.title for one in history.deleted()] == ["new"])
