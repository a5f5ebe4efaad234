"""An import going on in its own process: how far it is, a way to stop it, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.child import Child
from app.theme import Space, Theme
from app.transfer.reasons import in_words
from app.transfer.write import left_over
from app.translation import tr
from app.views.controls.controls import Button, label

COMMAND = (sys.executable, "-m", "app.transfer")


class ImportDialog(QDialog):
    """One file after the other; each is imported whole or not at all."""

    done_with = Signal()
    """A file is imported: the list is to be read again."""

    def __init__(self, theme: Theme, database: Path, files: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._database, self._waiting = database, list(files)
        self._child: Child | None = None
        self._file = ""
        self._told = False
        self._began = False
        self._stopped = False
        self._said: list[str] = []
        self.setWindowTitle(tr("Import conversations"))
        self.setMinimumWidth(460)
        self._heading = label("", "heading", wrap=True)
        self.words = label("", wrap=True, selectable=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress of the import"))
        self.button = Button(theme, tr("Stop"), self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.WIDE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(self._heading)
        layout.addWidget(self.words)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)

    @property
    def busy(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        """Begin with the first file."""
        self._next()

    def reject(self) -> None:
        """Stop what goes on (nothing of that file is kept), or close."""
        if self._child is not None:
            self._stopped = True
            self._waiting.clear()
            self._child.kill()  # what it has not finished is out of sight, and cleared away by the next import
            return
        self.deleteLater()
        super().reject()

    def _next(self) -> None:
        if not self._waiting:
            self._show_end()
            return
        self._file, self._told, self._began = self._waiting.pop(0), False, False
        self._heading.setText(tr("Importing {name}").format(name=Path(self._file).name))
        self.words.setText(tr("Reading the file…"))
        self.bar.setRange(0, 0)
        self._child = Child([str(self._database), self._file], COMMAND, parent=self, hub=False)
        self._child.said.connect(self._on_said)
        self._child.finished.connect(self._on_finished)
        self._child.start()

    def _on_said(self, event: Any) -> None:
        match event:
            case {"event": "wrote", "done": int(done), "total": int(total)}:
                self._began = True
                self.bar.setRange(0, max(total, 1))
                self.bar.setValue(done)
                self.words.setText(tr("{done} of {total} conversations").format(done=done, total=total))
            case {"event": "unreadable"}:
                self._told = True
                self._say(in_words(str(event.get("reason")), str(event.get("detail"))))
            case {"event": "done"}:
                self._told = True
                self._say(*outcome_words(event))

    def _on_finished(self, _code: int) -> None:
        if self._child is not None:
            self._child.deleteLater()
            self._child = None
        if self._stopped and not self._told:
            if self._began and not left_over(self._database):  # the last step was faster than the click
                self._say(tr("The import was complete before it could be stopped."))
            else:
                self._say(tr("Stopped: nothing of this file was kept."))
        elif not self._told:
            self._say(in_words("stopped"))
        self.done_with.emit()
        self._next()

    def _say(self, *sentences: str) -> None:
        self._said.append(f"{Path(self._file).name}: " + " ".join(sentences))

    def _show_end(self) -> None:
        self._heading.setText(tr("Import conversations"))
        self.bar.hide()
        self.words.setText("\n\n".join(self._said))
        self.words.setAccessibleName("\n\n".join(self._said))
        self.button.set_text(tr("Close"))
        self.button.setFocus()
        self.adjustSize()


def outcome_words(event: dict[str, Any]) -> list[str]:
    """What came of an import, in sentences."""
    count, messages = int(event.get("conversations", 0)), int(event.get("messages", 0))
    said = tr("%n message(s)", "", messages)
    words = [tr("%n conversation(s) with {messages} imported from {program}.", "", count).format(
        messages=said, program=event.get("program", "")
    )]
    if known := int(event.get("known", 0)):
        words.append(tr("%n that were imported before or come from here were left out.", "", known))
    if empty := int(event.get("empty", 0)):
        words.append(tr("%n without messages were left out.", "", empty))
    if replaced := int(event.get("replaced", 0)):
        words.append(tr("%n picture(s) and files cannot be imported; they are named in their place.", "", replaced))
    if failed := int(event.get("failed", 0)):
        words.append(tr("%n could not be read:", "", failed))
        for one in event.get("failures", []):
            title = one.get("title") or tr("without a title")
            words.append(f"\n• {title}: {in_words(one.get('reason', ''), one.get('detail', ''))}")
    return words
