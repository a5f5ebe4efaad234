"""Library, sidebar, settings, notices: what surrounds the chat."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app import wording
from app.application import Services
from app.jobs.jobs import Job
from app.models.conversation_list import BUSY, ID, ConversationList, heading_for
from app.views.jobs.job_words import summary
from app.views.library.installed_row import InstalledRow
from app.views.library.job_row import JobRow
from app.views.library.library_view import LibraryView
from app.views.main_window import MainWindow
from tests.gui.window_services import (
    ScriptedClient,
    ScriptedEngine,
    ScriptedLibrary,
)

MODEL = "starter:t2"


@pytest.fixture
def models() -> tuple[str, ...]:
    return ()


@pytest.fixture
def window(qtbot: QtBot, services: Services) -> MainWindow:
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.resize(1100, 760)
    window.show()
    return window


def library_of(window: MainWindow) -> LibraryView:
    window.show_library()
    assert window.library is not None
    return window.library


def button_named(widget: object, name: str) -> QAbstractButton:
    found = [b for b in widget.findChildren(QAbstractButton) if b.accessibleName() == name]  # type: ignore[attr-defined]
    assert len(found) == 1, [b.accessibleName() for b in widget.findChildren(QAbstractButton)]  # type: ignore[attr-defined]
    return found[0]


def test_no_model_invites_to_the_starter(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    welcome = window.chat.welcome
    assert welcome.isVisible()
    assert window.chat.composer._hint.text() == "Get a model first"
    asked: list[tuple[str, str]] = []
    welcome.get.connect(lambda source, encoding: asked.append((source, encoding)))
    welcome.get.disconnect(window.chat.get_wanted)
    button_named(welcome, "Get SmolLM2 135M").click()
    assert asked == [("starter", "t2")]
    button_named(welcome, "See all models").click()
    assert window.pages.currentWidget() is window.library


def test_an_installed_model_opens_the_chat(
    qtbot: QtBot, window: MainWindow, listed: ScriptedLibrary, services: Services
) -> None:
    listed.install(MODEL)
    assert window.chat.welcome._title.text() == "What would you like to know?"
    assert isinstance(services.client, ScriptedClient)
    assert services.client.loads[-1][0] == MODEL
    view = library_of(window)
    assert len(view.findChildren(InstalledRow)) == 1
    row = view.findChild(InstalledRow)
    assert row is not None
    button_named(row, "Chat with SmolLM2 135M").click()
    assert window.pages.currentWidget() is window.chat


def test_progress_of_a_job_in_words() -> None:
    job = Job("1", "starter", "t2", state="running", phase="convert", done=58_000_000, total=134_515_008,
              unit="weights", rate=1.2e6, seconds_left=64.0)
    job.course.expect({"convert": 100.0})
    job.course.advance("convert", job.done, job.total, 0.0)
    assert summary(job) == "Ternarising  ·  58 M of 135 M weights  ·  1.2 M weights/s  ·  43 %  ·  about 1 min left"
    job = replace(job, phase="download", done=34_000_000, total=92_871_040, unit="bytes", rate=1.5e6)
    assert summary(job).startswith("Downloading  ·  34 of 93 MB  ·  1.5 MB/s")
    assert summary(replace(job, state="failed", message="the disk is full.")) == "The disk is full."
    assert summary(replace(job, state="paused")) == "Paused. What is done is kept.  ·  43 %"


def test_job_rows_offer_what_can_be_done(qtbot: QtBot, window: MainWindow) -> None:
    job = Job("1", "starter", "t2")
    row = JobRow(window.theme, job, "SmolLM2")
    qtbot.addWidget(row)
    row.show()

    def offered() -> set[str]:
        return {b.accessibleName() for b in row.findChildren(QAbstractButton) if b.isVisible()}

    assert offered() == {"Cancel"}
    for state, expected in (
        ("running", {"Pause", "Cancel"}),
        ("paused", {"Resume", "Take off the list"}),
        ("failed", {"Try again", "Take off the list"}),
    ):
        row.show_job(replace(job, state=state, phase="convert", done=1, total=2, unit="weights"))
        assert offered() == expected
    row.show_job(replace(job, state="done", model_id=MODEL))
    assert offered() == {"Chat", "Take off the list"}


def test_the_library_shows_few_jobs(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    view = library_of(window)
    for name in ("one", "two", "three"):
        view.get(name)
    qtbot.waitUntil(lambda: all(job.state == "failed" for job in services.jobs.jobs()), timeout=5000)
    assert [row.isVisible() for row in view.findChildren(JobRow)] == [True, True, False]
    assert button_named(view, "All jobs (3)").isVisible()


def test_a_job_that_cannot_start_is_shown_with_its_reason(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    view = library_of(window)
    view.get("starter")
    qtbot.waitUntil(lambda: services.jobs.jobs()[0].state == "failed", timeout=5000)
    (row,) = view.findChildren(JobRow)
    assert row.sentence == services.jobs.jobs()[0].message != ""
    button_named(row, "Take off the list").click()
    assert not view._jobs.isVisible()


def test_engine_failure_can_be_tried_again(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    assert isinstance(services.engine, ScriptedEngine)
    services.engine.failed.emit("The engine cannot be started: no memory.")
    assert window.notice.text == "The engine cannot be started: no memory."
    window.notice._button.click()
    assert services.engine.starts == 1
    assert not window.notice.isVisible()


def test_sidebar_lists_searches_deletes_and_restores(
    qtbot: QtBot, window: MainWindow, services: Services
) -> None:
    history = services.history
    for title, text in (("Lemon cake", "How long in the oven?"), ("Pointers", "What is a pointer?")):
        history.append(history.create(MODEL, title), None, "user", text)
    window.conversations.refresh()
    model = window.conversations
    assert [model.index(i).data() for i in range(model.rowCount())] == ["Today", "Pointers", "Lemon cake"]
    qtbot.keyClicks(window.sidebar.search, "oven")
    qtbot.waitUntil(lambda: model.rowCount() == 1, timeout=3000)
    found = model.index(0)
    assert found.data() == "Lemon cake"
    window.sidebar.list.clicked.emit(found)
    assert window.chat.conversation.id == found.data(ID)
    window.delete(found.data(ID))
    assert window.chat.conversation.id is None
    assert "Lemon cake" in window.notice.text
    window.notice._button.click()
    assert {c.title for c in history.conversations()} == {"Lemon cake", "Pointers"}
    assert window.chat.messages.views[0].message.text == "How long in the oven?"


def test_headings_by_day(services: Services) -> None:
    today = date(2026, 11, 23)
    days = [(23, "Today"), (22, "Yesterday"), (18, "Previous 7 days"), (1, "Previous 30 days")]
    assert [heading_for(date(2026, 11, day), today) for day, _ in days] == [name for _, name in days]
    assert heading_for(date(2026, 3, 1), today) == date(2026, 3, 1).strftime("%B %Y")
    conversations = ConversationList(services.history)
    assert conversations.empty
    conversation = services.history.create(MODEL, "x")
    conversations.refresh()
    assert not conversations.flags(conversations.index(0)) & Qt.ItemFlag.ItemIsSelectable
    conversations.set_busy(conversation, True)
    assert conversations.index_of(conversation).data(BUSY) is True


def test_theme_button_and_setting(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    seen = []
    for _ in range(3):
        window.rail.next_mode()
        seen.append((services.settings.get("theme"), window.theme.mode))
    assert seen == [("light", "light"), ("dark", "dark"), ("system", "system")]


def test_geometry_is_kept(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    window.resize(780, 601)
    window.close()
    again = MainWindow(services)
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (780, 601)


def test_an_error_that_nothing_else_shows(qtbot: QtBot, window: MainWindow) -> None:
    window.show_error("The disk is full.")
    assert window.notice.isVisible()
    assert window.notice.text == "The disk is full."


def test_words() -> None:
    assert [wording.size(n) for n in (0, 999, 71_400_000, 1_300_000_000)] == ["0 bytes", "999 bytes", "71 MB", "1.3 GB"]
    assert [wording.count(n) for n in (7, 4096, 134_515_008, 1_711_376_384)] == ["7", "4\u202f096", "135 M", "1.7 B"]
    assert [wording.duration(s) for s in (0.2, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]
    assert wording.encoding("t2") == "Balanced (t2)"
    assert wording.model_and_encoding("a/b:t2") == ("a/b", "t2")


def test_the_window_imports_nothing_heavy() -> None:
    code = (
        "import sys, app.views.main_window, app.application;"
        "heavy = {'torch', 'transformers', 'numpy', 'tzcore.engine', 'tzcore.hub', 'huggingface_hub'};"
        "heavy &= set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
