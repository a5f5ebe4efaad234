"""While a full-screen program runs in front, conversions wait and idle models leave memory; afterwards all goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.jobs.fullscreen import Detector
from app.translation import tr

if TYPE_CHECKING:
    from app.engine.client import EngineClient
    from app.jobs.jobs import Jobs
    from app.settings.settings import Settings

INTERVAL = 2000
"""Milliseconds between two looks."""
PATIENCE = 2
"""Looks that must agree: switching windows for a moment changes nothing."""


class GameMode(QObject):
    """Watches by ``detector`` while the setting ``game_mode`` is on."""

    changed = Signal(str)
    """What is put off, and why; ``""``: it goes on."""

    def __init__(
        self, detector: Detector, settings: Settings, jobs: Jobs, client: EngineClient, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._detector, self._settings, self._jobs, self._client = detector, settings, jobs, client
        self._on = False
        self._agreeing = 0
        self._told = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self.look)
        settings.changed.connect(lambda key: self._follow_setting() if key == "game_mode" else None)
        self._follow_setting()

    @property
    def on(self) -> bool:
        """Whether work is put off now."""
        return self._on

    def look(self) -> None:
        """Look once; called by the clock."""
        seen = self._detector()
        self._agreeing = self._agreeing + 1 if seen != self._on else 0
        if self._agreeing >= PATIENCE:
            self._begin() if seen else self._end()
        elif self._on:
            self._give_back()  # what was in use before may be idle by now, and a new job waits too

    def _follow_setting(self) -> None:
        if self._settings.get("game_mode"):
            self._timer.start()
        else:
            self._timer.stop()
            self._end()

    def _begin(self) -> None:
        self._on, self._agreeing, self._told = True, 0, False
        self._jobs.hold(tr("Conversions wait while a full-screen program runs."))
        self._give_back()

    def _give_back(self) -> None:
        """Unload every model that is loaded; one that writes an answer refuses, and is asked again at the next look."""
        waiting = any(job.state in ("running", "queued") for job in self._jobs.jobs())
        loaded = list(self._client.loaded)
        for model_id in loaded:
            self._client.unload(model_id)
        if (waiting or loaded) and not self._told:
            self._told = True
            text = tr("A full-screen program runs: conversions wait, and idle models have left memory.")
            self.changed.emit(text)

    def _end(self) -> None:
        if not self._on:
            return
        self._on, self._agreeing = False, 0
        self._jobs.release()
        if self._told:
            self.changed.emit("")
