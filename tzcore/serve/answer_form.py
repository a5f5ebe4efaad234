"""The shapes of answers in OpenAI's API, with this server's own fields beside them.

``prompt_progress`` in a chunk: ``{"processed", "total", "cache", "time_ms", "time_left_s"}``.
``context_changed`` in a chunk, before the text that was written so, and as a list in a whole answer: ``{"kind",
"messages_left_out", "tokens_left_out", "tokens_kept", "summary"}`` (:class:`tzcore.engine.request.ContextChanged`);
``summary_progress`` while the summary is written: ``{"processed", "total", "written", "longest"}``.  Neither comes
unless the request's ``context_overflow`` asks for it.
``timings`` at the end: ``{"prompt_per_second", "predicted_per_second", "time_to_first_token_s",
"cached_tokens"}``.  ``stop_reason`` beside ``finish_reason``: the stop string that was met, or
``"context"`` where the answer ends because the context is full (``finish_reason`` is then
``"length"``, the nearest word that clients know).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tzcore.engine.request import ContextChanged, Finished, PrefillProgress, SummaryProgress


class AnswerForm:
    """One answer's shapes.  ``chat``: that of chat completions, else of bare completions."""

    def __init__(self, chat: bool, model: str) -> None:
        self._chat = chat
        self._base = {
            "id": ("chatcmpl-" if chat else "cmpl-") + uuid.uuid4().hex,
            "created": int(time.time()),
            "model": model,
        }
        self._began = time.monotonic()
        self._cached = 0
        self._seen = False

    def whole(self, text: str, finished: Finished, changes: Sequence[ContextChanged] = ()) -> dict[str, Any]:
        """The answer at once."""
        choice: dict[str, Any] = {"index": 0, "logprobs": None, **_end(finished)}
        choice |= {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        kind = "chat.completion" if self._chat else "text_completion"
        return {
            **self._base,
            "object": kind,
            "choices": [choice],
            "usage": _usage(finished),
            "timings": _timings(finished),
            **({"context_changed": [asdict(change) for change in changes]} if changes else {}),
        }

    def first(self) -> dict[str, Any] | None:
        """The chunk that opens a chat answer."""
        return self._chunk({"role": "assistant", "content": ""}) if self._chat else None

    def progress(self, event: PrefillProgress) -> dict[str, Any]:
        """A chunk that says how much of the prompt is read."""
        if not self._seen:
            self._seen, self._cached, self._began = True, event.done, time.monotonic()
        progress = {
            "processed": event.done,
            "total": event.total,
            "cache": self._cached,
            "time_ms": round(1000 * (time.monotonic() - self._began), 1),
            "time_left_s": None if event.seconds_left is None else round(event.seconds_left, 3),
        }
        return {**self._chunk({} if self._chat else ""), "prompt_progress": progress}

    def summary_progress(self, event: SummaryProgress) -> dict[str, Any]:
        """A chunk that says how far the summary of what is left out has come."""
        progress = {"processed": event.done, "total": event.total, "written": event.written, "longest": event.longest}
        return {**self._chunk({} if self._chat else ""), "summary_progress": progress}

    def changed(self, event: ContextChanged) -> dict[str, Any]:
        """A chunk that says what the model does not read any more."""
        return {**self._chunk({} if self._chat else ""), "context_changed": asdict(event)}

    def delta(self, text: str) -> dict[str, Any]:
        """A chunk with more text."""
        return self._chunk({"content": text} if self._chat else text)

    def last(self, finished: Finished) -> dict[str, Any]:
        """The chunk that says how the answer ended."""
        return {**self._chunk({} if self._chat else "", **_end(finished)), "timings": _timings(finished)}

    def usage(self, finished: Finished) -> dict[str, Any]:
        """The chunk after the last, for who asked for it."""
        return {**self._base, "object": self._kind, "choices": [], "usage": _usage(finished)}

    @property
    def _kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _chunk(self, content: dict[str, str] | str, **end: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta" if self._chat else "text": content, "logprobs": None, "finish_reason": None}
        return {**self._base, "object": self._kind, "choices": [choice | end]}


def _end(finished: Finished) -> dict[str, Any]:
    full = finished.reason == "context"
    return {
        "finish_reason": "length" if full else finished.reason,
        "stop_reason": "context" if full else finished.stop_string,
    }


def _usage(finished: Finished) -> dict[str, Any]:
    usage = finished.usage
    # What was drafted in vain is counted beside the answer's tokens, not among them.
    drafts = {
        "accepted_prediction_tokens": usage.accepted_tokens,
        "rejected_prediction_tokens": usage.drafted_tokens - usage.accepted_tokens,
    }
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": drafts,
    }


def _timings(finished: Finished) -> dict[str, Any]:
    timings = finished.timings
    first = timings.time_to_first_token
    return {
        "prompt_per_second": round(timings.prefill_tokens_per_second, 3),
        "predicted_per_second": round(timings.decode_tokens_per_second, 3),
        "time_to_first_token_s": None if first is None else round(first, 6),
        "cached_tokens": finished.usage.cached_tokens,
    }
