"""The engine child: ``tz serve`` on loopback with a random port and token, watched and restarted.

The window survives whatever happens in here.  A child that dies is started again after a
growing pause (0.2 s, doubling, at most 10 s); after five deaths without a minute of good
health in between the process gives up, says so, and :meth:`EngineProcess.start` tries afresh.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from app.child import TZ, Child
from app.translation import mark, tr
from tzcore import paths

RESTARTED = mark("The engine stopped unexpectedly and was restarted; the answer so far is kept.")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before the first restart; each further one waits twice as long, up to the longest."""
MOST_DEATHS = 5
HEALTHY = 60.0
"""Seconds of running after which earlier deaths no longer count."""
START_TIMEOUT = 60.0
"""Seconds in which the child must say that it is ready."""


class EngineProcess(QObject):
    """Owns the child.  States: ``"stopped"``, ``"starting"``, ``"running"``, ``"restarting"``, ``"failed"``."""

    ready = Signal(str)
    """The server answers at this URL (``http://127.0.0.1:PORT``).  Emitted again after each restart."""
    restarted = Signal(str)
    """The engine died and a new one is up; the message is for the user.  Models must be loaded again
    (the client's next ``chat`` does it by itself)."""
    failed = Signal(str)
    """The engine cannot be started; the message says why and what to do."""
    state_changed = Signal(str)

    def __init__(
        self, threads: int | None = None, command: Sequence[str] = TZ, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.threads = threads
        """Takes effect when the child starts next."""
        self.snapshots = 0.0
        """Gigabytes of disk for what was read of conversations; 0 keeps nothing.  As above."""
        self._command = command
        self._token = ""
        self._log = paths.logs() / "engine.log"
        self._state = "stopped"
        self._url = ""
        self._error = ""
        self._child: Child | None = None
        self._deaths = 0
        self._ready_at = 0.0
        self._pause = QTimer(self, singleShot=True)
        self._pause.timeout.connect(self._launch)
        self._patience = QTimer(self, singleShot=True, interval=round(START_TIMEOUT * 1000))
        self._patience.timeout.connect(self._give_up_waiting)

    def start(self) -> None:
        """Start the child if it is not running; returns at once."""
        if self._state in ("stopped", "failed"):
            self._deaths = 0
            self._change("starting")
            self._launch()

    def stop(self) -> None:
        """End the child (politely, then by force after 2 s) and do not restart it.  Returns when it is over."""
        self._pause.stop()
        self._patience.stop()
        child, self._child = self._child, None
        self._url = ""
        if child is not None:
            child.stop_now()
            child.deleteLater()
        if self._state != "stopped":
            self._change("stopped")

    def restart(self) -> None:
        """Stop it and start it again, for instance with another number of threads."""
        self.stop()
        self.start()

    @property
    def state(self) -> str:
        return self._state

    @property
    def url(self) -> str:
        """Base URL while running, else ``""``."""
        return self._url

    @property
    def token(self) -> str:
        """Bearer token of the running child, ``""`` where none runs.  The child makes it up and says it on its
        stdout: on a command line every user of the machine could read it."""
        return self._token

    @property
    def pid(self) -> int:
        """Process id of the child, 0 where none runs."""
        return self._child.pid if self._child else 0

    @property
    def error(self) -> str:
        """What ``failed`` said, while the state is ``"failed"``."""
        return self._error if self._state == "failed" else ""

    def _launch(self) -> None:
        arguments = ["serve", "--host", "127.0.0.1", "--port", "0", "--token", "random"]
        arguments += ["--parent-pid", str(os.getpid()), "--json"]
        if self.threads:
            arguments += ["--threads", str(self.threads)]
        if self.snapshots:
            arguments += ["--snapshots", "--snapshots-quota", f"{self.snapshots:g}GB"]
        self._error = ""
        child = self._child = Child(arguments, self._command, self._log, self, hub=False)
        child.said.connect(self._on_event)
        child.finished.connect(self._on_finished)
        self._patience.start()
        child.start()

    def _on_event(self, event: object) -> None:
        if self.sender() is not self._child or not isinstance(event, dict):
            return
        if event.get("event") == "error":
            self._error = str(event.get("message", ""))
        elif event.get("event") == "ready" and not self._url:
            self._patience.stop()
            self._url, self._token = str(event["url"]), str(event["token"])
            self._ready_at = time.monotonic()
            again = self._deaths > 0
            self._change("running")
            self.ready.emit(self._url)
            if again:
                self.restarted.emit(tr(RESTARTED))

    def _on_finished(self, code: int) -> None:
        child = self._child
        if child is None or self.sender() is not child:
            return
        self._child = None
        self._patience.stop()
        was_ready = bool(self._url)
        self._url = self._token = ""
        reason = self._error or child.last_words or tr("exit code {code}").format(code=code)
        if code == -1 and not self._error:  # what it said last has nothing to do with it
            reason = tr("the system ended it, perhaps because memory ran out")
        child.deleteLater()
        if was_ready and time.monotonic() - self._ready_at >= HEALTHY:
            self._deaths = 0
        self._deaths += 1
        if code == -2 or (self._error and not was_ready):  # it said why; trying again changes nothing
            self._fail(tr("The engine cannot be started: {reason}").format(reason=reason))
        elif self._deaths >= MOST_DEATHS:
            text = tr("The engine stopped {count} times in a row: {reason}. Its log is {log}.")
            self._fail(text.format(count=self._deaths, reason=reason, log=self._log))
        else:
            self._change("restarting")
            self._pause.start(round(1000 * min(FIRST_PAUSE * 2 ** (self._deaths - 1), LONGEST_PAUSE)))

    def _give_up_waiting(self) -> None:
        if self._child is not None:
            self._child.last_words = tr("it was not ready after {seconds} s").format(seconds=f"{START_TIMEOUT:.0f}")
            self._child.kill()

    def _fail(self, message: str) -> None:
        self._error = message
        self._change("failed")
        self.failed.emit(message)

    def _change(self, state: str) -> None:
        self._state = state
        self.state_changed.emit(state)
