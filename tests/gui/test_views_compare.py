"""Two models side by side on one prompt."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.application import Services
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL, OTHER, ask, loaded
from tests.gui.window_services import ScriptedClient


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


def test_conversions_of_one_original_are_told_apart(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    services.library.install(MODEL, "starter:t1")  # type: ignore[attr-defined]
    loaded(client)
    window.chat.header.compare.emit("starter:t1")
    comparing = window.chat.comparing
    client.plans[-1][2].done.emit({"formats": [{"kv": "f16", "fits": True}]})
    assert comparing.column is not None
    assert comparing.head._name.text() == "SmolLM2 135M  ·  t2"
    assert comparing.column.head._name.text() == "SmolLM2 135M  ·  t1"
