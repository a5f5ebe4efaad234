"""The jobs page: cards in their order, keyboard, dragging, history, log and receipt; messages at a job's end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QSystemTrayIcon
from pytestqt.qtbot import QtBot

from app.application import Services
from app.jobs import attendant, log
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.notifications import Notifications
from app.jobs.options import Options
from app.views.jobs import job_words
from app.views.jobs.job_card import MIME, JobCard
from app.views.jobs.jobs_view import JobsView
from app.views.jobs.log_dialog import LogDialog
from app.views.library.receipt_view import ReceiptDialog
from app.views.main_window import MainWindow
from tests.gui.accessible_walk import out_of_order, trouble
from tests.gui.chat_window import MODEL
from tests.gui.window_services import ScriptedLibrary, installed

CONVERTER = (sys.executable, str(Path(__file__).with_name("misbehaving_converter.py")))


@pytest.fixture
def jobs(services: Services) -> Iterator[Jobs]:
    services.jobs._command = CONVERTER
    services.jobs.hold("the test")
    yield services.jobs
    services.jobs.shutdown()


@pytest.fixture
def page(window: MainWindow, jobs: Jobs) -> JobsView:
    window.show_page("jobs")
    found = window.pages.currentWidget()
    assert isinstance(found, JobsView)
    return found


def order(page: JobsView) -> list[str]:
    """The names from top to bottom, once all are laid out."""
    shown = sorted((card for card in page.list.cards() if card.isVisible()), key=lambda card: card.y())
    if len({card.y() for card in shown}) < len(shown):
        return []
    return [card.accessibleName().partition(":")[0] for card in shown]


def test_cards_follow_the_queue_and_the_keyboard_moves_them(qtbot: QtBot, page: JobsView, jobs: Jobs) -> None:
    for name in ("org/a", "org/b", "org/c"):
        jobs.add(name, "t2")
    assert not page._empty.isVisible()
    qtbot.waitUntil(lambda: order(page) == ["a", "b", "c"])
    card = page.list.card(jobs.jobs()[2].id)
    assert card is not None
    card.setFocus()
    qtbot.keyClick(card, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: order(page) == ["a", "c", "b"])
    assert QApplication.focusWidget() is card
    qtbot.keyClick(card, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    qtbot.keyClick(card, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: order(page) == ["a", "b", "c"])
    page.focus_first()
    assert QApplication.focusWidget() is page.list.cards()[0]


def test_a_card_is_dragged_to_another_place(qtbot: QtBot, page: JobsView, jobs: Jobs) -> None:
    for name in ("org/a", "org/b", "org/c"):
        jobs.add(name, "t2")
    qtbot.waitUntil(lambda: order(page) == ["a", "b", "c"])

    def drop(source: int, y: int) -> None:
        data = QMimeData()
        data.setData(MIME, jobs.jobs()[source].id.encode())
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        page.list.dropEvent(QDropEvent(QPointF(50, y), Qt.DropAction.MoveAction, data, left, none))

    drop(0, page.list.height())
    qtbot.waitUntil(lambda: order(page) == ["b", "c", "a"])
    drop(2, 0)
    qtbot.waitUntil(lambda: order(page) == ["a", "b", "c"])
    drop(1, page.list.cards()[1].geometry().center().y())  # onto itself
    assert [job.source for job in jobs.jobs()] == ["org/a", "org/b", "org/c"]
    stranger = QMimeData()
    stranger.setData(MIME, b"\xff\x00")
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.list.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.MoveAction, stranger, left, none))
    assert [job.source for job in jobs.jobs()] == ["org/a", "org/b", "org/c"]


def test_a_job_runs_through_the_page(qtbot: QtBot, page: JobsView, jobs: Jobs) -> None:
    job = jobs.add("quick", "t2")
    card = page.list.card(job.id)
    assert card is not None
    assert page._summary.text() == "1 waiting. the test"
    jobs.release()
    assert "the test" not in page._summary.text()
    qtbot.waitUntil(lambda: job.state == "done", timeout=10_000)
    assert page.list.cards() == []
    assert list(page._rows) == [job.id]
    assert page._empty.isVisible()
    assert "not installed any more" in page._rows[job.id].accessibleName()
    page._clear_history()
    assert page._rows == {}
    assert jobs.jobs() == []


def test_what_a_card_says() -> None:
    job = Job("1", "org/a", "", state="running", phase="convert", done=58_000_000, total=134_000_000, unit="weights",
              rate=1.2e6, options=Options(bits=2.4, discard_source=True))  # fmt: skip
    job.course.expect({"download": 50.0, "convert": 100.0, "tune": 50.0})
    job.course.advance("download", 1, 1, 0.0)
    job.course.advance("convert", 58, 134, 1.0)
    assert job_words.tags(job) == ["2.4 bits a weight", "original not kept"]
    assert job_words.progress(job) == "Ternarising  ·  58 M of 134 M weights  ·  1.2 M weights/s"
    assert job_words.time_left(job) == "46 %"
    job.seconds_left = 70.0
    assert job_words.time_left(job) == "46 %  ·  about 2 min left"
    states = {name: state for name, state in job_words.steps(job) if state != "none"}
    assert states == {"Download": "done", "Ternarise": "now", "Tune": "later"}
    failed = replace(job, state="failed", message="the disk is full", remedy="disk")
    assert job_words.progress(failed) == "The disk is full"
    assert job_words.remedy(failed).startswith("Free some space")
    assert [job_words.rounded(x) for x in (3, 47, 140, 4000)] == [5.0, 45.0, 140.0, 4020.0]


def test_only_what_can_be_done_is_offered(qtbot: QtBot, page: JobsView, jobs: Jobs) -> None:
    job = jobs.add("org/a", "t2")
    card = page.list.card(job.id)
    assert isinstance(card, JobCard)
    shown = {
        "queued": {"_pause", "_cancel"}, "running": {"_pause", "_cancel"}, "paused": {"_retry", "_remove"},
        "failed": {"_retry", "_remove"}, "cancelled": {"_retry", "_remove"},
    }  # fmt: skip
    for state, buttons in shown.items():
        card.show_job(replace(job, state=state))
        visible = {name for name in ("_pause", "_cancel", "_retry", "_remove") if getattr(card, name).isVisible()}
        assert visible == buttons, state
    card.show_job(replace(job, state="paused"))
    card.setFocus()
    qtbot.keyClick(card, Qt.Key.Key_Delete)
    assert jobs.jobs() == []


def test_the_log_grows_in_its_window(qtbot: QtBot, page: JobsView, jobs: Jobs) -> None:
    job = jobs.add("org/a", "t2")
    path = jobs.log(job.id)
    log.write(path, "first")
    page._show_log(job)
    dialog = page.findChild(LogDialog)
    assert dialog is not None
    assert "first" in dialog.text.toPlainText()
    log.write(path, "second <b>")
    dialog.refresh()
    assert "second <b>" in dialog.text.toPlainText()
    path.write_bytes(b"\xff\xfe broken \x00" + b"x" * 300_000)
    dialog.refresh()
    dialog.close()


def test_the_receipt_of_what_was_made(
    qtbot: QtBot, page: JobsView, jobs: Jobs, services: Services, tmp_path: Path
) -> None:
    library = services.library
    assert isinstance(library, ScriptedLibrary)
    quality = {"kl_mean": 0.05, "top1": 0.9, "perplexity": 12.0, "original_perplexity": 11.0}
    (tmp_path / "receipt.json").write_text(json.dumps({"id": MODEL, "quality": quality}))
    library.models = [replace(installed(MODEL), path=tmp_path)]
    done = Job("1", "starter", "t2", state="done", model_id=MODEL, finished=time.time())
    jobs._jobs[done.id] = done
    page._refresh_history()
    row = page._rows["1"]
    assert "Nearly as good as the original." in row.accessibleName()
    chats: list[str] = []
    page.chat_wanted.connect(chats.append)
    row.chat.emit()
    assert chats == [MODEL]
    row.receipt.emit()
    dialog = page.findChild(ReceiptDialog)
    assert dialog is not None
    assert dialog.view.verdict == "Nearly as good as the original."
    assert dialog.view._measure.isVisible(), "there are no samples yet"
    dialog.view._measure.click()
    (measurement,) = [job for job in jobs.jobs() if job.kind == "measure"]
    assert measurement.source == MODEL
    assert not dialog.view._measure.isVisible()
    (tmp_path / "receipt.json").write_text(json.dumps({"id": MODEL, "quality": {**quality, "kl_mean": 0.9}}))
    jobs.release()
    qtbot.waitUntil(lambda: measurement.state == "done", timeout=10_000)
    assert dialog.view.verdict.startswith("Far from the original")


def test_two_paused_jobs_are_resumed_with_one_click(page: JobsView, jobs: Jobs) -> None:
    for name in ("org/a", "org/b"):
        jobs.pause(jobs.add(name, "t2").id)
    page._show_summary()
    assert page._resume.isVisible()
    page._resume.click()
    assert [job.state for job in jobs.jobs()] == ["queued", "queued"]


@pytest.mark.parametrize("size", [(760, 520), (1180, 800)])
def test_nothing_is_wider_than_the_page(window: MainWindow, page: JobsView, jobs: Jobs, size: tuple[int, int]) -> None:
    window.resize(*size)
    job = jobs.add("org/" + "a-rather-long-name-" * 4, "", None, {"vram": "24GiB", "discard_source": True})
    card = page.list.card(job.id)
    assert card is not None
    card.show_job(replace(job, state="failed", message="no space " * 40, remedy="disk"))
    QApplication.processEvents()
    right = card.mapTo(window, QPoint(card.width(), 0)).x()
    assert right <= window.width()
    assert card._more.geometry().right() <= card.width()


# --- at the end of a job --------------------------------------------------------------------------


def test_the_window_in_front_needs_no_message(
    qtbot: QtBot, window: MainWindow, services: Services, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts: list[object] = []
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(QApplication, "alert", lambda widget, _time=0: alerts.append(widget))
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _self, title, text, *_: shown.append((title, text)))
    active = [False]
    monkeypatch.setattr(window, "isActiveWindow", lambda: active[0])
    clicks: list[int] = []
    Notifications(window, services.settings, jobs, lambda name: name.upper(), lambda: clicks.append(1))
    job = Job("1", "org/a", "t2", state="failed", message="the disk is full")
    jobs.failed.emit(job)
    assert shown == [("ORG/A could not be made.", "the disk is full")]
    jobs.finished.emit(replace(job, state="done", model_id="a:t2"))
    assert shown[1] == ("A:T2 is ready.", "")
    assert len(alerts) == 2
    active[0] = True
    jobs.failed.emit(job)
    active[0] = False
    services.settings.set("notify", False)
    jobs.failed.emit(job)
    assert (len(shown), len(alerts)) == (2, 2)


def test_the_window_says_what_failed_and_what_was_interrupted(
    qtbot: QtBot, window: MainWindow, services: Services, jobs: Jobs
) -> None:
    jobs.pause(jobs.add("org/a", "t2").id)
    jobs.pause(jobs.add("org/b", "t2").id)
    jobs.interrupted.append(jobs.jobs()[0].id)
    attendant.attend(window, services)
    assert "interrupted" in window.notice.text
    window.notice._act()
    assert [job.state for job in jobs.jobs()] == ["queued", "paused"]
    jobs.failed.emit(replace(jobs.jobs()[0], state="failed", message="the disk is full"))
    assert "the disk is full" in window.notice.text
    window.notice._act()
    assert window.page == "jobs"


def test_assistive_software_and_tab_find_everything(
    qtbot: QtBot, window: MainWindow, page: JobsView, jobs: Jobs, services: Services, tmp_path: Path
) -> None:
    library = services.library
    assert isinstance(library, ScriptedLibrary)
    sample = {"question": "Why?", "original": "Because it is so.", "converted": "Because it was so."}
    (tmp_path / "receipt.json").write_text(json.dumps({"id": MODEL, "quality": {"kl_mean": 0.1, "samples": [sample]}}))
    library.models = [replace(installed(MODEL), path=tmp_path)]
    for name in ("org/a", "org/b"):
        jobs.add(name, "t2")
    jobs.pause(jobs.jobs()[1].id)
    for number in ("1", "2"):
        jobs._jobs[number] = Job(number, f"starter{number}", "t2", state="done", model_id=MODEL, finished=1e9)
    page._refresh_history()
    qtbot.wait(50)
    assert trouble(window) == []
    assert out_of_order(window) == []
    page.show_receipt(MODEL)
    dialog = page.findChild(ReceiptDialog)
    assert dialog is not None
    qtbot.waitExposed(dialog)
    assert trouble(dialog) == []
    dialog.close()
    page._show_log(jobs.jobs()[0])
    log_dialog = page.findChild(LogDialog)
    assert log_dialog is not None
    qtbot.waitExposed(log_dialog)
    assert trouble(log_dialog) == []
