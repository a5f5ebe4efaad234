"""Errors that nothing has handled are said and logged; a window that went down says so at the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QLocalServer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.faults import FaultCatcher, RunningMark
from app.instance import Instance
from app.views.main_window import MainWindow
from app.views.shell.fault_dialog import FaultDialog
from tests.gui.test_application import launch, wait_for
from tests.gui.test_views_window import button_named
from tzcore.errors import StorageError


@pytest.fixture
def catcher(window: MainWindow, qtbot: QtBot, capsys: pytest.CaptureFixture[str]) -> Iterator[FaultCatcher]:
    hook = sys.excepthook
    catcher = FaultCatcher(window.error_occurred.emit, window.fault_occurred.emit)
    yield catcher
    catcher.close()
    sys.excepthook = hook


def raise_in_a_slot(error: Exception) -> None:
    def slot() -> None:
        raise error

    QTimer.singleShot(0, slot)


def test_a_fault_in_a_slot_is_logged_and_said(
    qtbot: QtBot, window: MainWindow, catcher: FaultCatcher, home: Path
) -> None:
    with qtbot.captureExceptions():  # pytest-qt's own hook would fail the test
        sys.excepthook = catcher._hook
        raise_in_a_slot(ZeroDivisionError("by\nnothing"))
        qtbot.waitUntil(window.notice.isVisible, timeout=3000)
    assert window.notice.text == (
        "Something went wrong: ZeroDivisionError: by nothing. Your conversations are safe."
    )
    assert "raise error" in (home / "logs" / "window.log").read_text()
    button_named(window.notice, "Details").click()
    (dialog,) = window.findChildren(FaultDialog)
    assert "ZeroDivisionError" in dialog.details.toPlainText()
    button_named(dialog, "Copy").click()
    assert "ZeroDivisionError" in QApplication.clipboard().text()
    assert "Qt " in QApplication.clipboard().text()
    dialog.accept()


def test_a_fault_in_a_thread_is_said_too(qtbot: QtBot, window: MainWindow, catcher: FaultCatcher) -> None:
    thread = threading.Thread(target=lambda: {}["lost"])
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: "KeyError" in window.notice.text, timeout=3000)


def test_foreseeable_errors_are_shown_as_they_are(qtbot: QtBot, window: MainWindow, catcher: FaultCatcher) -> None:
    catcher._hook(StorageError, StorageError("The disk is full."), None)
    assert window.notice.text == "The disk is full."


def test_the_same_fault_again_is_only_logged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    catcher = FaultCatcher(said.append, lambda line, _trace: said.append(line))
    for _ in range(50):
        catcher._hook(ValueError, ValueError("x"), None)
    catcher.close()
    assert said == ["ValueError: x"]
    assert (home / "logs" / "window.log").read_text().count("ValueError: x") == 50


def test_running_mark(home: Path) -> None:
    assert RunningMark().begin() is None
    running = RunningMark()
    running.note(7)
    assert RunningMark().begin() == 7
    (home / "window.running").write_text("[torn")
    assert RunningMark().begin() == 0
    running.end()
    assert RunningMark().begin() is None
    running.end()


def test_after_a_crash_the_conversation_is_offered(qtbot: QtBot, window: MainWindow) -> None:
    history = window._services.history
    conversation = history.create("starter:t2", "Lemon cake")
    history.append(conversation, None, "user", "How long in the oven?")
    window.conversations.refresh()
    window.begin("", conversation)
    assert window.notice.text.startswith("Ternary-Zero was not closed properly the last time.")
    button_named(window.notice, "Open the conversation").click()
    assert window.chat.conversation.id == conversation
    window.begin("", 4711)  # deleted meanwhile
    assert window.notice.isVisible()
    assert not window.notice._button.isVisible() or window.notice._button.accessibleName() != "Open the conversation"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_and_ended(home: Path) -> None:
    """SIGKILL leaves the mark, SIGTERM does not; the stale lock and socket of the killed one hinder nobody."""
    mark = home / "window.running"
    for number in (signal.SIGKILL, signal.SIGTERM):
        window = launch()
        try:
            wait_for(mark.exists)
            wait_for(lambda w=window: json.loads(mark.read_text() or "{}").get("pid") == w.pid)
            window.send_signal(number)
            window.wait(timeout=60)  # its pipes may be held by an engine that has yet to notice
        finally:
            window.kill()
        assert mark.exists() == (number == signal.SIGKILL)


def test_a_stale_socket_hinders_nobody(home: Path, qtbot: QtBot) -> None:
    name = Instance()._name
    code = (
        "import os, sys; from PySide6.QtCore import QCoreApplication; from PySide6.QtNetwork import QLocalServer;"
        "a = QCoreApplication([]); s = QLocalServer(); assert s.listen(sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, name], check=False, timeout=30)
    again = QLocalServer()
    if os.name != "nt":
        assert not again.listen(name), "the socket is not stale: the test tests nothing"
    first = Instance()
    assert first.claim([])
    assert first._server.isListening()
    first.release()
