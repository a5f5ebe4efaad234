"""A context that is full, in the window: what happens is chosen, shown, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app import wording
from app.application import Services
from app.chat import context_scale
from app.history.history import History
from app.views.chat.context_dialog import ContextDialog
from app.views.chat.context_popover import ContextPopover
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL, last_answer
from tests.gui.window_services import ScriptedClient

FORMATS = (("f16", 400), ("k8v8", 203), ("k6v5", 140), ("k4v4", 103), ("k4v2", 78))


def change(messages: int = 2, summary: str | None = None, **more: Any) -> dict[str, Any]:
    kind = "compact" if summary else "slide"
    return {
        "kind": kind, "messages_left_out": messages, "tokens_left_out": 1234, "tokens_kept": 500, "summary": summary,
        **more,
    }


def say(window: MainWindow, client: ScriptedClient, question: str, answer: str, *changes: dict[str, Any]) -> None:
    window.chat.send(question)
    for one in changes:
        client.stream.context_changed.emit(one)
    client.stream.answer(answer)


def marked(window: MainWindow) -> list[str]:
    """The texts of the messages that are followed by a line."""
    messages = window.chat.messages
    for index in range(len(messages.messages)):  # a message has a widget only near the viewport
        messages._view(index)
    return [view.message.text for view in messages.views if view.marker is not None]


def restarted(qtbot: QtBot, window: MainWindow, services: Services) -> MainWindow:
    """Another window on the same history, which shows the same conversation."""
    again = MainWindow(services)
    qtbot.addWidget(again)
    assert window.chat.conversation.id is not None
    again.open_conversation(window.chat.conversation.id)
    return again


def plan(context: int, free: int = 10_000_000, made_for: int = 8192) -> dict[str, Any]:
    formats = []
    for kv, per_token in FORMATS:
        total = 1_000_000 + context * per_token + 500_000
        formats.append({
            "kv": kv, "bits": 16, "kv_bytes": context * per_token, "bytes_per_token": per_token,
            "total_bytes": total, "fits": total <= free,
            "longest_context": min(made_for, (free - 1_500_000) // per_token),
        })
    auto = next((one["kv"] for one in formats[:4] if one["fits"]), "f16")
    return {
        "model": MODEL, "context": context, "max_context": made_for, "weights_bytes": 1_000_000,
        "workspace_bytes": 500_000, "free": free, "reserve": 0, "card": "", "auto": auto, "formats": formats,
    }


def dialog(window: MainWindow) -> ContextDialog:
    window.chat.header.context_button.click()
    return next(widget for widget in window.findChildren(ContextDialog) if widget.isVisible())


@pytest.fixture
def popover(window: MainWindow, client: ScriptedClient) -> ContextPopover:
    client.loads[-1][2].done.emit({"context": 2048, "kv": "k8v8", "memory": {"kv": 3_000_000}})
    window.chat.composer.gauge.click()
    return next(widget for widget in window.findChildren(ContextPopover) if widget.isVisible())


def test_the_setting_goes_with_every_request_and_a_conversation_may_differ(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services, popover: ContextPopover
) -> None:
    assert [popover.choices[value].isChecked() for value in ("stop", "slide", "compact")] == [True, False, False]
    popover.choices["slide"].click()
    popover.close()
    say(window, client, "One", "1")
    assert client.stream.options["context_overflow"] == "slide"
    services.settings.set("context_overflow", "compact")
    say(window, client, "Two", "2")
    assert client.stream.options["context_overflow"] == "slide"
    again = restarted(qtbot, window, services)
    assert again.chat.conversation.overflow == "slide"
    window.new_chat()
    say(window, client, "Other", "3")
    assert client.stream.options["context_overflow"] == "compact"


def test_the_gauge_says_what_the_context_takes(popover: ContextPopover) -> None:
    texts = " ".join(label.text() for label in popover.findChildren(QLabel))
    assert "8 bits" in texts
    assert "3.0 MB" in texts


def test_the_gauge_is_worked_by_keyboard(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, popover: ContextPopover
) -> None:
    assert popover.choices["stop"].hasFocus() or not popover.isActiveWindow()
    qtbot.keyClick(popover.choices["stop"], Qt.Key.Key_Down)
    assert popover.choices["slide"].isChecked()
    assert window.chat.conversation.overflow == "slide"
    qtbot.keyClick(popover.choices["slide"], Qt.Key.Key_Escape)
    assert not popover.isVisible()
    gauge = window.chat.composer.gauge
    assert gauge.accessibleName().startswith("Context used")
    qtbot.keyClick(gauge, Qt.Key.Key_Space)
    again = next(widget for widget in window.findChildren(ContextPopover) if widget.isVisible())
    assert again.choices["slide"].isChecked()


def test_what_is_left_out_is_marked_and_survives_a_restart(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    for number in range(3):
        say(window, client, f"Question {number}", f"Answer {number}")
    say(window, client, "Question 3", "Answer 3", change(4))
    assert marked(window) == ["Answer 1"]
    assert len(client.stream.messages) == 7, "the engine decides anew each time: a larger context brings them back"
    again = restarted(qtbot, window, services)
    assert marked(again) == ["Answer 1"]
    marker = next(view.marker for view in again.chat.messages.views if view.marker is not None)
    assert "4 messages above are not read" in marker.accessibleName()
    say(again, client, "Question 4", "Answer 4", change(6))
    assert marked(again) == ["Answer 2"]
    say(again, client, "Question 5", "Answer 5")
    assert marked(again) == [], "with all of it in the context again, nothing is left out"


def test_a_summary_is_sent_in_place_of_what_it_stands_for(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    services.settings.set("system_prompt", "Be brief.")
    for number in range(3):
        say(window, client, f"Question {number}", f"Answer {number}")
    say(window, client, "Question 3", "Answer 3", change(4, "They counted to one."))
    assert marked(window) == ["Answer 1"]
    marker = next(view.marker for view in window.chat.messages.views if view.marker is not None)
    assert not marker.unfolded
    qtbot.keyClick(marker._button, Qt.Key.Key_Space)
    assert marker.unfolded
    assert "They counted to one." in marker._summary.toPlainText()
    again = restarted(qtbot, window, services)
    say(again, client, "Question 4", "Answer 4")
    assert [message["content"] for message in client.stream.messages] == [
        "Be brief.", "Question 2", "Answer 2", "Question 3", "Answer 3", "Question 4",
    ]
    assert client.stream.options["context_summary"] == "They counted to one."
    again.chat._count_tokens()
    # The next summary counts from what was sent, and is kept with what was left out in all.
    say(again, client, "Question 5", "Answer 5", change(2, "They counted to two."))
    assert marked(again) == ["Answer 1", "Answer 2"]
    last = services.history.messages(again.chat.conversation.id or 0)[-1].context_changes[-1]
    assert last["messages_left_out"] == 6
    assert [message["content"] for message in again.chat.conversation.prompt()][1] == "Question 3"
    assert again.chat.conversation.summary == "They counted to two."


def test_another_branch_knows_nothing_of_a_summary(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    for number in range(2):
        say(window, client, f"Question {number}", f"Answer {number}")
    say(window, client, "Question 2", "Answer 2", change(2, "A summary."))
    question = window.chat.conversation.messages[-2]
    window.chat.conversation.edit(question.id, "Another question")
    assert "context_summary" not in client.stream.options
    assert client.stream.messages[0]["content"] == "Question 0"
    client.stream.answer("x")
    assert marked(window) == []


def test_the_middle_of_an_answer_left_out_is_said_below_it(window: MainWindow, client: ScriptedClient) -> None:
    window.chat.send("Tell me a long story")
    client.stream.delta.emit("Once upon a time")
    client.stream.context_changed.emit(change(0))
    client.stream.answer(" they lived.")
    assert "without 1" in last_answer(window)._ending.text()
    assert "middle of the text" in last_answer(window)._ending.text()
    assert marked(window) == []


def test_a_change_is_kept_though_the_program_dies(
    window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    say(window, client, "Question", "Answer")
    window.chat.send("More")
    client.stream.context_changed.emit(change(2, "A summary."))
    on_disk = History(Path(services.history._db.execute("PRAGMA database_list").fetchone()[2]))
    assert on_disk.messages(window.chat.conversation.id or 0)[-1].context_changes[0]["summary"] == "A summary."
    on_disk.close()


def test_a_prompt_that_does_not_fit_offers_ways_out(
    window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    window.chat.send("Read this")
    client.stream.code = "context_length_exceeded"
    client.stream.failed.emit("The prompt has 9,420 tokens and the context holds 8,192")
    answer = last_answer(window)
    assert "9,420" in answer._ending.text()
    assert all(way.isVisibleTo(answer) for way in answer.ways_out.values())
    assert not answer._again.isVisibleTo(answer)
    answer.ways_out["slide"].click()
    assert client.stream.options["context_overflow"] == "slide"
    assert services.history.context_overflow(window.chat.conversation.id or 0) == "slide"
    client.stream.code = "context_length_exceeded"
    client.stream.failed.emit("The last message alone needs 9,000 tokens")
    shown = [choice for choice, way in last_answer(window).ways_out.items() if way.isVisibleTo(last_answer(window))]
    assert shown == ["larger"]
    window.chat.conversation.regenerate(last_answer(window).message.id)
    client.stream.failed.emit("The engine is gone")
    assert not any(way.isVisibleTo(last_answer(window)) for way in last_answer(window).ways_out.values())


def test_a_larger_context_is_one_click_away(window: MainWindow, client: ScriptedClient) -> None:
    window.chat.send("Read this")
    client.stream.code = "context_length_exceeded"
    client.stream.failed.emit("too long")
    last_answer(window).ways_out["larger"].click()
    assert client.plans[-1][0] == MODEL
    assert any(widget.isVisible() for widget in window.findChildren(ContextDialog))


def test_reading_and_summing_up_are_shown_and_can_be_stopped(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    window.chat.send("Long")
    client.stream.progress.emit(12_400, 20_300, 14.2)
    assert last_answer(window)._waiting.text() == wording.reading(12_400, 20_300, 14.2)
    assert "61 % · about 14 s left" in last_answer(window)._waiting.text()
    client.stream.summarising.emit(50, 200)
    assert "Summarising the oldest messages · 25 %" in last_answer(window)._waiting.text()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert client.stream.cancelled
    assert last_answer(window).message.state == "stopped"


def test_the_dialog_shows_the_engines_numbers_for_every_precision(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    made = dialog(window)
    assert client.plans[-1][:2] == (MODEL, None)
    client.plans[-1][2].done.emit(plan(8192))
    assert made.tokens == 0
    assert made.spin.value() == 8192
    for kv, per_token in FORMATS:
        _, cells = made.rows[kv]
        assert cells[0].text() == wording.size(8192 * per_token)
        assert cells[3].text() == "fits"
    assert "16 bits here" in made.rows["auto"][0].text()
    assert "= 4.8 MB" in made.sum.text()
    assert "it fits" in made.sum.text()
    assert not made.beyond.isVisible()
    made.slider.setFocus()
    qtbot.keyClick(made.slider, Qt.Key.Key_PageUp)  # twice as much
    assert made.tokens == 16_384
    assert made.beyond.isVisibleTo(made)
    qtbot.waitUntil(lambda: client.plans[-1][1] == 16_384)
    client.plans[-1][2].done.emit(plan(16_384, free=5_000_000))
    assert made.rows["f16"][1][3].text() == "does not fit"
    assert made.rows["k8v8"][1][2].text() == f"{wording.count(16_384)} or more"
    assert "8 bits here" in made.rows["auto"][0].text()
    made.rows["f16"][0].click()
    assert "too much" in made.sum.text()
    assert not made._open.isEnabled()


def test_the_choice_loads_the_model_once_anew(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    client.loads[-1][2].done.emit({"context": 8192, "kv": "f16"})
    assert "16 bits" in window.chat.header.context_button.text()
    made = dialog(window)
    client.plans[-1][2].done.emit(plan(8192))
    made.spin.setValue(4096)
    made.rows["k4v4"][0].click()
    before = len(client.loads)
    made._open.click()
    qtbot.waitUntil(lambda: len(client.loads) > before)
    qtbot.wait(30)
    assert len(client.loads) == before + 1
    assert (client.loads[-1][1], client.precisions[-1]) == (4096, "k4v4")
    assert (services.settings.get("context"), services.settings.get("kv")) == (4096, "k4v4")


def test_what_the_engine_cannot_plan_is_said(window: MainWindow, client: ScriptedClient) -> None:
    made = dialog(window)
    client.plans[-1][2].failed.emit("The folder is damaged: convert the model again.")
    assert made.trouble.text().startswith("The folder is damaged")
    assert not made._open.isEnabled()
    made.reject()


def test_notices_of_a_loaded_model_are_shown_once(window: MainWindow, client: ScriptedClient) -> None:
    client.loads[-1][2].done.emit({"context": 16_384, "notices": ["the model was made for 8,192 tokens"]})
    assert window.chat.notices.isVisible()
    assert window.chat.notices.text == "The model was made for 8,192 tokens."
    window.chat.notices.hide()
    window.chat.models.on_loaded()
    assert not window.chat.notices.isVisible()


def test_a_deleted_conversation_is_forgotten_by_the_engine(
    window: MainWindow, client: ScriptedClient, services: Services
) -> None:
    say(window, client, "Question", "Answer")
    say(window, client, "More", "Yes", change(2, "A summary."))
    assert window.chat.conversation.id is not None
    window.delete(window.chat.conversation.id)
    assert [(model, summary) for model, _, summary in client.forgotten] == [(MODEL, ""), (MODEL, "A summary.")]
    for _, messages, _ in client.forgotten:
        assert [message["content"] for message in messages] == ["Question", "Answer", "More", "Yes"]


@pytest.mark.parametrize("made_for", [2048, 8192, 131_072, 1_048_576])
def test_the_scale_grows_and_meets_the_round_lengths(made_for: int) -> None:
    steps = range(context_scale.steps(made_for) + 1)
    lengths = [context_scale.tokens_at(step, made_for) for step in steps]
    assert lengths == sorted(lengths)
    assert lengths[0] == 256
    assert lengths[-1] == context_scale.longest(made_for)
    assert {snap for snap in context_scale.SNAPS if snap <= lengths[-1]} <= set(lengths)
    assert made_for in lengths
    assert all(length % 256 == 0 for length in lengths)
