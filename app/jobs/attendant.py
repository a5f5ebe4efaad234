"""What goes on beside the jobs while the window is open: messages at their end, and game mode."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.jobs.job import MEASURE, Job
from app.translation import tr

if TYPE_CHECKING:
    from app.application import Services
    from app.views.main_window import MainWindow

GOES_ON = 8.0
"""Seconds for which the end of game mode is told."""


def attend(window: MainWindow, services: Services) -> None:
    """Begin, once the window is shown."""
    Attendant(window, services)


class Attendant(QObject):
    """Goes with the window."""

    def __init__(self, window: MainWindow, services: Services) -> None:
        super().__init__(window)
        from PySide6.QtGui import QGuiApplication

        from app.jobs.fullscreen import detector
        from app.jobs.game_mode import GameMode
        from app.jobs.notifications import Notifications

        self._window, self._services = window, services
        Notifications(window, services.settings, services.jobs, self._name, self._show_jobs)
        services.jobs.failed.connect(self._tell_failure)
        if (watch := detector(QGuiApplication.platformName())) is not None:
            mode = GameMode(watch, services.settings, services.jobs, services.client, self)
            mode.changed.connect(self._tell_mode)
        self._tell_beginning()

    def _name(self, model_id: str) -> str:
        from app.library.names import model_name

        return model_name(model_id, self._services.library)

    def _show_jobs(self) -> None:
        self._window.show_page("jobs")

    def _tell_failure(self, job: Job) -> None:
        if self._window.page == "jobs":
            return  # it is before the user's eyes
        text = tr("{name} could not be measured: {reason}") if job.kind == MEASURE else tr("{name} failed: {reason}")
        said = text.format(name=self._name(job.model_id or job.source), reason=job.message)
        self._window.notice.show_notice(said, "danger", tr("Show"), self._show_jobs)

    def _tell_mode(self, text: str) -> None:
        if text:
            self._window.notice.show_notice(text)
        else:
            self._window.notice.show_notice(tr("The full-screen program is over: work goes on."), seconds=GOES_ON)

    def _tell_beginning(self) -> None:
        """What the last window left behind."""
        jobs, notice = self._services.jobs, self._window.notice
        if jobs.trouble:
            notice.show_notice(jobs.trouble, "warning", tr("Show"), self._show_jobs)
        elif jobs.interrupted:
            text = tr("Jobs that were interrupted: %n. What is done is kept.", "", len(jobs.interrupted))
            notice.show_notice(text, "", tr("Resume"), partial(jobs.resume_all, jobs.interrupted))
