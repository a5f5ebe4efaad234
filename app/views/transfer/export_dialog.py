"""An export going on in small steps: how far it is, a way to stop it, and where the file is."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.history.history import History
from app.theme import Space, Theme
from app.transfer.export import export
from app.translation import tr
from app.views.controls.controls import Button, label
from app.wording import size
from tzcore.errors import StorageError

A_STEP = 0.008
"""Seconds of work between two looks at what the user does."""


class ExportDialog(QDialog):
    """Writes conversations into one JSON file."""

    def __init__(
        self, theme: Theme, history: History, conversations: list[int], path: Path, parent: QWidget | None = None, *,
        whole: bool = False,
    ) -> None:
        """``whole``: presets too."""
        super().__init__(parent)
        self._path, self._total = path, len(conversations)
        self._steps = export(history, conversations, path, presets=whole)
        self.setWindowTitle(tr("Export conversations"))
        self.setMinimumWidth(460)
        self.words = label(tr("Writing {name}").format(name=path.name), wrap=True, selectable=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, max(self._total, 1))
        self.bar.setAccessibleName(tr("Progress of the export"))
        self.button = Button(theme, tr("Stop"), self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.WIDE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(self.words)
        layout.addWidget(self.bar)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    @property
    def busy(self) -> bool:
        return self._timer.isActive()

    def start(self) -> None:
        """Begin to write."""
        self._timer.start()

    def reject(self) -> None:
        """Stop, which leaves no file, or close."""
        self._timer.stop()
        self._steps.close()
        self.deleteLater()
        super().reject()

    def _step(self) -> None:
        until = time.monotonic() + A_STEP
        try:
            while time.monotonic() < until:
                done = next(self._steps, None)
                if done is None:
                    self._end(tr("%n conversation(s) written to {file} ({size}).", "", self._total).format(
                        file=self._path, size=size(self._path.stat().st_size)
                    ))
                    return
                self.bar.setValue(done)
        except StorageError as error:
            self._end(str(error))

    def _end(self, words: str) -> None:
        self._timer.stop()
        self.bar.hide()
        self.words.setText(words)
        self.button.set_text(tr("Close"))
        self.button.setFocus()
