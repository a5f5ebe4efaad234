"""The message field with its files, drafts and keys; the list of models; what holds for one conversation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from pytestqt.qtbot import QtBot

from app.application import Services
from app.views.chat.message_edit import LONG
from app.views.chat.user_message import UserMessage
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL, ask
from tests.gui.window_services import ScriptedClient

OTHER = "org/Other-1B:t1"
OWN = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0, "repetition_penalty": 1.0, "dry_multiplier": 0.8}


def loaded(client: ScriptedClient, context: int = 2048, **more: Any) -> None:
    """The model that was asked for last is in memory."""
    model, _, reply = client.loads[-1]
    client.loaded[model] = None
    reply.done.emit({"context": context, "kv": "f16", "memory": {"kv": 9, "total": 99}, "sampling": OWN, **more})


def pasted(window: MainWindow, data: QMimeData) -> None:
    window.chat.composer.edit.insertFromMimeData(data)


def text_data(text: str) -> QMimeData:
    data = QMimeData()
    data.setText(text)
    return data


def file_data(*files: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    return data


def test_a_file_is_attached_counted_and_sent(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services, tmp_path: Path
) -> None:
    loaded(client)
    (tmp_path / "notes.md").write_text("Cats purr.")
    composer = window.chat.composer
    pasted(window, file_data(tmp_path / "notes.md"))
    assert not composer.button.isEnabled(), "nothing is sent while a file is being read"
    qtbot.waitUntil(lambda: bool(client.texts), timeout=30_000)
    assert client.texts[0][0] == "Cats purr."
    client.texts[0][1].done.emit(4)
    [chip] = composer.chips.chips
    assert chip.facts == "10 bytes  ·  4 tokens"
    assert composer.button.isEnabled()
    ask(qtbot, window, "What do cats do?")
    assert client.stream.messages[0]["content"] == 'File "notes.md":\n```\nCats purr.\n```\n\nWhat do cats do?'
    assert not composer.chips.isVisible()
    [question, _] = window.chat.conversation.visible
    assert [one.tokens for one in question.attachments] == [4]
    client.stream.answer("Purr.")


def test_a_long_text_becomes_a_file_and_can_be_taken_back(window: MainWindow) -> None:
    composer, text = window.chat.composer, "word " * (LONG // 4)
    pasted(window, text_data(text))
    assert composer.text == ""
    assert [item.name for item in window.chat.attachments.items] == ["pasted text.txt"]
    composer.note.buttons["Put it into the message"].click()
    assert composer.text == text
    assert window.chat.attachments.items == []
    assert not composer.note.isVisible()
    pasted(window, text_data("short"))
    assert composer.text.endswith("short")


def test_ten_megabytes_in_the_clipboard_hold_up_nothing(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    loaded(client)
    text = "lorem ipsum " * 875_000
    began = time.perf_counter()
    pasted(window, text_data(text))
    qtbot.wait(1)
    assert time.perf_counter() - began < 3, "laying it out in the field would take far longer"
    assert window.chat.composer.text == ""
    assert window.chat.composer.note.buttons == {}, "the field could not hold it"
    assert len(client.texts) == 1
    counted = 0
    while not window.chat.attachments.too_many:  # as far as it matters: it does not fit into the context
        client.texts[-1][1].done.emit(1500)
        counted += 1
    assert counted == 3
    assert all(len(piece) <= 200_000 for piece, _ in client.texts)
    assert window.chat.composer.chips.chips[0].facts.endswith("more than 4\u202f500 tokens")
    window.chat.count()
    assert "does not fit" in window.chat.composer.note.text
    assert not client.counts, "the whole is not sent for it"
    assert len(window.chat.attachments.items[0].text) == len(text)
    window.chat.attachments.clear()


def test_pictures_are_refused_in_words(window: MainWindow) -> None:
    data = QMimeData()
    data.setImageData(window.grab().toImage())
    pasted(window, data)
    assert "Pictures cannot be read" in window.chat.composer.note.text


def test_files_dropped_anywhere_on_the_chat_are_attached(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Cats purr.")
    chat, data = window.chat, file_data(tmp_path / "notes.md")
    middle, copy, left = chat.rect().center(), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    plain = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(middle, copy, data, left, plain)
    chat.dragEnterEvent(enter)
    assert enter.isAccepted()
    assert "attach" in chat.composer.note.text
    chat.dropEvent(QDropEvent(middle.toPointF(), copy, data, left, plain))
    assert chat.composer.note.text == ""
    assert [item.name for item in chat.attachments.items] == ["notes.md"]
    words = text_data("words")  # the event does not keep it
    other = QDragEnterEvent(middle, copy, words, left, plain)
    chat.dragEnterEvent(other)
    assert not other.isAccepted(), "text goes to the field alone"
    qtbot.waitUntil(lambda: not chat.attachments.reading, timeout=30_000)
    chat.attachments.clear()


def test_what_is_written_from_the_right_begins_there(window: MainWindow) -> None:
    edit = window.chat.composer.edit

    def side() -> int:
        cursor = edit.textCursor()
        cursor.setPosition(0)
        return edit.cursorRect(cursor).x()

    edit.setPlainText("What is it?")
    assert side() < edit.width() // 2
    edit.setPlainText("ما اسم قطة آنا؟")
    assert side() > edit.width() // 2
    edit.clear()
    assert side() < edit.width() // 2


def test_what_does_not_fit_is_said_before_it_is_sent(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    loaded(client, context=100)
    composer = window.chat.composer
    item = window.chat.attachments.add_text("page", "a.txt")
    assert item is not None
    item.pages, item.paged = ["one", "two", "three"], True
    qtbot.waitUntil(lambda: bool(client.counts), timeout=5000)
    client.counts[-1][1].done.emit(180)
    assert "does not fit" in composer.note.text
    assert set(composer.note.buttons) == {"Longer context…", "Fewer pages…"}
    item.take_pages("1")
    before = len(client.counts)
    qtbot.waitUntil(lambda: len(client.counts) > before, timeout=5000)
    assert 'File "a.txt (pages 1)"' in client.counts[-1][0][0]["content"]
    client.counts[-1][1].done.emit(60)
    assert composer.note.text == ""


def test_drafts_stay_with_their_conversations(
    qtbot: QtBot, window: MainWindow, services: Services, home: Path
) -> None:
    first, second = (services.history.create(MODEL, title) for title in ("A", "B"))
    window.chat.open(first)
    window.chat.composer.set_text("half a tho")
    window.chat.attachments.add_text("x" * 10, "pasted text.txt")
    window.chat.open(second)
    assert window.chat.composer.text == ""
    assert window.chat.attachments.items == []
    window.chat.composer.set_text("other")
    window.chat.keep_draft()
    window.chat.drafts.finish()
    again = MainWindow(services)
    qtbot.addWidget(again)
    again.chat.open(first)
    assert again.chat.composer.text == "half a tho"
    assert [item.text for item in again.chat.attachments.items] == ["x" * 10]
    again.chat.composer._submit()
    again.chat.drafts.finish()
    assert list((home / "drafts").iterdir()) == [home / "drafts" / f"{second}.txt"]
    again.chat.open(second)
    assert again.chat.composer.text == "other"
    again.chat.open(first)
    assert again.chat.composer.text == ""
    again.chat.conversation.stop()


def test_enter_or_control_enter_sends(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    edit = window.chat.composer.edit
    services.settings.set("send_with", "ctrl_enter")
    edit.setFocus()
    qtbot.keyClicks(edit, "one")
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.keyClicks(edit, "two")
    assert window.chat.composer.text == "one\ntwo"
    assert "Ctrl+Enter" in window.chat.composer.button.toolTip()
    qtbot.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert client.stream.messages[-1]["content"] == "one\ntwo"


def test_keys_of_a_conversation(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Count")
    client.stream.delta.emit("<think>hm</think>one")
    client.stream.finished.emit("cancelled", {}, {})
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    edit = window.chat.composer.edit
    edit.setFocus()
    qtbot.keyClick(edit, Qt.Key.Key_C, control | shift)
    assert QGuiApplication.clipboard().text() == "one"
    qtbot.keyClick(edit, Qt.Key.Key_Return, control | shift)
    assert client.stream.options["continue_final_message"] is True
    client.stream.answer(" two")
    qtbot.keyClick(edit, Qt.Key.Key_R, control)
    assert len(client.streams) == 3
    client.stream.answer("eins")
    assert window.chat.conversation.visible[-1].siblings == 2
    qtbot.keyClick(edit, Qt.Key.Key_Up)
    [question] = [view for view in window.chat.messages.views if isinstance(view, UserMessage)]
    assert question.findChildren(type(edit).__mro__[1]), "the last message is being edited"


def test_branching_is_said_and_can_be_left(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    for question in ("A", "B"):
        ask(qtbot, window, question)
        client.stream.answer("ok")
    conversation = window.chat.conversation
    qtbot.keyClick(window.chat.messages.views[1], Qt.Key.Key_B)
    assert conversation.branching
    assert len(window.chat.messages.views) == 2
    assert "another branch" in window.chat.composer.note.text
    window.chat.composer.note.buttons["Back"].click()
    assert len(window.chat.messages.views) == 4
    assert window.chat.composer.note.text == ""


def test_the_panel_sets_one_conversation(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    loaded(client)
    control_shift = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_P, control_shift)
    panel = window.chat.panel
    assert panel is not None
    temperature = panel.rows["temperature"]
    assert (temperature.field.value(), temperature.words) == (0.6, "The model's own: 0.60")
    temperature.field.setValue(0.2)
    assert temperature.marked
    assert panel.preset.box.currentText() == "Own settings"
    panel.rows["seed"].field.setValue(7)
    panel.system.setPlainText("Be brief.")
    ask(qtbot, window, "Hi")  # before the pause in which the prompt would be kept
    assert client.stream.messages[0] == {"role": "system", "content": "Be brief."}
    assert (client.stream.options["temperature"], client.stream.options["seed"]) == (0.2, 7)
    client.stream.answer("Hello")
    temperature.reset.emit()
    assert not temperature.marked
    assert temperature.field.value() == 0.6
    window.chat.new_chat()
    assert panel.system.toPlainText() == ""
    assert not panel.rows["seed"].marked


def test_presets(qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services) -> None:
    loaded(client)
    window.chat.toggle_panel()
    panel = window.chat.panel
    assert panel is not None
    box = panel.preset.box
    assert [box.itemText(row) for row in range(box.count())] == ["Model's own", "Precise", "Creative", "Code"]
    box.activated.emit(3)
    assert box.currentText() == "Code"
    assert window.chat.conversation.options()["temperature"] == 0.2
    panel.rows["temperature"].field.setValue(0.4)
    assert box.currentText() == "Code, changed"
    panel.system.setPlainText("Write Rust.")
    panel.keep_system()
    panel.preset.save("Rust")
    [kept] = services.history.presets()
    assert kept.settings["system"] == "Write Rust."
    assert kept.settings["temperature"] == 0.4
    panel.preset.rename("Crab")
    assert [preset.name for preset in services.history.presets()] == ["Crab"]
    window.chat.new_chat("")
    panel.reset_all()
    panel.set_whole(True)
    row = box.findText("Crab")
    box.activated.emit(row)
    assert window.chat.conversation.system == "Write Rust."
    assert box.currentText() == "Crab"
    panel.preset._delete()
    assert services.history.presets() == []


def test_in_a_narrow_window_the_panel_has_the_place_of_the_messages(window: MainWindow) -> None:
    window.resize(760, 520)
    window.chat.toggle_panel()
    assert window.chat.panel is not None
    assert window.chat.panel.isVisible()
    assert not window.chat.composer.isVisible()
    window.chat.toggle_panel()
    assert window.chat.composer.isVisible()


def test_the_list_of_models_is_searched_and_unloads(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    client.sizes[MODEL] = 300_000_000
    loaded(client)
    picker = window.chat.header.picker
    picker.click()
    popup = picker.popup
    assert popup is not None
    assert "in memory" in popup.list.item(0).text()
    assert "fits" in popup.list.item(1).text()
    qtbot.keyClicks(popup.search, "other")
    assert popup.list.item(0).isHidden()
    qtbot.keyClick(popup.search, Qt.Key.Key_Return)
    assert window.chat.conversation.model == OTHER
    picker.picked.emit(MODEL)
    client.loads[-1][2].done.emit({"context": 2048})
    picker.unload.emit(MODEL)
    assert client.unloaded == [MODEL]
    assert window.chat.loaded.state == "unloaded"
    loads = len(client.loads)
    services.library.refresh()
    assert len(client.loads) == loads, "it stays out of memory until it is needed"
    ask(qtbot, window, "Hi")
    assert len(client.loads) == loads + 1


def test_a_long_conversation_is_counted_once_and_the_draft_alone_after(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    loaded(client, context=90_000)
    window.chat.send("x " * 15_000)
    client.stream.answer("ok")
    chat = window.chat
    chat.composer.set_text("Hello")
    chat._count_tokens()
    (whole, told), (alone, small) = client.counts[-2:]
    assert (len(whole), len(alone)) == (3, 1)
    told.done.emit(15_040)
    small.done.emit(32)
    assert chat.composer.gauge.used == 15_040
    chat.composer.set_text("Hello there")
    chat._count_tokens()
    draft, reply = client.counts[-1]
    assert draft == [{"role": "user", "content": "Hello there"}]
    reply.done.emit(33)
    assert chat.composer.gauge.used == 15_041


@pytest.mark.parametrize("fits", [True, False])
def test_two_models_side_by_side(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services, fits: bool
) -> None:
    loaded(client)
    chat, comparing = window.chat, window.chat.comparing
    chat.header.compare.emit(OTHER)
    assert client.plans[-1][0] == OTHER
    client.plans[-1][2].done.emit({"formats": [{"kv": "f16", "fits": False}, {"kv": "k8v8", "fits": fits}]})
    said = comparing._memory.text()
    assert ("at the same time" if fits else "one after the other") in said
    ask(qtbot, window, "Hi")
    assert [stream.model for stream in client.streams] == ([MODEL, OTHER] if fits else [MODEL])
    assert comparing.column is not None
    if not fits:
        assert comparing.column.head.figures == "Answers when SmolLM2 135M has ended"
    client.streams[0].answer("Hello")
    assert chat.composer._busy
    assert client.streams[1].model == OTHER
    client.streams[1].answer("Good day")
    assert not chat.composer._busy
    assert "42 tokens/s" in comparing.head.figures
    assert "42 tokens/s" in comparing.column.head.figures
    first, second = chat.conversation, comparing.column.conversation
    assert (first.id, second.id) == (second.overrides["compared_with"], first.overrides["compared_with"])
    comparing.column.head.closed.emit()
    assert [one.title for one in services.history.conversations()] == ["Hi · Other-1B:t1", "Hi"]
    assert chat.conversation is first
    assert {one.id for one in services.history.conversations()} == {first.id, second.id}
    ask(qtbot, window, "More")
    assert len(client.streams) == 3
    client.stream.answer("Sure")


def test_a_comparison_begins_with_what_was_said_and_stops_both(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    loaded(client)
    ask(qtbot, window, "Hi")
    client.stream.answer("Hello")
    window.chat.comparing.begin(OTHER)
    comparing = window.chat.comparing
    client.plans[-1][2].done.emit({"formats": [{"kv": "f16", "fits": True}]})
    assert comparing.column is not None
    assert [one.text for one in comparing.column.conversation.visible] == ["Hi", "Hello"]
    ask(qtbot, window, "And now?")
    assert [len(stream.messages) for stream in client.streams[1:]] == [3, 3]
    window.chat.composer.button.click()
    assert all(stream.cancelled for stream in client.streams[1:])
    assert not window.chat.composer._busy
    other = comparing.column.conversation
    comparing.head.closed.emit()
    assert window.chat.conversation is other
    assert comparing.column is None
