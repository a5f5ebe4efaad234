"""The chat as a user meets it: sending, streaming, stopping, branching, breaking off."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.application import Services
from app.views.chat.code_view import CodeView
from app.views.chat.message_body import MessageBody
from app.views.chat.rich_text import RichText
from app.views.chat.user_message import UserMessage
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL, ask, last_answer, shown_text
from tests.gui.window_services import ScriptedClient, ScriptedEngine, ScriptedLibrary


def test_question_and_answer(qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services) -> None:
    services.settings.set("temperature", 0.45)
    ask(qtbot, window, "What is 2 + 2?")
    assert client.stream.messages == [{"role": "user", "content": "What is 2 + 2?"}]
    assert client.stream.model == MODEL
    assert client.stream.options["temperature"] == 0.45
    assert "top_p" not in client.stream.options  # left to the model's recommendation
    assert window.chat.composer.text == ""
    client.stream.progress.emit(40, 100, 3.0)
    assert last_answer(window)._waiting.text() == "Reading 40 of 100 tokens · 40 % · about 3 s left"
    client.stream.delta.emit("It is **4**")
    qtbot.waitUntil(lambda: "It is 4" in shown_text(last_answer(window)))
    assert not last_answer(window)._waiting.isVisible()
    client.stream.delta.emit(".")
    client.stream.finished.emit(
        "stop", {"completion_tokens": 5}, {"tokens_per_second": 41.7, "first_token_seconds": 0.31}
    )
    assert "It is 4." in shown_text(last_answer(window))
    numbers = last_answer(window).actions_row._numbers.text()
    assert numbers == "42 tokens/s  ·  first word after 0.3 s  ·  5 tokens  ·  starter:t2"
    saved = services.history.messages(services.history.conversations()[0].id)
    assert [(m.role, m.text, m.state) for m in saved] == [
        ("user", "What is 2 + 2?", "done"), ("assistant", "It is **4**.", "done"),
    ]
    assert saved[1].timings is not None
    assert saved[1].timings["tokens_per_second"] == 41.7
    ask(qtbot, window, "And 3 + 3?")
    assert [m["role"] for m in client.stream.messages] == ["user", "assistant", "user"]


def test_shift_enter_makes_a_line_and_empty_is_not_sent(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    edit = window.chat.composer.edit
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert not client.streams
    low = edit.height()
    qtbot.keyClicks(edit, "a")
    qtbot.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(edit, "b")
    assert edit.toPlainText() == "a\nb"
    assert edit.height() > low
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert client.stream.messages[0]["content"] == "a\nb"


def test_stop_by_button_and_by_escape(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    for press in ("button", "escape"):
        ask(qtbot, window, "Count")
        client.stream.delta.emit("1, 2")
        button = window.chat.composer.button
        assert button.accessibleName() == "Stop"
        if press == "button":
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        else:
            window._on_escape()
        assert client.stream.cancelled
        assert button.accessibleName() == "Send"
        assert last_answer(window).message.state == "stopped"
        assert last_answer(window).message.text == "1, 2"
        assert services.history.message(last_answer(window).message.id).text == "1, 2"


def test_engine_dies_while_it_streams(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    ask(qtbot, window, "Tell me")
    client.stream.delta.emit("Once upon")
    client.stream.failed.emit("The engine stopped unexpectedly.")
    assert isinstance(services.engine, ScriptedEngine)
    services.engine.restarted.emit("The engine stopped unexpectedly and was restarted.")
    answer = last_answer(window)
    assert answer.message.state == "interrupted"
    assert "Once upon" in shown_text(answer)
    assert "interrupted" in answer._ending.text()
    qtbot.waitUntil(answer._again.isVisible)
    assert window.notice.isVisible()
    assert window.notice.text == "The engine stopped unexpectedly and was restarted."
    qtbot.mouseClick(answer._again, Qt.MouseButton.LeftButton)
    client.stream.answer("Once upon a time.")
    assert last_answer(window).message.text == "Once upon a time."
    assert last_answer(window).message.siblings == 2


def test_no_answer_at_all_says_why(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Hi")
    client.stream.failed.emit("The prompt has 9000 tokens, the context holds 8192.")
    answer = last_answer(window)
    assert answer.message.state == "failed"
    assert "9000 tokens" in answer._ending.text()


def test_regenerate_edit_and_switch_branches(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    ask(qtbot, window, "Name a colour")
    client.stream.answer("Red")
    last_answer(window).actions_row.change_button.click()
    assert client.stream.messages == [{"role": "user", "content": "Name a colour"}]
    client.stream.answer("Blue")
    answer = last_answer(window)
    assert answer.actions_row.switcher._place.text() == "2/2"
    answer.actions_row.switcher._previous.click()
    assert last_answer(window).message.text == "Red"

    user = window.chat.messages.views[0]
    assert isinstance(user, UserMessage)
    user.begin_edit()
    assert user.editor is not None
    user.editor._edit.setPlainText("Name an animal")
    qtbot.keyClick(user.editor._edit, Qt.Key.Key_Return)
    assert client.stream.messages == [{"role": "user", "content": "Name an animal"}]
    client.stream.answer("Fox")
    first = window.chat.messages.views[0]
    assert isinstance(first, UserMessage)
    assert first.text == "Name an animal"
    first.set_always_show_actions(True)
    assert first.actions_row.switcher._place.text() == "2/2"
    first.actions_row.switcher._previous.click()
    assert [view.message.text for view in window.chat.messages.views] == ["Name a colour", "Red"]
    assert len(services.history.conversations()) == 1


def test_nothing_branches_while_an_answer_is_written(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    ask(qtbot, window, "a")
    client.stream.answer("b")
    ask(qtbot, window, "c")
    assert not any(view.actions_row.change_button.isEnabled() for view in window.chat.messages.views)
    client.stream.answer("d")
    assert all(view.actions_row.change_button.isEnabled() for view in window.chat.messages.views)


def test_an_answer_goes_on_in_the_background(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    ask(qtbot, window, "Long story")
    first, stream = window.chat.conversation.id, client.stream
    assert first is not None
    stream.delta.emit("Part one. ")
    window.new_chat()
    assert window.chat.messages.views == []
    stream.delta.emit("Part two. ")
    window.open_conversation(first)
    qtbot.waitUntil(lambda: "Part one. Part two." in shown_text(last_answer(window)))
    stream.delta.emit("Part three.")
    window.new_chat()
    stream.finished.emit("stop", {}, {})
    window.open_conversation(first)
    assert last_answer(window).message.text == "Part one. Part two. Part three."
    assert services.history.messages(first)[-1].state == "done"


def test_thinking_is_folded_and_not_sent_back(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    ask(qtbot, window, "Hard question")
    for piece in ("<thi", "nk>Let me see", ".</think>\n\n", "42"):
        client.stream.delta.emit(piece)
        window.chat.messages.flush()
    client.stream.finished.emit("stop", {}, {})
    answer = last_answer(window)
    assert answer._thinking is not None
    assert not answer._thinking.unfolded
    assert shown_text(answer) == "42"
    answer._thinking._toggle()
    assert "Let me see." in shown_text(answer)
    ask(qtbot, window, "Thanks")
    assert client.stream.messages[1] == {"role": "assistant", "content": "42"}


def test_copying(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "code")
    client.stream.answer("Here:\n\n```python\nprint(1)\n```\n")
    answer = last_answer(window)
    answer.actions_row.copy_button.click()
    assert QGuiApplication.clipboard().text() == "Here:\n\n```python\nprint(1)\n```"
    code = answer.findChild(CodeView)
    assert code is not None
    code.copy()
    assert QGuiApplication.clipboard().text() == "print(1)"


def test_links_open_only_on_a_click_and_only_safe_ones(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    body = MessageBody(window.theme)
    qtbot.addWidget(body)
    body.set_text("[a](https://example.org/) and https://example.net/x")
    text = body.findChild(RichText)
    assert text is not None
    assert opened == []
    text.anchorClicked.emit(QUrl("https://example.org/"))
    assert opened == []  # its words do not say where it leads
    dialog = body.findChild(QMessageBox)
    assert dialog is not None
    assert dialog.informativeText() == "https://example.org/"
    next(button for button in dialog.buttons() if button.text() == "Open").click()
    assert opened.pop() == "https://example.org/"
    text.anchorClicked.emit(QUrl("https://example.net/x"))
    assert opened.pop() == "https://example.net/x"
    text.anchorClicked.emit(QUrl("https://example.org/"))
    assert opened == []
    next(
        button for box in body.findChildren(QMessageBox) if box.isVisible()
        for button in box.buttons() if button.text() == "Open"
    ).click()
    text.anchorClicked.emit(QUrl("file:///etc/passwd"))
    assert opened == ["https://example.org/"]
    assert text.loadResource(2, QUrl("https://example.org/x.png")) is None


def test_autoscroll_only_at_the_end(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Long")
    bar = window.chat.messages.verticalScrollBar()
    for number in range(60):
        client.stream.delta.emit(f"Paragraph {number}.\n\n")
    window.chat.messages.flush()
    qtbot.waitUntil(lambda: bar.maximum() > 400 and bar.value() == bar.maximum())
    bar.setValue(100)
    client.stream.delta.emit("more\n\n" * 20)
    high = bar.maximum()
    window.chat.messages.flush()
    qtbot.waitUntil(lambda: bar.maximum() > high)
    assert bar.value() == 100
    assert window.chat.messages._to_end.isVisible()
    window.chat.messages._to_end.click()
    assert bar.value() == bar.maximum()


def test_a_long_conversation_is_shown_from_its_end(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    history = services.history
    conversation = history.create(MODEL, "Long")
    parent = None
    for number in range(70):
        role = "user" if number % 2 == 0 else "assistant"
        parent = history.append(conversation, parent, role, f"message {number}").id
    window.conversations.refresh()
    window.open_conversation(conversation)
    messages = window.chat.messages
    qtbot.waitUntil(lambda: messages.complete)
    assert messages.views[-1].message.text == "message 69"
    assert messages.verticalScrollBar().value() == messages.verticalScrollBar().maximum()
    assert 4 < len(messages.views) < 40
    messages.verticalScrollBar().setValue(0)
    qtbot.waitUntil(lambda: messages.complete)
    assert messages.views[0].message.text == "message 0"
    assert len(messages.views) < 50  # what is far away was given up


def test_context_gauge(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    client.loads[-1][2].done.emit({"model": MODEL, "context": 2048})
    assert window.chat.composer.gauge.words == "0 of 2\u202f048 tokens"
    qtbot.keyClicks(window.chat.composer.edit, "Hello")
    qtbot.keyClicks(window.chat.composer.edit, " there")
    qtbot.waitUntil(lambda: bool(client.counts), timeout=3000)
    assert len(client.counts) == 1, "typing is debounced"
    messages, reply = client.counts[0]
    assert messages == [{"role": "user", "content": "Hello there"}]
    reply.done.emit(31)
    assert window.chat.composer.gauge.words == "31 of 2\u202f048 tokens"
    window.new_chat()
    window.chat.open(services.history.create(MODEL, "Another"))
    assert not window.chat.composer.gauge.isVisible(), "what it showed was the other conversation's"


def test_loading_and_its_failure(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    model, context, reply = client.loads[-1]
    assert (model, context) == (MODEL, None)
    reply.progress.emit({"done": 30, "total": 100})
    assert window.chat.header._state.text() == "Loading 30 %…"
    reply.failed.emit("model.safetensors is truncated: convert the model again.")
    assert "truncated" in window.chat.header._state.text()
    assert window.chat.header._retry.isVisible()
    window.chat.header._retry.click()
    assert len(client.loads) == 2
    client.loads[-1][2].done.emit({"context": 4096})
    assert window.chat.loaded.state == "ready"
    assert isinstance(services.engine, ScriptedEngine)
    services.engine.state_changed.emit("restarting")
    assert len(client.loads) == 3, "loaded again after a restart"


def test_picking_a_model(qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services) -> None:
    picker = window.chat.header.picker
    assert [one.name for one in picker.choices] == ["SmolLM2 135M  ·  t2", "Other-1B  ·  t1"]
    picker.picked.emit("org/Other-1B:t1")
    assert client.loads[-1][0] == "org/Other-1B:t1"
    assert services.settings.get("last_model") == "org/Other-1B:t1"
    ask(qtbot, window, "Hi")
    assert client.stream.model == "org/Other-1B:t1"
    client.stream.answer("Hello")
    assert isinstance(services.library, ScriptedLibrary)
    services.library.install(MODEL)
    assert not window.chat.composer.button.isEnabled()
    assert "not installed" in window.chat.composer._hint.text()


def test_system_prompt_starts_a_conversation(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    services.settings.set("system_prompt", "Be brief.")
    ask(qtbot, window, "Hi")
    assert client.stream.messages[0] == {"role": "system", "content": "Be brief."}
    client.stream.answer("Hello")
    assert [view.message.role for view in window.chat.messages.views] == ["user", "assistant"]
