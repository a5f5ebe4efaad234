"""The panel at the side of a conversation: its system prompt, its preset, and how its answers are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.chat import sampling
from app.chat.conversation import Conversation
from app.chat.loaded_model import LoadedModel
from app.chat.sampling import CONTROLS, KEYS
from app.theme import Theme
from app.translation import tr
from app.views.chat.preset_row import PresetRow
from app.views.chat.sampling_row import SamplingRow
from app.views.chat.text_direction import TextDirection
from app.views.controls.controls import Button, IconButton, label
from app.views.controls.page_column import scrolled

if TYPE_CHECKING:
    from app.application import Services

WIDTH = 336
KEEP_AFTER = 500
"""Milliseconds without typing after which the system prompt is kept."""


class SamplingPanel(QFrame):
    """Everything takes effect with the next answer."""

    closed = Signal()

    def __init__(self, theme: Theme, services: Services, loaded: LoadedModel) -> None:
        super().__init__()
        self._services, self._loaded = services, loaded
        self._conversation: Conversation | None = None
        self.setProperty("role", "panel")
        self.setAccessibleName(tr("System prompt and sampling"))
        self.setMinimumWidth(260)
        self.setMaximumWidth(WIDTH)
        self.system = QPlainTextEdit()
        self.system.setProperty("role", "field")
        self.system.setTabChangesFocus(True)
        self.system.setPlaceholderText(tr("What the model is told before everything else"))
        self.system.setAccessibleName(tr("System prompt"))
        self.system.setFixedHeight(116)
        TextDirection(self.system)
        self._keep = QTimer(self, singleShot=True, interval=KEEP_AFTER)
        self._keep.timeout.connect(self.keep_system)
        self.system.textChanged.connect(self._keep.start)
        self.preset = PresetRow(theme, services.history, self._to_keep)
        self.preset.chosen.connect(self._take_preset)
        self.rows: dict[str, SamplingRow] = {}
        body = QWidget()
        body.setObjectName("column")
        column = QVBoxLayout(body)
        column.setContentsMargins(16, 4, 16, 16)
        column.setSpacing(10)
        column.addWidget(label(tr("System prompt"), "section"))
        column.addWidget(self.system)
        column.addWidget(label(tr("Preset"), "section"))
        column.addWidget(self.preset)
        for control in CONTROLS:
            row = self.rows[control.key] = SamplingRow(theme, control)
            row.changed.connect(lambda value, key=control.key: self._change(key, value))
            row.reset.connect(lambda key=control.key: self._drop(key))
            column.addWidget(row)
        self.reset_button = Button(theme, tr("Reset all"), self.reset_all, icon_name="undo")
        column.addWidget(self.reset_button)
        column.addWidget(label(tr("Holds for this conversation from the next answer on."), "small", wrap=True))
        column.addStretch()
        scroll = scrolled(body)
        head = QHBoxLayout()
        head.setContentsMargins(16, 10, 10, 4)
        head.addWidget(label(tr("This conversation"), "heading"), 1)
        head.addWidget(IconButton(theme, "close", tr("Close the panel"), self.closed.emit))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        loaded.changed.connect(self._show_values)
        services.settings.changed.connect(lambda _: self._show_values())

    def show_conversation(self, conversation: Conversation) -> None:
        """Show what holds in this one."""
        self.keep_system()
        if self._conversation is not None:
            self._conversation.settings_changed.disconnect(self._show)
        self._conversation = conversation
        conversation.settings_changed.connect(self._show)
        self._show()

    def set_whole(self, whole: bool) -> None:
        """Whether it has the place of the messages, in a narrow window."""
        self.setMaximumWidth(16_777_215 if whole else WIDTH)

    def focus_first(self) -> None:
        self.system.setFocus()

    def keep_system(self) -> None:
        """What is written of the system prompt holds."""
        if self._keep.isActive() and self._conversation is not None:
            self._keep.stop()
            self._conversation.set_system(self.system.toPlainText())

    def reset_all(self) -> None:
        """As in a new conversation."""
        self._set({key: value for key, value in self._overrides.items() if key not in (*KEYS, "preset", "touched")})

    @property
    def _overrides(self) -> dict[str, Any]:
        return self._conversation.overrides if self._conversation is not None else {}

    def _set(self, overrides: dict[str, Any]) -> None:
        if self._conversation is not None:
            self._conversation.set_overrides(overrides)
        self._show_values()

    def _change(self, key: str, value: object) -> None:
        self._set({**self._overrides, key: value, "touched": True})

    def _drop(self, key: str) -> None:
        self._set({name: value for name, value in self._overrides.items() if name != key} | {"touched": True})

    def _take_preset(self, name: str, settings: dict[str, Any]) -> None:
        """Its system prompt too, where it has one."""
        if self._conversation is None:
            return
        if system := settings.get("system"):
            self._conversation.set_system(str(system))
        kept = {key: value for key, value in self._overrides.items() if key != "touched"}
        taken, set_for_all = sampling.of_preset(settings), self._services.settings.sampling()
        own = {key for key, value in taken.items() if value is None and set_for_all.get(key) is None}
        merged = {**kept, **taken, "preset": name}
        self._set({key: value for key, value in merged.items() if key not in own})

    def _to_keep(self) -> dict[str, Any]:
        """What a new preset holds: what is set here and in the settings."""
        kept = sampling.effective(self._services.settings.sampling(), self._overrides)
        system = self._conversation.system.strip() if self._conversation is not None else ""
        return {**kept, **({"system": system} if system else {})}

    def _show(self) -> None:
        assert self._conversation is not None
        if not self._keep.isActive() and self.system.toPlainText() != self._conversation.system:
            with QSignalBlocker(self.system):
                self.system.setPlainText(self._conversation.system)
        self._show_values()

    def _show_values(self) -> None:
        overrides: dict[str, Any] = self._overrides
        settings: dict[str, Any] = dict(self._services.settings.sampling())
        own = self._loaded.sampling
        for key, row in self.rows.items():
            value = overrides[key] if key in overrides else settings.get(key)
            row.show_value(value, own.get(key), key in overrides)
        name = str(overrides.get("preset") or ("" if any(key in overrides for key in KEYS) else sampling.OWN))
        if name == sampling.OWN and any(value is not None for value in settings.values()) and "preset" not in overrides:
            name = ""
        self.preset.show_preset(name, bool(overrides.get("touched")))
        self.reset_button.setEnabled(any(key in overrides for key in KEYS))
