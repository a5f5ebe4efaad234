"""What the services tell, as the window shows it: notices, the rail's badges, announcements to assistive software."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible

from app.jobs.job import Job
from app.library.names import model_name
from app.translation import tr
from app.views.controls.announcement import announce
from app.views.shell import engine_notice

if TYPE_CHECKING:
    from app.application import Services
    from app.views.main_window import MainWindow

SPOKEN = 1500
"""Characters of an answer that are announced; the rest is read where it stands."""


class News(QObject):
    """Its slots are methods of a child of the window, so that they end with it."""

    def __init__(self, window: MainWindow, services: Services) -> None:
        super().__init__(window)
        self._window, self._services = window, services
        services.settings.changed.connect(self._on_setting)
        services.engine.restarted.connect(self._on_engine_restarted)
        services.engine.failed.connect(self._on_engine_failed)
        services.jobs.finished.connect(self._on_job_finished)
        for signal in (services.jobs.added, services.jobs.removed, services.jobs.changed):
            signal.connect(self.show_jobs)
        services.library.failed.connect(self._on_library_failed)
        services.library.noticed.connect(self._on_noticed)
        window.chat.busy_changed.connect(self._on_busy)

    def show_jobs(self, _job: object = None) -> None:
        """How many jobs are under way, and how far the running one is, on the rail."""
        under_way = [job for job in self._services.jobs.jobs() if job.unfinished]
        running = next((job for job in under_way if job.state == "running"), None)
        share = running.fraction if running is not None else -1.0
        sentence = tr("%n under way", "", len(under_way)) if under_way else ""
        self._window.rail.buttons["jobs"].show_badge(len(under_way), share, sentence)

    def show_offline(self) -> None:
        """The network's button says it on every page."""
        offline = bool(self._services.settings.get("offline"))
        button = self._window.rail.buttons["network"]
        button.set_icon("offline" if offline else "globe", tr("Network: offline") if offline else tr("Network"))
        button.setText(tr("Offline") if offline else tr("Network"))

    def _on_setting(self, key: str) -> None:
        if key != "offline":
            return
        self.show_offline()
        if self._services.settings.get("offline") and any(job.state == "paused" for job in self._services.jobs.jobs()):
            text = tr("Offline is switched on. Jobs that were under way are paused.")
            show = partial(self._window.show_page, "jobs")
            self._window.notice.show_notice(text, "", tr("Show the jobs"), show, seconds=20)

    def _on_engine_restarted(self, message: str) -> None:
        engine_notice.restarted(self._window, message)

    def _on_engine_failed(self, message: str) -> None:
        engine_notice.failed(self._window, message)

    def _on_noticed(self, text: str) -> None:
        self._window.notice.show_notice(text, "warning")

    def _on_library_failed(self, message: str) -> None:
        if self._window.page != "library":
            self._window.show_error(message)

    def _on_job_finished(self, job: Job) -> None:
        notice, name = self._window.notice, model_name(job.model_id or job.source, self._services.library)
        if job.kind == "measure":
            measured = tr("{name} is measured.").format(name=name)
            notice.show_notice(measured, "", tr("Show"), partial(self._window.show_page, "jobs"), seconds=30)
        elif job.model_id:
            ready = f"{tr('{name} is ready.').format(name=name)} {job.verdict}".strip()
            notice.show_notice(ready, "", tr("Chat"), partial(self._window.open_chat, job.model_id), seconds=30)

    def _on_busy(self, conversation_id: int, busy: bool) -> None:
        """To those who hear the window: an answer begins, and what it says once it is there."""
        if not QAccessible.isActive():
            return
        if busy:
            announce(self._window, tr("An answer is being written."))
            return
        messages = self._services.history.messages(conversation_id)
        if messages and messages[-1].role == "assistant":
            announce(self._window, tr("The answer: {text}").format(text=messages[-1].text[:SPOKEN]))
