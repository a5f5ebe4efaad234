"""The server for other programs: the engine's second address, opened and closed as the settings say.

It lives in the engine child and ends with the window; after a restart of the engine it is opened again.
"""

from __future__ import annotations

import secrets as random
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.settings.secrets import KEY_RING
from app.translation import mark, tr

if TYPE_CHECKING:
    from app.engine.client import EngineClient
    from app.engine.exchange import Reply
    from app.engine.process import EngineProcess
    from app.settings.secrets import Secrets
    from app.settings.settings import Settings

TOKEN = "server_token"
SETTINGS = ("server_on", "server_port", "server_lan", "server_token_wanted")
UNREADABLE = mark(
    "The token cannot be read ({reason}). Make a new one, or unlock the key ring and switch the server on again."
)


class ServerControl(QObject):
    """``state``: ``"off"``, ``"starting"``, ``"on"`` or ``"failed"``."""

    state_changed = Signal(str)
    activity_changed = Signal()
    """:attr:`connections` and :attr:`requests` are new."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        engine: EngineProcess,
        client: EngineClient,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._secrets, self._engine, self._client = settings, secrets, engine, client
        self.state = "off"
        self.url = ""
        """Where programs of this machine find it, without ``/v1``; ``""`` while it is not on."""
        self.error = ""
        self.connections: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self._opening: Reply | None = None
        self._asking: Reply | None = None
        self._later = QTimer(self, singleShot=True, interval=0)  # several settings that change at once: one opening
        self._later.timeout.connect(self.apply)
        settings.changed.connect(self._on_setting)
        secrets.changed.connect(self._on_secret)
        secrets.unreadable.connect(self._on_unreadable)
        engine.ready.connect(lambda _: self.apply())
        engine.state_changed.connect(self._on_engine)

    @property
    def token(self) -> str:
        """What other programs must send, ``""`` where none is wanted."""
        return self._secrets.get(TOKEN) if self.token_wanted else ""

    @property
    def token_wanted(self) -> bool:
        """Whoever lets other machines in asks for a token."""
        return bool(self._settings.get("server_token_wanted") or self._settings.get("server_lan"))

    def new_token(self) -> None:
        """Make another one; what was set up with the old one is refused from now on."""
        self._secrets.set(TOKEN, random.token_urlsafe(24), self._secrets.where(TOKEN) or KEY_RING)

    def apply(self) -> None:
        """Open or close it, as the settings say."""
        if not self._settings.get("server_on"):
            self._opening = None
            if self.state != "off":
                self._change("off")
                if self._engine.url:
                    self._client.stop_listening()
            return
        if self.token_wanted and not self._secrets.get(TOKEN):
            if self._secrets.where(TOKEN):  # it is being read
                self._change("starting")
            else:
                self.new_token()  # and ``changed`` leads back here
            return
        self._change("starting")
        if not self._engine.url:
            return  # ``ready`` leads back here
        host = "0.0.0.0" if self._settings.get("server_lan") else "127.0.0.1"
        reply = self._opening = self._client.listen(int(str(self._settings.get("server_port"))), host, self.token)
        reply.done.connect(self._on_open)
        reply.failed.connect(self._on_refused)

    def ask(self) -> None:
        """Bring the lists up to date; ``activity_changed`` follows."""
        if self.state == "on" and self._asking is None:
            reply = self._asking = self._client.activity()
            reply.done.connect(self._on_activity)
            reply.failed.connect(self._on_no_activity)

    def _on_setting(self, key: str) -> None:
        if key in SETTINGS:
            self._later.start()

    def _on_secret(self, name: str) -> None:
        if name == TOKEN and self._settings.get("server_on"):
            self._later.start()

    def _on_unreadable(self, name: str, reason: str) -> None:
        if name == TOKEN and self._settings.get("server_on"):
            self._change("failed", tr(UNREADABLE).format(reason=reason))

    def _on_engine(self, state: str) -> None:
        if state in ("restarting", "failed", "stopped") and self.state in ("on", "starting"):
            self._change("starting")

    def _on_open(self, answer: Any) -> None:
        if self.sender() is not self._opening:
            return
        self._opening = None
        self.url = str(answer["listening"]["url"])
        self._change("on")

    def _on_refused(self, message: str) -> None:
        if self.sender() is not self._opening:
            return
        self._opening = None
        self._change("failed", message)

    def _on_activity(self, answer: Any) -> None:
        self._asking = None
        self.connections, self.requests = list(answer["connections"]), list(answer["requests"])
        self.activity_changed.emit()

    def _on_no_activity(self, _: str) -> None:
        self._asking = None

    def _change(self, state: str, error: str = "") -> None:
        if state != "on":
            self.url = ""
            self.connections = []
        if (state, error) == (self.state, self.error) and state != "on":
            return
        self.state, self.error = state, error
        self.state_changed.emit(state)
        self.activity_changed.emit()
