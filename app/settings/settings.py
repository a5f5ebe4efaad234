"""Every setting of the window, each declared once: key, type, default, label, limits.

Stored as one JSON file, ``settings.json`` under :func:`tzcore.paths.home`, that holds only what
differs from the default.  A file that is damaged is set aside as ``settings.json.broken`` and
the defaults hold; a value of the wrong type or out of range is ignored in the same way.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.translation import mark, tr
from tzcore import paths
from tzcore.errors import StorageError

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Setting:
    """One setting.  ``type`` is the Python type of its value; ``None`` is allowed where it is the default.

    ``choices`` pairs a value with its label; ``minimum``/``maximum``/``step`` bound a number.
    ``group`` is the heading under which the settings dialog shows it.
    """

    key: str
    type: type[str | int | float | bool]
    default: Value
    label: str
    group: str
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    multiline: bool = False
    unset: str = ""

    def check(self, value: object) -> Value:
        """The value in its declared type; ValueError says what would be right."""
        if value is None:
            if self.default is None:
                return None
            raise ValueError(f"{self.label}: a value is needed")
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            raise ValueError(f"{self.label}: {value!r} is not a {self.type.__name__}")
        if self.choices and value not in {choice for choice, _ in self.choices}:
            raise ValueError(f"{self.label}: {value!r} is none of {', '.join(choice for choice, _ in self.choices)}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -math.inf if self.minimum is None else self.minimum
            high = math.inf if self.maximum is None else self.maximum
            if not low <= value <= high:
                raise ValueError(f"{self.label}: {value!r} is not between {low:g} and {high:g}")
        return value


RECOMMENDED = mark("what the model recommends")

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "theme", str, "system", mark("Appearance"), mark("Window"),
        choices=(("system", mark("As the system")), ("light", mark("Light")), ("dark", mark("Dark"))),
    ),
    Setting(
        "temperature", float, None, mark("Temperature"), mark("Answers"),
        mark("0 always takes the most likely word; higher is more varied."), minimum=0.0, maximum=2.0, step=0.05,
        unset=RECOMMENDED,
    ),
    Setting(
        "top_p", float, None, mark("Top-p"), mark("Answers"),
        mark("Only the most likely words that together reach this probability are drawn from."),
        minimum=0.01, maximum=1.0, step=0.01, unset=RECOMMENDED,
    ),
    Setting(
        "top_k", int, None, mark("Top-k"), mark("Answers"),
        mark("Only this many of the most likely words; 0 means no limit."),
        minimum=0, maximum=1000, step=1, unset=RECOMMENDED,
    ),
    Setting(
        "min_p", float, None, mark("Min-p"), mark("Answers"),
        mark("Drops words less likely than this share of the most likely one."),
        minimum=0.0, maximum=1.0, step=0.01, unset=RECOMMENDED,
    ),
    Setting(
        "max_tokens", int, None, mark("Longest answer (tokens)"), mark("Answers"),
        mark("An answer that reaches it stops there and says so."),
        minimum=1, maximum=1_000_000, step=64, unset=mark("as far as the context reaches"),
    ),
    Setting(
        "seed", int, None, mark("Seed"), mark("Answers"), mark("The same seed and settings give the same answer."),
        minimum=0, maximum=2**31 - 1, step=1, unset=mark("another each time"),
    ),
    Setting(
        "system_prompt", str, "", mark("System prompt"), mark("Answers"), mark("Put before every new conversation."),
        multiline=True,
    ),
    Setting(
        "context", int, None, mark("Context (tokens)"), mark("Engine"),
        mark("How much text a conversation can hold; longer takes more memory."),
        minimum=256, maximum=1_048_576, step=256, unset=mark("what the model and memory allow"),
    ),
    Setting(
        "kv", str, "auto", mark("Precision of the context"), mark("Engine"),
        mark("Fewer bits hold a longer context in the same memory; 8 bits are hardly distinguishable from 16."),
        choices=(
            ("auto", mark("Automatic: 16 bits where they fit")),
            ("f16", mark("16 bits")),
            ("k8v8", mark("8 bits")),
            ("k6v5", mark("5.5 bits")),
            ("k4v4", mark("4 bits")),
            ("k4v2", mark("3 bits (keys 4, values 2)")),
        ),
    ),
    Setting(
        "context_overflow", str, "stop", mark("When the context is full"), mark("Engine"),
        mark("For every conversation that has no choice of its own (a click on the context's gauge)."),
        choices=(
            ("stop", mark("Stop and ask")),
            ("slide", mark("Leave out the oldest messages")),
            ("compact", mark("Summarise the oldest messages")),
        ),
    ),
    Setting(
        "snapshots", bool, True, mark("Keep conversations ready"), mark("Engine"),
        mark(
            "What the model has read is kept on the disk, so that long chats go on at once. Takes effect when the "
            "engine starts next."
        ),
    ),
    Setting(
        "snapshots_quota", float, 8.0, mark("Disk space for that (GB)"), mark("Engine"),
        mark("The conversations not used for the longest time make room."), minimum=0.5, maximum=10_000, step=1.0,
    ),
    Setting(
        "threads", int, None, mark("Processor threads"), mark("Engine"),
        mark("Takes effect when the engine starts next."),
        minimum=1, maximum=1024, step=1, unset=mark("one for each core"),
    ),
    Setting(
        "encoding", str, "t2", mark("Encoding of new models"), mark("Library"),
        choices=(
            ("t2", mark("t2 · two ternary planes (recommended for small models)")),
            ("q2", mark("q2 · four levels")),
            ("t1", mark("t1 · one ternary plane (smallest)")),
            ("i4", mark("i4 · 4-bit integers")),
            ("i8", mark("i8 · 8-bit integers")),
            ("f16", mark("f16 · unquantised")),
        ),
    ),
    Setting("last_model", str, "", "Model used last", ""),
    Setting("window_geometry", str, "", "Place and size of the window", ""),
)


class Settings(QObject):
    """Reads and writes the settings.  Settings with an empty ``group`` are not shown in the dialog."""

    changed = Signal(str)
    """The key whose value is now another."""

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        """``path`` defaults to ``settings.json`` under :func:`tzcore.paths.home`."""
        super().__init__(parent)
        self._path = path or paths.home() / "settings.json"
        self._declared = {setting.key: setting for setting in SETTINGS}
        self._values = self._read()

    def get(self, key: str) -> Value:
        """The value, or the default.  KeyError for a key that is not declared."""
        return self._values.get(key, self._declared[key].default)

    def set(self, key: str, value: Value) -> None:
        """Store and emit ``changed`` if it differs.

        ValueError for a wrong type or range, KeyError for a key that is not declared, StorageError
        when the file cannot be written (the value holds until the program ends).
        """
        setting = self._declared[key]
        value = setting.check(value)
        if value == self.get(key):
            return
        if value == setting.default:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self.changed.emit(key)
        self._write()

    def reset(self, key: str) -> None:
        """Back to the default."""
        self.set(key, self._declared[key].default)

    def sampling(self) -> dict[str, Value]:
        """The default ``options`` of :meth:`app.engine.client.EngineClient.chat` (``None`` ones left out)."""
        keys = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")
        return {key: self.get(key) for key in keys if self.get(key) is not None}

    def _read(self) -> dict[str, Value]:
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
        except OSError:  # mostly: there is no such file yet
            return {}
        except ValueError:
            raw = None
        if not isinstance(raw, dict):
            self._path.replace(self._path.with_name(self._path.name + ".broken"))
            return {}
        values: dict[str, Value] = {}
        for key, setting in self._declared.items():
            if key in raw:
                try:
                    values[key] = setting.check(raw[key])
                except ValueError:
                    continue
        return values

    def _write(self) -> None:
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(self._values, file, indent=2, sort_keys=True, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            text = tr("The settings cannot be saved in {path}: {reason}")
            raise StorageError(text.format(path=self._path, reason=error.strerror)) from error
