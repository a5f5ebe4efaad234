"""What the window says when the engine went down, and what can be done then: go on, look at the log, start it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from app.translation import tr
from tzcore import paths

if TYPE_CHECKING:
    from app.views.main_window import MainWindow


def restarted(window: MainWindow, message: str) -> None:
    """It is up again.  The answer that was broken off can go on where it ends."""
    answer = broken_off(window)
    if answer:
        window.notice.show_notice(
            message, "warning", tr("Go on"), lambda: go_on(window, answer),
            second=tr("Show the log"), on_second=show_log,
        )
    else:
        window.notice.show_notice(message, "warning", tr("Show the log"), show_log)


def failed(window: MainWindow, message: str) -> None:
    """It went down again and again, or cannot be started at all."""
    window.notice.show_notice(
        message, "danger", tr("Start it again"), window._services.engine.start,
        second=tr("Show the log"), on_second=show_log,
    )


def broken_off(window: MainWindow) -> int:
    """The id of the answer that was broken off in the conversation that is shown, 0 where there is none."""
    messages = window.chat.conversation.messages
    last = messages[-1] if messages else None
    return last.id if last is not None and last.role == "assistant" and last.state == "interrupted" else 0


def go_on(window: MainWindow, answer: int) -> None:
    """Let the answer go on, if it still is the last of the conversation that is shown."""
    if broken_off(window) == answer and not window.chat.conversation.busy:
        window.show_page("chat")
        window.chat.conversation.continue_answer(answer)


def show_log() -> None:
    """Open the engine's log in the program that the system has for such files."""
    log = paths.logs() / "engine.log"
    if not log.exists():
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(log)))
