"""The engine child: ``tz serve`` on loopback with a random port and token, watched and restarted.

The window survives whatever happens in here.  A child that dies is started again after a
growing pause (0.2 s, doubling, at most 10 s); after five deaths without a minute of good
health in between the process gives up, says so, and :meth:`EngineProcess.start` tries afresh.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal


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

    def __init__(self, threads: int | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        raise NotImplementedError

    def start(self) -> None:
        """Start the child if it is not running; returns at once."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the child (politely, then by force after 2 s) and do not restart it."""
        raise NotImplementedError

    @property
    def state(self) -> str:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Base URL while running, else ``""``."""
        raise NotImplementedError

    @property
    def token(self) -> str:
        """Bearer token of this window's engine; another for each run of the window."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Process id of the child, 0 where none runs."""
        raise NotImplementedError
