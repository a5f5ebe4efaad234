"""What can be done with messages: keys, menus, editing, continuing, versions, finding, copying, attachments."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.application import Services
from app.history.records import Attachment
from app.text.find import matches
from app.views.chat.attachment_chips import AttachmentDialog
from app.views.chat.code_view import FOLD, FOLDED, CodeView
from app.views.chat.message_actions import measured_details
from app.views.chat.message_menu import message_menu
from app.views.chat.message_view import MessageView
from app.views.chat.user_message import UserMessage
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL, ask, last_answer
from tests.gui.window_services import ScriptedClient


def filled(services: Services, count: int, text: str = "Some words, **bold** ones.") -> int:
    """A conversation of ``count`` messages."""
    number = services.history.create(MODEL, "Filled")
    parent = None
    for index in range(count):
        role = "user" if index % 2 == 0 else "assistant"
        parent = services.history.append(number, parent, role, f"Message {index}. {text}", MODEL).id
    return number


def action(view: MessageView, name: str, qtbot: QtBot) -> None:
    menu = message_menu(view)
    next(one for one in menu.actions() if one.text() == name).trigger()


def test_keys_on_a_message(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    ask(qtbot, window, "Say **it**")
    client.stream.answer("It *is* so: $x$")
    answer = last_answer(window)
    answer.setFocus()
    qtbot.keyClick(answer, Qt.Key.Key_C)
    assert QGuiApplication.clipboard().text() == "It *is* so: $x$"
    action(answer, "Copy as plain text", qtbot)
    assert QGuiApplication.clipboard().text() == "It is so: $x$"
    qtbot.keyClick(answer, Qt.Key.Key_Up)
    user = window.chat.messages.views[0]
    assert window.focusWidget() is user
    qtbot.keyClick(user, Qt.Key.Key_Down)
    assert window.focusWidget() is answer
    qtbot.keyClick(answer, Qt.Key.Key_R)
    client.stream.answer("Another")
    answer = last_answer(window)
    answer.setFocus()
    qtbot.keyClick(answer, Qt.Key.Key_Left)
    assert last_answer(window).text == "It *is* so: $x$"


def test_an_answer_is_edited(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Hi")
    client.stream.answer("<think>hm</think>Hello")
    said: list[tuple[int, str]] = []
    window.chat.messages.edited.disconnect()
    window.chat.messages.edited.connect(lambda number, text: said.append((number, text)))
    answer = last_answer(window)
    answer.setFocus()
    qtbot.keyClick(answer, Qt.Key.Key_E)
    assert answer.editor is not None
    assert answer.editor._edit.toPlainText() == "Hello"
    assert not answer.body.isVisible()
    qtbot.keyClick(answer.editor._edit, Qt.Key.Key_Escape)
    assert answer.editor is None
    assert answer.body.isVisible()
    assert said == []
    answer.begin_edit()
    assert answer.editor is not None
    answer.editor._edit.setPlainText("Hello there")
    qtbot.keyClick(answer.editor._edit, Qt.Key.Key_Return)
    assert answer.editor is not None, "Enter makes a line in an answer"
    qtbot.keyClick(answer.editor._edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert said == [(answer.message.id, "Hello there")]


def test_an_answer_that_broke_off_can_go_on(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Count")
    client.stream.delta.emit("1, 2")
    window.chat.stop()
    wanted: list[int] = []
    answer = last_answer(window)
    answer.continue_wanted.disconnect()
    answer.continue_wanted.connect(wanted.append)
    assert answer._go_on.isVisible()
    answer._go_on.click()
    answer.actions_row.continue_button.click()
    answer.setFocus()
    qtbot.keyClick(answer, Qt.Key.Key_G)
    assert wanted == [answer.message.id] * 3


def test_details_of_an_answer(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Hi")
    client.stream.finished.emit(
        "stop", {"completion_tokens": 5, "prompt_tokens": 31}, {"tokens_per_second": 41.7, "first_token_seconds": 0.31}
    )
    lines = measured_details(last_answer(window).message)
    assert f"Model: {MODEL}" in lines
    assert "First word after 0.31 s" in lines
    assert "Prompt: 31 tokens" in lines


def test_tab_goes_through_the_messages_as_they_are_read(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    window.open_conversation(filled(services, 60))
    messages = window.chat.messages
    messages.verticalScrollBar().setValue(0)
    qtbot.waitUntil(lambda: messages.complete)
    messages.views[0].setFocus()
    seen = []
    for _ in range(80):
        focus = window.focusWidget()
        if isinstance(focus, MessageView) and focus.message.text not in seen:
            seen.append(focus.message.text)
        messages.focusNextPrevChild(True)
    assert len(seen) > 10
    assert [text.partition(".")[0] for text in seen] == [f"Message {n}" for n in range(len(seen))]
    focus = window.focusWidget()
    assert focus is not None
    assert messages.isAncestorOf(focus)
    messages._view(59).setFocus()
    for _ in range(20):
        messages.focusNextPrevChild(True)
        if not messages.isAncestorOf(window.focusWidget()):
            break
    else:
        pytest.fail("Tab never leaves the messages")


def test_menu_of_a_message(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    window.open_conversation(filled(services, 4))
    menu = message_menu(window.chat.messages.views[-1])
    names = [one.text() for one in menu.actions() if one.text()]
    assert names[:5] == ["Copy as Markdown", "Copy as plain text", "Edit…", "Regenerate", "Continue"]
    assert "Branch from here" in names
    window.chat.messages.views[-1].show_menu()
    assert any(one.isVisible() for one in window.chat.messages.views[-1].findChildren(QMenu))


def test_find(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    number = filled(services, 80, "A **need**le in it, `Needle`.\n\n> and a NEEDLE quoted\n")
    window.open_conversation(number)
    bar = window.chat.messages.find_bar
    bar.open_bar()
    qtbot.keyClicks(bar.field, "needle")
    qtbot.waitUntil(lambda: bar._search is None)
    # What the user typed is shown as it is, so "**need**le" is not the word there.
    assert len(bar._matches) == 40 * 2 + 40 * 3
    assert bar.number.text() == "200 found"
    bar._current = -1
    window.chat.messages.verticalScrollBar().setValue(0)
    texts = set()
    for _ in range(6):
        qtbot.keyClick(bar.field, Qt.Key.Key_Return)
        view = window.chat.messages.views[0]
        texts.add(bar.number.text())
    assert len(texts) == 6
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    index = bar._matches[bar._current][0]
    view = window.chat.messages._view(index)
    top = view.y() - window.chat.messages.verticalScrollBar().value()
    assert -view.height() < top < window.chat.messages.viewport().height()
    bar._current = 0
    bar.go(-1)  # round to the last place, in a message that had no widget
    assert bar.number.text() == "200 of 200"
    assert window.chat.messages._messages[79].id in window.chat.messages._views
    qtbot.keyClick(bar.field, Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert isinstance(window.focusWidget(), MessageView)


def test_what_is_found_is_what_is_read() -> None:
    texts = [("a $x$ *wo*rd [word](https://word.example) <word>", True), ("*wo*rd", False)]
    assert [match for match in matches(texts, "WORD") if match is not None] == [(0, 0), (0, 1), (0, 2)]


def test_long_code_is_folded_when_it_comes_from_the_history(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    number = services.history.create(MODEL, "Code")
    code = "\n".join(f"line {n}" for n in range(FOLD + 100))
    user = services.history.append(number, None, "user", "code, please")
    services.history.append(number, user.id, "assistant", f"```python\n{code}\n```", MODEL)
    window.open_conversation(number)
    view = last_answer(window).findChild(CodeView)
    assert view is not None
    assert view.folded
    assert view._edit.blockCount() == FOLDED
    low = view.height()
    view._more.click()
    assert not view.folded
    assert view._edit.toPlainText() == code
    qtbot.waitUntil(lambda: view.height() > 5 * low)
    view.copy()
    assert QGuiApplication.clipboard().text() == code


def test_code_wraps(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "wide")
    client.stream.answer("```\n" + "word " * 200 + "\n```")
    view = last_answer(window).findChild(CodeView)
    assert view is not None
    low = view.height()
    view._wrap.click()
    qtbot.waitUntil(lambda: view.height() > low + 40)
    view._wrap.click()
    qtbot.waitUntil(lambda: view.height() == low)


def test_attachments_are_chips_that_show_their_text(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    number = services.history.create(MODEL, "Files")
    file = Attachment(0, "report\u202e.pdf", "pdf", 12_000, "Line of the report.\n" * 5000, 1240)
    services.history.append(number, None, "user", "Sum it up", attachments=(file,))
    window.open_conversation(number)
    user = window.chat.messages.views[0]
    assert isinstance(user, UserMessage)
    assert user.chips is not None
    chip = user.chips.chips[0]
    assert chip.accessibleName() == "report.pdf  ·  1\u202f240 tokens"
    chip.click()
    dialog = window.findChild(AttachmentDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: bool(dialog.text.body.views))
    assert dialog.text.body.views[0].toPlainText().startswith("Line of the report.")  # type: ignore[attr-defined]
    assert len(dialog.text.body.views) < 10
    dialog.accept()
