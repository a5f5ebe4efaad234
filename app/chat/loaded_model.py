"""The model that the window wants in the engine's memory, and how far it has got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.chat.measuring import record
from app.engine.exchange import Exchange
from app.translation import tr

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import Reply
    from app.history.history import Message

LOST = ("restarting", "failed")
"""Engine states in which whatever was loaded is gone, and a new engine is to have it again."""


class LoadedModel(QObject):
    """States: ``"none"`` (nothing wanted), ``"loading"``, ``"ready"``, ``"failed"`` (see ``message``),
    ``"unloaded"`` (the user wants its memory back; it is loaded again when it is needed).

    After the engine was restarted the model is loaded again by itself.
    """

    changed = Signal()

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._reply: Reply | None = None
        self.model_id = ""
        self.state = "none"
        self.context = 0
        """Tokens that a conversation can hold; 0 while not known."""
        self.kv, self.kv_bytes = "", 0
        """In which precision the context is kept, and the memory that it takes."""
        self.sampling: dict[str, Any] = {}
        """How the model's own answers are drawn, by the names of the engine; empty while not known."""
        self.notices: list[str] = []
        """What the user should know about the model as it was loaded."""
        self._planned = 0
        self.message = ""
        self.done, self.total = 0, 0
        self._lost = False
        self._reload = QTimer(self, singleShot=True, interval=0)
        self._reload.timeout.connect(self._load)
        services.engine.state_changed.connect(self._on_engine_state)
        services.engine.failed.connect(self._on_failed)
        services.settings.changed.connect(self._on_setting)

    def want(self, model_id: str, needed: bool = False) -> None:
        """Load ``model_id`` unless it is there or on its way; one that was unloaded only if it is ``needed``."""
        again = ("none", "failed", "unloaded") if needed else ("none", "failed")
        if model_id != self.model_id or self.state in again:
            self.model_id = model_id
            self._load()

    def serves(self, model_id: str) -> bool:
        """Whether this is the model in memory, and answers."""
        return self.state == "ready" and self.model_id == model_id

    def forget(self) -> None:
        """Nothing is wanted any more (the model was deleted)."""
        self._drop_reply()
        self.model_id, self.context = "", 0
        self._set("none")

    def unload(self) -> None:
        """Give its memory back; it is loaded again when it is needed."""
        if self.state == "ready":
            self._services.client.unload(self.model_id)
            self.context = 0
            self._set("unloaded")

    def answered(self, message: Message) -> None:
        """It has answered: what that took is kept for the estimates of the next time."""
        if message.state not in ("done", "stopped") or message.model != self.model_id:
            return
        planned, self._planned = self._planned, 0  # once for each load
        if list(self._services.client.loaded) != [self.model_id]:
            planned = 0  # the process has others too
        record(message.model, message.timings or {}, planned, self._services.engine.pid)

    def retry(self) -> None:
        """After a failure: start the engine if need be, and load again."""
        self._services.engine.start()
        self._load()

    def _load(self) -> None:
        self._drop_reply()
        if not self.model_id:
            return
        context = self._services.settings.get("context")
        self.done = self.total = self.context = self.kv_bytes = 0
        self.kv, self.notices, self.sampling = "", [], {}
        self._set("loading")
        kv = str(self._services.settings.get("kv"))
        reply = self._services.client.load(self.model_id, int(context) if context else None, kv)
        self._reply = reply
        reply.progress.connect(self._on_progress)
        reply.done.connect(self._on_done)
        reply.failed.connect(self._on_failed)

    def _drop_reply(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.progress.disconnect(self._on_progress)
            reply.done.disconnect(self._on_done)
            reply.failed.disconnect(self._on_failed)
            reply.cancel()

    def _on_progress(self, event: object) -> None:
        if isinstance(event, dict):
            self.done, self.total = int(event.get("done", 0)), int(event.get("total", 0))
            self.changed.emit()

    def _on_done(self, result: object) -> None:
        self._reply = None
        answer = result if isinstance(result, dict) else {}
        self.context = int(answer.get("context") or 0)
        self.kv = str(answer.get("kv") or "")
        self.kv_bytes = int((answer.get("memory") or {}).get("kv") or 0)
        self.sampling = dict(answer.get("sampling") or {})
        memory = answer.get("memory") or {}
        self._planned = 0 if memory.get("card") else int(memory.get("total") or 0)
        self.notices = [str(notice) for notice in answer.get("notices") or ()]
        self._set("ready")

    def _on_failed(self, message: str) -> None:
        """Loading failed, or the engine did for good."""
        if self.model_id:
            self._lost = message == tr(Exchange.lost)  # the engine went down under it, and will be back
            self._drop_reply()
            self._set("failed", message)

    def _on_engine_state(self, state: str) -> None:
        if state in LOST and self.state == "ready":
            self._load()  # waits in the client until the new engine is up
        elif state == "running" and self.state == "failed" and self._lost:
            self._load()
        elif state == "stopped":  # the program ends
            self._drop_reply()
            self._set("none")

    def _on_setting(self, key: str) -> None:
        if key in ("context", "kv") and self.state in ("ready", "loading"):
            self._reload.start()  # once, where both are changed together

    def _set(self, state: str, message: str = "") -> None:
        self.state, self.message = state, message
        self.changed.emit()
