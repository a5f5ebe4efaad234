"""The list of conversations with real data: folders, pins, search, keys, the menu."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.application import Services
from app.history.history import History
from app.history.records import HIT, HIT_END
from app.models.conversation_list import FOLDER, ID, SNIPPET, ConversationList, FolderRow
from app.theme import Theme
from app.views.main_window import MainWindow
from tests.gui.conversation_rows import act, answer, rows, talk


@pytest.fixture
def history(services: Services) -> History:
    return services.history


def test_pinned_folders_days(window: MainWindow, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (talk(history, title) for title in ("one", "two", "three"))
    window.conversations.refresh()
    sidebar, model = window.sidebar, window.conversations
    assert rows(model) == ["Today", "- three", "- two", "- one"]
    sidebar.show_current(one)
    answer(monkeypatch, "Work")
    act(sidebar.menu(), "New folder")
    assert rows(model) == ["Work/1", "- one", "Today", "- three", "- two"]
    sidebar.show_current(two)
    act(sidebar.menu(), "Pin")
    assert rows(model) == ["Pinned", "- two", "Work/1", "- one", "Today", "- three"]
    sidebar.show_current(three)
    act(sidebar.menu(), "Work")
    assert rows(model) == ["Pinned", "- two", "Work/2", "- three", "- one"]
    sidebar.show_current(two)
    act(sidebar.menu(), "Unpin")
    sidebar.list.setCurrentIndex(model.folder_index(history.folders()[0].id))
    answer(monkeypatch, "Job")
    sidebar.list.rename_wanted.emit()
    assert rows(model) == ["Job/2", "- three", "- one", "Today", "- two"]
    assert sidebar.list.currentIndex().data(FOLDER).name == "Job"
    act(sidebar.menu(), "Close folder")
    assert rows(model) == ["Job/2", "Today", "- two"]
    sidebar.list.delete_wanted.emit()
    assert rows(model) == ["Today", "- three", "- two", "- one"]
    assert window.notice._button.isVisible()
    window.notice._button.click()
    assert rows(model) == ["Job/2", "- three", "- one", "Today", "- two"]


def test_dragging_into_a_folder_and_out(window: MainWindow, history: History, qtbot: QtBot) -> None:
    one, two = talk(history, "one"), talk(history, "two")
    folder = history.create_folder("Work")
    model = window.conversations
    model.refresh()
    assert rows(model) == ["Work/0", "Today", "- two", "- one"]
    data = model.mimeData([model.index_of(one), model.index_of(two)])
    move = Qt.DropAction.MoveAction
    assert model.canDropMimeData(data, move, -1, -1, model.folder_index(folder))
    model.dropMimeData(data, move, -1, -1, model.folder_index(folder))
    qtbot.waitUntil(lambda: rows(model) == ["Work/2", "- two", "- one"])
    talk(history, "three")
    model.refresh()
    model.dropMimeData(model.mimeData([model.index_of(two)]), move, -1, -1, model.index_of(history.create("m", "x")))
    assert history.conversation(two).folder == folder  # nothing was there to drop it on
    model.dropMimeData(model.mimeData([model.index_of(two)]), move, -1, -1, model.index(3))
    qtbot.waitUntil(lambda: history.conversation(two).folder is None)
    assert model.index(0).flags() & Qt.ItemFlag.ItemIsDropEnabled


def test_search_marks_the_words_and_counts(window: MainWindow, history: History, qtbot: QtBot) -> None:
    first = talk(history, "Cake", "Preheat the oven to 180 degrees before you begin")
    talk(history, "Oven", "something else")
    talk(history, "Other")
    window.conversations.refresh()
    sidebar, model = window.sidebar, window.conversations
    window.focus_search()
    qtbot.keyClicks(sidebar.search, "ovens oven")
    qtbot.waitUntil(lambda: model.query == "ovens oven")
    assert sidebar._nothing.text() == "Nothing found."
    sidebar.search.clear()
    qtbot.keyClicks(sidebar.search, "oven")
    qtbot.waitUntil(lambda: model.query == "oven")
    assert rows(model) == ["- Oven", "- Cake"]
    assert sidebar._nothing.text().startswith("2 ")
    assert model.index_of(first).data(SNIPPET) == f"Preheat the {HIT}oven{HIT_END} to 180 degrees before you begin"
    assert model.index(0).data(SNIPPET) == "Today"
    qtbot.keyClick(sidebar.search, Qt.Key.Key_Return)
    assert window.chat.conversation.id == model.summary(model.index(0)).id  # type: ignore[union-attr]
    qtbot.keyClick(sidebar.search, Qt.Key.Key_Down)
    qtbot.keyClick(sidebar.list, Qt.Key.Key_Down)
    qtbot.keyClick(sidebar.list, Qt.Key.Key_Return)
    assert window.chat.conversation.id == first
    sidebar.search.setFocus()
    qtbot.keyClick(sidebar.search, Qt.Key.Key_Escape)
    assert sidebar.search.text() == ""
    assert rows(model) == ["Today", "- Other", "- Oven", "- Cake"]


def test_a_short_word_is_found_to_the_end_in_the_background(history: History, qtbot: QtBot) -> None:
    whole, begun = talk(history, "a", "the ax is sharp"), talk(history, "b", "an axle")
    history.append(begun, None, "user", "ax and axiom")
    third = talk(history, "c", "axioms alone")
    model = ConversationList(history)
    model.refresh("ax")
    assert {model.index(number).data(ID) for number in range(model.rowCount())} == {whole, begun}
    assert not model.complete
    with qtbot.waitSignal(model.found):
        pass
    assert {model.index(number).data(ID) for number in range(model.rowCount())} == {whole, begun, third}
    assert model.complete
    assert model.index_of(third).data(SNIPPET) == f"{HIT}axioms{HIT_END} alone"
    model.refresh("ax")
    model.refresh("nothing")  # the first search is given up
    assert model.rowCount() == 0


def test_a_long_list_is_read_as_far_as_it_is_scrolled(window: MainWindow, history: History, qtbot: QtBot) -> None:
    now = time.time()
    history._db.execute("BEGIN")
    for number in range(1300):
        written = now - number * 40_000
        history._db.execute("INSERT INTO conversation (title, model, created, updated, place) VALUES (?, 'm', ?, ?, ?)",
                            (f"talk {number}", written, written, written))
    history._db.execute("COMMIT")
    model, view = window.conversations, window.sidebar.list
    model.refresh()
    assert model.count == 500
    while model.canFetchMore(QModelIndex()):
        before = model.count
        view.scrollToBottom()
        qtbot.waitUntil(lambda before=before: model.count > before)  # type: ignore[misc]
    assert model.count == 1300
    found = rows(model)
    assert [row for row in found if row.startswith("-")] == [f"- talk {number}" for number in range(1300)]
    headings = [row for row in found if not row.startswith("-")]
    assert len(set(headings)) == len(headings) > 15
    model.refresh()
    assert rows(model) == found


def test_several_at_once(window: MainWindow, history: History) -> None:
    one, two, three = (talk(history, title) for title in ("one", "two", "three"))
    window.conversations.refresh()
    view, model = window.sidebar.list, window.conversations
    view.setCurrentIndex(model.index_of(one))
    view.selectionModel().select(model.index_of(three), QItemSelectionModel.SelectionFlag.Select)
    assert view.chosen() == [three, one]
    act(window.sidebar.menu(), "Pin")
    assert rows(model) == ["Pinned", "- three", "- one", "Today", "- two"]
    view.setCurrentIndex(model.index_of(one))
    view.selectionModel().select(model.index_of(two), QItemSelectionModel.SelectionFlag.Select)
    act(window.sidebar.menu(), "Delete")
    assert rows(model) == ["Pinned", "- three"]
    window.notice._button.click()
    assert rows(model) == ["Pinned", "- three", "- one", "Today", "- two"]


def test_rows_say_all_to_a_screen_reader(history: History, qtbot: QtBot) -> None:
    conversation = talk(history, "Otters")
    folder = history.create_folder("Animals")
    history.move(conversation, folder)
    model = ConversationList(history)
    spoken = Qt.ItemDataRole.AccessibleTextRole
    assert model.index_of(conversation).data(spoken) == "Otters, Model:t2, Today, in folder Animals"
    assert model.folder_index(folder).data(spoken).startswith("Folder Animals, open, 1 ")
    history.pin(conversation, True)
    model.refresh()
    model.set_busy(conversation, True)
    assert model.index_of(conversation).data(spoken).endswith(", pinned, in folder Animals, an answer is being written")


def test_headings_when_the_clock_was_wrong(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for title, at in (("old", now - 40 * 86400), ("future", now + 900 * 86400), ("week", now - 3 * 86400)):
        monkeypatch.setattr("time.time", lambda at=at: at)
        talk(history, title)
    monkeypatch.undo()
    talk(history, "today")
    model = ConversationList(history)
    found = rows(model)
    assert [row for row in found if row.startswith("-")] == ["- today", "- week", "- future", "- old"]
    assert found[0] == "Today"
    assert found[2] == "Previous 7 days"
    assert found.index("- future") > found.index("- week") + 1  # under the heading of its older neighbour


def test_folder_keys(window: MainWindow, history: History, qtbot: QtBot) -> None:
    conversation = talk(history, "one")
    folder = history.create_folder("Work")
    history.move(conversation, folder)
    model, view = window.conversations, window.sidebar.list
    model.refresh()
    view.setFocus()
    view.setCurrentIndex(model.index_of(conversation))
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert isinstance(view.currentIndex().data(FOLDER), FolderRow)
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert rows(model) == ["Work/1"]
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert rows(model) == ["Work/1", "- one"]
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert rows(model) == ["Work/1"]
    assert view.currentIndex() != QModelIndex()


def test_the_menu_by_keyboard(window: MainWindow, history: History, qtbot: QtBot) -> None:
    conversation = talk(history, "one")
    window.conversations.refresh()
    window.sidebar.show_current(conversation)
    view = window.sidebar.list
    middle = view.rect().center()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, middle, view.mapToGlobal(middle))
    view.menu_wanted.disconnect()  # the menu itself would wait for the user
    with qtbot.waitSignal(view.menu_wanted) as wanted:
        QApplication.sendEvent(view, event)
    row = view.visualRect(window.conversations.index_of(conversation))
    assert row.contains(view.viewport().mapFromGlobal(wanted.args[0]))


def test_painting_reaches_every_kind_of_row(window: MainWindow, history: History, theme_of: Theme) -> None:
    conversation = talk(history, "one", "the word here")
    history.move(conversation, history.create_folder("Work"))
    history.pin(talk(history, "two"), True)
    for direction in (Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft):
        window.sidebar.setLayoutDirection(direction)
        for query in ("", "word"):
            window.conversations.refresh(query)
            assert not window.sidebar.grab().isNull()


@pytest.fixture
def theme_of(window: MainWindow) -> Theme:
    return window.theme


def test_a_key_that_is_held_adds_nothing_to_what_is_chosen(
    qtbot: QtBot, window: MainWindow, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = talk(history, "one"), talk(history, "two")
    window.conversations.refresh()
    for held in (Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier):
        window.sidebar.show_current(one)
        qtbot.keyPress(window.chat.composer.edit, Qt.Key.Key_A, held)  # as in Ctrl+N: the list changes meanwhile
        window.sidebar.show_current(two)
        assert window.sidebar.list.chosen() == [two]
        qtbot.keyRelease(window.chat.composer.edit, Qt.Key.Key_A)
