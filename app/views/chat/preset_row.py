"""The presets: those that are built in, and those that the user has kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QMenu, QToolButton, QWidget

from app.chat.sampling import BUILT_IN
from app.history.history import History, Preset
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import IconButton


class PresetRow(QWidget):
    """``chosen(name, settings)`` when the user takes one."""

    chosen = Signal(str, object)

    def __init__(self, theme: Theme, history: History, current: Callable[[], dict[str, Any]]) -> None:
        """``current`` gives what would be kept under a new name."""
        super().__init__()
        self._history, self._current = history, current
        self.box = QComboBox()
        self.box.setAccessibleName(tr("Preset"))
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.activated.connect(self._choose)
        save = IconButton(theme, "save", tr("Save as a preset"), self._save)
        more = IconButton(theme, "more", tr("This preset"))
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        self._of_user = [menu.addAction(tr("Rename…"), self._rename), menu.addAction(tr("Delete"), self._delete)]
        more.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.box, 1)
        row.addWidget(save)
        row.addWidget(more)
        self._shown = ""
        self._presets: list[Preset] = []

    def show_preset(self, name: str, touched: bool) -> None:
        """``name`` holds, or held before something was changed by hand (``touched``); empty: none."""
        self._shown = name
        self._presets = self._history.presets()
        self.box.clear()
        for built_in, settings in BUILT_IN:
            self.box.addItem(tr(built_in), (built_in, settings))
        if self._presets:
            self.box.insertSeparator(self.box.count())
        for preset in self._presets:
            self.box.addItem(preset.name, (preset.name, preset.settings))
        names = [data[0] if (data := self.box.itemData(row)) else "" for row in range(self.box.count())]
        if touched or name not in names:
            word = tr("{name}, changed").format(name=tr(name)) if name in names else tr("Own settings")
            self.box.insertItem(0, word, None)
            self.box.setCurrentIndex(0)
        else:
            self.box.setCurrentIndex(names.index(name))
        for action in self._of_user:
            action.setEnabled(self._preset is not None)

    def save(self, name: str) -> None:
        """Keep what is set now under ``name``."""
        self._history.save_preset(name, self._current())
        self.chosen.emit(name, self._current())

    def rename(self, name: str) -> None:
        """Another name for the preset that is chosen."""
        if (preset := self._preset) is not None and name != preset.name:
            self._history.save_preset(name, preset.settings)
            self._history.delete_preset(preset.id)
            self.chosen.emit(name, preset.settings)

    @property
    def _preset(self) -> Preset | None:
        return next((preset for preset in self._presets if preset.name == self._shown), None)

    def _choose(self, index: int) -> None:
        data: tuple[str, Mapping[str, Any]] | None = self.box.itemData(index)
        if data is not None:
            self.chosen.emit(data[0], data[1])

    def _save(self) -> None:
        name, accepted = QInputDialog.getText(
            self, tr("Save as a preset"), tr("Name (one that is there is replaced)"), text=self._shown
        )
        if accepted and name.strip():
            self.save(self._free(name.strip()))

    def _rename(self) -> None:
        name, accepted = QInputDialog.getText(self, tr("Rename preset"), tr("Name"), text=self._shown)
        if accepted and name.strip():
            self.rename(self._free(name.strip()))

    def _delete(self) -> None:
        if (preset := self._preset) is not None:
            self._history.delete_preset(preset.id)
            self.show_preset("", touched=True)

    @staticmethod
    def _free(name: str) -> str:
        """A name that no built-in preset has."""
        taken = {word.casefold() for built_in, _ in BUILT_IN for word in (built_in, tr(built_in))}
        return tr("{name} (own)").format(name=name) if name.casefold() in taken else name
