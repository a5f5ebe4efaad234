"""The top of a chat: which model answers, whether it is loaded, and what can be done with the conversation."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QProgressBar, QToolButton, QWidget

from app import wording
from app.theme import Theme
from app.translation import tr
from app.views import shortcuts
from app.views.chat.model_picker import Choice, ModelPicker
from app.views.controls.controls import Button, IconButton, label

ROOM_FOR_CONTEXT = 440
"""Pixels of the header from which on the context's length stands in it."""


class ChatHeader(QWidget):
    """Signals say what the user asked for."""

    picked = Signal(str)
    rename = Signal()
    export = Signal()
    delete = Signal()
    retry = Signal()
    context = Signal()
    panel = Signal()
    compare = Signal(str)
    """The model with which to compare."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("chatHeader")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.picker = ModelPicker(theme)
        self.picker.picked.connect(self.picked)
        self.context_button = Button(theme, tr("Context…"), self.context.emit, kind="fold")
        self.context_button.setToolTip(tr("How long the context is, and what it takes of the memory"))
        self._state = label("", "small")
        self._bar = QProgressBar()
        self._bar.setFixedWidth(110)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(tr("Loading the model"))
        self._retry = Button(theme, tr("Try again"), self.retry.emit, icon_name="refresh")
        self._menu_button = IconButton(theme, "more", tr("Conversation"))
        self._menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.panel_button = IconButton(theme, "sliders", tr("System prompt and sampling"), self.panel.emit)
        self.panel_button.setCheckable(True)
        self.panel_button.setToolTip(shortcuts.tool_tip(tr("System prompt and sampling"), "panel"))
        menu = QMenu(self)
        self.compare_menu = menu.addMenu(tr("Compare with…"))
        self._of_conversation = [menu.addSeparator(), menu.addAction(tr("Rename…"), self.rename.emit)]
        self._of_conversation += [
            menu.addAction(tr("Export as Markdown…"), self.export.emit), menu.addSeparator(),
            menu.addAction(tr("Delete"), self.delete.emit),
        ]
        self._menu_button.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 8, 12, 8)
        layout.setSpacing(10)
        layout.addWidget(self.picker)
        layout.addWidget(self.context_button)
        layout.addWidget(self._bar)
        layout.addWidget(self._state, 1)
        layout.addWidget(self._retry)
        layout.addWidget(self.panel_button)
        layout.addWidget(self._menu_button)
        self.show_load("none", "", 0, 0)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Where there is little room, the model's name has it; the gauge and the library lead to the context too."""
        super().resizeEvent(event)
        self.context_button.setVisible(self.width() >= ROOM_FOR_CONTEXT)

    def show_context(self, context: int, kv: str) -> None:
        """Tokens and precision of the model that is open; 0 while none is."""
        facts = [tr("{count} tokens").format(count=wording.count(context)), wording.precision(kv)] if context else []
        text = "  ·  ".join(filter(None, facts)) or tr("Context…")
        self.context_button.set_text(text)
        self.context_button.setAccessibleName(tr("Context: {text}").format(text=text) if context else tr("Context"))

    def set_has_conversation(self, has: bool) -> None:
        for action in self._of_conversation:
            action.setVisible(has)

    def show_comparisons(self, offered: list[Choice]) -> None:
        """The models that can answer beside this one."""
        self.compare_menu.clear()
        for one in offered:
            self.compare_menu.addAction(one.name, partial(self.compare.emit, one.id))
        self.compare_menu.setEnabled(bool(offered))

    def show_load(self, state: str, message: str, done: int, total: int) -> None:
        """The state of a :class:`app.chat.loaded_model.LoadedModel`."""
        self._bar.setVisible(state == "loading")
        self._bar.setRange(0, 1000 if total else 0)
        if total:
            self._bar.setValue(round(1000 * done / total))
        loading = tr("Loading {percent} %…").format(percent=round(100 * done / total)) if total else tr("Loading…")
        texts = {
            "loading": loading, "failed": message, "unloaded": tr("Not in memory: loaded with the next message"),
        }
        self._state.setText(texts.get(state, ""))
        self._state.setProperty("role", "danger" if state == "failed" else "small")
        self._state.style().unpolish(self._state)
        self._state.style().polish(self._state)
        self._state.setToolTip(message)
        self._retry.setVisible(state == "failed")
