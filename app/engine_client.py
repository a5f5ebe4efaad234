"""Requests to the engine on Qt's own network stack: loopback only, no proxy, nothing blocks.

Calls made while the engine is starting or restarting wait for it.  Every call returns at once
with an object whose signals tell the outcome; exactly one of its last signals is emitted, never
before control is back in the event loop.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from app.engine_process import EngineProcess


class Reply(QObject):
    """One answer to come: any number of ``progress``, then exactly one of ``done`` and ``failed``."""

    done = Signal(object)
    """The decoded JSON answer: ``count_tokens`` an int, all others a dict."""
    failed = Signal(str)
    """One line for the user."""
    progress = Signal(object)
    """A dict in the form of :meth:`tzcore.progress.Progress.as_event` (phase, done, total, unit, detail)."""

    def cancel(self) -> None:
        """Abort; ``failed("Cancelled.")`` follows."""
        raise NotImplementedError


class ChatStream(QObject):
    """One answer being written: any ``progress`` (reading the prompt), ``delta``s, then exactly one of
    ``finished`` and ``failed``."""

    progress = Signal(int, int, float)
    """Prompt tokens read, prompt tokens in all, seconds left (−1.0 where not known yet)."""
    delta = Signal(str)
    """More text of the answer."""
    finished = Signal(str, dict, dict)
    """Reason (``"stop"``, ``"length"``, ``"cancelled"``), usage (``prompt_tokens``, ``completion_tokens``,
    ``total_tokens``) and timings as the server gives them, plus ``first_token_seconds`` and
    ``tokens_per_second`` (both measured here where the server is silent)."""
    failed = Signal(str)
    """One line for the user; what came before stays valid."""

    @property
    def text(self) -> str:
        """All deltas so far."""
        raise NotImplementedError

    @property
    def active(self) -> bool:
        """No last signal has been emitted yet."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop now: the connection is closed at once (the server then stops computing) and
        ``finished("cancelled", …)`` follows within 100 ms."""
        raise NotImplementedError


class EngineClient(QObject):
    """Speaks to the server of ``engine``."""

    def __init__(self, engine: EngineProcess, parent: QObject | None = None) -> None:
        super().__init__(parent)
        raise NotImplementedError

    def health(self) -> Reply:
        raise NotImplementedError

    def models(self) -> Reply:
        """``{"data": [{"id", …}]}``: the models that the engine has loaded or can load."""
        raise NotImplementedError

    def load(self, model_id: str, context: int | None = None) -> Reply:
        """Bring a model into memory.  ``done`` gives ``{"model", "context", …}``."""
        raise NotImplementedError

    def unload(self, model_id: str) -> Reply:
        """Release a model's memory."""
        raise NotImplementedError

    def count_tokens(self, model_id: str, messages: list[dict[str, str]]) -> Reply:
        """Tokens of the conversation in the model's chat template (``done`` gives an int)."""
        raise NotImplementedError

    def chat(self, model_id: str, messages: list[dict[str, str]], options: dict[str, Any]) -> ChatStream:
        """Ask for an answer.  ``messages``: ``[{"role", "content"}]``; ``options``: temperature, top_p, top_k,
        min_p, max_tokens, seed, stop (absent or ``None``: the server's default)."""
        raise NotImplementedError
