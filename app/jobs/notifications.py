"""When a job ends while the user looks elsewhere, the system says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from app.jobs.job import MEASURE, Job
from app.translation import tr

if TYPE_CHECKING:
    from app.jobs.jobs import Jobs
    from app.settings.settings import Settings

SHOWN = 12_000
"""Milliseconds that a message is shown for, and the icon in the tray stays after it."""


class Notifications(QObject):
    """Speaks through the tray where there is one that shows messages, and by the task bar's alert otherwise.

    ``name`` turns a model's id into what people call it; ``on_click`` follows a click on a message.
    """

    def __init__(
        self,
        window: QWidget,
        settings: Settings,
        jobs: Jobs,
        name: Callable[[str], str],
        on_click: Callable[[], object],
    ) -> None:
        super().__init__(window)
        self._window, self._settings, self._name, self._on_click = window, settings, name, on_click
        self._tray: QSystemTrayIcon | None = None
        self._hider = QTimer(self)
        self._hider.setSingleShot(True)
        self._hider.timeout.connect(self._hide)
        jobs.finished.connect(self._on_finished)
        jobs.failed.connect(self._on_failed)

    def _on_finished(self, job: Job) -> None:
        name = self._name(job.model_id or job.source)
        text = tr("{name} is measured.") if job.kind == MEASURE else tr("{name} is ready.")
        self.tell(text.format(name=name), "")

    def _on_failed(self, job: Job) -> None:
        name = self._name(job.model_id or job.source)
        self.tell(tr("{name} could not be made.").format(name=name), job.message)

    def tell(self, title: str, text: str) -> None:
        """Say it, unless the user has the window before them or wants no messages."""
        if not self._settings.get("notify") or self._window.isActiveWindow():
            return
        QApplication.alert(self._window)
        if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
            self._show(title, text)

    def _show(self, title: str, text: str) -> None:
        if self._tray is None:
            self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
            self._tray.setToolTip("Ternary-Zero")
            self._tray.messageClicked.connect(self._clicked)
            self._tray.activated.connect(self._clicked)
        self._tray.show()  # a message belongs to an icon that is there
        self._tray.showMessage(title, text, self._window.windowIcon(), SHOWN)
        self._hider.start(SHOWN)

    def _clicked(self) -> None:
        self._hide()
        if self._window.isMinimized():
            self._window.showNormal()
        self._window.raise_()
        self._window.activateWindow()
        self._on_click()

    def _hide(self) -> None:
        if self._tray is not None:
            self._tray.hide()
