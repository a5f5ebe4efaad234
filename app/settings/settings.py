"""The settings of the window, as :mod:`app.settings.declared` lists them.

Stored as one JSON file, ``settings.json`` under :func:`tzcore.paths.home`, that holds only what
differs from the default.  A file that is damaged is set aside as ``settings.json.broken`` and
the defaults hold; a value of the wrong type or out of range is ignored in the same way.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.settings.declared import SETTINGS, Setting, Value
from app.translation import tr
from tzcore import paths
from tzcore.errors import StorageError

__all__ = ["SETTINGS", "Setting", "Settings", "Value"]


class Settings(QObject):
    """Reads and writes the settings.  Settings with an empty ``group`` are not shown on the page."""

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

    def lines(self, key: str) -> list[str]:
        """The entries of a setting that holds one a line."""
        return [line.strip() for line in str(self.get(key) or "").splitlines() if line.strip()]

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
