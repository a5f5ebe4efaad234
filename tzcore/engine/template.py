"""The chat template of a model: a conversation to the text that the model was trained on.

The template is rendered in a child process (:mod:`tzcore.engine.template_worker`) with limits
of time and memory that hold on every system.  It is started when the template is opened, so it
is ready by the time the weights are; a rendering then costs a fraction of a millisecond.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tzcore.engine.tokenizer import read_json
from tzcore.errors import BackendError, CheckpointError, TemplateError

Message = Mapping[str, Any]

SECONDS = 5.0
BYTES = 512 << 20

_WATCHDOG_EXIT = 1  # faulthandler's; every error in the worker is caught and answered

PLAIN_STOP = "\nUser:"


class ChatTemplate:
    """Renders conversations.  Safe to use from several threads; close it to end the child.

    ``plain`` says that the model has no template: conversations then take the form
    ``User: …`` / ``Assistant: …`` with an empty line between, which a base model can continue
    (stop at :data:`PLAIN_STOP`).
    """

    def __init__(
        self,
        templates: Mapping[str, str],
        special_tokens: Mapping[str, str] | None = None,
        seconds: float | None = None,
        memory: int = BYTES,
    ) -> None:
        self._templates = dict(templates)
        self._special_tokens = dict(special_tokens or {})
        self._seconds = SECONDS if seconds is None else seconds
        self._memory = memory
        self._lock = threading.Lock()
        self._closed = False
        self._worker: _Worker | None = None
        if not self.plain:
            self._worker = _Worker(self._templates, self._seconds, memory)

    @classmethod
    def open(cls, folder: Path, special_tokens: Mapping[str, str] | None = None) -> ChatTemplate:
        """The template of a model folder: ``chat_template.jinja``, or what ``tokenizer_config.json`` has."""
        path = folder / "chat_template.jinja"
        if path.is_file():
            try:
                return cls({"default": path.read_text(encoding="utf-8")}, special_tokens)
            except (OSError, UnicodeDecodeError) as error:
                raise CheckpointError(f"{path} cannot be read ({error}); convert or install the model again") from None
        return cls(_templates(read_json(folder / "tokenizer_config.json").get("chat_template")), special_tokens)

    @property
    def plain(self) -> bool:
        return not self._templates

    def render(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The conversation as text, ready for the model to go on.

        ``variables`` are handed to the template as they are (``enable_thinking`` and the like).
        A template that raises, loops, or takes too much memory: TemplateError.
        """
        if self.plain:
            return _plain(messages, add_generation_prompt)
        given: dict[str, Any] = {**self._special_tokens, **(variables or {})}
        given |= {"messages": [dict(m) for m in messages], "add_generation_prompt": add_generation_prompt}
        given.setdefault("tools", None)
        given.setdefault("documents", None)
        name = "default" if "default" in self._templates else next(iter(self._templates))
        with self._lock:
            if self._closed:
                raise BackendError("The model was closed")
            if self._worker is None:  # stopped by an earlier conversation
                self._worker = _Worker(self._templates, self._seconds, self._memory)
            try:
                return self._worker.render(name, given)
            except _WorkerEnded as ended:
                self._worker.close()
                self._worker = None
                raise TemplateError(f"The model's chat template was stopped: {ended}") from None

    def close(self) -> None:
        """End the child, for good."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.close()
                self._worker = None


def _templates(raw: object) -> dict[str, str]:
    """``chat_template`` is one template, or a list of ``{"name", "template"}``."""
    if isinstance(raw, str) and raw:
        return {"default": raw}
    if isinstance(raw, list):
        return {
            str(item["name"]): item["template"]
            for item in raw
            if isinstance(item, dict) and "name" in item and isinstance(item.get("template"), str)
        }
    return {}


def _plain(messages: Sequence[Message], add_generation_prompt: bool) -> str:
    names = {"user": "User: ", "assistant": "Assistant: "}
    parts = [names.get(str(m["role"]), "") + str(m["content"]).strip() for m in messages]
    if add_generation_prompt:
        parts.append("Assistant:")
    return "\n\n".join(parts)


class _WorkerEnded(Exception):
    """The child is gone; the message says why, as far as is known."""


class _Worker:
    """One child process and the lines that go to it and come back."""

    def __init__(self, templates: Mapping[str, str], seconds: float, memory: int) -> None:
        script = Path(__file__).with_name("template_worker.py")
        self._seconds = seconds
        self._memory = memory
        # -P: neither the folder of the script nor the current one may lend it modules.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="template-answers", daemon=True).start()
        self._compiled: dict[str, str] | None = None
        self._send({"templates": dict(templates), "seconds": seconds, "bytes": memory})

    def render(self, name: str, variables: Mapping[str, Any]) -> str:
        if self._compiled is None:  # the start of the interpreter is not the template's fault
            self._compiled = self._answer(self._seconds + 30.0)
        if "error" in self._compiled:
            raise TemplateError(f"The model's chat template cannot be used: {self._compiled['error']}")
        self._send({"name": name, "variables": variables})
        answer = self._answer(self._seconds + 1.0)
        if "error" in answer:
            raise TemplateError(f"The model's chat template refused the conversation: {answer['error']}")
        return answer["text"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent bytes of a child that is gone
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._answers.put(line)
        except (OSError, ValueError):
            pass  # closed under us
        self._answers.put(b"")

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            data = json.dumps(message).encode("ascii")
        except (TypeError, ValueError) as error:
            raise TemplateError(f"The conversation cannot be handed to the chat template: {error}") from None
        try:
            self._process.stdin.write(data + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it is gone; the missing answer says so

    def _answer(self, seconds: float) -> dict[str, str]:
        """Wait for one answer, and watch the child's memory meanwhile."""
        began = time.monotonic()
        while True:
            try:
                line = self._answers.get(timeout=0.05)
                break
            except queue.Empty:
                if time.monotonic() - began > seconds:
                    raise _WorkerEnded(f"it took longer than {self._seconds:g} seconds") from None
                if self._resident() > self._memory:
                    raise _WorkerEnded("it used too much memory") from None
        if not line:
            if self._process.wait(timeout=10) == _WATCHDOG_EXIT:
                raise _WorkerEnded(f"it took longer than {self._seconds:g} seconds")
            raise _WorkerEnded("its process ended (it may have run out of memory)")
        answer: dict[str, str] = json.loads(line)
        return answer

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0
