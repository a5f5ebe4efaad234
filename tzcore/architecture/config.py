"""Reads settings out of a ``config.json``, each with its family's default and its check.

A missing key has the default of the family's transformers configuration; a value that is not
implemented is refused by name, because ignoring one gives a model that talks nonsense.
"""

from __future__ import annotations

from typing import Any

from tzcore.errors import UnsupportedModelError

ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh", "relu2": "relu2"}
"""Names of activation functions in configurations → names in :class:`~tzcore.architecture.spec.ModelSpec`."""


class Config:
    """One ``config.json`` (or its ``text_config``) with typed access.  ``family`` is for messages."""

    def __init__(self, raw: dict[str, Any], family: str) -> None:
        self.raw = raw
        self.family = family

    def refuse(self, key: str, value: object, reason: str = "is not supported") -> UnsupportedModelError:
        """The error to raise about setting ``key``."""
        return UnsupportedModelError(f"{self.family}: the setting {key} = {value!r} {reason}")

    def get(self, key: str, default: Any = None) -> Any:
        """The raw value; ``default`` where the key is missing (an explicit null stays ``None``)."""
        return self.raw.get(key, default)

    def integer(self, key: str, default: int) -> int:
        """A positive integer; null counts as missing."""
        value = self.raw.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise self.refuse(key, value, "is not a positive whole number of sensible size")
        return value

    def optional_integer(self, key: str, default: int | None) -> int | None:
        """A positive integer or ``None``, which a null in the file means."""
        if key in self.raw and self.raw[key] is None:
            return None
        if key not in self.raw and default is None:
            return None
        return self.integer(key, default or 0)

    def number(self, key: str, default: float) -> float:
        """A positive number; null counts as missing."""
        value = self.raw.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
            raise self.refuse(key, value, "is not a positive number")
        return float(value)

    def optional_number(self, key: str, default: float | None) -> float | None:
        """A positive number or ``None``, which a null in the file means."""
        if key in self.raw and self.raw[key] is None:
            return None
        if key not in self.raw and default is None:
            return None
        return self.number(key, default or 0.0)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean; null counts as missing."""
        value = self.raw.get(key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.refuse(key, value, "is not true or false")
        return value

    def must_be_off(self, *keys: str) -> None:
        """Refuse the model if one of these settings is set to anything but false, null or 0."""
        for key in keys:
            if self.raw.get(key):
                raise self.refuse(key, self.raw[key])

    def activation(self, key: str, default: str) -> str:
        """The activation function under our name for it."""
        value = self.raw.get(key)
        name = default if value is None else value
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise self.refuse(key, name, f"is not supported; supported are {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[name]
