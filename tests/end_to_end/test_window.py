"""A newcomer's first hour in the real window, with real children and the starter's real weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from app.application import Services
from app.views.chat.answer_message import AnswerMessage
from app.views.chat.user_message import UserMessage
from app.views.library.first_run import FirstRun
from app.views.main_window import MainWindow
from app.views.transfer.export_dialog import ExportDialog

pytestmark = pytest.mark.timeout(900)
QUICKLY, PATIENTLY = 120_000, 600_000


@pytest.fixture
def window(qtbot: QtBot, home: Path) -> Iterator[MainWindow]:
    services = Services.build(QApplication.instance())
    services.settings.set("temperature", 0.0)
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    services.start()
    yield window
    services.shutdown()


def answered(qtbot: QtBot, window: MainWindow) -> AnswerMessage:
    """The last answer, once it is there."""

    def done() -> bool:
        views = window.chat.messages.views
        return not window.chat.conversation.busy and bool(views) and views[-1].message.state == "done"

    qtbot.waitUntil(done, timeout=QUICKLY)
    view = window.chat.messages.views[-1]
    assert isinstance(view, AnswerMessage)
    return view


def test_first_run_plan_convert_chat_branch_search_export(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = window._services

    # First run: what the machine can do, and models with one button each.
    qtbot.waitUntil(lambda: window.findChild(FirstRun) is not None, timeout=QUICKLY)
    first = window.findChild(FirstRun)
    assert first is not None
    qtbot.waitUntil(lambda: "processor" in first.machine.text(), timeout=QUICKLY)
    assert any(b.accessibleName().startswith("Get SmolLM2 135M") for b in first.findChildren(QPushButton))

    # The plan, with the quality slider moved to 8 bits.
    window.show_library()
    assert window.library is not None
    window.library.open_model("starter")
    page = window.library.model_page
    assert page is not None
    plan = page.plan
    qtbot.waitUntil(lambda: plan.plan is not None and plan.plan.final, timeout=QUICKLY)
    plan.quality.setFocus()
    plan.quality.setValue(plan.quality.minimum())
    while (option := plan.option) is not None and option.key != "i8":
        at = plan.quality.value()
        qtbot.keyClick(plan.quality, Qt.Key.Key_Right)
        assert plan.quality.value() > at
    assert plan.facts["fetch"].value.text() == "93 MB"
    assert "tokens/s" in plan.facts["speed"].value.text()
    assert plan.verdict.text().startswith("It fits")
    assert services.jobs.jobs() == []

    # Converted, as a job with a percentage that never runs backwards.
    shares: list[float] = []
    services.jobs.changed.connect(lambda job: shares.append(job.fraction))
    plan.get.click()
    (job,) = services.jobs.jobs()
    qtbot.waitUntil(lambda: job.state not in ("queued", "running"), timeout=PATIENTLY)
    assert (job.state, job.model_id) == ("done", "starter:i8"), job.message
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    qtbot.waitUntil(lambda: bool(services.library.installed()), timeout=QUICKLY)
    receipt = json.loads((services.library.installed()[0].path / "receipt.json").read_text(encoding="utf-8"))
    samples = receipt["quality"]["samples"]
    assert len(samples) == 4
    assert all(sample["original"] and sample["converted"] for sample in samples)

    # Asked, and asked otherwise: a branch beside the first, from which one goes back.
    window.open_chat(job.model_id)
    qtbot.waitUntil(lambda: window.chat.loaded.state == "ready", timeout=QUICKLY)
    qtbot.keyClicks(window.chat.composer.edit, "What is the capital of France?")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
    answer = answered(qtbot, window)
    assert "Paris" in answer.message.text
    assert "tokens/s" in answer.actions_row._numbers.text()
    user = next(view for view in window.chat.messages.views if isinstance(view, UserMessage))
    user.setFocus()
    qtbot.keyClick(user, Qt.Key.Key_E)
    assert user.editor is not None
    user.editor._edit.setPlainText("What is the capital of Germany?")
    qtbot.keyClick(user.editor._edit, Qt.Key.Key_Return)
    answer = answered(qtbot, window)
    assert "Berlin" in answer.message.text
    user = next(view for view in window.chat.messages.views if isinstance(view, UserMessage))
    assert (user.message.position, user.message.siblings) == (1, 2)
    window.chat.messages.step.emit(user.message.id, -1)
    assert "Paris" in answered(qtbot, window).message.text

    # Found by a word of the branch that is not shown.
    qtbot.keyClicks(window.sidebar.search, "germany")
    qtbot.waitUntil(lambda: window.conversations.query == "germany", timeout=QUICKLY)
    conversation = window.chat.conversation.id
    assert conversation is not None
    assert window.conversations.index_of(conversation).isValid()

    # Exported: what is shown to read, all branches to keep.
    names = [str(tmp_path / "talk.md"), str(tmp_path / "talk.json")]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (names.pop(0), ""))
    window.sidebar.export.emit(conversation)
    text = (tmp_path / "talk.md").read_text(encoding="utf-8")
    assert "Paris" in text
    assert "Berlin" not in text
    window.sidebar.export.emit(conversation)
    dialog = window.findChild(ExportDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.busy, timeout=QUICKLY)
    whole = (tmp_path / "talk.json").read_text(encoding="utf-8")
    assert "Paris" in whole
    assert "Berlin" in whole
