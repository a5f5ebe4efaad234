"""One request to the engine and what comes back, as Qt signals: a plain answer, or one being written.

An exchange is made by :class:`app.engine.client.EngineClient`, sent when the engine is up, and
ends exactly once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, QUrl, Signal
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest

from app.engine.server_sent_events import EventStream
from app.translation import mark, tr

if TYPE_CHECKING:
    from app.engine.client import EngineClient

CANCELLED = "Cancelled."
"""Not shown and not translated: the client knows by it what was called off."""
GARBLED = mark("The engine's answer cannot be understood.")


class Exchange(QObject):
    """One HTTP exchange that may have to wait for the engine first.  What :class:`Reply` and
    :class:`ChatStream` have in common: pieces in, one end."""

    failed = Signal(str)
    """One line for the user; what came before stays valid."""
    lost = mark("The engine stopped unexpectedly.")

    def __init__(self, client: EngineClient, method: str, path: str, body: dict[str, Any] | None) -> None:
        super().__init__()
        self._client = client
        self._method, self._path, self._body = method, path, body
        self._reply: QNetworkReply | None = None
        self._over = self._cancelled = False
        self.code = ""
        """What kind of error it failed with, in the engine's word; known when ``failed`` is emitted."""
        self._began = time.monotonic()

    @property
    def active(self) -> bool:
        """No last signal has been emitted yet."""
        return not self._over

    def send(self, manager: QNetworkAccessManager, url: str, token: str) -> None:
        if self._over or self._cancelled:
            return
        request = QNetworkRequest(QUrl(url + self._path))
        request.setRawHeader(b"Authorization", b"Bearer " + token.encode())
        request.setAttribute(
            QNetworkRequest.Attribute.RedirectPolicyAttribute, QNetworkRequest.RedirectPolicy.ManualRedirectPolicy
        )
        request.setAttribute(QNetworkRequest.Attribute.Http2AllowedAttribute, False)
        if self._method == "POST":
            request.setHeader(QNetworkRequest.KnownHeaders.ContentTypeHeader, "application/json")
            self._reply = manager.post(request, json.dumps(self._body).encode())
        else:
            self._reply = manager.get(request)
        self._reply.readyRead.connect(self._on_data)
        self._reply.finished.connect(self._on_end)

    def _on_data(self) -> None:
        reply = self._reply
        if reply is None or self._over or _status(reply) != 200:
            return  # an error's body is read as a whole, at its end
        try:
            self._take(bytes(reply.readAll().data()))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.fail(tr(GARBLED))

    def _on_end(self) -> None:
        reply = self._reply
        if reply is None or self._over:
            return
        status = _status(reply)
        if status and status != 200:
            body = bytes(reply.readAll().data())
            self.code = _error_code(body)
            self.fail(_error_message(body) or tr("The engine answered with status {status}.").format(status=status))
            return
        self._on_data()
        if self._over:
            return
        if reply.error() == QNetworkReply.NetworkError.NoError:
            try:
                self._complete()
            except (ValueError, KeyError, TypeError, AttributeError):
                self.fail(tr(GARBLED))
        else:
            self.fail(tr(self.lost))

    def _take(self, data: bytes) -> None:
        """More of the body."""
        raise NotImplementedError

    def _complete(self) -> None:
        """The body is whole."""
        raise NotImplementedError

    def fail(self, message: str) -> None:
        if self._finish():
            self.failed.emit(message)

    def _finish(self) -> bool:
        """Close the connection; False if all was over before."""
        if self._over:
            return False
        self._over = True
        self._close()
        self._client.forget(self)
        return True

    def _close(self) -> None:
        """Without a word to the listener; what is still under way is not looked at any more."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.abort()
            reply.deleteLater()


class Reply(Exchange):
    """One answer to come: any number of ``progress``, then exactly one of ``done`` and ``failed``."""

    done = Signal(object)
    """The decoded JSON answer: ``count_tokens`` an int, all others a dict."""
    progress = Signal(object)
    """A dict in the form of :meth:`tzcore.progress.Progress.as_event` (phase, done, total, unit, detail)."""

    def __init__(
        self,
        client: EngineClient,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        pick: Callable[[Any], Any] = lambda answer: answer,
    ) -> None:
        super().__init__(client, method, path, body)
        self._pick = pick
        self._data = b""
        self._events = EventStream()
        self._last: Any = None

    def cancel(self) -> None:
        """Abort; ``failed("Cancelled.")`` follows."""
        self._cancelled = True
        self._close()
        QTimer.singleShot(0, self, lambda: self.fail(CANCELLED))

    def _take(self, data: bytes) -> None:
        if not self._streams():
            self._data += data
            return
        for text in self._events.feed(data):
            if text == "[DONE]":
                continue
            event = json.loads(text)
            if "error" in event:
                self.fail(_message_of(event))
                return
            if event.get("event") == "progress":
                self.progress.emit(event)
            else:
                self._last = event

    def _complete(self) -> None:
        answer = self._last if self._streams() else json.loads(self._data)
        if answer is None:
            self.fail(tr(self.lost))
            return
        value = self._pick(answer)
        if self._finish():
            self.done.emit(value)

    def _streams(self) -> bool:
        kind = self._reply.header(QNetworkRequest.KnownHeaders.ContentTypeHeader) if self._reply else ""
        return str(kind).startswith("text/event-stream")


class ChatStream(Exchange):
    """One answer being written: any ``loading`` (the model comes into memory), any ``progress`` (reading the
    prompt), ``delta``s, then exactly one of ``finished`` and ``failed``."""

    loading = Signal(object)
    """As :attr:`Reply.progress`, when the model had to be loaded first."""
    progress = Signal(int, int, float)
    """Prompt tokens read, prompt tokens in all, seconds left (−1.0 where not known yet)."""
    summarising = Signal(int, int)
    """Tokens read and written, and those in all, of the summary of what is to be left out."""
    context_changed = Signal(object)
    """What the model does not read any more for the text that follows: a dict, see
    :class:`tzcore.engine.request.ContextChanged`."""
    delta = Signal(str)
    """More text of the answer."""
    finished = Signal(str, dict, dict)
    """Reason (``"stop"``, ``"length"``, ``"cancelled"``), usage (``prompt_tokens``, ``completion_tokens``,
    ``total_tokens``) and timings: those of the server (see :mod:`tzcore.serve.answer_form`),
    ``first_token_seconds`` from the call to the first text, ``tokens_per_second`` of decoding, and
    ``stop_reason`` ``"context"`` where the context is full."""
    lost = mark("The engine stopped unexpectedly; the answer so far is kept.")

    def __init__(self, client: EngineClient, body: dict[str, Any]) -> None:
        super().__init__(client, "POST", "/v1/chat/completions", body)
        self.model: str = body["model"]
        self._pieces: list[str] = []
        self._events = EventStream()
        self._usage: dict[str, Any] = {}
        self._timings: dict[str, Any] = {}
        self._reason = self._stop_reason = ""
        self._first: float | None = None

    @property
    def text(self) -> str:
        """All deltas so far."""
        return "".join(self._pieces)

    def cancel(self) -> None:
        """Stop now: the connection is closed at once (the server then stops computing) and
        ``finished("cancelled", …)`` follows within 100 ms."""
        self._cancelled = True
        self._close()
        QTimer.singleShot(0, self, lambda: self._end("cancelled"))

    def _take(self, data: bytes) -> None:
        for text in self._events.feed(data):
            if self._over:
                return
            if text != "[DONE]":
                self._take_chunk(json.loads(text))

    def _take_chunk(self, chunk: dict[str, Any]) -> None:
        if "error" in chunk:
            self.code = _code_of(chunk)
            self.fail(_message_of(chunk))
            return
        if summary := chunk.get("summary_progress"):
            done = int(summary["processed"]) + int(summary["written"])
            self.summarising.emit(done, int(summary["total"]) + int(summary["longest"]))
        if chunk.get("context_changed"):
            self.context_changed.emit(dict(chunk["context_changed"]))
        self._usage = chunk.get("usage") or self._usage
        self._timings = chunk.get("timings") or self._timings
        if chunk.get("prompt_progress"):
            self._report(chunk["prompt_progress"])
        for choice in chunk.get("choices", ()):
            text = choice.get("delta", {}).get("content")
            if text:
                if self._first is None:
                    self._first = time.monotonic()
                self._pieces.append(text)
                self.delta.emit(text)
            self._reason = choice.get("finish_reason") or self._reason
            self._stop_reason = choice.get("stop_reason") or self._stop_reason

    def _report(self, progress: dict[str, Any]) -> None:
        done, total, left = int(progress["processed"]), int(progress["total"]), progress.get("time_left_s")
        self.progress.emit(done, total, -1.0 if left is None else float(left))

    def _complete(self) -> None:
        if self._reason:
            self._end(self._reason)
        else:
            self.fail(tr(self.lost))

    def _end(self, reason: str) -> None:
        timings = dict(self._timings)
        if self._first is not None:
            timings["first_token_seconds"] = self._first - self._began
        if timings.get("predicted_per_second"):
            timings["tokens_per_second"] = timings["predicted_per_second"]
        if self._stop_reason:
            timings["stop_reason"] = self._stop_reason
        if self._finish():
            self.finished.emit(reason, dict(self._usage), timings)


def _status(reply: QNetworkReply) -> int:
    return int(reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute) or 0)


def _message_of(answer: dict[str, Any]) -> str:
    """OpenAI's form of an error, ``{"error": {"message": …}}``, or a plain string in its place."""
    error = answer["error"]
    return str(error["message"] if isinstance(error, dict) else error)


def _code_of(answer: dict[str, Any]) -> str:
    error = answer["error"]
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _error_code(body: bytes) -> str:
    try:
        return _code_of(json.loads(body))
    except (ValueError, KeyError, TypeError):
        return ""


def _error_message(body: bytes) -> str:
    try:
        return _message_of(json.loads(body))
    except (ValueError, KeyError, TypeError):
        return ""
