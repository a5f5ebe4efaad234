"""What goes on beside the jobs while the window is open: messages at their end, and game mode."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from app.jobs.job import MEASURE, Job
from app.translation import tr

if TYPE_CHECKING:
    from app.application import Services
    from app.views.main_window import MainWindow

GOES_ON = 8.0
"""Seconds for which the end of game mode is told."""


def attend(window: MainWindow, services: Services) -> None:
    """Begin, once the window is shown."""
    from PySide6.QtGui import QGuiApplication

    from app.jobs.fullscreen import detector
    from app.jobs.game_mode import GameMode
    from app.jobs.notifications import Notifications
    from app.library.names import model_name

    def name(model_id: str) -> str:
        return model_name(model_id, services.library)

    Notifications(window, services.settings, services.jobs, name, partial(window.show_page, "jobs"))
    services.jobs.failed.connect(lambda job: _tell_failure(window, job, name(job.model_id or job.source)))
    if (watch := detector(QGuiApplication.platformName())) is not None:
        mode = GameMode(watch, services.settings, services.jobs, services.client, window)
        mode.changed.connect(partial(_tell_mode, window))
    _tell_beginning(window, services)


def _tell_failure(window: MainWindow, job: Job, name: str) -> None:
    if window.page == "jobs":
        return  # it is before the user's eyes
    text = tr("{name} could not be measured: {reason}") if job.kind == MEASURE else tr("{name} failed: {reason}")
    show = partial(window.show_page, "jobs")
    window.notice.show_notice(text.format(name=name, reason=job.message), "danger", tr("Show"), show)


def _tell_mode(window: MainWindow, text: str) -> None:
    if text:
        window.notice.show_notice(text)
    else:
        window.notice.show_notice(tr("The full-screen program is over: work goes on."), seconds=GOES_ON)


def _tell_beginning(window: MainWindow, services: Services) -> None:
    """What the last window left behind."""
    jobs = services.jobs
    if jobs.trouble:
        window.notice.show_notice(jobs.trouble, "warning", tr("Show"), partial(window.show_page, "jobs"))
        return
    if jobs.interrupted:
        text = tr("Jobs that were interrupted: %n. What is done is kept.", "", len(jobs.interrupted))
        window.notice.show_notice(text, "", tr("Resume"), partial(jobs.resume_all, jobs.interrupted))
