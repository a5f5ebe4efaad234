"""Where a message is written, with the files that go with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.attachments.pending import PendingAttachment, PendingAttachments
from app.theme import Theme
from app.translation import tr
from app.views.chat.composer_note import Action, ComposerNote
from app.views.chat.context_gauge import ContextGauge
from app.views.chat.message_edit import MessageEdit
from app.views.chat.pending_chips import PendingChips, choose_pages
from app.views.controls.controls import IconButton, frame, label, set_property

TAKEN_BACK = 200_000
"""Characters of a pasted text that can still be put into the field: more would hold up the window."""


class Composer(QWidget):
    """Notes, chips, the field, the context gauge, and one button that sends or stops."""

    send = Signal(str)
    stop = Signal()
    text_changed = Signal()
    """The text or the files are others."""
    longer_context = Signal()

    def __init__(self, theme: Theme, attachments: PendingAttachments) -> None:
        super().__init__()
        self._busy, self._blocked = False, ""
        self._pasted: PendingAttachment | None = None
        self.attachments = attachments
        self.edit = MessageEdit()
        theme.changed.connect(self.edit.take_size)
        self.note = ComposerNote(theme)
        self.chips = PendingChips(theme, attachments)
        self.gauge = ContextGauge(theme)
        self.attach_button = IconButton(theme, "attach", tr("Attach files"), self._choose_files)
        self.button = IconButton(
            theme, "send", tr("Send"), self._press, colour="on_accent", kind="send", shortcut=tr("Enter")
        )
        self._hint = label("", "small")
        self._frame = frame("composer")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.attach_button)
        row.addWidget(self.gauge)
        row.addWidget(self._hint, 1)
        row.addWidget(self.button)
        inner = QVBoxLayout(self._frame)
        inner.setContentsMargins(16, 12, 10, 8)
        inner.setSpacing(6)
        inner.addWidget(self.chips)
        inner.addWidget(self.edit)
        inner.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.note)
        layout.addWidget(self._frame)
        self.edit.submitted.connect(self._submit)
        self.edit.textChanged.connect(self._on_text)
        self.edit.focus_changed.connect(lambda focus: set_property(self._frame, "active", "true" if focus else "false"))
        self.edit.files_given.connect(self.attach)
        self.edit.long_text.connect(self._attach_text)
        self.edit.no_text.connect(
            lambda: self.note.show_note("refused", tr("Pictures cannot be read: models here read text alone."))
        )
        attachments.changed.connect(self._on_text)
        attachments.refused.connect(lambda message: self.note.show_note("refused", message, tone="warning"))
        self._update()

    @property
    def text(self) -> str:
        return self.edit.toPlainText()

    def set_text(self, text: str) -> None:
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)

    def set_model_name(self, name: str) -> None:
        self.edit.setPlaceholderText(tr("Message {name}").format(name=name) if name else tr("Message"))
        self.edit.viewport().update()  # Qt does not repaint it by itself

    def set_busy(self, busy: bool) -> None:
        """While an answer is written the button stops it; typing goes on."""
        self._busy = busy
        self._update()

    def set_blocked(self, reason: str) -> None:
        """Why nothing can be sent now, or ``""``."""
        self._blocked = reason
        self._update()

    def set_enter_sends(self, sends: bool) -> None:
        """Whether Enter sends, or Ctrl+Enter alone."""
        self.edit.enter_sends = sends
        self._update()

    def attach(self, files: list[Path]) -> None:
        """Read these and let them go with the message."""
        self.note.hide_note("refused")
        for file in files:
            self.attachments.add_file(file)
        self.edit.setFocus()

    def show_use(self, used: int, context: int) -> None:
        """The gauge; and where it would not fit, what helps, before it is sent."""
        self.gauge.show_use(used, context)
        files = [item for item in self.attachments.items if item.state == "ready"]
        if not context or used < context or not (files or self.text.strip()):
            self.note.hide_note("full")
            return
        ways: list[Action] = [(tr("Longer context…"), self.longer_context.emit)]
        if longest := max((item for item in files if item.paged), key=lambda item: item.tokens, default=None):
            ways.append((tr("Fewer pages…"), partial(choose_pages, self, longest)))
        text = tr("This does not fit into the context: the conversation would be longer than what the model reads.")
        self.note.show_note("full", text, ways, "warning")

    def _on_text(self) -> None:
        if self._pasted is not None and self._pasted not in self.attachments.items:
            self._pasted = None
            self.note.hide_note("pasted")
        self._update()
        self.text_changed.emit()

    def _choose_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, tr("Attach files"))
        self.attach([Path(file) for file in files])

    def _attach_text(self, text: str) -> None:
        item = self.attachments.add_text(text, tr("pasted text.txt"))
        if item is None:
            return
        ways: list[Action] = []
        if len(text) <= TAKEN_BACK:
            ways.append((tr("Put it into the message"), lambda: self._take_back(item, text)))
        self._pasted = item
        self.note.hide_note("pasted")
        self.note.show_note("pasted", tr("The long text that you pasted is attached as a file."), ways)

    def _take_back(self, item: PendingAttachment, text: str) -> None:
        self.note.hide_note("pasted")
        if item in self.attachments.items:
            self.attachments.remove(item)
            self.edit.insertPlainText(text)
            self.edit.setFocus()

    def _press(self) -> None:
        if self._busy:
            self.stop.emit()
        else:
            self._submit()

    def _submit(self) -> None:
        if not self._busy and self._can_send:
            text = self.text.strip()
            self.edit.clear()
            for key in ("pasted", "refused", "full"):
                self.note.hide_note(key)
            self.send.emit(text)

    @property
    def _can_send(self) -> bool:
        ready = any(item.state == "ready" for item in self.attachments.items)
        return (ready or bool(self.text.strip())) and not self._blocked and not self.attachments.reading

    def _update(self) -> None:
        keys = tr("Enter") if self.edit.enter_sends else tr("Ctrl+Enter")
        self.button.set_icon("stop" if self._busy else "send")
        self.button.set_name(tr("Stop") if self._busy else tr("Send"), tr("Esc") if self._busy else keys)
        self.button.setEnabled(self._busy or self._can_send)
        reading = tr("Reading the files…") if self.attachments.reading else ""
        self._hint.setText(self._blocked or reading)
