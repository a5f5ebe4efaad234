"""How an answer comes to be drawn: colours, frozen blocks, the time that each turn of the loop takes, names."""

from __future__ import annotations

import time

from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app.text import highlight
from app.text.markdown import Code, Prose, parse
from app.views.chat.code_view import CodeView
from app.views.chat.message_body import MessageBody
from app.views.main_window import MainWindow, _warm
from tests.gui.chat_window import ask, last_answer
from tests.gui.window_services import ScriptedClient


def test_code_is_coloured_once_it_is_there(qtbot: QtBot, window: MainWindow) -> None:
    highlight.fetch("python")
    view = CodeView(window.theme, Code('x = """a\nb"""\nreturn 1', "python"))
    qtbot.addWidget(view)
    qtbot.waitUntil(lambda: len(view._painter.lines) == 3)
    roles = [{span.role for span in line} - {"operator"} for line in view._painter.lines]
    assert roles == [{"string"}, {"string"}, {"keyword", "number"}]
    view.show_block(Code('x = """a\nb"""\nreturn 1\nif y:', "python", closed=False))
    qtbot.waitUntil(lambda: len(view._painter.lines) == 4)
    assert view._painter.lines[3][0].role == "keyword"


def test_finished_blocks_are_not_touched_again(qtbot: QtBot, window: MainWindow) -> None:
    body = MessageBody(window.theme)
    qtbot.addWidget(body)
    body.feed("First.\n\n```\ncode\n```\n\nSecond")
    kept = list(body.views)[:2]
    body.feed(" paragraph grows.\n\nThird\n")
    assert list(body.views)[:2] == kept
    assert len(body.views) == 4
    body.finish()
    qtbot.waitUntil(lambda: len(body.views) == 3)
    assert list(body.blocks) == list(parse("First.\n\n```\ncode\n```\n\nSecond paragraph grows.\n\nThird"))
    assert isinstance(body.blocks[2], Prose)


def test_turns_of_the_event_loop_are_short_while_streaming(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    """Processor time of the window's thread between two ticks of a 1 ms timer, so that other load on the
    machine hardly counts."""
    from PySide6.QtCore import QTimer

    _warm()  # as the window does a second after it opened
    highlight.fetch("python")
    paragraph = "Some **bold** words, `code` and a [link](https://example.org). " * 5
    code = "\n".join(f"def f{n}(x):\n    return x * {n}  # comment" for n in range(60))
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 8
    text = f"{paragraph}\n\n{table}\n\n```python\n{code}\n```\n\n- a\n- b\n\n" * 3
    ask(qtbot, window, "go")
    turns: list[float] = []
    last = [time.thread_time()]

    def probe() -> None:
        now = time.thread_time()
        turns.append((now - last[0]) * 1000)
        last[0] = now

    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(probe)
    timer.start()
    for at in range(0, len(text), 80):
        client.stream.delta.emit(text[at : at + 80])
        qtbot.wait(5)
    client.stream.finished.emit("stop", {}, {})
    qtbot.wait(300)
    timer.stop()
    turns.sort()
    assert len(turns) > 200
    assert turns[int(len(turns) * 0.99)] < 40  # a busy machine; see tests/bench/window_frames.py for what it is
    assert last_answer(window).message.text == text


def test_every_control_has_a_name(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "Hi")
    client.stream.answer("Text\n\n```\ncode\n```\n\n| a |\n|---|\n| b |\n")
    window.show_library()
    window.show_settings()
    nameless = [
        button for button in window.findChildren(QAbstractButton)
        if not button.isHidden() and not (button.accessibleName() or button.text())
        and not type(button).__module__.startswith("PySide6")  # Qt's own, such as a field's button to clear it
    ]
    assert nameless == []
    assert window.chat.composer.edit.accessibleName() == "Message"
    assert last_answer(window).accessibleName().startswith("Answer of starter:t2: Text")
