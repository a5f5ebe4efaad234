"""Conversations with the real engine on a tiny model: continuing, counting, comparing, and what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot
from shiboken6 import delete

from app.application import Services
from app.chat.conversation import Conversation
from app.chat.token_counter import SHORT, TokenCounter
from app.history.history import Attachment
from app.library.measured import loads, speeds
from app.views.main_window import MainWindow
from tests.tiny_models import tiny_folder

MODELS = ("tiny:t2", "other:t2")
PATIENCE = 60_000


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("tiny") / "model", "llama", "t2", "i8")


@pytest.fixture
def services(qtbot: QtBot, home: Path, converted: Path) -> Iterator[Services]:
    for model in MODELS:
        folder = home / "models" / model.replace(":", "--")
        folder.mkdir(parents=True)
        for file in converted.iterdir():
            if file.name != "receipt.json":
                (folder / file.name).hardlink_to(file)
        receipt = {**json.loads((converted / "receipt.json").read_text()), "id": model, "encoding": "t2"}
        receipt["source"] = {"id": model.partition(":")[0]}
        (folder / "receipt.json").write_text(json.dumps(receipt))
    owner = QObject()
    services = Services.build(owner)
    services.settings.set("threads", 1)
    services.settings.set("temperature", 0.0)
    yield services
    services.shutdown()
    delete(owner)  # the library looks for models whenever the application comes forward


def wait(qtbot: QtBot, ready: Callable[[], bool]) -> None:
    qtbot.waitUntil(ready, timeout=PATIENCE)


def test_stopped_and_continued_is_the_whole_answer(qtbot: QtBot, services: Services) -> None:
    whole = Conversation(services, None, MODELS[0])
    whole.set_overrides({"max_tokens": 400})
    whole.send("Tell me a story.")
    wait(qtbot, lambda: not whole.busy)
    expected = whole.messages[-1].text
    assert whole.messages[-1].state == "done"
    talk = Conversation(services, None, MODELS[0])
    talk.set_overrides({"max_tokens": 400})
    talk.send("Tell me a story.")
    wait(qtbot, lambda: len(talk.current_text()) > 100)
    talk.stop()
    wait(qtbot, lambda: not talk.busy)
    begun = talk.messages[-1].text
    assert talk.messages[-1].state == "stopped"
    assert len(begun) < len(expected)
    talk.set_overrides({"max_tokens": 100})
    talk.continue_answer(talk.messages[-1].id)
    wait(qtbot, lambda: not talk.busy)
    answer = talk.messages[-1]
    assert answer.text.startswith(begun)
    assert len(answer.text) > len(begun)
    shared = min(len(answer.text), len(expected)) - 2  # the last character may not be whole
    assert answer.text[:shared] == expected[:shared]
    assert answer.timings is not None
    details = answer.timings["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] >= answer.timings["usage"]["prompt_tokens"] - 2, "nothing is read again"


def test_the_count_while_typing_is_the_count_of_the_whole(qtbot: QtBot, services: Services) -> None:
    client = services.client
    answers: list[object] = []
    client.load(MODELS[0], 4096).done.connect(answers.append)
    wait(qtbot, lambda: bool(answers))
    assert isinstance(answers[0], dict)
    assert answers[0]["sampling"]["temperature"] >= 0
    talk = Conversation(services, services.history.create(MODELS[0]), MODELS[0])
    assert talk.id is not None
    asked = services.history.append(talk.id, None, "user", "One. " * (SHORT // 4))
    services.history.append(talk.id, asked.id, "assistant", "Two.")
    talk = Conversation(services, talk.id, MODELS[0])
    notes = [Attachment(0, "notes.md", "markdown", 9, "Cats purr.", 3)]
    counter = TokenCounter(client)
    counted: list[int] = []
    counter.counted.connect(counted.append)
    asks: list[int] = []
    ask = client.count_tokens
    client.count_tokens = lambda model, rows, summary="": asks.append(len(rows)) or ask(model, rows, summary)  # type: ignore
    for files in ([], notes):
        for draft in ("W", "What do they do?", "What do they do, and why? Père Noël…", "\n  spaces  ", "What"):
            counted.clear()
            asks.clear()
            counter.count(talk, draft.strip(), files)
            wait(qtbot, lambda: bool(counted))
            assert asks == ([3, 1] if draft == "W" else [1]), "of a long conversation only what is written is sent"
            told: list[object] = []
            ask(MODELS[0], talk.prompt(draft.strip(), files)).done.connect(told.append)
            wait(qtbot, lambda told=told: bool(told))
            assert counted == told


def test_what_was_planned_and_what_it_took_is_kept(qtbot: QtBot, services: Services) -> None:
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.show()
    services.start()
    chat = window.chat
    wait(qtbot, lambda: chat.loaded.state == "ready")
    model = chat.conversation.model
    chat.conversation.set_overrides({"max_tokens": 20})
    chat.send("Hi")
    wait(qtbot, lambda: not chat.conversation.busy)
    wait(qtbot, lambda: bool(loads(model)) and bool(speeds(model)))
    [load], [speed] = loads(model), speeds(model)
    assert load.planned > 0
    assert load.measured > 10_000_000
    assert speed.tokens_per_second > 1
    assert 0 < speed.depth < 200
    assert services.client.sizes[model] == load.planned
    chat.models.unload(model)
    wait(qtbot, lambda: model not in services.client.loaded)
    assert chat.loaded.state == "unloaded"


def test_two_real_models_answer_one_question(qtbot: QtBot, services: Services) -> None:
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.show()
    services.start()
    chat = window.chat
    wait(qtbot, lambda: chat.loaded.state == "ready")
    first = chat.conversation.model
    second = next(model for model in MODELS if model != first)
    chat.conversation.set_overrides({"max_tokens": 30})
    chat.comparing.begin(second)
    comparison = chat.comparing.comparison
    assert comparison is not None
    wait(qtbot, lambda: comparison.together is not None)
    assert comparison.together, "two tiny models fit"
    chat.send("Hi")
    wait(qtbot, lambda: comparison.first.id is not None and not comparison.busy)
    texts = [one.messages[-1].text for one in (comparison.first, comparison.second)]
    assert texts[0]
    assert texts[0] == texts[1], "greedy, and the same weights"
    assert {one.messages[-1].model for one in (comparison.first, comparison.second)} == set(MODELS)
    assert set(services.client.loaded) == set(MODELS)
